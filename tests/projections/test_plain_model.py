"""Following live = rebuilding = the rules in plain Python, as GraphQL serves them now and of any moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from projections.rebuild.verify import verify
from tests.given import plain_events, plain_model, plain_words
from tests.given.any_bodies import LATE, bodies
from tests.given.plain_model import Moment
from tests.given.plain_words import Event
from tests.given.plain_world import World, a_world, run_examples
from tests.given.served_state import Rows, row, rows, served, served_others

RECEIVED = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


class History(NamedTuple):
    """What arrives, in its order, when, and where batches end; and a moment to look back to."""

    arrivals: list[tuple[tuple[str, dict[str, Any]], Any]]
    received: list[datetime]
    batch_ends: list[bool]
    position: int | None
    time: int | None
    clock: str


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Any list of events, shuffled by being drawn in any order, with copies of some."""
    sent = draw(st.lists(bodies, min_size=1, max_size=12))
    copies = draw(st.lists(st.sampled_from(sent), max_size=3))
    arrivals = [*sent, *copies]
    size = len(arrivals)
    minutes = draw(st.lists(st.integers(0, 40), min_size=size, max_size=size))
    ends = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    return History(
        arrivals,
        [RECEIVED + timedelta(minutes=m) for m in minutes],
        ends,
        draw(st.none() | st.integers(0, size)),
        draw(st.none() | st.integers(0, size - 1)),
        draw(st.sampled_from(["happened", "recorded"])),
    )


@pytest.fixture
async def world(pool: asyncpg.Pool) -> AsyncIterator[World]:
    async with a_world(pool) as world:
        yield world


def _differences(served: Rows, plain: Rows) -> list[tuple[Any, str, Any, Any]]:
    """Each thing and field of which both do not say the same, with what they say."""
    return [
        (key, name, served.get(key, {}).get(name), plain.get(key, {}).get(name))
        for key in served.keys() | plain.keys()
        for name in {"key", *served.get(key, {}), *plain.get(key, {})}
        if not name.startswith("_")
        if (key in served, served.get(key, {}).get(name)) != (key in plain, plain.get(key, {}).get(name))
    ]


async def _compare(world: World, events: list[Event], at: Moment) -> None:
    """Hold what is served of every read model at a moment against the plain model."""
    answer = await served(world, at)
    plain = plain_model.board(events, at)

    for name in ("items", "users", "votes", "subscriptions", "comments", "entries", "answers"):
        assert (name, _differences(rows(answer[name]), getattr(plain, name))) == (name, [])
    for name, of_kind in (("item", plain.items), ("user", plain.users), ("entry", plain.entries)):
        one = {} if answer[name] is None else {"1": row(answer[name])}
        assert (name, _differences(one, _only(of_kind, lambda key, _: key == "1"))) == (name, [])
    if answer["item"] is not None:
        _compare_below_item(answer["item"], plain)
    _compare_best(answer, plain)
    _compare_events(answer, events, at, plain)
    await _compare_of_others(world, events, at)


async def _compare_of_others(world: World, events: list[Event], at: Moment) -> None:
    """Hold what others than the team are told, as of its private notes, against the plain model."""
    answer = await served_others(world, at)
    plain = plain_model.board(events, at, personal=False)
    for name in ("items", "comments"):
        assert (name, _differences(rows(answer[name]), getattr(plain, name))) == (name, [])
    hidden = plain_model.notes(events)
    told = {event.position for event in events if at.knows(event)} - hidden
    assert {node["position"] for node in answer["events"]["nodes"]} == told


def _compare_below_item(item: Any, plain: plain_model.Board) -> None:
    """Hold what is read below the item 1 against the plain model."""
    for name, found in (
        ("castVotes", plain.votes),
        ("followers", plain.subscriptions),
        ("said", plain.comments),
    ):
        of_item = _only(found, lambda _, row: row.get("item_id") == "1")
        assert (name, _differences(rows(item[name]), of_item)) == (name, [])
    behind = {
        vote.get("user_id")
        for vote in plain.votes.values()
        if vote["item_id"] == "1" and not vote["withdrawn"] and vote.get("value") != -1
    }
    assert {node["sleekplanId"] for node in item["voters"]["nodes"]} == behind - {None}


def _only(rows: Rows, chosen: Callable[[Any, dict[str, Any]], bool]) -> Rows:
    return {key: row for key, row in rows.items() if chosen(key, row)}


