"""What an item went through and how two moments differ is that of the plain model, of any moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.given import plain_history
from tests.given.any_bodies import about, of_kind
from tests.given.plain_events import facts
from tests.given.plain_history import PROVENANCE
from tests.given.plain_model import Moment, board, drifts
from tests.given.plain_stages import ROLES, lasted, seconds_of
from tests.given.plain_words import Event, actor_of
from tests.given.plain_world import NOW, World, a_world, examples, run_examples
from tests.given.served_state import as_of

FIRST: Final = 1780000000
_HISTORY: Final = """
query ($product: ID!, $asOf: AsOf, $since: DateTime!) {
  items(productId: $product, asOf: $asOf, filter: {deleted: null}) {
    nodes {
      sleekplanId
      timeline { totalCount nodes { position } }
      statusHistory {
        from { key } to { key } enteredAt leftAt at lasted item { sleekplanId } causedBy { position }
      }
      revisions {
        at position changes { field before after } votesBefore { up down } votesAfter { up down }
        event { position } by { sleekplanId }
      }
      ...Origins
      sinceTime: votesSince(time: $since) { up down }
      sinceOpen: votesSince(statusEntered: "open") { up down }
      voteJumps(minDelta: 1) { at position delta likelyCause nearbyEvents { position } }
      inferences { position field delta kind likelyCause }
      moves: timeline(types: [ITEM_STATUS_CHANGED]) { nodes { position } }
      titles: revisions(fields: ["title"]) { position }
      productId typeLabel timeInStatus status { key label role } statusSince type
    }
  }
}
"""
_ORIGIN: Final = 'from_{0}: provenance(field: "{0}") {{ field position value event {{ position }} }}'
HISTORY: Final = (
    _HISTORY + f"fragment Origins on Item {{ {' '.join(_ORIGIN.format(name) for name in PROVENANCE)} }}"
)
DIFFERENCE: Final = """
query ($product: ID!, $from: AsOf!, $to: AsOf) {
  boardDiff(productId: $product, from: $from, to: $to) {
    added { sleekplanId } removed { sleekplanId }
    changed { before { sleekplanId } after { sleekplanId } changes { field before after } }
    addedCount removedCount changedCount
  }
}
"""
totals = st.fixed_dictionaries(
    {"total_up": st.integers(0, 4), "total_down": st.integers(0, 2), "total_comments": st.integers(0, 1)}
)
said_of_items = st.builds(
    lambda item_id, numbers, texts: {"feedback_id": item_id} | numbers | texts,
    st.sampled_from([1, 1, 2, 3]),
    totals | st.just({}),
    about(
        {},
        title=st.sampled_from(["a", "b"]),
        status=st.sampled_from(["open", "planned", "done", "merged"]),
        effort=st.integers(0, 1),
        tags=st.sampled_from([["a"], ["a", "b"], ["b", "a"], [{"key": "c"}], []]),
        owner_id=st.sampled_from([0, "", 5, "5", 6]),
        estimated=st.sampled_from(["", "soon", "2026-09"]),
        merge_id=st.sampled_from([0, 1, 2]),
        trend=st.sampled_from(["0.5", 2]),
        type=st.sampled_from(["a", "open"]),
        created=st.sampled_from(["2026-05-01 10:00:00", "2026-05-28 20:26:42"]),
        updated=st.sampled_from(["2026-05-01 10:00:00", "2026-05-02 10:00:00"]),
    ),
)
bodies = (
    of_kind("item.create,update,update,update,update,delete,pin", said_of_items)
    | of_kind("item.create,update,update,update,update,delete,pin", said_of_items)
    | of_kind(
        "vote.create,create,delete,remove",
        st.builds(lambda post, user: {"feedback_item": post, "user_id": user}, said_of_items, st.just(5)),
    )
    | of_kind("comment.create,update,delete", about({"comment_id": 1}, feedback_id=st.integers(1, 2)))
)
moments = st.tuples(
    st.none() | st.integers(0, 12), st.none() | st.integers(-1, 7), st.sampled_from(["happened", "recorded"])
)


@pytest.fixture
async def world(pool: asyncpg.Pool) -> AsyncIterator[World]:
    async with a_world(pool) as world:
        yield world


@pytest.mark.parametrize("max_examples", [25, pytest.param(1000, marks=pytest.mark.torture)])
async def test_histories_and_diffs_are_those_of_the_plain_model(world: World, max_examples: int) -> None:
    @examples(max_examples)
    @given(
        arrivals=st.lists(st.tuples(bodies, st.integers(FIRST, FIRST + 6)), min_size=2, max_size=12),
        batch_ends=st.lists(st.booleans(), min_size=12, max_size=12),
        two=st.tuples(moments, moments),
    )
    async def holds(arrivals: Any, batch_ends: list[bool], two: Any) -> None:
        world.product_id += 1
        events = await world.record(arrivals, [NOW] * len(arrivals))

        await world.follow(events, batch_ends)

        earlier, later = (_moment(events, *each) for each in two)
        for moment in (Moment(), earlier):
            await _compare_items(world, events, moment)
        await _compare_moments(world, events, earlier, later)

    await run_examples(holds)


def _moment(events: list[Event], position: int | None, time: int | None, clock: str) -> Moment:
    if position is None and time is None:
        position = len(events)
    known = None if position is None else events[0].position - 1 + min(position, len(events))
    if time is None:
        return Moment(known)
    if clock == "happened":
        return Moment(known, datetime.fromtimestamp(FIRST + time, UTC))
    return Moment(known, None, events[max(0, min(2 * time, len(events) - 1))].recorded_at)


async def _compare_items(world: World, events: list[Event], moment: Moment) -> None:
    since = datetime.fromtimestamp(FIRST + 3, UTC)
    answer = await world.ask(HISTORY, asOf=as_of(moment), since=since.isoformat())
    seen = [event for event in events if moment.knows(event)]
    at = await world.read_at(moment)
    kinds = facts(events)
    for item in answer["items"]["nodes"]:
        key = item["sleekplanId"]
        happened = [node["position"] for node in item["timeline"]["nodes"]]
        assert happened == plain_history.timeline(events, moment, key)
        assert item["timeline"]["totalCount"] == len(happened)
        moves = [position for position in happened if kinds[position].type == "ITEM_STATUS_CHANGED"]
        assert [node["position"] for node in item["moves"]["nodes"]] == moves
        periods = plain_history.status_history(seen, key)
        assert [_period(period, key) for period in item["statusHistory"]] == [
            period | {"lasted": lasted(period, at)} for period in periods
        ]
        revisions = plain_history.revisions(seen, key)
        actors = {event.position: actor_of(event) for event in events if event.entity == "item"}
        assert [_revision(each, actors) for each in item["revisions"]] == revisions
        titles = [each["position"] for each in revisions if "title" in each["changes"]]
        assert [each["position"] for each in item["titles"]] == titles
        for name in PROVENANCE:
            _compare_origin(item[f"from_{name}"], name, plain_history.provenance(seen, key, name))
        opened = next((p["enteredAt"] for p in reversed(periods) if p["to"] == "open"), None)
        for name, time in (("sinceTime", since), ("sinceOpen", opened)):
            assert _pair(item[name]) == plain_history.votes_since(seen, key, time)
        _compare_totals(item, events, seen)
        _compare_labels(world, item, at)


def _compare_origin(told: Any, name: str, expected: tuple[int, Any] | None) -> None:
    if told is None or expected is None:
        assert told is expected
        return
    value = _time(told["value"]) if name == "createdAt" else told["value"]
    assert (told["field"], told["position"], value) == (name, *expected)
    assert told["event"]["position"] == told["position"]


def _compare_totals(item: Any, events: list[Event], seen: list[Event]) -> None:
    """Hold what its totals did, and what was concluded from that, against the plain model."""
    known = {event.position for event in seen}
    concluded = [
        drift
        for drift in drifts(events)
        if drift["item"] == item["sleekplanId"] and drift["position"] in known
    ]
    assert item["inferences"] == [
        {name: drift[name] for name in ("position", "delta", "kind", "likelyCause")}
        | {"field": {"votes_up": "votesUp", "votes_down": "votesDown"}[drift["field"]]}
        for drift in concluded
    ]
    jumps = [jump | {"at": _time(jump["at"])} for jump in item["voteJumps"]]
    around = [[event["position"] for event in jump.pop("nearbyEvents")] for jump in jumps]
    assert jumps == plain_history.jumps(seen, item["sleekplanId"], concluded)
    assert around == [plain_history.nearby(events, seen, jump["position"]) for jump in jumps]


def _compare_labels(world: World, item: Any, at: datetime) -> None:
    """Hold what the configuration says of its keys: common statuses have a label and a stage."""
    assert item["productId"] == str(world.product_id)
    assert item["typeLabel"] is None
    status = item["status"]
    if status is None:
        assert item["timeInStatus"] is None
    else:
        assert (status["label"], status["role"]) == (status["key"].capitalize(), ROLES[status["key"]])
        since = datetime.fromisoformat(item["statusSince"])
        assert seconds_of(item["timeInStatus"]) == lasted({"enteredAt": since, "leftAt": None}, at)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _pair(votes: dict[str, Any] | None) -> tuple[int | None, int | None]:
    return (None, None) if votes is None else (votes["up"], votes["down"])


def _period(told: dict[str, Any], item_id: str) -> dict[str, Any]:
    assert told["causedBy"]["position"] == told["at"]
    assert told["item"]["sleekplanId"] == item_id
    return {
        "lasted": seconds_of(told["lasted"]),
        "from": told["from"] and told["from"]["key"],
        "to": told["to"]["key"],
        "enteredAt": _time(told["enteredAt"]),
        "leftAt": _time(told["leftAt"]),
        "at": told["at"],
    }


def _revision(told: dict[str, Any], actors: dict[int, str | None]) -> dict[str, Any]:
    assert told["event"]["position"] == told["position"]
    assert (told["by"] and told["by"]["sleekplanId"]) == actors.get(told["position"])
    return {
        "at": _time(told["at"]),
        "position": told["position"],
        "changes": _changes(told["changes"]),
        "votesBefore": _pair(told["votesBefore"]),
        "votesAfter": _pair(told["votesAfter"]),
    }


def _changes(told: list[dict[str, Any]]) -> dict[str, tuple[Any, Any]]:
    return {change["field"]: (change["before"], change["after"]) for change in told}


async def _compare_moments(world: World, events: list[Event], earlier: Moment, later: Moment) -> None:
    answer = await world.ask(DIFFERENCE, **{"from": as_of(earlier), "to": as_of(later)})
    found = answer["boardDiff"]
    for each in found["changed"]:
        assert each["before"] == each["after"]
    assert {
        "added": [item["sleekplanId"] for item in found["added"]],
        "removed": [item["sleekplanId"] for item in found["removed"]],
        "changed": {each["after"]["sleekplanId"]: _changes(each["changes"]) for each in found["changed"]},
    } == plain_history.difference(board(events, earlier), board(events, later))
    for name in ("added", "removed", "changed"):
        assert found[f"{name}Count"] == len(found[name])
