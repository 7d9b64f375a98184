"""Steps of time, and what is counted in them, in plain Python; written without looking at the SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from tests.given.plain_model import Moment, board, drifts, homes, merged
from tests.given.plain_words import Event, Row, Said, item_id_of, posts, subscriptions, votes

FOR_EVER = datetime.max.replace(tzinfo=UTC)
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Question:
    """What is counted: in steps how long, in which calendar, from when to when, as known at a moment."""

    bucket: str
    zone: str
    begins: datetime
    until: datetime
    known: Moment
    at: datetime
    """The moment that is read, by Sleekplan's clock: no step begins after it."""


def start_of(time: datetime, bucket: str, zone: str) -> datetime:
    """Return when the step of a time began: an hour that comes twice is two, a midnight the first of two."""
    local = time.astimezone(ZoneInfo(zone))
    if bucket == "HOUR":
        return (local.replace(minute=0, second=0, microsecond=0)).astimezone(UTC)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if bucket == "WEEK":
        day -= timedelta(days=day.weekday())
    if bucket == "MONTH":
        day = day.replace(day=1)
    return day.astimezone(UTC)


def steps(asked: Question, earliest: datetime) -> list[tuple[datetime, datetime]]:
    """Return the steps that a window touches, each with its end: that of the window, where it comes first."""
    begins = max(asked.begins, earliest)
    if begins > asked.at or begins >= asked.until:
        return []
    starts, time = set(), begins
    while time <= asked.at and time < asked.until:
        starts.add(start_of(time, asked.bucket, asked.zone))
        time += timedelta(minutes=15)
    last = min(asked.at, asked.until - timedelta(microseconds=1))
    found = sorted(starts | {start_of(last, asked.bucket, asked.zone)})
    return [(start, min(end, asked.until)) for start, end in pairwise([*found, FOR_EVER])]


def _seen(events: Iterable[Event], asked: Question) -> list[Event]:
    return [event for event in events if asked.known.knows(event)]


def _earliest(seen: Iterable[Event], asked: Question) -> datetime:
    return min((event.occurred_at for event in seen), default=asked.at)


def _by(end: datetime, said: Iterable[Said]) -> list[Said]:
    """Return what was said before a time, the newest last."""
    return sorted((one for one in said if one.event.occurred_at < end), key=lambda one: one.key)


# Of a board ----------------------------------------------------------------------------------------


def event_series(events: list[Event], asked: Question) -> list[Row]:
    inside = [e for e in _seen(events, asked) if asked.begins <= e.occurred_at < asked.until]
    counted = Counter(start_of(event.occurred_at, asked.bucket, asked.zone) for event in inside)
    return [
        {
            "t": start,
            "events": number,
            "lastPosition": max(
                e.position for e in inside if start_of(e.occurred_at, asked.bucket, asked.zone) == start
            ),
        }
        for start, number in sorted(counted.items())
    ]


def _stands(said: Iterable[Said]) -> bool:
    """Whether an item stands on the board by what was said of it."""
    told = [one for one in said if one.event.entity == "item" and one.event.is_known]
    return not told or not told[-1].event.action.endswith(".delete")


def _metric(item_id: str, said: list[Said], seen: list[Event], end: datetime, metric: str) -> int | None:
    if metric == "ACTIVITY":
        return sum(item_id_of(event) == item_id and event.occurred_at < end for event in seen) or None
    row = merged(said)
    if metric == "NET_VOTES":
        return row["votes_up"] - row.get("votes_down", 0) if "votes_up" in row else None
    return row.get({"UPVOTES": "votes_up", "COMMENTS": "comments", "SUBSCRIBERS": "subscribers"}[metric])


def _board_at(seen: list[Event], end: datetime, metric: str) -> dict[str, int]:
    """Return what stands on the board at the end of a step, and what it is ranked by."""
    said = posts(seen)
    found = {}
    for item_id in {item for event in seen if (item := item_id_of(event)) is not None}:
        told = _by(end, said.get(item_id, []))
        value = _metric(item_id, told, seen, end, metric)
        if value is not None and _stands(told):
            found[item_id] = value
    return found


def rank_history(events: list[Event], asked: Question, metric: str, top: int) -> dict[str, list[Row]]:
    seen = _seen(events, asked)
    boards = [(start, _board_at(seen, end, metric)) for start, end in steps(asked, _earliest(seen, asked))]
    places: dict[str, list[Row]] = {}
    for start, values in boards:
        for item_id, value in values.items():
            rank = 1 + sum(other > value for other in values.values())
            places.setdefault(item_id, []).append({"t": start, "rank": rank, "value": value})
    last = boards[-1][0] if boards else None
    return {
        item_id: points
        for item_id, points in places.items()
        if points[-1]["t"] == last and points[-1]["rank"] <= top
    }


