"""The schema's input types: moments, windows, comparators, filters, orders."""

from __future__ import annotations

import strawberry
from strawberry import UNSET

from schema.declare.enums import (
    ChangelogOrder,
    Clock,
    CommentOrder,
    Direction,
    EventOrder,
    EventType,
    ItemOrder,
    Origin,
    SatisfactionOrder,
    StatusRole,
    SubscriptionOrder,
    UserOrder,
    VoteOrder,
)
from schema.scalars import DateTime, Duration, Position


@strawberry.input(
    description=(
        "The moment to read at. A position is exact and never changes its answer; a time on the clock "
        "OCCURRED can, when a late event arrives. Both together read what was known at the position of what "
        "had happened by the time."
    )
)
class AsOf:
    time: DateTime | None = strawberry.field(
        default=UNSET, description="Everything that happened up to then, inclusive."
    )
    position: Position | None = strawberry.field(
        default=UNSET, description="Everything known up to that event, inclusive."
    )
    clock: Clock = strawberry.field(default=Clock.OCCURRED, description="The clock that `time` is on.")


@strawberry.input(description="A half-open stretch of time: from `from`, before `to`; or the `last` so long.")
class Window:
    from_: DateTime | None = strawberry.field(
        default=UNSET, name="from", description="Its beginning, inclusive."
    )
    to: DateTime | None = strawberry.field(default=UNSET, description="Its end, exclusive.")
    last: Duration | None = strawberry.field(
        default=UNSET,
        description="So long, counted back from the moment that is read; instead of from and to.",
    )


@strawberry.input(description="Compares text.")
class StringFilter:
    eq: str | None = strawberry.field(default=UNSET, description="Equal.")
    ne: str | None = strawberry.field(
        default=UNSET, description="Not equal; what is unknown counts as not equal."
    )
    in_: list[str] | None = strawberry.field(default=UNSET, name="in", description="One of these.")
    not_in: list[str] | None = strawberry.field(
        default=UNSET, description="None of these; what is unknown does not pass."
    )
    contains: str | None = strawberry.field(
        default=UNSET, description="Contains this, in any case of letters."
    )
    starts_with: str | None = strawberry.field(
        default=UNSET, description="Begins so, in any case of letters."
    )
    is_null: bool | None = strawberry.field(default=UNSET, description="Unknown (true) or known (false).")


@strawberry.input(description="Compares an id.")
class IdFilter:
    eq: strawberry.ID | None = strawberry.field(default=UNSET, description="This one.")
    in_: list[strawberry.ID] | None = strawberry.field(default=UNSET, name="in", description="One of these.")
    is_null: bool | None = strawberry.field(default=UNSET, description="Unknown (true) or known (false).")


@strawberry.input(description="Compares a whole number.")
class IntFilter:
    eq: int | None = strawberry.field(default=UNSET, description="Equal.")
    ne: int | None = strawberry.field(
        default=UNSET, description="Not equal; what is unknown counts as not equal."
    )
    in_: list[int] | None = strawberry.field(default=UNSET, name="in", description="One of these.")
    gt: int | None = strawberry.field(default=UNSET, description="Greater.")
    gte: int | None = strawberry.field(default=UNSET, description="Greater or equal.")
    lt: int | None = strawberry.field(default=UNSET, description="Less.")
    lte: int | None = strawberry.field(default=UNSET, description="Less or equal.")
    is_null: bool | None = strawberry.field(default=UNSET, description="Unknown (true) or known (false).")


@strawberry.input(description="Compares a number.")
class FloatFilter:
    gt: float | None = strawberry.field(default=UNSET, description="Greater.")
    gte: float | None = strawberry.field(default=UNSET, description="Greater or equal.")
    lt: float | None = strawberry.field(default=UNSET, description="Less.")
    lte: float | None = strawberry.field(default=UNSET, description="Less or equal.")
    is_null: bool | None = strawberry.field(default=UNSET, description="Unknown (true) or known (false).")


@strawberry.input(description="Compares a moment.")
class DateTimeFilter:
    gt: DateTime | None = strawberry.field(default=UNSET, description="Later.")
    gte: DateTime | None = strawberry.field(default=UNSET, description="Then or later.")
    lt: DateTime | None = strawberry.field(default=UNSET, description="Earlier.")
    lte: DateTime | None = strawberry.field(default=UNSET, description="Then or earlier.")
    within: Window | None = strawberry.field(default=UNSET, description="In this window.")
    is_null: bool | None = strawberry.field(default=UNSET, description="Unknown (true) or known (false).")