def _compare_best(answer: Any, plain: plain_model.Board) -> None:
    """Hold the items by votes, most first, of which the shorter pages are found in another way."""
    net = {key: item.get("votes_net") for key, item in plain.items.items() if not item["deleted"]}
    ranked = sorted(net, key=lambda key: (net[key] is None, -(net[key] or 0), key))
    for name, most in (("best", 1), ("best_two", 2), ("all", 50)):
        assert (name, [node["sleekplanId"] for node in answer[name]["nodes"]]) == (name, ranked[:most])


def _compare_events(answer: Any, events: list[Event], at: Moment, known: plain_model.Board) -> None:
    """Hold what each event is said to be, and to have changed, and what was concluded, by arrival."""
    facts = plain_events.facts(events)
    seen = [event for event in events if at.knows(event)]
    told = {node["position"]: node for node in answer["events"]["nodes"]}
    assert [*told] == [event.position for event in seen]
    for event in seen:
        node, fact = told[event.position], facts[event.position]
        named = plain_events.names(event, events, seen, known)
        assert _event(node) == {
            "productId": str(event.product_id),
            "type": fact.type,
            "action": event.action,
            "entity": event.entity,
            "origin": "WEBHOOK",
            "occurredAt": event.occurred_at,
            "occurredAssumed": event.occurred_assumed,
            "recordedAt": event.recorded_at,
            "deliveries": event.deliveries,
            "erased": False,
            "rawPayload": event.body,
            "changes": fact.changes,
            **named,
        }
        assert set(node["changedFields"]) == fact.changes.keys()
        for change in node["changes"]:
            assert plain_events.words_say(change)
        for phrase in plain_events.phrases(fact, named, known):
            assert phrase in node["summary"]
    expected = [
        drift | {"field": {"votes_up": "votesUp", "votes_down": "votesDown"}[drift["field"]]}
        for drift in plain_model.drifts(events)
        if drift["position"] in told
    ]
    newest_first = sorted(expected, key=lambda drift: -drift["position"])
    assert [_inference(each) for each in answer["drift"]] == newest_first


_AS_THEY_ARE: Final = (
    *("productId", "type", "action", "entity", "origin", "occurredAssumed", "deliveries", "erased"),
    "rawPayload",
)


def _event(node: Any) -> dict[str, Any]:
    told = {name: node[name] for name in _AS_THEY_ARE}
    told |= {name: datetime.fromisoformat(node[name]) for name in ("occurredAt", "recordedAt")}
    for name in ("item", "user", "comment", "changelogEntry", "satisfactionAnswer"):
        told[name] = node[name] and node[name]["sleekplanId"]
    changes = {each["field"]: (_value(each, "before"), _value(each, "after")) for each in node["changes"]}
    return told | {"changes": changes}


def _value(change: Any, which: str) -> Any:
    value = change[which]
    return datetime.fromisoformat(value) if change["field"].endswith("At") and value else value


def _inference(node: Any) -> dict[str, Any]:
    assert node.pop("origin") == "INFERRED"
    told: dict[str, Any] = node | {"item": node["item"]["sleekplanId"]}
    return told | {"seenAt": datetime.fromisoformat(node["seenAt"])}


@pytest.mark.parametrize("style", ["ISO, MDY", "ISO, DMY", "German", "SQL, DMY"])
async def test_moments_are_read_as_the_plain_model_reads_them_in_sessions_of_any_date_style(
    world: World, style: str
) -> None:
    texts = [
        *("2026-05-01 10:00:00", "2026-12-31 23:59:59", "1000-01-01 00:00:00", "9999-12-31 23:59:59"),
        *("2024-02-29 00:00:00", "2000-02-29 00:00:00", "2026-02-29 00:00:00", "1900-02-29 00:00:00"),
        *("2026-02-30 10:00:00", "2026-04-31 10:00:00", "2026-13-01 10:00:00", "2026-00-10 10:00:00"),
        *("0000-00-00 00:00:00", "0999-01-01 00:00:00", "2026-01-00 10:00:00", "2026-05-01 24:00:00"),
        *("2026-05-01 23:60:00", "2026-05-01 23:59:60", "2026-05-01 9:00:000", "2026-05-01  9:00:00"),
        *("2026-05- 1 09:00:00", "2026-05-01T10:00:00", "2026-05-01 10:00:0Z", "2026-05-01 10:00:0+"),
        *("2026-05-01 T1:00:00", "01.05.2026 10:00:00", "01/05/2026 10:00:00", "26-05-2001 10:00:00"),
        *("2026-05-01 1::00:00", "2026-05-0: 10:00:00", "2026-05-01 10:0;:00", "20<6-05-01 10:00:00"),
        *("2026-05-0= 10:00:00", "202>-05-01 10:00:00", "2026-05-01 10:00:0?", "2026-05-1é 10:00:00"),
        *("12026-05-01 10:00:00", "2026-05-01 10:00:00.5", "2026-05-01 10:00", "2026-05-01", "infinity"),
        *("2026-05-01 10:00 BC", "2026-05-01 10:00:00 BC", "now", "٢٠٢٦-05-01 10:00:00", "", None),
    ]
    async with world.pool.acquire() as connection:
        await connection.execute("select set_config('datestyle', $1, false)", style)
        try:
            found = await connection.fetch(
                "select v, read_model.moment_of(v) as moment from unnest($1::text[]) as t (v)", texts
            )
        finally:
            await connection.execute("reset datestyle")
    assert {r["v"]: r["moment"] for r in found} == {text: plain_words.moment(text) for text in texts}


