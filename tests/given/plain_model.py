"""The rules of the read model in plain Python: slow, short, and written without looking at the SQL.

Everything is a fold over the events that a moment knows, in the order of what is said (occurred_at,
is_delete, updated_at, position). What an event does not say keeps its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

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
    is_public,
    item_id_of,
    mentions,
    post_of,
    posts,
    subscriptions,
    votes,
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


def board(events: Iterable[Event], at: Moment, *, personal: bool = True) -> Board:
    """The state at a moment, from the events that are known then; for others without the team's notes."""
    events = list(events)
    seen = [event for event in events if at.knows(event)]
    unseen = set() if personal else notes(events)
    comments = _comments(seen)
    if not personal:
        now = _comments(events)
        comments = {
            key: row
            for key, row in comments.items()
            if row.get("public") is not False and now[key].get("public") is not False
        }
    for row in comments.values():
        if row.get("parent_id") not in comments:
            row.pop("parent_id", None)
    items, users = _items(seen, homes(events), unseen), _users(seen)
    for row in items.values():
        # What is told may not be known: filters go by the first, what is read is the second.
        row |= {"_owner": row.pop("owner_id", None) or None, "_merged": row.get("merged_into") or None}
        if row["_owner"] in users:
            row["owner_id"] = row["_owner"]
        if row["_merged"] not in items:
            row.pop("merged_into", None)
        row["estimated"] = row.get("estimated") or None
    return Board(
        items=items,
        users=users,
        votes=_votes(seen),
        subscriptions=_subscriptions(seen),
        comments=comments,
        entries=_entries(seen),
        answers=_answers(seen),
    )


def notes(events: list[Event]) -> set[int]:
    """The events of comments that are private notes now, and those that were told while they were."""
    found = {event.position for event in events if tells_of_a_note(event)}
    for said in comments(events).values():
        for one in said:
            then = merged(other for other in said if other.key <= one.key)
            if False in (merged(said).get("public"), then.get("public")):
                found.add(one.position)
    return found


def tells_of_a_note(event: Event) -> bool:
    """Whether an event itself says that it is about a private note."""
    return event.entity == "comment" and is_public(event.data.get("public")) is False


def was_only_seen(event: Event) -> bool:
    """Whether an event tells what something was like: nobody did anything."""
    return event.verb == "snapshot" and event.entity in ("item", "comment", "user", "changelog")


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


def _items(seen: list[Event], homes: Mapping[int, str | None], unseen: set[int]) -> dict[str, Row]:
    said = posts(seen)
    rows: dict[str, Row] = {}
    for item_id in {found for event in seen if (found := item_id_of(event)) is not None}:
        about = said.get(item_id, [])
        row = merged(about)
        of_item = [one for one in about if one.event.entity == "item"]
        row |= _deletion(of_item, ("item.create", "item.update", "item.delete"))
        events = [
            event for event in seen if homes[event.position] == item_id and event.position not in unseen
        ]
        up, down = _known(seen, item_id)
        if "votes_up" in row:
            row["votes_net"] = row["votes_up"] - row.get("votes_down", 0)
        rows[item_id] = row | {
            "status_since": _status_since(about),
            "last_activity_at": max(
                (event.occurred_at for event in events if not was_only_seen(event)), default=None
            ),
            "version": len(events),
            "at": events[-1].position if events else None,
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
        row["erased"] = False
        row["first_seen_at"] = min(one.event.occurred_at for one in said)
        acted = [
            one.event.occurred_at
            for one in said
            if actor_of(one.event) == user_id and not tells_of_a_note(one.event)
        ]
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
    """The changelog: an entry is announced when it is published, unless it is scheduled or was a draft."""
    rows: dict[str, Row] = {}
    for entry_id, said in entries(seen).items():
        row = merged(said) | _deletion(said, ("changelog.create", "changelog.update", "changelog.delete"))
        row.pop("deleted_at", None)
        first_told = min((one.event.occurred_at for one in said if one.event.verb == "create"), default=None)
        if not row.get("draft"):
            known = [at for at in (row.get("scheduled_at"), _finished(said)) if at is not None]
            row["published_at"] = max(known, default=None) or first_told or row.get("created_at")
        rows[entry_id] = row | {"at": max(one.position for one in said)}
    return rows


def _finished(said: list[Said]) -> datetime | None:
    """When an entry that had been a draft was none any more; None where it never was one."""
    was_draft, finished = False, None
    for one in sorted(said, key=lambda one: one.key):
        if (draft := one.fields.get("draft")) is not None:
            if draft:
                finished = None
            elif was_draft:
                finished = one.event.occurred_at
            was_draft = draft
    return finished


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


def drifts(events: list[Event]) -> list[Row]:
    """Return the totals that moved otherwise than by the votes seen, and what that suggests, by arrival."""
    found: list[Row] = []
    last: dict[str, tuple[Key, Mapping[str, int]]] = {}
    for number, event in enumerate(events):
        item_id = item_id_of(event)
        post = next(iter(posts([event]).get(item_id or "", [])), None)
        if post is None or item_id is None or not says_something(event):
            continue
        seen = dict(zip(_TOTALS, _known(events[: number + 1], item_id), strict=True))
        ahead: dict[str, int] = {
            name: post.fields[name] - seen[name] for name in _TOTALS if name in post.fields
        }
        before = last.get(item_id)
        if before is None or post.key > before[0]:
            then = ahead if before is None else before[1]
            moved: dict[str, int] = {
                name: ahead[name] - then[name] for name in _TOTALS if name in ahead and name in then
            }
            for name, delta in moved.items():
                if delta:
                    kind, cause = _suggested(moved, delta, item_id, event, events)
                    theirs = post.fields[name]
                    found.append(
                        {"position": event.position, "field": name, "delta": delta, "item": item_id}
                        | {"ours": theirs - delta, "theirs": theirs, "seenAt": event.occurred_at}
                        | {"kind": kind, "likelyCause": cause}
                    )
            last[item_id] = post.key, ahead
    return found


_TOTALS: Final[tuple[str, ...]] = ("votes_up", "votes_down")


def _suggested(
    moved: Mapping[str, int], delta: int, item_id: str, event: Event, events: list[Event]
) -> tuple[str, str]:
    """What is likely behind it: votes turned round or taken back, a merge, or what we missed."""
    if sum(moved.values()) == 0 and len(moved) == 2:
        return "VOTE_CHANGED", "changed votes"
    if delta < 0:
        return "VOTE_WITHDRAWN", "withdrawn votes"
    earlier = posts(one for one in events if one.position < event.position)
    merged_then = [
        (said.event.occurred_at, said.position, other)
        for other, of_other in earlier.items()
        if other != item_id
        for said in of_other
        if said.fields.get("status") == "merged"
        and event.occurred_at - timedelta(hours=1) <= said.event.occurred_at <= event.occurred_at
        and merged(one for one in of_other if one.key < said.key).get("status") != "merged"
    ]
    if merged_then:
        return "LIKELY_MERGE", f"merge of item {max(merged_then)[2]}"
    return "COUNT_DRIFT", "missed deliveries"


def says_something(event: Event) -> bool:
    """Whether a post tells more than its id, readable or not."""
    names = [
        "title",
        "description",
        "status",
        "type",
        "effort",
        "tags",
        "owner_id",
        "estimated",
        "merge_id",
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
