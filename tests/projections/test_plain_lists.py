"""Lists of every kind, by filters and orders, are those of the plain model, now and of any moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.ids import decode_id, encode_id
from tests.given.any_bodies import LATE, bodies
from tests.given.plain_filters import FILTERS
from tests.given.plain_lists import LISTS, Listed, in_order, rows_of
from tests.given.plain_model import Moment, board
from tests.given.plain_words import Event, actor_of
from tests.given.plain_world import NOW, World, a_world, examples, run_examples, sees
from tests.given.served_state import as_of, rows

FIRST = 1780000000
BELOW = """
query ($product: ID!, $asOf: AsOf) {
  users(productId: $product, asOf: $asOf, filter: {deleted: null}) {
    nodes {
      sleekplanId
      votes(filter: {withdrawn: null}) { totalCount nodes { key: id } }
      comments(filter: {deleted: null}) { totalCount nodes { key: id } }
      satisfaction { key: id }
      timeline { totalCount nodes { position } }
    }
  }
}
"""
late = st.one_of(*LATE.values())


@pytest.fixture
async def world(pool: asyncpg.Pool) -> AsyncIterator[World]:
    async with a_world(pool) as world:
        yield world


@st.composite
def questions(draw: st.DrawFn) -> dict[str, tuple[dict[str, Any], str, bool, bool]]:
    """Of each list a filter, an order, which way it goes, and from which end it is read."""
    return {
        kind: (
            draw(FILTERS[kind].drawn()),
            draw(st.sampled_from(sorted(listed.orders))),
            draw(st.booleans()),
            draw(st.booleans()),
        )
        for kind, listed in LISTS.items()
    }


@pytest.mark.parametrize("max_examples", [25, pytest.param(800, marks=pytest.mark.torture)])
async def test_lists_in_pages_are_those_of_the_plain_model(world: World, max_examples: int) -> None:
    @examples(max_examples)
    @given(
        arrivals=st.lists(bodies | st.tuples(late, st.integers(FIRST, FIRST + 6)), min_size=2, max_size=14),
        seconds=st.lists(st.sampled_from([False, False, True]), min_size=14, max_size=14),
        batch_ends=st.lists(st.booleans(), min_size=14, max_size=14),
        position=st.integers(0, 14),
        time=st.none() | st.integers(-1, 7),
        clock=st.sampled_from(["happened", "recorded"]),
        asked=questions(),
    )
    async def holds(
        arrivals: Any,
        seconds: list[bool],
        batch_ends: list[bool],
        position: int,
        time: int | None,
        clock: str,
        asked: Any,
    ) -> None:
        world.product_id += 2
        two = (world.product_id - 1, world.product_id)
        products = [two[second] for second, _ in zip(seconds, arrivals, strict=False)]
        events = await world.record(arrivals, [NOW] * len(arrivals), products)

        await world.follow(events, batch_ends)

        known = events[0].position - 1 + min(position, len(events))
        then = Moment(known)
        if time is not None:
            recorded = events[max(0, min(2 * time, len(events) - 1))].recorded_at
            happened = datetime.fromtimestamp(FIRST + time, UTC)
            then = Moment(known, happened) if clock == "happened" else Moment(known, None, recorded)
        of_each = {product: [e for e in events if e.product_id == product] for product in two}
        for moment in (Moment(), then):
            await _compare_lists(world, of_each, moment, asked)
            await _compare_below(world, of_each[world.product_id], moment)

    await run_examples(holds)


async def _compare_lists(
    world: World, of_each: dict[int, list[Event]], moment: Moment, asked: dict[str, Any]
) -> None:
    """Hold each list of both products, as it was asked for, against the plain model."""
    at = await world.read_at(moment)
    window = datetime.fromtimestamp(FIRST + 1, UTC), datetime.fromtimestamp(FIRST + 5, UTC)
    of_products = {
        product: rows_of(events, moment, at, window) for product, events in of_each.items() if events
    }
    first = min(of_each)
    for kind, listed in LISTS.items():
        filter_, order, descending, forwards = asked[kind]
        filter_ = _of_log(filter_, min(events[0].position for events in of_each.values() if events))
        rows = {
            (product, *(key if isinstance(key, tuple) else (key,))): _ids_of(row, product == first)
            for product, found in of_products.items()
            for key, row in found[kind].items()
        }
        chosen = {key: row for key, row in rows.items() if FILTERS[kind].lets_pass(filter_, row)}
        if kind == "events":
            chosen = {(0, int(key[1])): row for key, row in chosen.items()}
        expected = in_order(chosen, listed.orders[order], descending=descending)
        variables = {
            "asOf": as_of(moment),
            "filter": _opaque(filter_, first),
            "orderBy": {"field": order, "direction": "DESC" if descending else "ASC"},
        }
        if kind == "items":
            variables["window"] = {"from": window[0].isoformat(), "to": window[1].isoformat()}
        found = await _walk(world, listed, variables, [*of_each], len(chosen), forwards=forwards)
        assert (kind, found) == (kind, expected)


def _ids_of(row: dict[str, Any], is_first: bool) -> dict[str, Any]:
    """Return a row as filters see it: they name the ids of one product, which no other's thing has."""
    named = () if is_first else [name for name in ("item", "user", "author", "parent") if name in row]
    return row | dict.fromkeys(named, "of another product")