@pytest.mark.parametrize("max_examples", [50, pytest.param(1000, marks=pytest.mark.torture)])
async def test_following_in_any_batches_equals_the_plain_model_and_a_rebuild(
    world: World, max_examples: int
) -> None:
    await _compare_histories(world, max_examples=max_examples, derandomize=max_examples < 100)

    report = await verify(world.pool, events_a_step=37)
    assert report.equal, [(t.table, t.differences) for t in report.tables if not t.equal]


@pytest.mark.parametrize("bound", ["position", "happened", "recorded"])
async def test_control_a_moment_that_knows_more_than_it_may_is_noticed(
    world: World, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows = Moment.knows
    monkeypatch.setattr(Moment, "knows", lambda at, event: knows(replace(at, **{bound: None}), event))

    with pytest.raises(AssertionError):
        await _compare_histories(world, max_examples=60, phases=[Phase.generate])


async def _compare_histories(world: World, **how: Any) -> None:
    """Follow any histories, and hold what is served of each, now and of a moment, against the plain model."""

    @settings(
        **{"derandomize": True, "report_multiple_bugs": False, **how},
        deadline=None,
        database=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.function_scoped_fixture,
            HealthCheck.data_too_large,
        ],
    )
    @given(history=histories())
    async def holds(history: History) -> None:
        world.product_id += 1
        events = await world.record(history.arrivals, history.received)

        await world.follow(events, history.batch_ends)

        await _compare(world, events, Moment())
        await _compare(world, events, _moment(history, events))

    await run_examples(holds)


def _moment(history: History, events: list[Event]) -> Moment:
    position, happened, recorded = history.position, None, None
    if position is not None:
        position = events[0].position - 1 + min(position, len(events))
    if history.time is not None:
        event = events[min(history.time, len(events) - 1)]
        if history.clock == "happened":
            happened = event.occurred_at
        else:
            recorded = event.recorded_at
    return Moment(position, happened, recorded)


@pytest.mark.parametrize("max_examples", [8, pytest.param(150, marks=pytest.mark.torture)])
async def test_what_comes_late_is_history_from_its_own_time_to_the_next(
    world: World, max_examples: int
) -> None:
    for kind in LATE:
        await _compare_late(world, kind, max_examples=max_examples * (2 if kind == "posts" else 1))

    report = await verify(world.pool, events_a_step=11)
    assert report.equal, [(t.table, t.differences) for t in report.tables if not t.equal]


async def _compare_late(world: World, kind: str, *, max_examples: int) -> None:
    """Follow what is about few things and comes in any order, and hold it against the plain model."""

    @settings(
        max_examples=max_examples,
        deadline=None,
        derandomize=max_examples < 100,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(
        arrivals=st.lists(st.tuples(LATE[kind], st.integers(1780000000, 1780000006)), min_size=3, max_size=9),
        batch_ends=st.lists(st.booleans(), min_size=9, max_size=9),
        moment=st.tuples(st.integers(1, 9), st.integers(1780000000, 1780000006)),
    )
    async def holds(arrivals: Any, batch_ends: list[bool], moment: tuple[int, int]) -> None:
        world.product_id += 1
        events = await world.record(arrivals, [RECEIVED] * len(arrivals))

        await world.follow(events, batch_ends)

        await _compare(world, events, Moment())
        position = events[0].position - 1 + min(moment[0], len(events))
        await _compare(world, events, Moment(position, datetime.fromtimestamp(moment[1], UTC)))

    await run_examples(holds)
