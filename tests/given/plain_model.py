"""The rules of the read model in plain Python: slow, short, and written without looking at the SQL.

Everything is a fold over events: those with position <= P that happened by T, in the order of what is said
(occurred_at, is_delete, updated_at, position). What an event does not say keeps its value.
"""

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
    data: Mapping[str, Any]

    @property
    def verb(self) -> str:
        return self.action.split(".")[1] if "." in self.action else ""


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


def whole(value: Any) -> int | None:
    found = text(value)
    return int(found) if found is not None and re.fullmatch(r"-?[0-9]{1,9}", found) else None


def decimal(value: Any) -> float | None:
    found = text(value)
    if found is None or not re.fullmatch(r"-?[0-9]{1,15}([.][0-9]{1,15})?", found):
        return None
    return float(found)


def yes_or_no(value: Any) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get((text(value) or "").lower())


def moment(value: Any) -> datetime | None:
    found = text(value) or ""
    if not re.fullmatch(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", found):
        return None
    try:
        return datetime.strptime(found, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def an_object(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


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
                "created_at": moment(post.get("created")),
                "author_id": author_id_of(event),
                "updated_at": moment(post.get("updated")),
                "votes_up": whole(post.get("total_up")),
                "votes_down": whole(post.get("total_down")),
                "total_sum": whole(post.get("total_sum")),
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
        if event.entity != "vote" or item_id is None:
            continue
        number, gone = whole(event.data.get("vote")), event.verb == "delete"
        fields = {
            "user_id": user_id_of(event),
            "value": None if gone or not number else (1 if number > 0 else -1),
            "withdrawn": gone or number == 0,
            "cast_at": moment(event.data.get("created")) or event.occurred_at,
        }
        key = key_of(event, gone, event.data.get("updated"))
        voter = user_id_of(event) or f"p{event.position}"
        found.setdefault((item_id, voter), []).append(Said(key, event, fields))
    return found


def subscriptions(events: Iterable[Event]) -> dict[tuple[str, str], list[Said]]:
    found: dict[tuple[str, str], list[Said]] = {}
    for event in events:
        item_id = item_id_of(event)
        if event.entity != "subscription" or item_id is None:
            continue
        gone = event.verb == "delete"
        fields = {
            "user_id": user_id_of(event),
            "active": not gone,
            "since": moment(event.data.get("created")) or event.occurred_at,
        }
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
            }
        )
        key = key_of(event, event.verb == "delete", event.data.get("updated"))
        found.setdefault(comment_id, []).append(Said(key, event, fields))
    return found


# Folding -------------------------------------------------------------------------------------------


def merged(said: Iterable[Said]) -> Row:
    """Each field's newest told value."""
    row: Row = {}
    for one in sorted(said, key=lambda one: one.key):
        row.update(one.fields)
    return row


def newest(said: Iterable[Said]) -> Said | None:
    return max(said, key=lambda one: one.key, default=None)


@dataclass(frozen=True)
class Board:
    """One product at (P, T)."""

    items: dict[str, Row]
    users: dict[str, Row]
    votes: dict[tuple[str, str], Row]
    subscriptions: dict[tuple[str, str], Row]
    comments: dict[str, Row]


def board(events: Iterable[Event], position: int, time: datetime | None = None) -> Board:
    """The state at (P, T): from the events with position <= P that happened by T."""
    seen = [e for e in events if e.position <= position and (time is None or e.occurred_at <= time)]
    return Board(
        _items(seen),
        _users(seen),
        {key: dict(one.fields) for key, said in votes(seen).items() if (one := newest(said))},
        {key: dict(one.fields) for key, said in subscriptions(seen).items() if (one := newest(said))},
        {
            key: merged(said) | _deletion(said, ("comment.create", "comment.update", "comment.delete"))
            for key, said in comments(seen).items()
        },
    )


def _items(seen: list[Event]) -> dict[str, Row]:
    said = posts(seen)
    rows: dict[str, Row] = {}
    for item_id in {found for event in seen if (found := item_id_of(event)) is not None}:
        about = said.get(item_id, [])
        row = merged(about)
        of_item = [one for one in about if one.event.entity == "item"]
        row |= _deletion(of_item, ("item.create", "item.update", "item.delete"))
        since = _status_since(about)
        rows[item_id] = row | ({"status_since": since} if since else {})
    return rows


def _deletion(said: Iterable[Said], actions: tuple[str, ...]) -> Row:
    last = newest(one for one in said if one.event.action in actions)
    if last is None or not last.event.action.endswith(".delete"):
        return {"deleted": False}
    return {"deleted": True, "deleted_at": last.event.occurred_at}


def _status_since(said: Iterable[Said]) -> datetime | None:
    status, since = None, None
    for one in sorted(said, key=lambda one: one.key):
        if "status" in one.fields and one.fields["status"] != status:
            status, since = one.fields["status"], one.event.occurred_at
    return since


def _users(seen: list[Event]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for user_id, said in mentions(seen).items():
        row = merged(said)
        whole_users = [one for one in said if one.event.entity == "user"]
        row |= _deletion(whole_users, ("user.create", "user.update", "user.delete"))
        row["first_seen_at"] = min(one.event.occurred_at for one in said)
        acted = [one.event.occurred_at for one in said if actor_of(one.event) == user_id]
        rows[user_id] = row | ({"last_active_at": max(acted)} if acted else {})
    return rows


# By arrival ----------------------------------------------------------------------------------------

_TYPES = {
    "item.create": "ITEM_CREATED",
    "item.update": "ITEM_EDITED",
    "item.delete": "ITEM_DELETED",
    "comment.create": "COMMENT_CREATED",
    "comment.update": "COMMENT_EDITED",
    "comment.delete": "COMMENT_DELETED",
    "changelog.create": "CHANGELOG_CREATED",
    "changelog.update": "CHANGELOG_EDITED",
    "changelog.delete": "CHANGELOG_DELETED",
    "changelog.subscribe": "CHANGELOG_SUBSCRIBED",
    "satisfaction.create": "SATISFACTION_GIVEN",
    "satisfaction.update": "SATISFACTION_GIVEN",
    "user.create": "USER_CREATED",
    "user.update": "USER_EDITED",
    "user.delete": "USER_DELETED",
}
_ITEM_FIELDS = ("title", "description", "status", "type", "effort", "created_at", "author_id")
_COMMENT_FIELDS = ("item_id", "author_id", "body", "status", "type", "likes", "created_at")


def facts(events: list[Event]) -> dict[int, tuple[str, frozenset[str] | None]]:
    """Each event's type and, for edits of items and comments, what it changed of what was known before it."""
    return {
        event.position: _fact(event, [e for e in events if e.position < event.position]) for event in events
    }


def _fact(event: Event, earlier: list[Event]) -> tuple[str, frozenset[str] | None]:
    if event.entity == "vote":
        return _vote_type(event, earlier), None
    if event.entity == "subscription":
        return ("UNSUBSCRIBED" if event.verb == "delete" else "SUBSCRIBED"), None
    kind = _TYPES.get(event.action, "OTHER")
    if event.action == "item.update":
        changed = _changed(posts, item_id_of(event), event, earlier, _ITEM_FIELDS)
        return ("ITEM_STATUS_CHANGED" if "status" in changed else kind), changed
    if event.action == "comment.update":
        comment_id = identity(event.data.get("comment_id")) or identity(event.data.get("id"))
        return kind, _changed(comments, comment_id, event, earlier, _COMMENT_FIELDS)
    return kind, None


def _changed(
    reading: Any, entity_id: str | None, event: Event, earlier: list[Event], fields: tuple[str, ...]
) -> frozenset[str]:
    mine = reading([event]).get(entity_id, [])
    if not mine:
        return frozenset()
    before = merged(one for one in reading(earlier).get(entity_id, []) if one.key < mine[0].key)
    now = mine[0].fields
    return frozenset(f for f in fields if f in now and f in before and now[f] != before[f])


def _vote_type(event: Event, earlier: list[Event]) -> str:
    number = whole(event.data.get("vote"))
    if event.verb == "delete" or number == 0:
        return "VOTE_WITHDRAWN"
    for key, (mine,) in votes([event]).items():
        before = newest(one for one in votes(earlier).get(key, []) if one.key < mine.key)
        values = (before.fields["value"] if before else None), mine.fields["value"]
        if None not in values and values[0] != values[1]:
            return "VOTE_CHANGED"
    return "VOTE_CAST"


def drifts(events: list[Event]) -> set[tuple[int, str, int]]:
    """(position, total, by how much it moved otherwise than by the votes seen), by arrival."""
    found: set[tuple[int, str, int]] = set()
    last: dict[str, tuple[Key, int | None, int | None]] = {}
    for number, event in enumerate(events):
        item_id = item_id_of(event)
        post = next(iter(posts([event]).get(item_id or "", [])), None)
        if post is None or item_id is None or not _says_something(event):
            continue
        up, down = _known(events[: number + 1], item_id)
        theirs_up, theirs_down = post.fields.get("votes_up"), post.fields.get("votes_down")
        ahead = (
            post.key,
            None if theirs_up is None else theirs_up - up,
            None if theirs_down is None else theirs_down - down,
        )
        before = last.get(item_id)
        if before is None or ahead[0] > before[0]:
            if before is not None:
                for total, now, then in (
                    ("votes_up", ahead[1], before[1]),
                    ("votes_down", ahead[2], before[2]),
                ):
                    if now is not None and then is not None and now != then:
                        found.add((event.position, total, now - then))
            last[item_id] = ahead
    return found


def _says_something(event: Event) -> bool:
    """Whether a post tells more than its id, readable or not."""
    names = [
        "title",
        "description",
        "status",
        "type",
        "effort",
        "created",
        "updated",
        "total_up",
        "total_down",
        "total_sum",
        "total_comments",
        "total_subscriber",
        "trend",
        "scoring",
        "total_ratio",
    ]
    post = post_of(event) or {}
    return any(post.get(name) is not None for name in names) or author_id_of(event) is not None


def _known(events: list[Event], item_id: str) -> tuple[int, int]:
    up = down = 0
    for (item, _), said in votes(events).items():
        last = newest(said)
        if item == item_id and last is not None and not last.fields["withdrawn"]:
            down += last.fields["value"] == -1
            up += last.fields["value"] != -1
    return up, down