def _of_log(filter_: Any, begins: int) -> Any:
    """Return a filter with its positions counted from where this example begins."""
    if isinstance(filter_, dict):
        return {
            name: {test: begins + number for test, number in value.items()}
            if name == "position"
            else _of_log(value, begins)
            for name, value in filter_.items()
        }
    return [_of_log(each, begins) for each in filter_] if isinstance(filter_, list) else filter_


def _opaque(filter_: Any, product: int) -> Any:
    """Return a filter with `Item:1` as that item's opaque id."""
    if isinstance(filter_, dict):
        return {name: _opaque(value, product) for name, value in filter_.items()}
    if isinstance(filter_, list):
        return [_opaque(each, product) for each in filter_]
    if isinstance(filter_, str) and filter_.startswith(("Item:", "User:", "Comment:")):
        name, key = filter_.split(":")
        return encode_id(name, product, key)
    return filter_


async def _walk(
    world: World,
    listed: Listed,
    variables: Any,
    products: list[int],
    count: int,
    *,
    forwards: bool,
) -> list[Any]:
    """Return a list's keys, from pages of three read forwards or backwards."""
    size, cursor, end, more = (
        ("first", "after", "endCursor", "hasNextPage")
        if forwards
        else ("last", "before", "startCursor", "hasPreviousPage")
    )
    found: list[Any] = []
    info: dict[str, Any] = {more: True, end: None}
    while info[more]:
        asked = {**variables, size: 3, cursor: info[end]}
        page = (await world.ask(query_of(listed), sees(*products), **asked))[listed.name]
        assert (listed.name, variables, page["totalCount"]) == (listed.name, variables, count)
        assert [edge["node"]["id"] for edge in page["edges"]] == [node["id"] for node in page["nodes"]]
        keys = [_key(node["id"]) for node in page["nodes"]]
        found = [*found, *keys] if forwards else [*keys, *found]
        info = page["pageInfo"]
        if keys:
            ends = [info["startCursor"], info["endCursor"]]
            assert [page["edges"][0]["cursor"], page["edges"][-1]["cursor"]] == ends
    return found


def _key(id: str) -> tuple[Any, ...]:
    told = decode_id(id)
    return (0, int(told.parts[0])) if told.type_name == "Event" else (told.product_id, *told.parts)


def query_of(listed: Listed) -> str:
    """Return the query for a page of a list of whatever products the caller sees."""
    name, window = listed.name, listed.name == "items"
    return f"""
    query (
      $asOf: AsOf, $filter: {listed.filter}, $orderBy: {listed.filter.removesuffix("Filter")}OrderBy,
      $first: Int, $after: String, $last: Int, $before: String{", $window: Window" if window else ""}
    ) {{
      {name}(
        asOf: $asOf, filter: $filter, orderBy: $orderBy, first: $first, after: $after,
        last: $last, before: $before{", window: $window" if window else ""}
      ) {{
        totalCount nodes {{ id }} edges {{ cursor node {{ id }} }}
        pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
      }}
    }}
    """


async def _compare_below(world: World, events: list[Event], moment: Moment) -> None:
    """Hold what is read below users: what they did, and what is theirs."""
    plain = board(events, moment)
    answer = await world.ask(BELOW, asOf=as_of(moment))
    for user in answer["users"]["nodes"]:
        key = user["sleekplanId"]
        did = [event for event in events if moment.knows(event) and actor_of(event) == key]
        did.sort(key=lambda event: (event.occurred_at, event.position))
        assert [node["position"] for node in user["timeline"]["nodes"]] == [event.position for event in did]
        assert user["timeline"]["totalCount"] == len(did)
        for name, of_all, who in (
            ("votes", plain.votes, "user_id"),
            ("comments", plain.comments, "author_id"),
        ):
            mine = {thing for thing, row in of_all.items() if row.get(who) == key}
            assert (name, set(rows(user[name]))) == (name, mine)
            assert user[name]["totalCount"] == len(mine)
        given = [thing for thing, row in plain.answers.items() if row.get("user_id") == key]
        assert set(rows({"nodes": user["satisfaction"]})) == set(given)
