"""Events of the log, with what each changed."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any, Final

import strawberry
from strawberry import enum_value

from schema.declare.arguments import AS_OF
from schema.declare.blocks import put
from schema.declare.comparators import PositionFilter, StringFilter
from schema.declare.fields import column, computed, moment, nested, rows_of
from schema.declare.filters import Between, Compare, Filter, Given, Ids
from schema.declare.orders import Order, Orders
from schema.declare.request import Env
from schema.declare.source import Entity, One, Page
from schema.objects.connection import PRODUCT, Node, opaque_id
from schema.objects.names import LazyChangelogEntry, LazyComment, LazyItem, LazySatisfactionAnswer, LazyUser
from schema.objects.values import FieldChange, field_changes, label_of, parse_json
from schema.objects.vote import direction_of
from schema.scalars import JSON, DateTime, Position
from service.sql_files import load

_SQL: Final = load(__file__, "event.sql")

EVENT: Final = Entity(
    "event",
    "event_facts",
    key=(("position", "bigint"),),
    then=_SQL["then"],
    private="each_row.entity = 'comment' and private",
)


@strawberry.enum(description="Where an event came from.")
class Origin(Enum):
    WEBHOOK = enum_value("WEBHOOK", description="Delivered by Sleekplan.")
    IMPORT = enum_value("IMPORT", description="Read from a file.")
    BACKFILL = enum_value("BACKFILL", description="Fetched from Sleekplan's API.")
    RECONCILE = enum_value(
        "RECONCILE", description="Found by comparing with Sleekplan's API; no delivery told it."
    )
    INFERRED = enum_value("INFERRED", description="Concluded from totals; no event says it.")


@strawberry.enum(description="What an event is about, by what it changed.")
class EventType(Enum):
    ITEM_CREATED = enum_value("ITEM_CREATED", description="An item was submitted.")
    ITEM_EDITED = enum_value("ITEM_EDITED", description="An item's text, type or other field was changed.")
    ITEM_STATUS_CHANGED = enum_value("ITEM_STATUS_CHANGED", description="An item moved to another status.")
    MERGED = enum_value("MERGED", description="An item was merged into another one, as its post says.")
    ITEM_DELETED = enum_value("ITEM_DELETED", description="An item was deleted.")
    VOTE_CAST = enum_value("VOTE_CAST", description="Somebody voted.")
    VOTE_CHANGED = enum_value("VOTE_CHANGED", description="Somebody turned their vote round.")
    VOTE_WITHDRAWN = enum_value("VOTE_WITHDRAWN", description="Somebody took their vote back.")
    COMMENT_CREATED = enum_value("COMMENT_CREATED", description="A comment was written.")
    COMMENT_EDITED = enum_value("COMMENT_EDITED", description="A comment was edited.")
    COMMENT_DELETED = enum_value("COMMENT_DELETED", description="A comment was deleted.")
    SUBSCRIBED = enum_value("SUBSCRIBED", description="Somebody follows an item.")
    UNSUBSCRIBED = enum_value("UNSUBSCRIBED", description="Somebody follows an item no longer.")
    CHANGELOG_CREATED = enum_value(
        "CHANGELOG_CREATED", description="A changelog entry was published, or drafted."
    )
    CHANGELOG_EDITED = enum_value("CHANGELOG_EDITED", description="A changelog entry was edited.")
    CHANGELOG_DELETED = enum_value("CHANGELOG_DELETED", description="A changelog entry was deleted.")
    CHANGELOG_SUBSCRIBED = enum_value("CHANGELOG_SUBSCRIBED", description="Somebody follows the changelog.")
    SATISFACTION_GIVEN = enum_value("SATISFACTION_GIVEN", description="A satisfaction answer was given.")
    USER_CREATED = enum_value("USER_CREATED", description="A user was created.")
    USER_EDITED = enum_value("USER_EDITED", description="A user's data was changed.")
    USER_DELETED = enum_value("USER_DELETED", description="A user was deleted.")
    SNAPSHOT = enum_value(
        "SNAPSHOT", description="What something was like was seen at a moment; nobody did anything then."
    )
    TOLD_AGAIN = enum_value(
        "TOLD_AGAIN",
        description="What another event had told: a delivery that came late, or that was fetched before. "
        "Counted once.",
    )
    OTHER = enum_value("OTHER", description="An action that this version does not know.")


@strawberry.enum(description="By which date an event that was fetched stands where it does.")
class ObservedClock(Enum):
    CREATED = enum_value("CREATED", description="When Sleekplan says that it was made.")
    UPDATED = enum_value("UPDATED", description="When Sleekplan says that it was edited last.")
    SEEN = enum_value("SEEN", description="When it was seen to be so: it may have been so for long.")


@strawberry.type(description="Who looked, and when: of an event that no delivery told.")
class Observation:
    sweep: str = computed("The sweep that saw it; `recount sweeps show` has more of it.")
    seen_at: DateTime = computed("When it was seen, on Sleekplan's clock.")
    not_before: DateTime | None = computed(
        "It happened after this moment, at which the contrary was known last; null where nothing was known."
    )
    not_after: DateTime = computed("It happened by this moment.")
    clock: ObservedClock = computed("What `occurredAt` is.")
    evidence: str = computed(
        "What shows it: `list` (it is listed, or was not, twice), `single` (asked for by itself, there is "
        "nothing), `two sweeps`, `merge` (it left with its item), `named` (it is listed with a name)."
    )


# What an event changed

SHOWN: Final = {
    "created_at": "createdAt",
    "author_id": "author",
    "item_id": "item",
    "owner_id": "owner",
    "merged_into": "mergedInto",
    "body": "text",
    "img": "imageUrl",
    "data_id": "customerId",
    "admin_id": "teamMember",
    "full_name": "fullName",
    "scheduled_at": "scheduledAt",
}
"""What the columns of changed fields are called in the schema, where it is not the same."""
_COLUMNS: Final = {shown: name for name, shown in SHOWN.items()}


_IN_WORDS: Final = {
    "created_at": "date of creation",
    "author_id": "author",
    "owner_id": "owner",
    "estimated": "expected date",
    "merged_into": "merge",
    "data_id": "customer id",
    "full_name": "full name",
    "mail": "mail address",
    "img": "picture",
    "admin_id": "place in the team",
    "anonymous": "anonymity",
    "custom": "custom fields",
    "system": "browser and location",
    "notify": "notifications",
    "stats": "counts of activity",
}
"""What people call the columns that a sentence names, where their name is no word for it."""


def columns_named(names: list[str]) -> list[str]:
    """Return the columns of fields, by the names that the schema has for them."""
    return [_COLUMNS.get(name, name) for name in names]


def _changed_fields(_: Env, columns: list[str]) -> list[str]:
    return [SHOWN.get(column, column) for column in columns]


def _changes(_: Env, changed: list[Any] | None) -> list[FieldChange]:
    """Return what an event changed, from the names, the values before and the values after."""
    if changed is None:
        return []
    columns, before, after = changed
    return field_changes(columns, before or {}, after or {}, SHOWN)


def _changes_of(versions: str, id_column: str, shown: str = "true", known: str = "true") -> str:
    return put(_SQL["change_of"], versions=f"{{{versions}}}", id=id_column, shown=shown, told=known)


def _direction(row: str) -> str:
    """Return the direction that a vote had with a row's event, by what had come before the event itself."""
    return put(direction_of(row), known=lambda said: f"{said}.position < own.position")


