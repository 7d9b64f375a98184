"""How long items take between stages, which moved back, and what was done in a time, in plain Python."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from tests.given import plain_history
from tests.given.plain_events import facts
from tests.given.plain_model import Moment, board
from tests.given.plain_series import LONG_AGO
from tests.given.plain_words import Event, Row, actor_of, comments, mentions, posts

ROLES: Final = {
    "open": "OPEN",
    "under-review": "OPEN",
    "planned": "ROADMAP",
    "done": "DONE",
    "merged": "DECLINED",
}
"""The stages that common keys stand for without a configuration."""
_LATENESS: Final = {"OPEN": 1, "ROADMAP": 2, "DONE": 3, "DECLINED": 3}


@dataclass(frozen=True)
class Stretch:
    """A half-open stretch of time."""

    begins: datetime
    until: datetime

    def holds(self, time: datetime) -> bool:
        return self.begins <= time < self.until


@dataclass(frozen=True)
class Spans:
    """What began in which stretch is grouped by what, in which zone's calendar."""

    stretch: Stretch
    group_by: str
    zone: str

    def group(self, began: datetime, item: Row) -> str:
        local = began.astimezone(ZoneInfo(self.zone))
        match self.group_by:
            case "MONTH":
                return f"{local:%Y-%m}"
            case "WEEK":
                return f"{local:%G-W%V}"
            case "TYPE":
                return str(item.get("type", ""))
            case "STATUS":
                return str(item.get("status", ""))
        return "ALL"


def _statistics(found: Iterable[tuple[str, float | None]]) -> dict[str, Row]:
    """Return of each group how many ended, the median and the ninth tenth, and how many have not."""
    groups: dict[str, list[float | None]] = {}
    for group, seconds in found:
        groups.setdefault(group, []).append(seconds)
    return {
        group: {
            "n": len(ended := sorted(each for each in of_group if each is not None)),
            "p50": _part_of_the_way(ended, 0.5),
            "p90": _part_of_the_way(ended, 0.9),
            "stillOpen": len(of_group) - len(ended),
        }
        for group, of_group in groups.items()
    }


def _part_of_the_way(numbers: list[float], part: float) -> float | None:
    if not numbers:
        return None
    whole, rest = divmod(part * (len(numbers) - 1), 1)
    low = numbers[int(whole)]
    high = numbers[min(int(whole) + 1, len(numbers) - 1)]
    return round(low + rest * (high - low), 3)


Span = tuple[datetime, datetime | None, Row]


def grouped(spans: Iterable[Span], asked: Spans) -> dict[str, Row]:
    """Group what began in the stretch; what was deleted and has not ended is no longer waited for."""
    return _statistics(
        (asked.group(began, item), None if ended is None else (ended - began).total_seconds())
        for began, ended, item in spans
        if asked.stretch.holds(began) and not (ended is None and item["deleted"])
    )


def cycles(events: list[Event], known: Moment, from_role: str, to_role: str) -> list[Span]:
    """From when an item first entered a stage to when it next entered the other.

    What was first seen open was so since it was submitted, where that was earlier.
    """
    seen = [event for event in events if known.knows(event)]
    items = board(events, known).items
    spans: list[Span] = []
    for key in posts(seen):
        periods = plain_history.status_history(seen, key)
        entered = [number for number, each in enumerate(periods) if ROLES.get(each["to"]) == from_role]
        if not entered:
            continue
        began: datetime = periods[entered[0]]["enteredAt"]
        if from_role == "OPEN" and entered[0] == 0 and "created_at" in items[key]:
            began = min(began, items[key]["created_at"])
        after = [each for each in periods[entered[0] + 1 :] if ROLES.get(each["to"]) == to_role]
        spans.append((began, after[0]["enteredAt"] if after else None, items[key]))
    return spans


