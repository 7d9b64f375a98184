"""What each event is said to be and to have changed, by arrival, and how it reads, in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.given.plain_model import Board, homes, merged, says_something, vote_that_stands, was_only_seen
from tests.given.plain_words import (
    Event,
    Row,
    Said,
    actor_of,
    answers,
    comments,
    entries,
    identity,
    item_id_of,
    mentions,
    posts,
    user_id_of,
    votes,
    whole,
)

_TYPES: Final = {
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
Reading = Callable[[Iterable[Event]], Mapping[Any, list[Said]]]


@dataclass(frozen=True)
class Compared:
    """What an edit is compared in: how it is read, of what, and each field by its name in the schema."""

    reading: Reading
    of: Callable[[Event], str | None]
    fields: Mapping[str, str]


def comment_id_of(event: Event) -> str | None:
    return identity(event.data.get("comment_id")) or identity(event.data.get("id"))


def entry_id_of(event: Event) -> str | None:
    return identity(event.data.get("changelog_id")) or identity(event.data.get("id"))


_EDITS: Final = {
    "item.update": Compared(
        posts,
        item_id_of,
        {name: name for name in ("title", "description", "status", "type", "effort", "tags")}
        | {"created_at": "createdAt", "author_id": "author", "owner_id": "owner", "estimated": "estimated"},
    ),
    "comment.update": Compared(
        comments,
        comment_id_of,
        {"body": "text", "status": "status", "type": "type", "likes": "likes", "pinned": "pinned"}
        | {"item_id": "item", "author_id": "author", "created_at": "createdAt", "public": "public"},
    ),
    "changelog.update": Compared(
        entries,
        entry_id_of,
        {name: name for name in ("title", "description", "type", "segment", "draft", "announcement")}
        | {"scheduled_at": "scheduledAt", "item_id": "item", "created_at": "createdAt"},
    ),
    "user.update": Compared(
        mentions,
        user_id_of,
        {name: name for name in ("name", "mail", "anonymous", "segments", "custom", "system", "weight")}
        | {"full_name": "fullName", "img": "imageUrl", "data_id": "customerId", "admin_id": "teamMember"}
        | {"created_at": "createdAt"},
    ),
}


@dataclass(frozen=True)
class Fact:
    """An event's type, and what it changed of what was known before it: values before and after by field."""

    type: str
    changes: dict[str, tuple[Any, Any]]


def facts(events: list[Event]) -> dict[int, Fact]:
    return {
        event.position: _fact(event, [e for e in events if e.position < event.position]) for event in events
    }


def _fact(event: Event, earlier: list[Event]) -> Fact:
    if was_only_seen(event):
        return Fact("SNAPSHOT", {})
    if not event.is_known and event.action != "changelog.subscribe":
        return Fact("OTHER", {})
    if event.entity == "vote":
        return _vote(event, earlier)
    if event.entity == "subscription":
        return Fact("UNSUBSCRIBED" if event.verb == "delete" else "SUBSCRIBED", {})
    kind = _TYPES.get(event.action, "OTHER")
    if event.action not in _EDITS:
        return Fact(kind, {})
    changes = _changes(_EDITS[event.action], event, earlier)
    merge = _merge(event, earlier) if event.action == "item.update" else None
    if merge is not None:
        changes |= {"mergedInto": merge}
        if merge[1]:
            return Fact("MERGED", changes)
    moved = event.action == "item.update" and "status" in changes
    return Fact("ITEM_STATUS_CHANGED" if moved else kind, changes)


def _changes(compared: Compared, event: Event, earlier: list[Event]) -> dict[str, tuple[Any, Any]]:
    mine = compared.reading([event]).get(compared.of(event), [])
    if not mine:
        return {}
    said = compared.reading(earlier).get(compared.of(event), [])
    before, now = merged(one for one in said if one.key < mine[0].key), mine[0].fields
    return {
        shown: (before[name], now[name])
        for name, shown in compared.fields.items()
        if name in now and name in before and now[name] != before[name]
    }