CHANGES: Final = put(
    _SQL["changes"],
    vote=put(_SQL["change_of_vote"], before=_direction("o")),
    item=_changes_of("item_contents", "item_id"),
    comment=_changes_of("comment_versions", "comment_id", known=_SQL["visible"]),
    changelog=_changes_of("changelog_versions", "changelog_id"),
    user=_changes_of("user_versions", "user_id", _SQL["unless_personal"]),
)


def _observation(_: Env, observed: str | None) -> Observation | None:
    """Return who saw what an event tells; None where that cannot be read."""
    told = None if observed is None else parse_json(observed)
    if not isinstance(told, dict):
        return None
    seen_at, not_after = _moment_of(told.get("seen_at")), _moment_of(told.get("not_after"))
    clock = str(told.get("clock")).upper()
    if seen_at is None or not_after is None or clock not in ObservedClock.__members__:
        return None
    return Observation(
        sweep=str(told.get("sweep")),
        seen_at=seen_at,
        not_before=_moment_of(told.get("not_before")),
        not_after=not_after,
        clock=ObservedClock[clock],
        evidence=str(told.get("evidence")),
    )


def _moment_of(said: object) -> DateTime | None:
    try:
        return DateTime(datetime.fromisoformat(said)) if isinstance(said, str) else None
    except ValueError:
        return None


