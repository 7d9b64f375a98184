"""What an event says, and of what, in plain Python; written without looking at the SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LONG_AGO = datetime.min.replace(tzinfo=UTC)

Key = tuple[datetime, bool, datetime, int]
Row = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """An event as the log holds it."""

    position: int
    product_id: int
    action: str
    entity: str
    occurred_at: datetime
    recorded_at: datetime
    data: Mapping[str, Any]
    occurred_assumed: bool
    body: Mapping[str, Any]
    """What was delivered, and how often."""
    deliveries: int

    @property
    def verb(self) -> str:
        return self.action.split(".")[1] if "." in self.action else ""

    @property
    def is_known(self) -> bool:
        """Whether its verb says what became of something; of others it is only known what they are about."""
        return self.verb in ("create", "update", "delete")


@dataclass(frozen=True)
class Said:
    """What one event says about one entity, and its place in the order."""

    key: Key
    event: Event
    fields: Row

    @property
    def position(self) -> int:
        return self.event.position


# Reading values ------------------------------------------------------------------------------------


def text(value: Any) -> str | None:
    """A scalar as text; objects and lists are nowhere expected, so any text will do."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if not isinstance(value, dict | list) else "[…]"


def identity(value: Any) -> str | None:
    if value is None or isinstance(value, dict | list):
        return None
    found = text(value)
    return None if found in ("", "0") or len(found or "") > 200 else found


def identity_or_none(value: Any) -> str | None:
    """An id, or the empty text where it is said that there is none."""
    return "" if text(value) in ("", "0") else identity(value)


def whole(value: Any) -> int | None:
    found = text(value)
    return int(found) if found is not None and re.fullmatch(r"-?[0-9]{1,9}", found) else None


def decimal(value: Any) -> float | None:
    found = text(value)
    if found is None or not re.fullmatch(r"-?[0-9]{1,15}([.][0-9]{1,60})?", found):
        return None
    return float(found)


def yes_or_no(value: Any) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get((text(value) or "").lower())


def is_public(value: Any) -> bool | None:
    """Whether a comment is no note between team members; what is told and cannot be read says it is."""
    return None if value is None else yes_or_no(value) is True


