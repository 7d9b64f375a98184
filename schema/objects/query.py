"""The root fields that read: every one of them runs one statement, but `setup`, which asks settings."""

from __future__ import annotations

from typing import Any, Final

import strawberry
from strawberry.types.arguments import StrawberryArgument

from schema.context import Info
from schema.declare.arguments import (
    BUCKET_SIZE,
    MIN_POSITION,
    MOMENT,
    PRODUCT_ID,
    TIME_ZONE,
    argument,
    paged,
)
from schema.declare.comparators import AsOf, Window
from schema.declare.fields import method, nested
from schema.declare.source import Lookup, Nodes, Page, Spec
from schema.objects.board import (
    CYCLE_TIME,
    DRIFT,
    EVENT_SERIES,
    FIRST_RESPONSE,
    MOVERS,
    RANK_HISTORY,
    SATISFACTION_SERIES,
    STATUS_BACKLOG,
    STATUS_REGRESSIONS,
    BacklogPoint,
    DurationStat,
    EventCount,
    GroupBy,
    Metric,
    Mover,
    RankSeries,
    ScorePoint,
)
from schema.objects.changelog import CHANGELOG_ENTRIES, ChangelogEntry
from schema.objects.comment import COMMENTS, Comment
from schema.objects.connection import Connection, Node
from schema.objects.difference import BOARD_DIFF, BoardDiff
from schema.objects.event import EVENTS, Event
from schema.objects.history import Inference, StatusPeriod
from schema.objects.item import ITEMS, Item
from schema.objects.item_subscription import SUBSCRIPTIONS, ItemSubscription
from schema.objects.operating import (
    INGEST,
    PRODUCTS,
    PROJECTIONS,
    QUARANTINE,
    REACTIONS,
    SWEEPS,
    Ingest,
    Product,
    ProjectionProgress,
    QuarantinedDelivery,
    QuarantineState,
    ReactionProgress,
    Setup,
    SweepProgress,
    SweepState,
)
from schema.objects.satisfaction import SATISFACTION_ANSWERS, SatisfactionAnswer
from schema.objects.user import USERS, User
from schema.objects.values import StatusRole, make
from schema.objects.vote import VOTES, Vote
from service.errors import MissingScope

OPAQUE_ID: Final = argument("id", strawberry.ID | None, "The opaque id, from the `id` of an answer.")
SLEEKPLAN_ID: Final = argument(
    "sleekplanId", strawberry.ID | None, "Sleekplan's id, with productId where several products have it."
)


def _asked(description: str, source: Spec, *arguments: StrawberryArgument) -> Any:
    return nested(description, source, *arguments, PRODUCT_ID, *MOMENT)


def _one(description: str, type_name: str) -> Any:
    return nested(description, Lookup(type_name), OPAQUE_ID, PRODUCT_ID, SLEEKPLAN_ID, *MOMENT)


def _many(description: str, page: Page) -> Any:
    return nested(description, page, PRODUCT_ID, *paged(page), *MOMENT)