def _whole_body(_: Env, envelope: str | None, data: str | None) -> object:
    """Return the body of an event as it was sent, put together from its two stored parts."""
    if envelope is None or data is None:
        return None
    body = parse_json(envelope)
    return {**body, "data": parse_json(data)} if isinstance(body, dict) else parse_json(data)


# An event in a sentence

_PHRASES: Final = {
    "ITEM_CREATED": "{who} submitted {item}",
    "ITEM_DELETED": "{item} was deleted",
    "MERGED": "{item} was merged into another",
    "VOTE_CAST": "{who} voted {way} {item}",
    "VOTE_CHANGED": "{who} turned their vote round, {way} {item}",
    "VOTE_WITHDRAWN": "{who} took back their vote on {item}",
    "COMMENT_CREATED": "{who} commented on {item}",
    "COMMENT_EDITED": "A comment on {item} was edited",
    "COMMENT_DELETED": "A comment on {item} was deleted",
    "SUBSCRIBED": "{who} follows {item}",
    "UNSUBSCRIBED": "{who} follows {item} no longer",
    "CHANGELOG_CREATED": "{entry} was published",
    "CHANGELOG_EDITED": "{entry} was edited",
    "CHANGELOG_DELETED": "{entry} was deleted",
    "CHANGELOG_SUBSCRIBED": "{who} follows the changelog",
    "SATISFACTION_GIVEN": "{who} gave a satisfaction answer",
    "USER_CREATED": "{who} joined",
    "USER_EDITED": "{who} changed: {fields}",
    "USER_DELETED": "{who} was deleted",
}


def _summary(
    env: Env,
    event_type: str,
    action: str,
    changed: list[str] | None,
    title: str | None,
    item_id: str | None,
    who: str | None,
    status: str | None,
    entry: str | None,
    vote: int | None,
    is_draft: bool | None,
) -> str:
    """Return an event in a sentence, in the words of the board: titles, names, labels."""
    item = f"“{title}”" if title else f"item {item_id}" if item_id else "an item"
    fields = ", ".join(_IN_WORDS.get(name, name) for name in changed or ()) or "nothing that is shown"
    if event_type == "ITEM_STATUS_CHANGED":
        return f"{item} moved to {label_of(env, status, 'status') or status or 'another status'}"
    if event_type == "ITEM_EDITED":
        return f"{item} was edited: {fields}" if changed else f"{item} was updated"
    if event_type == "TOLD_AGAIN":
        return f"{action} was told again"
    if event_type == "SNAPSHOT":
        entity = action.partition(".")[0]
        if entity == "vote":
            return f"A vote on {item} moved with its merge"
        seen = {"item": item, "comment": f"a comment on {item}", "changelog": "a release note"}.get(entity)
        return f"It was seen what {seen or 'a user'} is like"
    phrase = _PHRASES.get(event_type)
    if event_type == "CHANGELOG_CREATED" and is_draft:
        phrase = "{entry} was drafted"
    elif event_type == "CHANGELOG_EDITED" and "draft" in (changed or ()):
        phrase = "{entry} became a draft again" if is_draft else "{entry} was published"
    if phrase is None:
        return f"{action} happened"
    return phrase.format(
        who=who or "Somebody",
        item=item,
        fields=fields,
        way="on" if vote is None else "for" if vote > 0 else "against",
        entry=f"The note “{entry}”" if entry else "A release note",
    )