def _merge(event: Event, earlier: list[Event]) -> tuple[Any, Any] | None:
    """Into what an item was merged before and now, where a post of it was known before; empty: nothing."""
    (mine,) = posts([event]).get(item_id_of(event) or "", []) or (None,)
    if mine is None or "merged_into" not in mine.fields:
        return None
    said = [one for one in posts(earlier).get(item_id_of(event) or "", []) if one.key < mine.key]
    before, now = merged(said).get("merged_into"), mine.fields["merged_into"]
    known = any(says_something(one.event) for one in said)
    return (before, now) if known and (before or "") != now else None


def _vote(event: Event, earlier: list[Event]) -> Fact:
    gone = event.verb == "delete" or whole(event.data.get("vote")) == 0
    stood: Row = {"withdrawn": True}
    value = None
    for key, (mine,) in votes([event]).items():
        before = [one for one in votes(earlier).get(key, []) if one.key < mine.key]
        stood = vote_that_stands(before) if before else stood
        value = mine.fields.get("value")
    had = None if stood["withdrawn"] else stood.get("value")
    if gone:
        return Fact("VOTE_WITHDRAWN", {"value": (had, None)} if item_id_of(event) else {})
    if None not in (had, value) and had != value:
        return Fact("VOTE_CHANGED", {"value": (had, value)})
    return Fact("VOTE_CAST", {})


# What it names ---------------------------------------------------------------------------------------


def names(event: Event, events: list[Event], seen: list[Event], known: Board) -> Row:
    """Return the ids of what an event is about, as far as it is known at the moment, deleted or not."""
    item_id, who = homes(events)[event.position], actor_of(event)
    entry_id = entry_id_of(event) if event.entity == "changelog" else None
    comment_id = comment_id_of(event) if event.entity == "comment" else None
    answer_id = None
    if event.entity == "satisfaction" and event.is_known:
        (answer_id,) = answers([event])
    return {
        "item": item_id if item_id in known.items else None,
        "user": who if who in known.users else None,
        "comment": comment_id if comment_id in known.comments else None,
        "changelogEntry": entry_id if entry_id in known.entries else None,
        "satisfactionAnswer": answer_id if answer_id in answers(seen) else None,
    }


_SAYS_WHO: Final = ("ITEM_CREATED", "VOTE_", "COMMENT_CREATED", "SUBSCRIBED", "UNSUBSCRIBED", "USER_")
_SAYS_ITEM: Final = ("ITEM_", "VOTE_", "COMMENT_", "SUBSCRIBED", "UNSUBSCRIBED")


def phrases(fact: Fact, named: Row, known: Board) -> list[str]:
    """Return what an event's sentence has to say: titles and names as they are at the moment."""
    title = known.items.get(named["item"], {}).get("title")
    said = []
    if fact.type.startswith(_SAYS_ITEM):
        # Of an item that had not happened by then a comment may know the id, as it was told before.
        said.append(f"“{title}”" if title else f"item {named['item']}" if named["item"] else "item")
    if fact.type.startswith(_SAYS_WHO):
        said.append(known.users.get(named["user"], {}).get("name") or "Somebody")
    if fact.type.startswith("CHANGELOG_") and fact.type != "CHANGELOG_SUBSCRIBED":
        note = known.entries.get(named["changelogEntry"], {}).get("title")
        said.append(f"“{note}”" if note else "A release note")
    return said


def words_say(change: Row) -> bool:
    """Whether the words of a change make up both its texts; only texts have any."""
    if change["words"] is None:
        return True
    kept = {
        value: "".join(word["text"] for word in change["words"] if word["kind"] in ("SAME", kind))
        for value, kind in (("before", "REMOVED"), ("after", "ADDED"))
    }
    return all(change[value] == text for value, text in kept.items())