@strawberry.input(description="Compares a position.")
class PositionFilter:
    gt: Position | None = strawberry.field(default=UNSET, description="After.")
    gte: Position | None = strawberry.field(default=UNSET, description="At or after.")
    lt: Position | None = strawberry.field(default=UNSET, description="Before.")
    lte: Position | None = strawberry.field(default=UNSET, description="At or before.")


_AND = "All of these as well."
_OR = "At least one of these as well."
_NOT = "Not this; what is unknown passes."


@strawberry.input(
    description="Which items. What is named must all hold; deleted items only where `deleted` asks for them."
)
class ItemFilter:
    sleekplan_id: IdFilter | None = strawberry.field(default=UNSET, description="Sleekplan's id.")
    title: StringFilter | None = strawberry.field(default=UNSET, description="The title.")
    status: StringFilter | None = strawberry.field(default=UNSET, description="The status's key.")
    status_role: list[StatusRole] | None = strawberry.field(
        default=UNSET, description="What the status means: one of these."
    )
    type: StringFilter | None = strawberry.field(default=UNSET, description="The type's key.")
    effort: IntFilter | None = strawberry.field(default=UNSET, description="The effort, 0 (unset) to 3.")
    scoring: FloatFilter | None = strawberry.field(default=UNSET, description="Sleekplan's impact score.")
    trend: FloatFilter | None = strawberry.field(default=UNSET, description="Sleekplan's trend.")
    votes_up: IntFilter | None = strawberry.field(default=UNSET, description="Votes for.")
    votes_down: IntFilter | None = strawberry.field(default=UNSET, description="Votes against.")
    votes_net: IntFilter | None = strawberry.field(default=UNSET, description="Votes for less votes against.")
    comment_count: IntFilter | None = strawberry.field(default=UNSET, description="The number of comments.")
    subscriber_count: IntFilter | None = strawberry.field(
        default=UNSET, description="The number of subscribers."
    )
    created_at: DateTimeFilter | None = strawberry.field(default=UNSET, description="When it was submitted.")
    updated_at: DateTimeFilter | None = strawberry.field(
        default=UNSET, description="When Sleekplan last changed it."
    )
    status_since: DateTimeFilter | None = strawberry.field(
        default=UNSET, description="When it entered its status."
    )
    last_activity_at: DateTimeFilter | None = strawberry.field(
        default=UNSET, description="The newest event about it."
    )
    in_status_longer_than: Duration | None = strawberry.field(
        default=UNSET, description="It has stood in its status for longer than this."
    )
    author_id: IdFilter | None = strawberry.field(
        default=UNSET, description="Its author: opaque ids of users."
    )
    deleted: bool | None = strawberry.field(
        default=UNSET,
        description="Only deleted ones (true), only others (false, the default), or both (null).",
    )
    deleted_in: Window | None = strawberry.field(
        default=UNSET, description="Deleted in this window; implies `deleted: true`."
    )
    search: str | None = strawberry.field(
        default=UNSET,
        description='Words in title, description or comments: "a phrase", -without, this or that.',
    )
    and_: list[ItemFilter] | None = strawberry.field(default=UNSET, name="and", description=_AND)
    or_: list[ItemFilter] | None = strawberry.field(default=UNSET, name="or", description=_OR)
    not_: ItemFilter | None = strawberry.field(default=UNSET, name="not", description=_NOT)


@strawberry.input(description="Which users.")
class UserFilter:
    sleekplan_id: IdFilter | None = strawberry.field(default=UNSET, description="Sleekplan's id.")
    name: StringFilter | None = strawberry.field(default=UNSET, description="The name.")
    team_member: bool | None = strawberry.field(
        default=UNSET, description="Of the team (true) or an end user (false)."
    )
    segment: str | None = strawberry.field(default=UNSET, description="In this segment.")
    first_seen_at: DateTimeFilter | None = strawberry.field(
        default=UNSET, description="When an event first named them."
    )
    last_active_at: DateTimeFilter | None = strawberry.field(
        default=UNSET, description="When they last did something."
    )
    active_in: Window | None = strawberry.field(default=UNSET, description="Did something in this window.")
    silent_since: Duration | None = strawberry.field(
        default=UNSET, description="Was active once, and not for so long."
    )
    deleted: bool | None = strawberry.field(
        default=UNSET,
        description="Only deleted ones (true), only others (false, the default), or both (null).",
    )
    and_: list[UserFilter] | None = strawberry.field(default=UNSET, name="and", description=_AND)
    or_: list[UserFilter] | None = strawberry.field(default=UNSET, name="or", description=_OR)
    not_: UserFilter | None = strawberry.field(default=UNSET, name="not", description=_NOT)