def movers(events: list[Event], asked: Question, metric: str) -> list[Row]:
    """Return what each item gained in the window, and in the one of that length before it."""
    seen = _seen(events, asked)
    last = min(asked.until, asked.at)
    ends = min(asked.until, asked.at + timedelta(microseconds=1))
    now, before = _board_at(seen, ends, metric), _board_at(seen, asked.begins, metric)
    found = []
    for item_id, value in now.items():
        said = _by(FOR_EVER, posts(seen).get(item_id, []))

        def value_at(
            time: datetime, item_id: str = item_id, value: int = value, said: list[Said] = said
        ) -> int:
            then = _metric(item_id, _by(time, said), seen, time, metric)
            if then is not None:
                return then
            created = merged(said).get("created_at")
            if metric == "ACTIVITY" or (created is not None and created >= time):
                return 0
            firsts = (_metric(item_id, [one], seen, FOR_EVER, metric) for one in said)
            return next((first for first in firsts if first is not None), value)

        begin = value_at(asked.begins)
        if value != begin:
            there = before.get(item_id)
            previous = begin - value_at(asked.begins - (last - asked.begins))
            found.append(
                {
                    "item": item_id,
                    "gained": value - begin,
                    "gainedPrevious": previous,
                    "acceleration": value - begin - previous,
                    "rankNow": 1 + sum(other > value for other in now.values()),
                    "rankBefore": None
                    if there is None
                    else 1 + sum(other > there for other in before.values()),
                }
            )
    return sorted(found, key=lambda mover: (-mover["gained"], mover["item"]))


def status_backlog(events: list[Event], asked: Question) -> list[Row]:
    seen = _seen(events, asked)
    said = posts(seen)
    points = []
    for start, end in steps(asked, _earliest(seen, asked)):
        found: dict[str, tuple[int, int]] = {}
        for of_item in said.values():
            told = _by(end, of_item)
            row = merged(told)
            if "status" in row and _stands(told):
                items, net = found.get(row["status"], (0, 0))
                gained = row["votes_up"] - row.get("votes_down", 0) if "votes_up" in row else 0
                found[row["status"]] = items + 1, net + gained
        points.append({"t": start, "byStatus": found})
    return points


def satisfaction_series(events: list[Event], asked: Question, group: str) -> list[Row]:
    seen = _seen(events, asked)
    answers = [a for a in board(events, asked.known).answers.values() if a["group"] == group and "value" in a]
    points = []
    for start, end in steps(asked, _earliest(seen, asked)):
        inside = [a for a in answers if max(start, asked.begins) <= a["answered_at"] < end]
        counted = [a["value"] for a in inside if a["superseded_at"] is None]
        points.append(
            {
                "t": start,
                "n": len(counted),
                "avg": sum(counted) / len(counted) if counted else None,
                "replacedAnswers": len(inside) - len(counted),
            }
        )
    return points


# Of an item ----------------------------------------------------------------------------------------


def _steps_of(item_id: str, events: list[Event], asked: Question) -> list[tuple[datetime, datetime]]:
    seen = _seen(events, asked)
    home = homes(events)
    about = [event.occurred_at for event in seen if home[event.position] == item_id]
    created = merged(posts(seen).get(item_id, [])).get("created_at", FOR_EVER)
    return steps(asked, min([created, *about]))


def _of_item(found: dict[tuple[str, str], list[Said]], item_id: str) -> list[list[Said]]:
    return [said for (item, _), said in found.items() if item == item_id]


def _count(said: Iterable[Said], inside: Callable[[datetime], bool], which: Callable[[Row], bool]) -> int:
    return sum(inside(one.event.occurred_at) and which(one.fields) for one in said)


def vote_series(item_id: str, events: list[Event], asked: Question) -> list[Row]:
    """Count the votes as they were told; a total that fell without a word is taken for withdrawn votes."""
    seen = _seen(events, asked)
    told = []
    for said in _of_item(votes(seen), item_id):
        of_vote = _by(FOR_EVER, said)
        told += [replace(one, fields=merged(of_vote[: n + 1])) for n, one in enumerate(of_vote)]
    points = []
    for start, end in _steps_of(item_id, events, asked):

        def inside(time: datetime, start: datetime = start, end: datetime = end) -> bool:
            return max(start, asked.begins) <= time < end

        row = merged(_by(end, posts(seen).get(item_id, [])))
        points.append(
            {
                "t": start,
                "up": _count(told, inside, lambda vote: not vote["withdrawn"] and vote.get("value") != -1),
                "down": _count(told, inside, lambda vote: not vote["withdrawn"] and vote.get("value") == -1),
                "withdrawn": _count(told, inside, lambda vote: vote["withdrawn"])
                + _concluded(item_id, events, asked, inside),
                "cumulative": row["votes_up"] - row.get("votes_down", 0) if "votes_up" in row else None,
            }
        )
    return points


def _concluded(item_id: str, events: list[Event], asked: Question, inside: Callable[[datetime], bool]) -> int:
    of_event: dict[int, dict[str, int]] = {}
    for drift in drifts(events):
        of_event.setdefault(drift["position"], {})[drift["field"]] = drift["delta"]
    fallen = 0
    for event in _seen(events, asked):
        moved = of_event.get(event.position, {})
        turned = moved.get("votes_up", 0) == -moved.get("votes_down", 0)
        if item_id_of(event) == item_id and inside(event.occurred_at) and not turned:
            fallen -= sum(delta for delta in moved.values() if delta < 0)
    return fallen


def subscriber_series(item_id: str, events: list[Event], asked: Question) -> list[Row]:
    everybody = _of_item(subscriptions(_seen(events, asked)), item_id)
    told = [one for said in everybody for one in said]
    points = []
    for start, end in _steps_of(item_id, events, asked):

        def inside(time: datetime, start: datetime = start, end: datetime = end) -> bool:
            return max(start, asked.begins) <= time < end

        following = [_by(end, said)[-1].fields["active"] for said in everybody if _by(end, said)]
        points.append(
            {
                "t": start,
                "added": _count(told, inside, lambda subscription: subscription["active"]),
                "removed": _count(told, inside, lambda subscription: not subscription["active"]),
                "cumulative": sum(following),
            }
        )
    return points
