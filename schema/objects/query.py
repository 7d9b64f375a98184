"""The root fields that read: every one of them runs one statement."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import UNSET

from schema.answer.answer import answer
from schema.context import Info
from schema.declare.enums import GroupBy, Metric, QuarantineState, StatusRole
from schema.declare.fields import nested
from schema.declare.inputs import (
    After,
    AsOf,
    AsOfArgument,
    Before,
    BucketSize,
    ChangelogFilter,
    ChangelogOrderBy,
    CommentFilter,
    CommentOrderBy,
    EventFilter,
    EventOrderBy,
    First,
    ItemFilter,
    ItemOrderBy,
    Last,
    MinPosition,
    ProductId,
    SatisfactionFilter,
    SatisfactionOrderBy,
    SubscriptionFilter,
    SubscriptionOrderBy,
    TimeZone,
    UserFilter,
    UserOrderBy,
    VoteFilter,
    VoteOrderBy,
    Window,
)
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
from schema.plan import roots

OpaqueId = Annotated[
    strawberry.ID | None, strawberry.argument(description="The opaque id, from the `id` of an answer.")
]
SleekplanId = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="Sleekplan's id, with productId where several products have it."),
]


@strawberry.type(description="What can be asked.")
class Query:
    @nested(
        roots.NODE,
        "Anything by its opaque id; null where there is none, or none that the caller sees."
        " As it is now; `nodes` takes `asOf`.",
    )
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The opaque id.")],
    ) -> Node | None:  # no further argument: Relay demands this very signature
        return await answer(info)

    @nested(
        roots.NODE,
        "Several things by their opaque ids, at most 500, in the order asked; null for each not found.",
    )
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="The opaque ids.")],
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> list[Node | None]:
        return await answer(info)

    @nested(roots.ITEM, "An item by its opaque id, or by Sleekplan's id and product; deleted ones too.")
    async def item(
        self,
        info: Info,
        id: OpaqueId = UNSET,
        product_id: ProductId = UNSET,
        sleekplan_id: SleekplanId = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Item | None:
        return await answer(info)

    @nested(
        roots.ITEMS, "Items; without orderBy those with most votes first, or the best matches of a search."
    )
    async def items(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[ItemFilter | None, strawberry.argument(description="Which items.")] = UNSET,
        order_by: Annotated[
            ItemOrderBy | None, strawberry.argument(description="How they are sorted.")
        ] = UNSET,
        window: Annotated[
            Window | None, strawberry.argument(description="The window of the order VOTES_IN_WINDOW.")
        ] = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Connection[Item]:
        return await answer(info)

    @nested(roots.USER, "A user by the opaque id, or by Sleekplan's id and product.")
    async def user(
        self,
        info: Info,
        id: OpaqueId = UNSET,
        product_id: ProductId = UNSET,
        sleekplan_id: SleekplanId = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> User | None:
        return await answer(info)

    @nested(roots.USERS, "Users; without orderBy in the order in which events first named them.")
    async def users(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[UserFilter | None, strawberry.argument(description="Which users.")] = UNSET,
        order_by: Annotated[
            UserOrderBy | None, strawberry.argument(description="How they are sorted.")
        ] = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Connection[User]:
        return await answer(info)

    @nested(roots.VOTES, "Votes that events told of, newest first.")
    async def votes(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[VoteFilter | None, strawberry.argument(description="Which votes.")] = UNSET,
        order_by: Annotated[
            VoteOrderBy | None, strawberry.argument(description="How they are sorted.")
        ] = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Connection[Vote]:
        return await answer(info)

    @nested(roots.COMMENTS, "Comments, oldest first.")
    async def comments(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[CommentFilter | None, strawberry.argument(description="Which comments.")] = UNSET,
        order_by: Annotated[
            CommentOrderBy | None, strawberry.argument(description="How they are sorted.")
        ] = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Connection[Comment]:
        return await answer(info)

    @nested(roots.SUBSCRIPTIONS, "Who follows what, oldest first.")
    async def subscriptions(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[
            SubscriptionFilter | None, strawberry.argument(description="Which subscriptions.")
        ] = UNSET,
        order_by: Annotated[
            SubscriptionOrderBy | None, strawberry.argument(description="How they are sorted.")
        ] = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Connection[ItemSubscription]:
        return await answer(info)

    @nested(roots.CHANGELOG_ENTRY, "A changelog entry by the opaque id, or by Sleekplan's id and product.")
    async def changelog_entry(
        self,
        info: Info,
        id: OpaqueId = UNSET,
        product_id: ProductId = UNSET,
        sleekplan_id: SleekplanId = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> ChangelogEntry | None:
        return await answer(info)

    @nested(roots.CHANGELOG_ENTRIES, "Changelog entries, newest first.")
    async def changelog_entries(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[ChangelogFilter | None, strawberry.argument(description="Which entries.")] = UNSET,
        order_by: Annotated[
            ChangelogOrderBy | None, strawberry.argument(description="How they are sorted.")
        ] = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Connection[ChangelogEntry]:
        return await answer(info)

    @nested(roots.SATISFACTION_ANSWERS, "Satisfaction answers, newest first, replaced ones included.")
    async def satisfaction_answers(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[
            SatisfactionFilter | None, strawberry.argument(description="Which answers.")
        ] = UNSET,
        order_by: Annotated[
            SatisfactionOrderBy | None, strawberry.argument(description="How they are sorted.")
        ] = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Connection[SatisfactionAnswer]:
        return await answer(info)

    @nested(
        roots.EVENTS, "The events of the log, in the order in which they arrived; `last` takes the newest."
    )
    async def events(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[EventFilter | None, strawberry.argument(description="Which events.")] = UNSET,
        order_by: Annotated[
            EventOrderBy | None, strawberry.argument(description="How they are sorted.")
        ] = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Connection[Event]:
        return await answer(info)

    @nested(roots.DIFF, "What differs between two moments.")
    async def board_diff(
        self,
        info: Info,
        from_: Annotated[AsOf, strawberry.argument(name="from", description="The earlier moment.")],
        to: Annotated[
            AsOf | None, strawberry.argument(description="The later moment; left out: now.")
        ] = UNSET,
        product_id: ProductId = UNSET,
        min_position: MinPosition = UNSET,
    ) -> BoardDiff:
        return await answer(info)

    @nested(
        roots.MOVERS, "The items that gained most in a window, beside what they gained in the one before."
    )
    async def movers(
        self,
        info: Info,
        window: Annotated[
            Window, strawberry.argument(description="From when to when; its beginning must be given.")
        ],
        metric: Annotated[Metric, strawberry.argument(description="What is counted.")] = Metric.NET_VOTES,
        first: Annotated[int, strawberry.argument(description="At most so many, 0 to 500.")] = 10,
        product_id: ProductId = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> list[Mover]:
        return await answer(info)

    @nested(roots.RANK_HISTORY, "The places over time of the items that lead at the end.")
    async def rank_history(
        self,
        info: Info,
        bucket: BucketSize,
        window: Annotated[Window, strawberry.argument(description="From when to when.")],
        metric: Annotated[
            Metric, strawberry.argument(description="What items are ranked by.")
        ] = Metric.NET_VOTES,
        top: Annotated[int, strawberry.argument(description="How many places, 0 to 500.")] = 10,
        time_zone: TimeZone = "UTC",
        product_id: ProductId = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> list[RankSeries]:
        return await answer(info)

    @nested(
        roots.CYCLE_TIME, "How long items take from one stage to another, by when they entered the first."
    )
    async def cycle_time(
        self,
        info: Info,
        from_: Annotated[
            StatusRole, strawberry.argument(name="from", description="The stage that they start in.")
        ],
        to: Annotated[StatusRole, strawberry.argument(description="The stage that they are to reach.")],
        group_by: Annotated[
            GroupBy, strawberry.argument(description="What groups are made by.")
        ] = GroupBy.MONTH,
        window: Annotated[
            Window | None, strawberry.argument(description="When they entered the first stage.")
        ] = UNSET,
        time_zone: TimeZone = "UTC",
        product_id: ProductId = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> list[DurationStat]:
        return await answer(info)

    @nested(
        roots.FIRST_RESPONSE,
        "How long items wait for a first response: a comment of the team, or a move to another status.",
    )
    async def first_response(
        self,
        info: Info,
        group_by: Annotated[
            GroupBy, strawberry.argument(description="What groups are made by.")
        ] = GroupBy.MONTH,
        window: Annotated[
            Window | None, strawberry.argument(description="When they were submitted.")
        ] = UNSET,
        time_zone: TimeZone = "UTC",
        product_id: ProductId = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> list[DurationStat]:
        return await answer(info)

    @nested(
        roots.STATUS_REGRESSIONS, "Moves from a later stage to an earlier one, newest first, at most 500."
    )
    async def status_regressions(
        self,
        info: Info,
        window: Annotated[Window | None, strawberry.argument(description="When they moved.")] = UNSET,
        product_id: ProductId = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> list[StatusPeriod]:
        return await answer(info)

    @nested(roots.SATISFACTION_SERIES, "Satisfaction in steps of time.")
    async def satisfaction_series(
        self,
        info: Info,
        bucket: BucketSize,
        window: Annotated[Window, strawberry.argument(description="From when to when.")],
        group: Annotated[str, strawberry.argument(description="The survey's group key.")] = "default",
        time_zone: TimeZone = "UTC",
        product_id: ProductId = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> list[ScorePoint]:
        return await answer(info)

    @nested(roots.STATUS_BACKLOG, "How many items stood in each status, in steps of time.")
    async def status_backlog(
        self,
        info: Info,
        bucket: BucketSize,
        window: Annotated[Window, strawberry.argument(description="From when to when.")],
        time_zone: TimeZone = "UTC",
        product_id: ProductId = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> list[BacklogPoint]:
        return await answer(info)

    @nested(roots.EVENT_SERIES, "How many events happened, in steps of time; steps without any are left out.")
    async def event_series(
        self,
        info: Info,
        bucket: BucketSize,
        window: Annotated[
            Window | None, strawberry.argument(description="From when to when; left out: all of it.")
        ] = UNSET,
        time_zone: TimeZone = "UTC",
        product_id: ProductId = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> list[EventCount]:
        return await answer(info)

    @nested(roots.DRIFT, "Totals that moved otherwise than by the votes seen, newest first.")
    async def drift(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="At most so many, 0 to 500.")] = 50,
        product_id: ProductId = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> list[Inference]:
        return await answer(info)

    @nested(roots.INGEST, "What has arrived, and whether webhooks are suspiciously quiet.")
    async def ingest(self, info: Info, product_id: ProductId = UNSET) -> Ingest:
        return await answer(info)

    @nested(roots.PRODUCTS, "The products that any event was about, of those that the caller sees.")
    async def products(self, info: Info) -> list[Product]:
        return await answer(info)

    @nested(roots.PROJECTIONS, "How far each projection of the log has got.")
    async def projections(self, info: Info) -> list[Projection]:
        return await answer(info)

    @nested(
        roots.QUARANTINE,
        "Deliveries that could not be read as events, newest first. Needs the scope `admin`.",
    )
    async def quarantine(
        self,
        info: Info,
        states: Annotated[
            list[QuarantineState] | None,
            strawberry.argument(description="Only those in these states; left out: all."),
        ] = UNSET,
        first: Annotated[int, strawberry.argument(description="At most so many, 0 to 500.")] = 50,
        product_id: ProductId = UNSET,
    ) -> list[QuarantinedDelivery]:
        return await answer(info)