def responses(events: list[Event], known: Moment) -> list[Span]:
    """From an item's submission to a comment of the team or a move to another status."""
    seen = [event for event in events if known.knows(event)]
    told = board(events, known)
    said_of, written = comments(seen), list[tuple[str, datetime]]()
    for key, comment in told.comments.items():
        about = [one for one in said_of[key] if "item_id" in one.fields]
        if not about or "created_at" not in comment or comment.get("public") is False:
            continue
        first = min(about, key=lambda one: one.key)
        if _of_the_team(seen, comment.get("author_id"), first.event.occurred_at):
            written.append((first.fields["item_id"], comment["created_at"]))
    spans: list[Span] = []
    for key, item in told.items.items():
        if "created_at" not in item:
            continue
        periods = plain_history.status_history(seen, key)
        moves = [each["enteredAt"] for each in periods[1:]]
        replies = [time for about, time in written if about == key]
        since = [time for time in moves + replies if time >= item["created_at"]]
        # What was first seen in a later stage had been moved there before.
        if since or not periods or ROLES.get(periods[0]["to"], "OPEN") == "OPEN":
            spans.append((item["created_at"], min(since, default=None), item))
    return spans


def _of_the_team(seen: list[Event], user_id: str | None, when: datetime) -> bool:
    """Whether somebody was of the team: as told last by a time, else as told first."""
    said = [one for one in mentions(seen).get(user_id or "", []) if "admin_id" in one.fields]
    said.sort(key=lambda one: one.key)
    by_then = [one for one in said if one.event.occurred_at <= when]
    told = [*by_then[-1:], *said[:1]]
    return bool(told) and told[0].fields["admin_id"] not in ("0", "")


def regressions(events: list[Event], known: Moment, stretch: Stretch) -> list[Row]:
    """Return the moves to an earlier stage than the one before, newest first."""
    seen = [event for event in events if known.knows(event)]
    found = []
    for key in posts(seen):
        for place, period in enumerate(plain_history.status_history(seen, key)):
            before, after = (_LATENESS.get(ROLES.get(period[end], ""), 0) for end in ("from", "to"))
            if 0 < after < before and stretch.holds(period["enteredAt"]):
                found.append(period | {"item": key, "place": place})
    found.sort(key=lambda period: -period["place"])
    found.sort(key=lambda period: str(period["item"]))
    return found


# What was done ---------------------------------------------------------------------------------------

_DONE: Final = {
    "votes": ("VOTE_CAST", "VOTE_CHANGED"),
    "comments": ("COMMENT_CREATED",),
    "newItems": ("ITEM_CREATED",),
}


def activity(events: list[Event], known: Moment, stretch: Stretch, user_id: str | None = None) -> Row:
    """Count what somebody, or everybody, did in a stretch of time, on Sleekplan's clock."""
    kinds = facts(events)
    done = [
        kinds[event.position].type
        for event in events
        if known.knows(event)
        and stretch.holds(event.occurred_at)
        and (user_id is None or actor_of(event) == user_id)
    ]
    scores = [
        answer["value"]
        for answer in board(events, known).answers.values()
        if "value" in answer
        and stretch.holds(answer["answered_at"])
        and (user_id is None or answer.get("user_id") == user_id)
    ]
    return {name: sum(kind in of for kind in done) for name, of in _DONE.items()} | {
        "csatAvg": sum(scores) / len(scores) if scores else None,
        "csatN": len(scores),
    }


def impact(
    events: list[Event], known: Moment, published: datetime | None, length: timedelta
) -> dict[str, Row] | None:
    """Return what was done before and after a publication, in stretches of a length that meet there."""
    if published is None:
        return None
    return {
        "before": activity(events, known, Stretch(max(published - length, LONG_AGO), published)),
        "after": activity(events, known, Stretch(published, published + length)),
    }


# Lengths of time -------------------------------------------------------------------------------------


def seconds_of(text: str | None) -> float | None:
    """Return a length of time in days and smaller, as ISO 8601 has it, in seconds."""
    if text is None:
        return None
    told = re.fullmatch(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?", text)
    assert told is not None, text
    days, hours, minutes, seconds = (float(each or 0) for each in told.groups()[1:])
    length = days * 86400 + hours * 3600 + minutes * 60 + seconds
    return -length if told[1] else length


def lasted(period: Row, at: datetime) -> float:
    """Return how many seconds an item stood in a status, up to the moment that is read."""
    left: Any = period["leftAt"] or at
    seconds: float = (left - period["enteredAt"]).total_seconds()
    return round(seconds, 3)
