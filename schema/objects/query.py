"""The root fields that read: every one of them runs one statement."""

from __future__ import annotations

from typing import Final

import strawberry

from schema.declare.arguments import (
    BUCKET_SIZE,
    MIN_POSITION,
    MOMENT,
    PAGE,
    PRODUCT_ID,
    TIME_ZONE,
    argument,
    chosen,
)
from schema.declare.enums import GroupBy, Metric, QuarantineState, StatusRole
from schema.declare.fields import nested
from schema.declare.inputs import (
    AsOf,
    ChangelogFilter,
    ChangelogOrderBy,
    CommentFilter,
    CommentOrderBy,
    EventFilter,
    EventOrderBy,
    ItemFilter,
    ItemOrderBy,
    SatisfactionFilter,
    SatisfactionOrderBy,
    SubscriptionFilter,
    SubscriptionOrderBy,
    UserFilter,
    UserOrderBy,
    VoteFilter,
    VoteOrderBy,
    Window,
)
from schema.objects import roots
from schema.objects.board import (
    BacklogPoint,
    BoardDiff,
    DurationStat,
    EventCount,
    Ingest,
    Mover,
    Product,
    Projection,
    QuarantinedDelivery,
    RankSeries,
    ScorePoint,
)
from schema.objects.history import Inference, StatusPeriod
from schema.objects.types import (
    ChangelogEntry,
    Comment,
    Connection,
    Event,
    Item,
    ItemSubscription,
    Node,
    SatisfactionAnswer,
    User,
    Vote,
)

OPAQUE_ID: Final = argument("id", strawberry.ID | None, "The opaque id, from the `id` of an answer.")
SLEEKPLAN_ID: Final = argument(
    "sleekplanId", strawberry.ID | None, "Sleekplan's id, with productId where several products have it."
)


