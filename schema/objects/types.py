"""The things on a board: items, users, votes, comments, subscriptions, changelog, satisfaction, events.

Each field says what it is and which column it is; the planner reads that.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import strawberry

from schema.declare.arguments import AS_OF, BUCKET_SIZE, PAGE, TIME_ZONE, argument, chosen
from schema.declare.enums import EventType, Origin
from schema.declare.fields import column, computed, listed, moment, nested
from schema.declare.inputs import (
    CommentFilter,
    CommentOrderBy,
    EventFilter,
    EventOrderBy,
    SubscriptionFilter,
    SubscriptionOrderBy,
    VoteFilter,
    VoteOrderBy,
    Window,
)
from schema.ids import encode_id
from schema.objects import specs
from schema.objects.history import (
    CountPoint,
    Impact,
    Inference,
    Provenance,
    Revision,
    StatusPeriod,
    VoteJump,
    VotePoint,
)
from schema.objects.summary import summary_of
from schema.objects.values import (
    ActivityTotals,
    FieldChange,
    Status,
    VoteTotals,
    duration,
    json_value,
    label_of,
    status_of,
)
from schema.scalars import JSON, DateTime, Duration, Position

T = TypeVar("T")


@strawberry.interface(description="Anything that `node` finds by its id.")
class Node:
    id: strawberry.ID = computed("Opaque, and unique over all types and products.")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = computed("Whether more follows; on a page taken with `before`, true.")
    has_previous_page: bool = computed("Whether more precedes; on a page taken with `after`, true.")
    start_cursor: str | None = computed("The cursor of the first row, for `before`.")
    end_cursor: str | None = computed("The cursor of the last row, for `after`.")


@strawberry.type(description="A row of a list, with its place in it.")
class Edge(Generic[T]):
    cursor: str = computed("Its place, for `after` and `before`.")
    node: T = listed("The row.")


@strawberry.type(
    description=(
        "A page of a list. The pages that follow are read at the position of the first one, "
        "so that nothing is shown twice and nothing is missing while events arrive."
    )
)
class Connection(Generic[T]):
    edges: list[Edge[T]] = listed("The rows with their cursors.")
    nodes: list[T] = listed("The rows.")
    page_info: PageInfo = computed("Where the page stands in the list.")
    total_count: int = computed("How many rows the whole list has; counted only when selected.")


def _id(type_name: str, *exprs: str) -> Any:
    return column(
        "Opaque, and unique over all types and products.",
        *exprs,
        convert=lambda _, product_id, *parts: encode_id(type_name, product_id, *parts),
    )


_PRODUCT = "Sleekplan's product; too large for 32 bits, hence an ID."
_SLEEKPLAN = "Sleekplan's id, unique within its product."


@strawberry.type(
    description="A feedback item. What no event has told is null: an item can be known by its id alone."
)
class Item(Node):
    id: strawberry.ID = _id("Item", "item.product_id", "item.item_id")
    sleekplan_id: strawberry.ID = column(_SLEEKPLAN, "item.item_id")
    product_id: strawberry.ID = column(_PRODUCT, "item.product_id")
    title: str | None = column("The title.", "item.title")
    description: str | None = column("The text: Markdown or HTML, as Sleekplan sent it.", "item.description")
    status: Status | None = column("Its status.", "item.status", convert=status_of)
    type: str | None = column("The key of its type.", "item.type")
    type_label: str | None = column("What the configuration calls its type.", "item.type", convert=label_of)
    trend: float | None = column("Sleekplan's trend.", "item.trend")
    scoring: float | None = column("Sleekplan's impact score.", "item.scoring")
    ratio: float | None = column("Sleekplan's ratio of votes.", "item.ratio")
    effort: int | None = column("The effort, 1 to 3; 0 where unset.", "item.effort")
    comment_count: int | None = column("The number of comments, by Sleekplan's total.", "item.comments")
    subscriber_count: int | None = column(
        "The number of subscribers, by Sleekplan's total.", "item.subscribers"
    )
    created_at: DateTime | None = moment("When it was submitted.", "item.created_at")
    updated_at: DateTime | None = moment(
        "When Sleekplan last changed it, as its posts say.", "item.updated_at"
    )
    deleted: bool = column("Whether it has been deleted.", "item.deleted")
    deleted_at: DateTime | None = moment("When it was deleted.", "item.deleted_at")
    status_since: DateTime | None = moment(
        "When it entered its status, as far as events tell.", "item.status_since"
    )
    last_activity_at: DateTime | None = moment(
        "The newest event about it, on Sleekplan's clock.", "item.last_activity_at"
    )
    version: int = column("How many events are about it.", "item.events")
    at: Position | None = column("The newest event about it.", "item.position")
    rank: int | None = column(
        "Its place by net votes among the product's items that are not deleted, from 1; ties share a place.",
        specs.RANK,
    )
    time_in_status: Duration | None = column(
        "How long it has stood in its status.",
        "extract(epoch from :at - item.status_since)",
        convert=duration,
    )
    votes: VoteTotals | None = nested(
        "Its votes, by Sleekplan's totals; null where no event told any.", specs.ITEM_VOTES
    )
    known_votes: VoteTotals = nested(
        "Its votes as counted from the vote events that arrived; see `drift`.", specs.ITEM_KNOWN_VOTES
    )
    author: User | None = nested("Who submitted it; null where no event told.", specs.ITEM_AUTHOR)
    cast_votes: Connection[Vote] = nested(
        "The votes that events told of, each with its voter where known.",
        specs.CAST_VOTES,
        *chosen(VoteFilter, "votes", VoteOrderBy),
        *PAGE,
        AS_OF,
    )
    voters: Connection[User] = nested(
        "Who stands behind it: users with a vote that is neither withdrawn nor against.",
        specs.VOTERS,
        *PAGE,
        AS_OF,
    )
    comments: Connection[Comment] = nested(
        "Its comments.", specs.ITEM_COMMENTS, *chosen(CommentFilter, "comments", CommentOrderBy), *PAGE, AS_OF
    )
    subscriptions: Connection[ItemSubscription] = nested(
        "Who follows it.",
        specs.ITEM_SUBSCRIPTIONS,
        *chosen(SubscriptionFilter, "subscriptions", SubscriptionOrderBy),
        *PAGE,
        AS_OF,
    )
    timeline: Connection[Event] = nested(
        "Every event about it, oldest first.",
        specs.TIMELINE,
        argument("types", list[EventType] | None, "Only events of these types."),
        *chosen(EventFilter, "events", EventOrderBy),
        *PAGE,
        AS_OF,
    )
    status_history: list[StatusPeriod] = nested(
        "The statuses that it stood in, oldest first.", specs.STATUS_HISTORY
    )
    revisions: list[Revision] = nested(
        "Every change of its text and other fields, oldest first, with the votes before and after.",
        specs.REVISIONS,
        argument(
            "fields",
            list[str] | None,
            "Only changes of `title`, `description`, `status`, `type` or `effort`, as named.",
        ),
    )
    provenance: Provenance | None = nested(
        "The event that set the value which a field has; null where none told it.",
        specs.PROVENANCE,
        argument(
            "field",
            str,
            "One of `title`, `description`, `status`, `type`, `effort`, `createdAt`, `author`, "
            "`votes`, `commentCount`, `subscriberCount`, `trend`, `scoring`.",
        ),
    )
    vote_series: list[VotePoint] = nested(
        "Votes in steps of time: what events told, and Sleekplan's net total at the end of each.",
        specs.VOTE_SERIES,
        BUCKET_SIZE,
        argument("window", Window | None, "From when to when."),
        TIME_ZONE,
    )
    subscriber_series: list[CountPoint] = nested(
        "Subscribers in steps of time, as events told of them.",
        specs.SUBSCRIBER_SERIES,
        BUCKET_SIZE,
        argument("window", Window | None, "From when to when."),
        TIME_ZONE,
    )
    votes_since: VoteTotals | None = nested(
        "Votes gained, by Sleekplan's totals, since a time or since it last entered a status; "
        "null where it never did.",
        specs.VOTES_SINCE,
        argument("time", DateTime | None, "Since this moment."),
        argument("statusEntered", str | None, "Since it last entered the status with this key."),
    )
    vote_jumps: list[VoteJump] = nested(
        "Moments at which its total moved by more than the votes seen, or by many at once.",
        specs.VOTE_JUMPS,
        argument("minDelta", int, "By at least so many votes.", 5),
    )
    inferences: list[Inference] = nested(
        "What was concluded from its totals that no event explains.", specs.ITEM_INFERENCES
    )


@strawberry.type(description="Somebody on the board, merged from every event that mentions them.")
class User(Node):
    id: strawberry.ID = _id("User", "usr.product_id", "usr.user_id")
    sleekplan_id: strawberry.ID = column(_SLEEKPLAN, "usr.user_id")
    product_id: strawberry.ID = column(_PRODUCT, "usr.product_id")
    name: str | None = column("The name shown on the board.", "usr.name")
    full_name: str | None = column(
        "The full name. Needs the scope `personal`.", "usr.full_name", scope="personal"
    )
    mail: str | None = column("The mail address. Needs the scope `personal`.", "usr.mail", scope="personal")
    image_url: str | None = column("Where the picture is.", "usr.img")
    customer_id: str | None = column(
        "Your own id of this user, as given to Sleekplan. Needs the scope `personal`.",
        "usr.data_id",
        scope="personal",
    )
    team_member: bool = column("Whether they are of the team, not an end user.", specs.TEAM_MEMBER)
    anonymous: bool | None = column("Whether Sleekplan knows them by no account.", "usr.anonymous")
    segments: list[str] | None = column("The segments that they are in.", "usr.segments")
    weight: int | None = column("How much their votes weigh, 1 to 10.", "usr.weight")
    custom: JSON | None = column(
        "The custom fields that you gave to Sleekplan. Needs the scope `personal`.",
        "usr.custom::text",
        convert=json_value,
        scope="personal",
    )
    system: JSON | None = column(
        "Address, location and browser. Needs the scope `personal`.",
        "usr.system::text",
        convert=json_value,
        scope="personal",
    )
    created_at: DateTime | None = moment("When Sleekplan made the account.", "usr.created_at")
    deleted: bool = column("Whether Sleekplan deleted them.", "usr.deleted")
    deleted_at: DateTime | None = moment("When Sleekplan deleted them.", "usr.deleted_at")
    erased: bool = column("Whether their data was erased from the log.", "usr.erased")
    first_seen_at: DateTime | None = moment("When an event first named them.", "usr.first_seen_at")
    last_active_at: DateTime | None = moment("When they last did something.", "usr.last_active_at")
    votes: Connection[Vote] = nested(
        "Their votes.", specs.USER_VOTES, *chosen(VoteFilter, "votes", VoteOrderBy), *PAGE, AS_OF
    )
    comments: Connection[Comment] = nested(
        "Their comments.",
        specs.USER_COMMENTS,
        *chosen(CommentFilter, "comments", CommentOrderBy),
        *PAGE,
        AS_OF,
    )
    timeline: Connection[Event] = nested(
        "What they did, oldest first.",
        specs.USER_EVENTS,
        *chosen(EventFilter, "events", EventOrderBy),
        *PAGE,
        AS_OF,
    )
    satisfaction: list[SatisfactionAnswer] = nested(
        "Their satisfaction answers, oldest first, replaced ones included.", specs.USER_SATISFACTION
    )
    activity: ActivityTotals = nested(
        "How much they did in a stretch of time.",
        specs.USER_ACTIVITY,
        argument("window", Window | None, "From when to when."),
    )


@strawberry.type(description="A vote that an event told of. Who voted and which way is not always told.")
class Vote(Node):
    id: strawberry.ID = _id("Vote", "vote.product_id", "vote.item_id", "vote.voter")
    product_id: strawberry.ID = column(_PRODUCT, "vote.product_id")
    value: int | None = column("1 for, -1 against; null where it was not told.", "vote.value")
    cast_at: DateTime = moment("When it was cast.", "vote.cast_at")
    withdrawn: bool = column("Whether it was taken back.", "vote.withdrawn")
    withdrawn_at: DateTime | None = moment(
        "When it was taken back.", "(case when vote.withdrawn then vote.occurred_at end)"
    )
    at: Position = column("The event that told of it last.", "vote.position")
    item: Item | None = nested("What was voted for.", specs.VOTE_ITEM)
    user: User | None = nested("Who voted; null where it was not told.", specs.VOTE_USER)


@strawberry.type(description="A comment on an item.")
class Comment(Node):
    id: strawberry.ID = _id("Comment", "comment.product_id", "comment.comment_id")
    sleekplan_id: strawberry.ID = column(_SLEEKPLAN, "comment.comment_id")
    product_id: strawberry.ID = column(_PRODUCT, "comment.product_id")
    text: str | None = column("The text; null where no event told it.", "comment.body")
    status: str | None = column("Sleekplan's status of the comment.", "comment.status")
    type: str | None = column("Sleekplan's type of the comment.", "comment.type")
    likes: int | None = column("How many like it.", "comment.likes")
    created_at: DateTime | None = moment("When it was written.", "comment.created_at")
    updated_at: DateTime | None = moment("When it was last changed.", "comment.updated_at")
    deleted: bool = column("Whether it was deleted.", "comment.deleted")
    deleted_at: DateTime | None = moment("When it was deleted.", "comment.deleted_at")
    at: Position = column("The newest event about it.", "comment.position")
    item: Item | None = nested("What it is about; null where it was not told.", specs.COMMENT_ITEM)
    author: User | None = nested("Who wrote it; null where it was not told.", specs.COMMENT_AUTHOR)


@strawberry.type(description="Somebody following an item.")
class ItemSubscription(Node):
    id: strawberry.ID = _id(
        "ItemSubscription", "subscription.product_id", "subscription.item_id", "subscription.subscriber"
    )
    product_id: strawberry.ID = column(_PRODUCT, "subscription.product_id")
    active: bool = column("Whether they still follow it.", "subscription.active")
    since: DateTime = moment("When they began, or stopped, following it.", "subscription.since")
    at: Position = column("The event that told of it last.", "subscription.position")
    item: Item | None = nested("What is followed.", specs.SUBSCRIPTION_ITEM)
    user: User | None = nested("Who follows it; null where it was not told.", specs.SUBSCRIPTION_USER)


@strawberry.type(description="An entry of the changelog.")
class ChangelogEntry(Node):
    id: strawberry.ID = _id("ChangelogEntry", "entry.product_id", "entry.changelog_id")
    sleekplan_id: strawberry.ID = column(_SLEEKPLAN, "entry.changelog_id")
    product_id: strawberry.ID = column(_PRODUCT, "entry.product_id")
    title: str | None = column("The title.", "entry.title")
    description: str | None = column("The text, as Sleekplan sent it.", "entry.description")
    type: str | None = column("Sleekplan's type of the entry.", "entry.type")
    segment: str | None = column("The segment that it is for.", "entry.segment")
    draft: bool | None = column("Whether it is a draft.", "entry.draft")
    announcement: bool | None = column("Whether it is announced on the board.", "entry.announcement")
    scheduled_at: DateTime | None = moment("When it is to appear.", "entry.scheduled_at")
    created_at: DateTime | None = moment("When it was written.", "entry.created_at")
    published_at: DateTime | None = moment(
        "When it was published, as far as events tell.", "entry.published_at"
    )
    deleted: bool = column("Whether it was deleted.", "entry.deleted")
    at: Position = column("The newest event about it.", "entry.position")
    linked_item: Item | None = nested(
        "The item that it is about; null where none is named.", specs.ENTRY_ITEM
    )
    impact: Impact | None = nested(
        "What was done in the stretches of time before and after its publication; null while unpublished.",
        specs.IMPACT,
        argument("window", Duration, "How long each stretch is."),
    )


@strawberry.type(description="A satisfaction answer (CSAT).")
class SatisfactionAnswer(Node):
    id: strawberry.ID = _id("SatisfactionAnswer", "answer.product_id", "answer.satisfaction_id")
    sleekplan_id: strawberry.ID = column(_SLEEKPLAN, "answer.satisfaction_id")
    product_id: strawberry.ID = column(_PRODUCT, "answer.product_id")
    value: int | None = column("1 to 5.", "answer.score")
    comment: str | None = column("What they wrote with it.", "answer.comment")
    group: str | None = column("The survey's group key.", "answer.grp")
    meta: JSON | None = column(
        "What Sleekplan sent beside it. Needs the scope `personal`.",
        "answer.meta::text",
        convert=json_value,
        scope="personal",
    )
    answered_at: DateTime = moment("When it was given.", "answer.answered_at")
    superseded_at: DateTime | None = moment(
        "When a newer answer of the same user, within 30 days, replaced it.", specs.SUPERSEDED_AT
    )
    at: Position = column("The event that told of it last.", "answer.position")
    user: User | None = nested("Who answered; null where it was not told.", specs.ANSWER_USER)


@strawberry.type(description="One event of the log, with what it changed.")
class Event(Node):
    id: strawberry.ID = _id("Event", "event.product_id", "event.position")
    position: Position = column("Its place in the log.", "event.position")
    product_id: strawberry.ID = column(_PRODUCT, "event.product_id")
    type: EventType = column("What it is about, by what it changed.", "event.type")
    action: str = column("Sleekplan's action: `item.update`.", "event.action")
    entity: str = column("What the action is about: `item`, `vote`, …", "event.entity")
    origin: Origin = column("Where it came from.", "event.origin")
    occurred_at: DateTime = moment("When it happened, on Sleekplan's clock.", "event.occurred_at")
    occurred_assumed: bool = column(
        "Whether the body had no usable time, so that the time of receipt stands in.",
        "event.occurred_assumed",
    )
    recorded_at: DateTime = moment("When this log learnt of it, on our clock.", "event.recorded_at")
    changed_fields: list[str] = column(
        "The fields that it changed, compared with the state before it.",
        "coalesce(event.changed_fields, '{}')",
        convert=specs.shown_names,
    )
    deliveries: int = column(
        "How often it was delivered; copies after the first are not projected.", specs.DELIVERIES
    )
    erased: bool = column("Whether a person's data was erased from it.", "event.erased")
    raw_payload: JSON | None = column(
        "The whole body. Needs the scope `raw`.", *specs.RAW_PAYLOAD, convert=specs.whole_body, scope="raw"
    )
    summary: str = column("It in a sentence.", *specs.SUMMARY, convert=summary_of)
    changes: list[FieldChange] = column(
        "What it changed, compared with the state before it.",
        *specs.EVENT_CHANGES,
        convert=specs.event_changes,
    )
    item: Item | None = nested(
        "The item that it is about, as it is now, or as of the moment that is read.", specs.EVENT_ITEM, AS_OF
    )
    user: User | None = nested("Who did it; null where it was not told.", specs.EVENT_USER)
    comment: Comment | None = nested("The comment that it is about.", specs.EVENT_COMMENT)
    changelog_entry: ChangelogEntry | None = nested(
        "The changelog entry that it is about.", specs.EVENT_ENTRY
    )
    satisfaction_answer: SatisfactionAnswer | None = nested(
        "The satisfaction answer that it tells of.", specs.EVENT_ANSWER
    )


@strawberry.type(description="An event about an item, with the item before and after it.")
class ItemChange:
    position: Position = column("The event's place in the log.", "change.position")
    event: Event = nested("The event that caused it.", specs.CHANGE_EVENT)
    before: Item | None = nested(
        "The item before it; null where the event is the first about it.", specs.CHANGE_BEFORE
    )
    after: Item | None = nested("The item after it.", specs.CHANGE_AFTER)
    changes: list[FieldChange] = nested("What differs between the two.", specs.CHANGE_DIFFERENCES)