@strawberry.input(description="Which votes. Withdrawn ones only where `withdrawn` asks for them.")
class VoteFilter:
    item_id: IdFilter | None = strawberry.field(default=UNSET, description="On this item: an opaque id.")
    user_id: IdFilter | None = strawberry.field(default=UNSET, description="By this user: an opaque id.")
    value: IntFilter | None = strawberry.field(default=UNSET, description="1 for, -1 against.")
    cast_at: DateTimeFilter | None = strawberry.field(default=UNSET, description="When it was cast.")
    withdrawn: bool | None = strawberry.field(
        default=UNSET,
        description="Only withdrawn ones (true), only others (false, the default), or both (null).",
    )
    and_: list[VoteFilter] | None = strawberry.field(default=UNSET, name="and", description=_AND)
    or_: list[VoteFilter] | None = strawberry.field(default=UNSET, name="or", description=_OR)
    not_: VoteFilter | None = strawberry.field(default=UNSET, name="not", description=_NOT)


@strawberry.input(description="Which comments. Deleted ones only where `deleted` asks for them.")
class CommentFilter:
    item_id: IdFilter | None = strawberry.field(default=UNSET, description="On this item: an opaque id.")
    author_id: IdFilter | None = strawberry.field(default=UNSET, description="By this user: an opaque id.")
    text: StringFilter | None = strawberry.field(default=UNSET, description="The text.")
    likes: IntFilter | None = strawberry.field(default=UNSET, description="How many like it.")
    created_at: DateTimeFilter | None = strawberry.field(default=UNSET, description="When it was written.")
    deleted: bool | None = strawberry.field(
        default=UNSET,
        description="Only deleted ones (true), only others (false, the default), or both (null).",
    )
    and_: list[CommentFilter] | None = strawberry.field(default=UNSET, name="and", description=_AND)
    or_: list[CommentFilter] | None = strawberry.field(default=UNSET, name="or", description=_OR)
    not_: CommentFilter | None = strawberry.field(default=UNSET, name="not", description=_NOT)


@strawberry.input(description="Which subscriptions. Ended ones only where `active` asks for them.")
class SubscriptionFilter:
    item_id: IdFilter | None = strawberry.field(default=UNSET, description="To this item: an opaque id.")
    user_id: IdFilter | None = strawberry.field(default=UNSET, description="By this user: an opaque id.")
    since: DateTimeFilter | None = strawberry.field(default=UNSET, description="When it began or ended.")
    active: bool | None = strawberry.field(
        default=UNSET,
        description="Only active ones (true, the default), only ended ones (false), or both (null).",
    )
    and_: list[SubscriptionFilter] | None = strawberry.field(default=UNSET, name="and", description=_AND)
    or_: list[SubscriptionFilter] | None = strawberry.field(default=UNSET, name="or", description=_OR)
    not_: SubscriptionFilter | None = strawberry.field(default=UNSET, name="not", description=_NOT)


@strawberry.input(description="Which changelog entries. Deleted ones only where `deleted` asks for them.")
class ChangelogFilter:
    title: StringFilter | None = strawberry.field(default=UNSET, description="The title.")
    type: StringFilter | None = strawberry.field(default=UNSET, description="The type's key.")
    item_id: IdFilter | None = strawberry.field(
        default=UNSET, description="Linked to this item: an opaque id."
    )
    draft: bool | None = strawberry.field(
        default=UNSET, description="Only drafts (true) or only others (false)."
    )
    published_at: DateTimeFilter | None = strawberry.field(
        default=UNSET, description="When it was published."
    )
    deleted: bool | None = strawberry.field(
        default=UNSET,
        description="Only deleted ones (true), only others (false, the default), or both (null).",
    )
    and_: list[ChangelogFilter] | None = strawberry.field(default=UNSET, name="and", description=_AND)
    or_: list[ChangelogFilter] | None = strawberry.field(default=UNSET, name="or", description=_OR)
    not_: ChangelogFilter | None = strawberry.field(default=UNSET, name="not", description=_NOT)


