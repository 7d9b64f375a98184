"""What an item went through and how two moments differ, in plain Python."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from tests.given.plain_events import Fact, facts
from tests.given.plain_model import Board, Moment, homes, merged, says_something
from tests.given.plain_words import Event, Row, Said, posts, yes_or_no

_TEXTS: Final = {
    **{name: name for name in ("title", "description", "status", "type", "effort", "tags")},
    "owner": "owner_id",
    "estimated": "estimated",
    "mergedInto": "merged_into",
}
"""What a revision changes, by its name in the schema. Of the last three an empty text is none."""


def _told(row: Row, name: str) -> Any:
    value = row.get(name)
    return None if value == "" and name in ("owner_id", "estimated", "merged_into") else value


def _in_order(events: Iterable[Event], item_id: str) -> list[Said]:
    return sorted(posts(events).get(item_id, []), key=lambda one: one.key)


def timeline(events: list[Event], at: Moment, item_id: str) -> list[int]:
    about = homes(events)
    mine = [event for event in events if at.knows(event) and about[event.position] == item_id]
    return [event.position for event in sorted(mine, key=lambda event: (event.occurred_at, event.position))]


def status_history(seen: list[Event], item_id: str) -> list[Row]:
    """Return each status that it entered, with that before it, when, by which event, and when it left it."""
    periods: list[Row] = []
    for one in _in_order(seen, item_id):
        status = one.fields.get("status")
        before = periods[-1]["to"] if periods else None
        if status is not None and status != before:
            if periods:
                periods[-1]["leftAt"] = one.event.occurred_at
            entered = {"from": before, "to": status, "enteredAt": one.event.occurred_at, "at": one.position}
            periods.append(entered | {"leftAt": None})
    return periods


def revisions(seen: list[Event], item_id: str) -> list[Row]:
    """Return each change of its fields after what was told first, with the totals then and since."""
    said = _in_order(seen, item_id)
    latest = merged(said)
    first = next((number for number, one in enumerate(said) if says_something(one.event)), len(said))
    found = []
    for number, one in enumerate(said):
        before, after = merged(said[:number]), merged(said[: number + 1])
        changes = {
            shown: (_told(before, name), _told(after, name))
            for shown, name in _TEXTS.items()
            if _told(before, name) != _told(after, name)
        }
        if number > first and changes:
            then = after.get("votes_up"), after.get("votes_down")
            now = latest.get("votes_up"), latest.get("votes_down")
            gained = tuple(None if a is None or b is None else a - b for a, b in zip(now, then, strict=True))
            found.append(
                {"at": one.event.occurred_at, "position": one.position, "changes": changes}
                | {"votesBefore": then, "votesAfter": gained}
            )
    return found


PROVENANCE: Final = {
    **_TEXTS,
    "createdAt": "created_at",
    "author": "author_id",
    "votes": "votes_net",
    "commentCount": "comments",
    "subscriberCount": "subscribers",
    "trend": "trend",
    "scoring": "scoring",
}
"""The fields whose origin can be asked for, by their names in the schema."""


def provenance(seen: list[Event], item_id: str, name: str) -> tuple[int, Any] | None:
    """Return the event that set the value which a field has, and the value."""
    found: tuple[int, Any] | None = None
    said = _in_order(seen, item_id)
    for number, one in enumerate(said):
        told = merged(said[: number + 1])
        if "votes_up" in told:
            told["votes_net"] = told["votes_up"] - told.get("votes_down", 0)
        value = told.get(PROVENANCE[name])
        if value is not None and (found is None or found[1] != value):
            found = one.position, value
    taken_away = name in ("owner", "estimated", "mergedInto") and found is not None and found[1] == ""
    return (found[0], None) if found and taken_away else found


def votes_since(seen: list[Event], item_id: str, since: datetime | None) -> tuple[int | None, int | None]:
    """Return the votes gained since a time: from what was told last before it, else from the first told."""
    said = _in_order(seen, item_id)
    latest = merged(said)
    if since is None:
        return None, None
    before = merged(one for one in said if one.event.occurred_at < since)
    is_new = "created_at" in latest and latest["created_at"] >= since
    gained = []
    for total in ("votes_up", "votes_down"):
        first = 0 if is_new else next((one.fields[total] for one in said if total in one.fields), None)
        begin = before.get(total, first)
        gained.append(latest[total] - begin if total in latest and begin is not None else None)
    return gained[0], gained[1]


def jumps(seen: list[Event], item_id: str, concluded: list[Row]) -> list[Row]:
    """Return each post that moved the net votes, by how much, and what is likely behind it."""
    found: list[Row] = []
    before: int | None = None
    said = _in_order(seen, item_id)
    causes = {drift["position"]: drift["likelyCause"] for drift in reversed(concluded)}
    gained = {drift["position"] for drift in concluded if drift["delta"] > 0}
    before_at: datetime | None = None
    for number, one in enumerate(said):
        known = merged(said[: number + 1])
        if "votes_up" in known:
            net = known["votes_up"] - known.get("votes_down", 0)
            if before is not None and net != before:
                cause = causes.get(one.position, "votes")
                if one.position in gained and net > before:
                    cause = _merge(seen, item_id, before_at, one.event.occurred_at) or cause
                found.append(
                    {"at": one.event.occurred_at, "position": one.position, "delta": net - before}
                    | {"likelyCause": cause}
                )
            before, before_at = net, one.event.occurred_at
    return found


def _merge(seen: list[Event], item_id: str, before: datetime | None, at: datetime) -> str | None:
    """Return the merge into an item that was told since its post before, or within an hour; None without."""
    merges = {
        other: min(times)
        for other, said in posts(seen).items()
        if other != item_id
        and (times := [o.event.occurred_at for o in said if o.fields.get("merged_into") == item_id])
    }
    since = min(before or at, at - timedelta(hours=1))
    told = [
        (since - time, other) for other, time in merges.items() if since <= time <= at + timedelta(hours=1)
    ]
    return f"merge of item {min(told)[1]}" if told else None


_NOTEWORTHY: Final = ("ITEM_CREATED", "ITEM_EDITED", "ITEM_STATUS_CHANGED", "MERGED", "ITEM_DELETED")


def _published(event: Event, fact: Fact) -> bool:
    told = fact.type == "CHANGELOG_CREATED" or (fact.type == "CHANGELOG_EDITED" and "draft" in fact.changes)
    return told and yes_or_no(event.data.get("draft")) is not True


def nearby(events: list[Event], seen: list[Event], position: int) -> list[int]:
    """Return what else happened to items and changelog within half an hour of an event, nearest first."""
    kinds = facts(events)
    (there,) = (event.occurred_at for event in events if event.position == position)
    found = [
        (abs(event.occurred_at - there), event.position)
        for event in seen
        if event.position != position
        and (kinds[event.position].type in _NOTEWORTHY or _published(event, kinds[event.position]))
    ]
    return [position for away, position in sorted(found) if away <= timedelta(minutes=30)][:20]


# Two moments ---------------------------------------------------------------------------------------

_COMPARED: Final = {
    **_TEXTS,
    "owner": "_owner",
    "mergedInto": "_merged",
    "votes": "votes_net",
    "commentCount": "comments",
}


def difference(before: Board, after: Board) -> Row:
    """Return which items came on the board, left it, and changed there, and how."""
    old, new = (
        {key: item for key, item in board.items.items() if not item["deleted"]} for board in (before, after)
    )
    changed = {}
    for key in old.keys() & new.keys():
        pairs = {shown: (old[key].get(name), new[key].get(name)) for shown, name in _COMPARED.items()}
        differing = {shown: pair for shown, pair in pairs.items() if pair[0] != pair[1]}
        if differing:
            changed[key] = differing
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": changed,
    }
