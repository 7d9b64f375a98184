"""What is told live of items, and of totals that reach bounds, is what the plain model has of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.given.any_bodies import LATE, bodies
from tests.given.live_board import Board, live_board
from tests.given.plain_model import Moment, board, homes, merged
from tests.given.plain_words import Event, Row, posts
from tests.given.plain_world import NOW, World, examples, run_examples

CHANGES: Final = """
subscription ($product: ID!, $after: Position!) {
  items(productId: $product, after: $after, filter: {deleted: null}) {
    position event { position } before { ...Told } after { ...Told } changes { field before after }
  }
}
fragment Told on Item { sleekplanId title votes { up down } version deleted }
"""
HITS: Final = """
subscription ($product: ID!, $after: Position!, $rules: [Threshold!]!) {
  thresholds(productId: $product, after: $after, rules: $rules) {
    position rule metric value gte crossedAt item { sleekplanId version } event { position }
  }
}
"""
_COMPARED: Final = {
    **{name: name for name in ("title", "description", "status", "type", "effort", "tags", "deleted")},
    "votesUp": "votes_up",
    "votesDown": "votes_down",
    "commentCount": "comments",
    "subscriberCount": "subscribers",
    "owner": "_owner",
    "estimated": "estimated",
    "mergedInto": "_merged",
}
_TOTALS: Final = {
    "NET_VOTES": "votes_net",
    "UPVOTES": "votes_up",
    "COMMENTS": "comments",
    "SUBSCRIBERS": "subscribers",
    "ACTIVITY": "version",
}
# Two posts of an item of its own, of which the second crosses every bound: after it nothing is to come.
_LAST: Final = [
    (("item.update", {"feedback_id": 9, "total_up": up, "title": "last"}), 1780000000) for up in (0, 10**6)
]
late = st.one_of(*LATE.values())
rules = st.fixed_dictionaries(
    {"metric": st.sampled_from(sorted(_TOTALS)), "gte": st.integers(-1, 4)},
    optional={"within": st.sampled_from(["PT1S", "PT4S", "P1D"])},
) | st.fixed_dictionaries({"metric": st.just("UPVOTES"), "gte": st.integers(1, 4)})
_LENGTHS: Final = {"PT1S": timedelta(seconds=1), "PT4S": timedelta(seconds=4), "P1D": timedelta(days=1)}


@pytest.mark.parametrize("max_examples", [8, pytest.param(200, marks=pytest.mark.torture)])
async def test_what_is_told_live_is_that_of_the_plain_model(
    pool: asyncpg.Pool, database_url: str, max_examples: int
) -> None:
    world = World(pool, None)

    @examples(max_examples)
    @given(
        arrivals=st.lists(
            bodies | st.tuples(late, st.integers(1780000000, 1780000006)), min_size=2, max_size=14
        ),
        bounds=st.lists(rules, max_size=3),
    )
    async def holds(arrivals: Any, bounds: list[Any]) -> None:
        world.product_id += 1
        told = [*arrivals, *_LAST]
        events = await world.record(told, [NOW] * len(told))
        await live.projected(events[-1].position)

        found = await _messages(live, "items", CHANGES, events)
        for message in found:
            message["changes"].sort(key=lambda change: str(change["field"]))
        assert found == _changes(events)
        bounds = [*bounds, {"metric": "UPVOTES", "gte": 10**6}]
        hits = await _messages(live, "thresholds", HITS, events, rules=bounds)
        assert hits == _hits(events, bounds)

    async with live_board(database_url) as live:
        try:
            await run_examples(holds)
        finally:
            await world.close()


async def _messages(live: Board, name: str, query: str, events: list[Event], **asked: Any) -> list[Any]:
    """Return what a subscription sends of an example, up to its last event."""
    found: list[Any] = []
    after, last = events[0].position - 1, len(asked.get("rules", [])) - 1
    async with live.socket() as client:
        await client.subscribe(query, product=str(events[0].product_id), after=after, **asked)
        while not found or (found[-1]["position"], found[-1].get("rule", last)) != (
            events[-1].position,
            last,
        ):
            (payload,) = await client.take(1)
            told = payload["data"][name]
            if "crossedAt" in told:
                told["crossedAt"] = datetime.fromisoformat(told["crossedAt"])
            found.append(told)
    return found


def _changes(events: list[Event]) -> list[Any]:
    about = homes(events)
    found = []
    for event in events:
        item_id = about[event.position]
        if item_id is None:
            continue
        before, after = _around(events, event, item_id)
        changed = {
            shown: (before.get(name) if before else None, after.get(name))
            for shown, name in _COMPARED.items()
            if (before or {}).get(name) != after.get(name)
        }
        found.append(
            {
                "position": event.position,
                "event": {"position": event.position},
                "before": before and _told(item_id, before),
                "after": _told(item_id, after),
                "changes": [
                    {"field": field, "before": old, "after": new}
                    for field, (old, new) in sorted(changed.items())
                ],
            }
        )
    return found


def _around(events: list[Event], event: Event, item_id: str) -> tuple[Row | None, Row]:
    before = board(events, Moment(event.position - 1)).items.get(item_id)
    return before, board(events, Moment(event.position)).items[item_id]


def _told(item_id: str, row: Row) -> Row:
    votes = {"up": row.get("votes_up"), "down": row.get("votes_down")}
    return {
        "sleekplanId": item_id,
        "title": row.get("title"),
        "votes": None if votes == {"up": None, "down": None} else votes,
        "version": row["version"],
        "deleted": row["deleted"],
    }


def _hits(events: list[Event], bounds: list[Any]) -> list[Any]:
    about = homes(events)
    found = []
    for event in events:
        item_id = about[event.position]
        if item_id is None:
            continue
        before, after = _around(events, event, item_id)
        for number, rule in enumerate(bounds):
            total = _TOTALS[rule["metric"]]
            then, now = (before or {}).get(total), after.get(total)
            if then is None and (event.action == "item.create" or total == "version"):
                then = 0  # a new item starts at nothing, as our own count of events does
            if then is None or now is None:
                continue
            if "within" in rule:
                is_new = event.action == "item.create" and (before or {}).get(total) is None
                begin = _total_at(events, event, item_id, total, _LENGTHS[rule["within"]], is_new=is_new)
                then, now = then - begin, now - begin
            if then < rule["gte"] <= now:
                found.append(
                    {
                        "position": event.position,
                        "rule": number,
                        "metric": rule["metric"],
                        "value": now,
                        "gte": rule["gte"],
                        "crossedAt": event.occurred_at,
                        "item": {"sleekplanId": item_id, "version": after["version"]},
                        "event": {"position": event.position},
                    }
                )
    return found


def _total_at(
    events: list[Event], event: Event, item_id: str, total: str, within: timedelta, *, is_new: bool
) -> int:
    """Return a total so long before an event; where none was told by then, none, or what was told first."""
    since = event.occurred_at - within
    known = [each for each in events if each.position <= event.position]
    then = board(known, Moment(None, since)).items.get(item_id, {}).get(total)
    if then is not None:
        return int(then)
    created = board(known, Moment()).items[item_id].get("created_at")
    if total == "version" or is_new or (created is not None and created >= since):
        return 0
    said = sorted(posts(known)[item_id], key=lambda one: one.key)
    rows = (merged(said[: number + 1]) for number in range(len(said)))
    if total == "votes_net":
        return next(int(row["votes_up"] - row.get("votes_down", 0)) for row in rows if "votes_up" in row)
    return next(int(row[total]) for row in rows if total in row)
