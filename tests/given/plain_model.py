"""The rules of the read model in plain Python: slow, short, and written without looking at the SQL.

Everything is a fold over the events that a moment knows, in the order of what is said (occurred_at,
is_delete, updated_at, position). What an event does not say keeps its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.given.plain_words import (
    Event,
    Key,
    Row,
    Said,
    actor_of,
    answers,
    author_id_of,
    comments,
    entries,
    identity,
    item_id_of,
    mentions,
    post_of,
    posts,
    subscriptions,
    votes,
    whole,
)

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
    """One product at a moment, each row by what it is of."""

    items: dict[str, Row]
    users: dict[str, Row]
    votes: dict[tuple[str, str], Row]
    subscriptions: dict[tuple[str, str], Row]
    comments: dict[str, Row]
    entries: dict[str, Row]
    answers: dict[str, Row]


@dataclass(frozen=True)
class Moment:
    """What was known up to a position, of what had happened, or of what we had recorded, by a time."""

    position: int | None = None
    happened: datetime | None = None
    recorded: datetime | None = None

    def knows(self, event: Event) -> bool:
        return (
            (self.position is None or event.position <= self.position)
            and (self.happened is None or event.occurred_at <= self.happened)
            and (self.recorded is None or event.recorded_at <= self.recorded)
        )


def board(events: Iterable[Event], at: Moment) -> Board:
    """The state at a moment: from the events that are known then."""
    events = list(events)
    seen = [event for event in events if at.knows(event)]
    return Board(
        items=_items(seen, homes(events)),
        users=_users(seen),
        votes=_votes(seen),
        subscriptions=_subscriptions(seen),
        comments=_comments(seen),
        entries=_entries(seen),
        answers=_answers(seen),
    )


def homes(events: list[Event]) -> dict[int, str | None]:
    """What item each event is about: for a comment that does not say, the one told of it before."""
    homes: dict[int, str | None] = {}
    for number, event in enumerate(events):
        homes[event.position] = item_id_of(event)
        if event.entity == "comment" and homes[event.position] is None:
            (comment_id,) = comments([event]) or (None,)
            earlier = comments(events[:number]).get(comment_id, []) if comment_id else []
            homes[event.position] = merged(earlier).get("item_id")
    return homes


def _items(seen: list[Event], homes: Mapping[int, str | None]) -> dict[str, Row]:
    said = posts(seen)
    rows: dict[str, Row] = {}
    for item_id in {found for event in seen if (found := item_id_of(event)) is not None}:
        about = said.get(item_id, [])
        row = merged(about)
        of_item = [one for one in about if one.event.entity == "item"]
        row |= _deletion(of_item, ("item.create", "item.update", "item.delete"))
        events = [event for event in seen if homes[event.position] == item_id]
        up, down = _known(seen, item_id)
        if "votes_up" in row:
            row["votes_net"] = row["votes_up"] - row.get("votes_down", 0)
        rows[item_id] = row | {
            "status_since": _status_since(about),
            "last_activity_at": max(event.occurred_at for event in events),
            "version": len(events),
            "at": events[-1].position,
            "known_up": up,
            "known_down": down,
            "known_net": up - down,
        }
    ranked = [row["votes_net"] for row in rows.values() if "votes_net" in row and not row["deleted"]]
    for row in rows.values():
        if "votes_net" in row and not row["deleted"]:
            row["rank"] = 1 + sum(net > row["votes_net"] for net in ranked)
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
        row["team_member"] = row.pop("admin_id", "0") not in ("0", "")
        whole_users = [one for one in said if one.event.entity == "user"]
        row |= _deletion(whole_users, ("user.create", "user.update", "user.delete"))
        row["first_seen_at"] = min(one.event.occurred_at for one in said)
        acted = [one.event.occurred_at for one in said if actor_of(one.event) == user_id]
        rows[user_id] = row | ({"last_active_at": max(acted)} if acted else {})
    return rows


def _votes(seen: list[Event]) -> dict[tuple[str, str], Row]:
    rows: dict[tuple[str, str], Row] = {}
    for (item_id, voter), said in votes(seen).items():
        rows[item_id, voter] = vote_that_stands(said) | {"item_id": item_id}
    return rows


def vote_that_stands(said: list[Said]) -> Row:
    """What a voter's events about an item come to: the newest says whether the vote stands.

    Where none said when it was cast, it was when the newest happened that did not take it back.
    """
    last = max(said, key=lambda one: one.key)
    stood = newest(one for one in said if not one.fields["withdrawn"]) or last
    row = {"cast_at": stood.event.occurred_at} | merged(said)
    gone_at = last.event.occurred_at if last.fields["withdrawn"] else None
    return row | {"at": last.position, "withdrawn_at": gone_at}


def _subscriptions(seen: list[Event]) -> dict[tuple[str, str], Row]:
    rows: dict[tuple[str, str], Row] = {}
    for (item_id, who), said in subscriptions(seen).items():
        last = max(said, key=lambda one: one.key)
        turned = newest(one for one in said if one.fields["active"] != last.fields["active"])
        since = [one for one in said if turned is None or one.key > turned.key]
        row = {"since": last.event.occurred_at} | merged(since)
        rows[item_id, who] = row | {"item_id": item_id, "at": last.position}
    return rows


def _comments(seen: list[Event]) -> dict[str, Row]:
    return {
        comment_id: merged(said)
        | _deletion(said, ("comment.create", "comment.update", "comment.delete"))
        | {"at": max(one.position for one in said)}
        for comment_id, said in comments(seen).items()
    }


def _entries(seen: list[Event]) -> dict[str, Row]:
    """The changelog: an entry is announced when it is published, unless it is scheduled."""
    rows: dict[str, Row] = {}
    for entry_id, said in entries(seen).items():
        row = merged(said) | _deletion(said, ("changelog.create", "changelog.update", "changelog.delete"))
        row.pop("deleted_at", None)
        first_told = min((one.event.occurred_at for one in said if one.event.verb == "create"), default=None)
        if not row.get("draft"):
            row["published_at"] = row.get("scheduled_at") or first_told or row.get("created_at")
        rows[entry_id] = row | {"at": max(one.position for one in said)}
    return rows


def _answers(seen: list[Event]) -> dict[str, Row]:
    """The satisfaction answers that are not deleted, each with when the user's next one replaced it."""
    rows: dict[str, Row] = {}
    for answer_id, said in answers(seen).items():
        if max(said, key=lambda one: one.key).key[1]:
            continue
        newest_given = newest(one for one in said if one.event.verb != "delete")
        given = {"group": "default", "answered_at": newest_given.event.occurred_at if newest_given else None}
        rows[answer_id] = given | merged(said) | {"at": max(one.position for one in said)}
    for row in rows.values():
        replaced = [
            other["answered_at"]
            for other in rows.values()
            if row.get("user_id") is not None
            and (other.get("user_id"), other["group"]) == (row["user_id"], row["group"])
            and (other["answered_at"], other["at"]) > (row["answered_at"], row["at"])
            and other["answered_at"] < row["answered_at"] + timedelta(days=30)
        ]
        row["superseded_at"] = min(replaced, default=None)
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
_ITEM_FIELDS = ("title", "description", "status", "type", "effort", "created_at", "author_id", "tags")
_COMMENT_FIELDS = ("item_id", "author_id", "body", "status", "type", "likes", "created_at")