@rows_of(EVENT, "One event of the log, with what it changed.")
class Event(Node):
    id: strawberry.ID = opaque_id("Event", "event.product_id", "event.position")
    position: Position = column("Its place in the log.", "event.position")
    product_id: strawberry.ID = column(PRODUCT, "event.product_id")
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
        convert=_changed_fields,
    )
    deliveries: int = column(
        "How often it was delivered; copies after the first are not projected.", _SQL["deliveries"]
    )
    observation: Observation | None = column(
        "Who saw it and between which moments it happened; null for what was delivered or imported.",
        _SQL["observed"],
        convert=_observation,
    )
    same_as: Position | None = column(
        "The event that told the same before, where it is of the type TOLD_AGAIN.", _SQL["same_as"]
    )
    erased: bool = column("Whether a person's data was erased from it.", "event.erased")
    raw_payload: JSON | None = column(
        "The whole body. Needs the scope `raw`.",
        _SQL["envelope"],
        _SQL["data"],
        convert=_whole_body,
        scope="raw",
    )
    summary: str = column(
        "It in a sentence.",
        "event.type",
        "event.action",
        "event.changed_fields",
        _SQL["title_of_item"],
        "event.item_id",
        _SQL["name_of_user"],
        _SQL["status_said"],
        _SQL["title_of_entry"],
        put(_SQL["value_of_vote"], direction=_direction("own")),
        _SQL["draft_of_entry"],
        convert=_summary,
    )
    changes: list[FieldChange] = column(
        "What it changed, compared with the state before it.", CHANGES, convert=_changes
    )
    item: LazyItem | None = nested(
        "The item that it is about, as it is now, or as of the moment that is read.",
        One("Item", "item_id"),
        AS_OF,
    )
    user: LazyUser | None = nested("Who did it; null where it was not told.", One("User", "user_id"))
    comment: LazyComment | None = nested("The comment that it is about.", One("Comment", "comment_id"))
    changelog_entry: LazyChangelogEntry | None = nested(
        "The changelog entry that it is about.", One("ChangelogEntry", "changelog_id")
    )
    satisfaction_answer: LazySatisfactionAnswer | None = nested(
        "The satisfaction answer that it tells of, deleted or not.",
        One("SatisfactionAnswer", "satisfaction_id"),
    )


def _names(values: list[Any]) -> list[str]:
    return [str(each.value) for each in values]


# The log only grows, and its order never changes: nothing to pin.
EVENTS: Final = Page(
    "Event",
    Orders(
        "EventOrder",
        "What events can be sorted by.",
        "events",
        POSITION=Order(
            "Their place in the log: the order in which they arrived.",
            "event.position",
            "bigint",
            nullable=False,
            descending=False,
        ),
        OCCURRED_AT=Order(
            "Sleekplan's clock; ties by position.",
            "event.occurred_at",
            "timestamptz",
            nullable=False,
            descending=False,
        ),
    ),
    "POSITION",
    Filter(
        "EventFilter",
        "events",
        "Which events.",
        types=Given(list[EventType], "Of one of these types.", "event.type = any(:value)", "text[]", _names),
        actions=Given(
            list[str],
            "With one of these actions, as Sleekplan names them: `item.update`.",
            "event.action = any(:value)",
            "text[]",
        ),
        entity=Compare(
            StringFilter, "What the action is about: `item`, `vote`, `comment`, …", "event.entity"
        ),
        itemId=Ids(
            "Item", "About this item: an opaque id.", "event.product_id", "event.item_id", strawberry.ID
        ),
        userId=Ids(
            "User", "Done by this user: an opaque id.", "event.product_id", "event.user_id", strawberry.ID
        ),
        origins=Given(list[Origin], "From one of these.", "event.origin = any(:value)", "text[]", _names),
        occurred=Between(
            "Happened in this window, on Sleekplan's clock.",
            "event.occurred_at >= :from and event.occurred_at < :until",
        ),
        recorded=Between(
            "Learnt in this window, on our clock.",
            "event.recorded_at >= :from and event.recorded_at < :until",
        ),
        position=Compare(PositionFilter, "The place in the log.", "event.position"),
        changedFields=Given(
            list[str],
            "Changed at least one of these fields: `title`, `description`, `status`, …",
            "event.changed_fields && :value",
            "text[]",
            columns_named,
        ),
    ),
    pinned=False,
)


def events_below(where: str, **changes: Any) -> Page:
    """Return the events about another object, in the order in which they happened."""
    return EVENTS.below(where, default_order="OCCURRED_AT", **changes)