@strawberry.type(description="What can be asked.")
class Query:
    node: Node | None = nested(
        "Anything by its opaque id; null where there is none, or none that the caller sees."
        " As it is now; `nodes` takes `asOf`.",
        Nodes(),
        argument("id", strawberry.ID, "The opaque id."),  # no further one: Relay demands this very signature
    )
    nodes: list[Node | None] = nested(
        "Several things by their opaque ids, at most 500, in the order asked; null for each not found.",
        Nodes(),
        argument("ids", list[strawberry.ID], "The opaque ids."),
        *MOMENT,
    )
    item: Item | None = _one(
        "An item by its opaque id, or by Sleekplan's id and product; deleted ones too.", "Item"
    )
    items: Connection[Item] = _many(
        "Items; without orderBy those with most votes first, or the best matches of a search.", ITEMS
    )
    user: User | None = _one("A user by the opaque id, or by Sleekplan's id and product.", "User")
    users: Connection[User] = _many(
        "Users; without orderBy in the order in which events first named them.", USERS
    )
    votes: Connection[Vote] = _many("Votes that events told of, newest first.", VOTES)
    comments: Connection[Comment] = _many("Comments, oldest first.", COMMENTS)
    subscriptions: Connection[ItemSubscription] = _many("Who follows what, oldest first.", SUBSCRIPTIONS)
    changelog_entry: ChangelogEntry | None = _one(
        "A changelog entry by the opaque id, or by Sleekplan's id and product.", "ChangelogEntry"
    )
    changelog_entries: Connection[ChangelogEntry] = _many(
        "Changelog entries, newest first.", CHANGELOG_ENTRIES
    )
    satisfaction_answers: Connection[SatisfactionAnswer] = _many(
        "Satisfaction answers, newest first, replaced ones included.", SATISFACTION_ANSWERS
    )
    events: Connection[Event] = _many(
        "The events of the log, in the order in which they arrived; `last` takes the newest.", EVENTS
    )
    board_diff: BoardDiff = nested(
        "What differs between two moments.",
        BOARD_DIFF,
        argument("from", AsOf, "The earlier moment."),
        argument("to", AsOf | None, "The later moment; left out: now."),
        PRODUCT_ID,
        MIN_POSITION,
    )
    movers: list[Mover] = _asked(
        "The items that gained most in a window, beside what they gained in the one before.",
        MOVERS,
        argument("window", Window, "From when to when; its beginning must be given."),
        argument("metric", Metric, "What is counted.", Metric.NET_VOTES),
        argument("first", int, "At most so many, 0 to 500.", 10),
    )
    rank_history: list[RankSeries] = _asked(
        "The places over time of the items that lead at the end.",
        RANK_HISTORY,
        BUCKET_SIZE,
        argument("window", Window, "From when to when."),
        argument("metric", Metric, "What items are ranked by.", Metric.NET_VOTES),
        argument("top", int, "How many places, 0 to 500.", 10),
        TIME_ZONE,
    )
    cycle_time: list[DurationStat] = _asked(
        "How long items take from one stage to another, by when they entered the first.",
        CYCLE_TIME,
        argument("from", StatusRole, "The stage that they start in."),
        argument("to", StatusRole, "The stage that they are to reach."),
        argument("groupBy", GroupBy, "What groups are made by.", GroupBy.MONTH),
        argument("window", Window | None, "When they entered the first stage."),
        TIME_ZONE,
    )
    first_response: list[DurationStat] = _asked(
        "How long items wait for a first response: a comment of the team, or a move to another status.",
        FIRST_RESPONSE,
        argument("groupBy", GroupBy, "What groups are made by.", GroupBy.MONTH),
        argument("window", Window | None, "When they were submitted."),
        TIME_ZONE,
    )
    status_regressions: list[StatusPeriod] = _asked(
        "Moves from a later stage to an earlier one, newest first.",
        STATUS_REGRESSIONS,
        argument("window", Window | None, "When they moved."),
        argument("first", int, "At most so many, 0 to 500.", 500),
    )
    satisfaction_series: list[ScorePoint] = _asked(
        "Satisfaction in steps of time.",
        SATISFACTION_SERIES,
        BUCKET_SIZE,
        argument("window", Window, "From when to when."),
        argument("group", str, "The survey's group key.", "default"),
        TIME_ZONE,
    )
    status_backlog: list[BacklogPoint] = _asked(
        "How many items stood in each status, in steps of time.",
        STATUS_BACKLOG,
        BUCKET_SIZE,
        argument("window", Window, "From when to when."),
        TIME_ZONE,
    )
    event_series: list[EventCount] = _asked(
        "How many events happened, in steps of time; steps without any are left out.",
        EVENT_SERIES,
        BUCKET_SIZE,
        argument("window", Window | None, "From when to when; left out: all of it."),
        TIME_ZONE,
    )
    drift: list[Inference] = _asked(
        "Totals that moved otherwise than by the votes seen, newest first.",
        DRIFT,
        argument("first", int, "At most so many, 0 to 500.", 50),
    )
    ingest: Ingest = nested(
        "What has arrived, and whether webhooks are suspiciously quiet.", INGEST, PRODUCT_ID
    )
    products: list[Product] = nested(
        "The products that any event was about, of those that the caller sees.", PRODUCTS
    )
    projections: list[ProjectionProgress] = nested("How far each projection of the log has got.", PROJECTIONS)
    reactions: list[ReactionProgress] = nested(
        "The rules of RECOUNT_REACTIONS, and how far each has come. Needs the scope `admin`.", REACTIONS
    )
    quarantine: list[QuarantinedDelivery] = nested(
        "Deliveries that could not be read as events, newest first. Needs the scope `admin`.",
        QUARANTINE,
        argument("states", list[QuarantineState] | None, "Only those in these states; left out: all."),
        argument("first", int, "At most so many, 0 to 500.", 50),
        PRODUCT_ID,
    )
    sweeps: list[SweepProgress] = nested(
        "What asked Sleekplan's API how the board is, newest first.",
        SWEEPS,
        argument("states", list[SweepState] | None, "Only those in these states; left out: all."),
        argument("first", int, "At most so many, 0 to 500.", 20),
        PRODUCT_ID,
    )

    @method("What of the beginning is set: how boards are told and fetched. Needs the scope `admin`.")
    def setup(self, info: Info) -> Setup:
        if not info.context.caller.may("admin"):
            raise MissingScope("setup", "admin")
        caller = info.context.caller
        products = [key.product_id for key in info.context.services.settings.sleekplan_api_key]
        theirs = [each for each in products if each is None or caller.sees(each)]
        return make(
            Setup,
            can_backfill=bool(theirs),
            backfill_products=[str(each) for each in theirs if each is not None],
        )