def facts(events: list[Event]) -> dict[int, tuple[str, frozenset[str] | None]]:
    """Each event's type and, for edits of items and comments, what it changed of what was known before it."""
    return {
        event.position: _fact(event, [e for e in events if e.position < event.position]) for event in events
    }


def _fact(event: Event, earlier: list[Event]) -> tuple[str, frozenset[str] | None]:
    if not event.is_known and event.action != "changelog.subscribe":
        return "OTHER", None
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
        before = [one for one in votes(earlier).get(key, []) if one.key < mine.key]
        stood = vote_that_stands(before) if before else {"withdrawn": True}
        values = stood.get("value"), mine.fields.get("value")
        if not stood["withdrawn"] and None not in values and values[0] != values[1]:
            return "VOTE_CHANGED"
    return "VOTE_CAST"


def drifts(events: list[Event]) -> set[tuple[int, str, int]]:
    """(position, total, by how much it moved otherwise than by the votes seen), by arrival."""
    found: set[tuple[int, str, int]] = set()
    last: dict[str, tuple[Key, int | None, int | None]] = {}
    for number, event in enumerate(events):
        item_id = item_id_of(event)
        post = next(iter(posts([event]).get(item_id or "", [])), None)
        if post is None or item_id is None or not says_something(event):
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


def says_something(event: Event) -> bool:
    """Whether a post tells more than its id, readable or not."""
    names = [
        "title",
        "description",
        "status",
        "type",
        "effort",
        "tags",
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
        vote = vote_that_stands(said)
        if item == item_id and not vote["withdrawn"]:
            down += vote.get("value") == -1
            up += vote.get("value") != -1
    return up, down
