"""The root fields that read: every one of them runs one statement."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import UNSET

from schema import roots
from schema.answer import answer
from schema.context import Info
from schema.fields import nested
from schema.inputs import (
    After,
    AsOfArgument,
    Before,
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
    UserFilter,
    UserOrderBy,
    VoteFilter,
    VoteOrderBy,
    Window,
)
from schema.types import (
    ChangelogEntry,
    Comment,
    Connection,
    Event,
    Item,
    Node,
    SatisfactionAnswer,
    Subscription,
    User,
    Vote,
)

OpaqueId = Annotated[strawberry.ID | None, strawberry.argument(description="The opaque id, from the `id` of an answer.")]
SleekplanId = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="Sleekplan's id, with productId where several products have it."),
]


@strawberry.type(description="What can be asked.")
class Query:
    @nested(roots.NODE, "Anything by its opaque id; null where there is none, or none that the caller sees.")
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The opaque id.")],
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Node | None:
        return await answer(info)  # type: ignore[no-any-return]

    @nested(roots.NODE, "Several things by their opaque ids, at most 500, in the order asked; null for each not found.")
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="The opaque ids.")],
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> list[Node | None]:
        return await answer(info)  # type: ignore[no-any-return]

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
        return await answer(info)  # type: ignore[no-any-return]

    @nested(roots.ITEMS, "Items; without orderBy those with most votes first, or the best matches of a search.")
    async def items(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[ItemFilter | None, strawberry.argument(description="Which items.")] = UNSET,
        order_by: Annotated[ItemOrderBy | None, strawberry.argument(description="How they are sorted.")] = UNSET,
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
        return await answer(info)  # type: ignore[no-any-return]

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
        return await answer(info)  # type: ignore[no-any-return]

    @nested(roots.USERS, "Users; without orderBy in the order in which events first named them.")
    async def users(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[UserFilter | None, strawberry.argument(description="Which users.")] = UNSET,
        order_by: Annotated[UserOrderBy | None, strawberry.argument(description="How they are sorted.")] = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Connection[User]:
        return await answer(info)  # type: ignore[no-any-return]

    @nested(roots.VOTES, "Votes that events told of, newest first.")
    async def votes(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[VoteFilter | None, strawberry.argument(description="Which votes.")] = UNSET,
        order_by: Annotated[VoteOrderBy | None, strawberry.argument(description="How they are sorted.")] = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Connection[Vote]:
        return await answer(info)  # type: ignore[no-any-return]

    @nested(roots.COMMENTS, "Comments, oldest first.")
    async def comments(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[CommentFilter | None, strawberry.argument(description="Which comments.")] = UNSET,
        order_by: Annotated[CommentOrderBy | None, strawberry.argument(description="How they are sorted.")] = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Connection[Comment]:
        return await answer(info)  # type: ignore[no-any-return]

    @nested(roots.SUBSCRIPTIONS, "Who follows what, oldest first.")
    async def subscriptions(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[SubscriptionFilter | None, strawberry.argument(description="Which subscriptions.")] = UNSET,
        order_by: Annotated[
            SubscriptionOrderBy | None, strawberry.argument(description="How they are sorted.")
        ] = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Connection[Subscription]:
        return await answer(info)  # type: ignore[no-any-return]

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
        return await answer(info)  # type: ignore[no-any-return]

    @nested(roots.CHANGELOG_ENTRIES, "Changelog entries, newest first.")
    async def changelog_entries(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[ChangelogFilter | None, strawberry.argument(description="Which entries.")] = UNSET,
        order_by: Annotated[ChangelogOrderBy | None, strawberry.argument(description="How they are sorted.")] = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Connection[ChangelogEntry]:
        return await answer(info)  # type: ignore[no-any-return]

    @nested(roots.SATISFACTION_ANSWERS, "Satisfaction answers, newest first, replaced ones included.")
    async def satisfaction_answers(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[SatisfactionFilter | None, strawberry.argument(description="Which answers.")] = UNSET,
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
        return await answer(info)  # type: ignore[no-any-return]

    @nested(roots.EVENTS, "The events of the log, in the order in which they arrived; `last` takes the newest.")
    async def events(
        self,
        info: Info,
        product_id: ProductId = UNSET,
        filter: Annotated[EventFilter | None, strawberry.argument(description="Which events.")] = UNSET,
        order_by: Annotated[EventOrderBy | None, strawberry.argument(description="How they are sorted.")] = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
        as_of: AsOfArgument = UNSET,
        min_position: MinPosition = UNSET,
    ) -> Connection[Event]:
        return await answer(info)  # type: ignore[no-any-return]