@strawberry.type(description="What can be asked.")
class Query:
    node: Node | None = nested(
        "Anything by its opaque id; null where there is none, or none that the caller sees."
        " As it is now; `nodes` takes `asOf`.",
        roots.NODE,
        argument("id", strawberry.ID, "The opaque id."),  # no further one: Relay demands this very signature
    )
    nodes: list[Node | None] = nested(
        "Several things by their opaque ids, at most 500, in the order asked; null for each not found.",
        roots.NODE,
        argument("ids", list[strawberry.ID], "The opaque ids."),
        *MOMENT,
    )
    item: Item | None = nested(
        "An item by its opaque id, or by Sleekplan's id and product; deleted ones too.",
        roots.ITEM,
        OPAQUE_ID,
        PRODUCT_ID,
        SLEEKPLAN_ID,
        *MOMENT,
    )
    items: Connection[Item] = nested(
        "Items; without orderBy those with most votes first, or the best matches of a search.",
        roots.ITEMS,
        PRODUCT_ID,
        *chosen(ItemFilter, "items", ItemOrderBy),
        argument("window", Window | None, "The window of the order VOTES_IN_WINDOW."),
        *PAGE,
        *MOMENT,
    )
    user: User | None = nested(
        "A user by the opaque id, or by Sleekplan's id and product.",
        roots.USER,
        OPAQUE_ID,
        PRODUCT_ID,
        SLEEKPLAN_ID,
        *MOMENT,
    )
    users: Connection[User] = nested(
        "Users; without orderBy in the order in which events first named them.",
        roots.USERS,
        PRODUCT_ID,
        *chosen(UserFilter, "users", UserOrderBy),
        *PAGE,
        *MOMENT,
    )
    votes: Connection[Vote] = nested(
        "Votes that events told of, newest first.",
        roots.VOTES,
        PRODUCT_ID,
        *chosen(VoteFilter, "votes", VoteOrderBy),
        *PAGE,
        *MOMENT,
    )
    comments: Connection[Comment] = nested(
        "Comments, oldest first.",
        roots.COMMENTS,
        PRODUCT_ID,
        *chosen(CommentFilter, "comments", CommentOrderBy),
        *PAGE,
        *MOMENT,
    )
    subscriptions: Connection[ItemSubscription] = nested(
        "Who follows what, oldest first.",
        roots.SUBSCRIPTIONS,
        PRODUCT_ID,
        *chosen(SubscriptionFilter, "subscriptions", SubscriptionOrderBy),
        *PAGE,
        *MOMENT,
    )
    changelog_entry: ChangelogEntry | None = nested(
        "A changelog entry by the opaque id, or by Sleekplan's id and product.",
        roots.CHANGELOG_ENTRY,
        OPAQUE_ID,
        PRODUCT_ID,
        SLEEKPLAN_ID,
        *MOMENT,
    )
    changelog_entries: Connection[ChangelogEntry] = nested(
        "Changelog entries, newest first.",
        roots.CHANGELOG_ENTRIES,
        PRODUCT_ID,
        *chosen(ChangelogFilter, "entries", ChangelogOrderBy),
        *PAGE,
        *MOMENT,
    )
    satisfaction_answers: Connection[SatisfactionAnswer] = nested(
        "Satisfaction answers, newest first, replaced ones included.",
        roots.SATISFACTION_ANSWERS,
        PRODUCT_ID,
        *chosen(SatisfactionFilter, "answers", SatisfactionOrderBy),
        *PAGE,
        *MOMENT,
    )
    events: Connection[Event] = nested(
        "The events of the log, in the order in which they arrived; `last` takes the newest.",
        roots.EVENTS,
        PRODUCT_ID,
        *chosen(EventFilter, "events", EventOrderBy),
        *PAGE,
        *MOMENT,
    )
    board_diff: BoardDiff = nested(
        "What differs between two moments.",
        roots.DIFF,
        argument("from", AsOf, "The earlier moment."),
        argument("to", AsOf | None, "The later moment; left out: now."),
        PRODUCT_ID,
        MIN_POSITION,
    )
    movers: list[Mover] = nested(
        "The items that gained most in a window, beside what they gained in the one before.",
        roots.MOVERS,
        argument("window", Window, "From when to when; its beginning must be given."),
        argument("metric", Metric, "What is counted.", Metric.NET_VOTES),
        argument("first", int, "At most so many, 0 to 500.", 10),
        PRODUCT_ID,
        *MOMENT,
    )
    rank_history: list[RankSeries] = nested(
        "The places over time of the items that lead at the end.",
        roots.RANK_HISTORY,
        BUCKET_SIZE,
        argument("window", Window, "From when to when."),
        argument("metric", Metric, "What items are ranked by.", Metric.NET_VOTES),
        argument("top", int, "How many places, 0 to 500.", 10),
        TIME_ZONE,
        PRODUCT_ID,
        *MOMENT,
    )
    cycle_time: list[DurationStat] = nested(
        "How long items take from one stage to another, by when they entered the first.",
        roots.CYCLE_TIME,
        argument("from", StatusRole, "The stage that they start in."),
        argument("to", StatusRole, "The stage that they are to reach."),
        argument("groupBy", GroupBy, "What groups are made by.", GroupBy.MONTH),
        argument("window", Window | None, "When they entered the first stage."),
        TIME_ZONE,
        PRODUCT_ID,
        *MOMENT,
    )
    first_response: list[DurationStat] = nested(
        "How long items wait for a first response: a comment of the team, or a move to another status.",
        roots.FIRST_RESPONSE,
        argument("groupBy", GroupBy, "What groups are made by.", GroupBy.MONTH),
        argument("window", Window | None, "When they were submitted."),
        TIME_ZONE,
        PRODUCT_ID,
        *MOMENT,
    )
    status_regressions: list[StatusPeriod] = nested(
        "Moves from a later stage to an earlier one, newest first.",
        roots.STATUS_REGRESSIONS,
        argument("window", Window | None, "When they moved."),
        argument("first", int, "At most so many, 0 to 500.", 500),
        PRODUCT_ID,
        *MOMENT,
    )
    satisfaction_series: list[ScorePoint] = nested(
        "Satisfaction in steps of time.",
        roots.SATISFACTION_SERIES,
        BUCKET_SIZE,
        argument("window", Window, "From when to when."),
        argument("group", str, "The survey's group key.", "default"),
        TIME_ZONE,
        PRODUCT_ID,
        *MOMENT,
    )
    status_backlog: list[BacklogPoint] = nested(
        "How many items stood in each status, in steps of time.",
        roots.STATUS_BACKLOG,
        BUCKET_SIZE,
        argument("window", Window, "From when to when."),
        TIME_ZONE,
        PRODUCT_ID,
        *MOMENT,
    )
    event_series: list[EventCount] = nested(
        "How many events happened, in steps of time; steps without any are left out.",
        roots.EVENT_SERIES,
        BUCKET_SIZE,
        argument("window", Window | None, "From when to when; left out: all of it."),
        TIME_ZONE,
        PRODUCT_ID,
        *MOMENT,
    )
    drift: list[Inference] = nested(
        "Totals that moved otherwise than by the votes seen, newest first.",
        roots.DRIFT,
        argument("first", int, "At most so many, 0 to 500.", 50),
        PRODUCT_ID,
        *MOMENT,
    )
    ingest: Ingest = nested(
        "What has arrived, and whether webhooks are suspiciously quiet.", roots.INGEST, PRODUCT_ID
    )
    products: list[Product] = nested(
        "The products that any event was about, of those that the caller sees.", roots.PRODUCTS
    )
    projections: list[Projection] = nested("How far each projection of the log has got.", roots.PROJECTIONS)
    quarantine: list[QuarantinedDelivery] = nested(
        "Deliveries that could not be read as events, newest first. Needs the scope `admin`.",
        roots.QUARANTINE,
        argument("states", list[QuarantineState] | None, "Only those in these states; left out: all."),
        argument("first", int, "At most so many, 0 to 500.", 50),
        PRODUCT_ID,
    )