def moment(value: Any) -> datetime | None:
    found = text(value) or ""
    if not re.fullmatch(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", found):
        return None
    try:
        return datetime.strptime(found, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def unix(value: Any) -> datetime | None:
    found = text(value) or ""
    return datetime.fromtimestamp(int(found), UTC) if re.fullmatch(r"[0-9]{9,11}", found) else None


def an_object(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def tags(value: Any) -> list[str] | None:
    """Texts and numbers in a list, or what objects in it have as `key`, else as `name`: each once, sorted."""
    if not isinstance(value, list):
        return None
    named = [
        _tag(one.get("key")) or _tag(one.get("name")) if isinstance(one, dict) else _tag(one) for one in value
    ]
    return sorted({tag for tag in named if tag})


def _tag(value: Any) -> str | None:
    return text(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def post_of(event: Event) -> Mapping[str, Any] | None:
    if event.entity == "item":
        return event.data
    for name in ("feedback_item", "post", "feedback", "item"):
        if isinstance(event.data.get(name), dict):
            return event.data[name]  # type: ignore[no-any-return]
    return None


def item_id_of(event: Event) -> str | None:
    post = post_of(event) or {}
    return (
        identity(post.get("feedback_id"))
        or identity(post.get("id"))
        or identity(event.data.get("feedback_id"))
    )


def user_object(event: Event) -> Mapping[str, Any] | None:
    if event.entity == "item":
        return None
    beside = an_object(event.data.get("user"))
    if beside is None and event.entity in ("user", "changelog_subscriber"):
        return event.data
    return beside


def user_id_of(event: Event) -> str | None:
    if event.entity == "item":
        return None
    said = user_object(event) or {}
    own = identity(said.get("id")) if event.entity in ("user", "changelog_subscriber") else None
    return identity(said.get("user_id")) or identity(event.data.get("user_id")) or own


def author_id_of(event: Event) -> str | None:
    post = post_of(event) or {}
    author = an_object(post.get("user")) or {}
    return identity(author.get("user_id")) or identity(post.get("user_id"))


def actor_of(event: Event) -> str | None:
    if event.verb == "snapshot":
        return None
    if event.entity in ("user", "vote", "subscription", "comment", "satisfaction"):
        return user_id_of(event)
    if event.action == "changelog.subscribe":
        return user_id_of(event)
    return author_id_of(event) if event.action == "item.create" else None


def told(fields: Row) -> Row:
    return {name: value for name, value in fields.items() if value is not None}


def key_of(event: Event, is_delete: bool, updated: Any) -> Key:
    return (event.occurred_at, is_delete, moment(updated) or LONG_AGO, event.position)


# What is said --------------------------------------------------------------------------------------


def posts(events: Iterable[Event]) -> dict[str, list[Said]]:
    """Every post that an event carried, wherever it came, by item."""
    found: dict[str, list[Said]] = {}
    for event in events:
        item_id, post = item_id_of(event), post_of(event)
        if item_id is None or post is None:
            continue
        fields = told(
            {
                "title": text(post.get("title")),
                "description": text(post.get("description")),
                "status": text(post.get("status")),
                "type": text(post.get("type")),
                "effort": whole(post.get("effort")),
                "tags": tags(post.get("tags")),
                "owner_id": identity_or_none(post.get("owner_id")),
                "estimated": text(post.get("estimated")),
                "merged_into": identity_or_none(post.get("merge_id")),
                "created_at": moment(post.get("created")),
                "author_id": author_id_of(event),
                "updated_at": moment(post.get("updated")),
                "votes_up": whole(post.get("total_up")),
                "votes_down": whole(post.get("total_down")),
                "comments": whole(post.get("total_comments")),
                "subscribers": whole(post.get("total_subscriber")),
                "trend": decimal(post.get("trend")),
                "scoring": decimal(post.get("scoring")),
                "ratio": decimal(post.get("total_ratio")),
            }
        )
        key = key_of(event, event.action == "item.delete", post.get("updated"))
        found.setdefault(item_id, []).append(Said(key, event, fields))
    return found


def mentions(events: Iterable[Event]) -> dict[str, list[Said]]:
    """Every mention of a user: the one beside the post or the user itself, and the post's author."""
    found: dict[str, list[Said]] = {}
    for event in events:
        user_id, author_id = user_id_of(event), author_id_of(event)
        author = an_object((post_of(event) or {}).get("user"))
        said = user_object(event)
        if user_id is not None:
            own = said if said is not None else author if author_id == user_id else None
            is_user = event.entity == "user"
            key = key_of(event, event.action == "user.delete", event.data.get("updated") if is_user else None)
            fields = _full_user(own or {}) if is_user else _embedded_user(own or {})
            found.setdefault(user_id, []).append(Said(key, event, fields))
        if author_id is not None and author_id != user_id and item_id_of(event) is not None:
            key = key_of(event, False, None)
            found.setdefault(author_id, []).append(Said(key, event, _embedded_user(author or {})))
    return found


def _embedded_user(user: Mapping[str, Any]) -> Row:
    def unless_empty(name: str) -> str | None:
        found = text(user.get(name))
        return None if found in ("", "0") else found

    return told(
        {
            "name": unless_empty("data_name"),
            "mail": unless_empty("data_mail"),
            "img": unless_empty("data_img"),
            "admin_id": text(user.get("admin_id")),
        }
    )


def _full_user(user: Mapping[str, Any]) -> Row:
    segments = user.get("segments")
    return told(
        {
            "name": text(user.get("data_name")),
            "mail": text(user.get("data_mail")),
            "img": text(user.get("data_img")),
            "admin_id": text(user.get("admin_id")),
            "data_id": text(user.get("data_id")),
            "full_name": text(user.get("data_full_name")),
            "anonymous": yes_or_no(user.get("anonymous")),
            "segments": [text(s) for s in segments] if isinstance(segments, list) else None,
            "custom": an_object(user.get("data")),
            "system": an_object(user.get("data_system")),
            "weight": whole(user.get("weight")),
            "created_at": moment(user.get("created")),
        }
    )


def votes(events: Iterable[Event]) -> dict[tuple[str, str], list[Said]]:
    """Every vote event by (item, voter); a voter who was not told is the event's position."""
    found: dict[tuple[str, str], list[Said]] = {}
    for event in events:
        item_id = item_id_of(event)
        if event.entity != "vote" or not event.is_known or item_id is None:
            continue
        number, gone = whole(event.data.get("vote")), event.verb == "delete"
        fields = told(
            {
                "user_id": user_id_of(event),
                "value": None if not number else (1 if number > 0 else -1),
                "withdrawn": gone or number == 0,
                "cast_at": moment(event.data.get("created")),
            }
        )
        key = key_of(event, gone, event.data.get("updated"))
        voter = user_id_of(event) or f"p{event.position}"
        found.setdefault((item_id, voter), []).append(Said(key, event, fields))
    return found


def subscriptions(events: Iterable[Event]) -> dict[tuple[str, str], list[Said]]:
    found: dict[tuple[str, str], list[Said]] = {}
    for event in events:
        item_id = item_id_of(event)
        if event.entity != "subscription" or not event.is_known or item_id is None:
            continue
        gone = event.verb == "delete"
        fields = told(
            {
                "user_id": user_id_of(event),
                "active": not gone,
                "since": moment(event.data.get("created")),
            }
        )
        who = user_id_of(event) or f"p{event.position}"
        key = key_of(event, gone, event.data.get("updated"))
        found.setdefault((item_id, who), []).append(Said(key, event, fields))
    return found


def comments(events: Iterable[Event]) -> dict[str, list[Said]]:
    found: dict[str, list[Said]] = {}
    for event in events:
        if event.entity != "comment":
            continue
        comment_id = identity(event.data.get("comment_id")) or identity(event.data.get("id"))
        if comment_id is None:
            continue
        bodies = [text(event.data.get(name)) for name in ("comment", "value", "text")]
        fields = told(
            {
                "item_id": item_id_of(event),
                "author_id": user_id_of(event),
                "body": next((body for body in bodies if body is not None), None),
                "status": text(event.data.get("status")),
                "type": text(event.data.get("type")),
                "likes": whole(event.data.get("likes")),
                "created_at": moment(event.data.get("created")),
                "updated_at": moment(event.data.get("updated")),
                "parent_id": identity(event.data.get("parent")),
                "pinned": yes_or_no(event.data.get("pinned")),
                "public": is_public(event.data.get("public")),
            }
        )
        key = key_of(event, event.verb == "delete", event.data.get("updated"))
        found.setdefault(comment_id, []).append(Said(key, event, fields))
    return found


def entries(events: Iterable[Event]) -> dict[str, list[Said]]:
    """Every event of the changelog's entries, by entry."""
    found: dict[str, list[Said]] = {}
    for event in events:
        entry_id = identity(event.data.get("changelog_id")) or identity(event.data.get("id"))
        if event.entity != "changelog" or entry_id is None:
            continue
        fields = told(
            {
                "title": text(event.data.get("title")),
                "description": text(event.data.get("description")),
                "type": text(event.data.get("type")),
                "segment": text(event.data.get("segment")),
                "draft": yes_or_no(event.data.get("draft")),
                "announcement": yes_or_no(event.data.get("announcement")),
                "scheduled_at": unix(event.data.get("scheduled")),
                "item_id": item_id_of(event),
                "created_at": moment(event.data.get("created")),
            }
        )
        key = key_of(event, event.verb == "delete", event.data.get("updated"))
        found.setdefault(entry_id, []).append(Said(key, event, fields))
    return found


def answers(events: Iterable[Event]) -> dict[str, list[Said]]:
    """Every event of satisfaction answers; one without an id is its event's own."""
    found: dict[str, list[Said]] = {}
    for event in events:
        if event.entity != "satisfaction" or not event.is_known:
            continue
        data, gone = event.data, event.verb == "delete"
        score = whole(data.get("vote"))
        groups = [
            text(data[name]) for name in ("data", "data_record") if isinstance(data.get(name), str | int)
        ]
        fields = told(
            {
                "user_id": user_id_of(event),
                "value": score if score in range(1, 6) else None,
                "comment": text(data.get("comment")),
                "group": next((group for group in groups if group), None),
                "meta": an_object(data.get("meta")),
                "answered_at": moment(data.get("updated")) or moment(data.get("created")),
            }
        )
        answer_id = identity(data.get("satisfaction_id")) or identity(data.get("id")) or f"p{event.position}"
        key = key_of(event, gone, data.get("updated"))
        found.setdefault(answer_id, []).append(Said(key, event, fields))
    return found