@strawberry.input(description="Which satisfaction answers.")
class SatisfactionFilter:
    user_id: IdFilter | None = strawberry.field(default=UNSET, description="By this user: an opaque id.")
    group: StringFilter | None = strawberry.field(default=UNSET, description="The survey's group key.")
    value: IntFilter | None = strawberry.field(default=UNSET, description="1 to 5.")
    answered_at: DateTimeFilter | None = strawberry.field(default=UNSET, description="When it was given.")
    and_: list[SatisfactionFilter] | None = strawberry.field(default=UNSET, name="and", description=_AND)
    or_: list[SatisfactionFilter] | None = strawberry.field(default=UNSET, name="or", description=_OR)
    not_: SatisfactionFilter | None = strawberry.field(default=UNSET, name="not", description=_NOT)


@strawberry.input(description="Which events.")
class EventFilter:
    types: list[EventType] | None = strawberry.field(default=UNSET, description="Of one of these types.")
    actions: list[str] | None = strawberry.field(
        default=UNSET, description="With one of these actions, as Sleekplan names them: `item.update`."
    )
    entity: StringFilter | None = strawberry.field(
        default=UNSET, description="What the action is about: `item`, `vote`, `comment`, …"
    )
    item_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="About this item: an opaque id."
    )
    user_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="Done by this user: an opaque id."
    )
    origins: list[Origin] | None = strawberry.field(default=UNSET, description="From one of these.")
    occurred: Window | None = strawberry.field(
        default=UNSET, description="Happened in this window, on Sleekplan's clock."
    )
    recorded: Window | None = strawberry.field(
        default=UNSET, description="Learnt in this window, on our clock."
    )
    position: PositionFilter | None = strawberry.field(default=UNSET, description="The place in the log.")
    changed_fields: list[str] | None = strawberry.field(
        default=UNSET, description="Changed at least one of these fields: `title`, `description`, `status`, …"
    )
    and_: list[EventFilter] | None = strawberry.field(default=UNSET, name="and", description=_AND)
    or_: list[EventFilter] | None = strawberry.field(default=UNSET, name="or", description=_OR)
    not_: EventFilter | None = strawberry.field(default=UNSET, name="not", description=_NOT)


_FIELD = "What to sort by."
_DIRECTION = "Which way; left out, the way that is usual for the field."


@strawberry.input(description="How items are sorted.")
class ItemOrderBy:
    field: ItemOrder = strawberry.field(description=_FIELD)
    direction: Direction | None = strawberry.field(default=UNSET, description=_DIRECTION)


@strawberry.input(description="How users are sorted.")
class UserOrderBy:
    field: UserOrder = strawberry.field(description=_FIELD)
    direction: Direction | None = strawberry.field(default=UNSET, description=_DIRECTION)


@strawberry.input(description="How votes are sorted.")
class VoteOrderBy:
    field: VoteOrder = strawberry.field(description=_FIELD)
    direction: Direction | None = strawberry.field(default=UNSET, description=_DIRECTION)


@strawberry.input(description="How comments are sorted.")
class CommentOrderBy:
    field: CommentOrder = strawberry.field(description=_FIELD)
    direction: Direction | None = strawberry.field(default=UNSET, description=_DIRECTION)


@strawberry.input(description="How subscriptions are sorted.")
class SubscriptionOrderBy:
    field: SubscriptionOrder = strawberry.field(description=_FIELD)
    direction: Direction | None = strawberry.field(default=UNSET, description=_DIRECTION)


@strawberry.input(description="How changelog entries are sorted.")
class ChangelogOrderBy:
    field: ChangelogOrder = strawberry.field(description=_FIELD)
    direction: Direction | None = strawberry.field(default=UNSET, description=_DIRECTION)


@strawberry.input(description="How satisfaction answers are sorted.")
class SatisfactionOrderBy:
    field: SatisfactionOrder = strawberry.field(description=_FIELD)
    direction: Direction | None = strawberry.field(default=UNSET, description=_DIRECTION)


@strawberry.input(description="How events are sorted.")
class EventOrderBy:
    field: EventOrder = strawberry.field(description=_FIELD)
    direction: Direction | None = strawberry.field(default=UNSET, description=_DIRECTION)
