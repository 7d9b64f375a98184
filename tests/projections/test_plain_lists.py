"""Lists of every kind, by filters and orders, are those of the plain model, now and of any moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.given.any_bodies import LATE, bodies
from tests.given.plain_lists import LISTS, Listed, in_order
from tests.given.plain_model import Moment, board
from tests.given.plain_words import Event, actor_of
from tests.given.plain_world import NOW, World, a_world, run_examples
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


@pytest.mark.parametrize("max_examples", [15, pytest.param(600, marks=pytest.mark.torture)])
async def test_lists_in_pages_are_those_of_the_plain_model(world: World, max_examples: int) -> None:
    @settings(
        max_examples=max_examples,
        deadline=None,
        derandomize=max_examples < 100,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(
        arrivals=st.lists(bodies | st.tuples(late, st.integers(FIRST, FIRST + 6)), min_size=2, max_size=14),
        batch_ends=st.lists(st.booleans(), min_size=14, max_size=14),
        position=st.integers(0, 14),
        time=st.none() | st.integers(-1, 7),
        filter_=st.integers(0, 59),
        descending=st.booleans(),
    )
    async def holds(
        arrivals: Any,
        batch_ends: list[bool],
        position: int,
        time: int | None,
        filter_: int,
        descending: bool,
    ) -> None:
        world.product_id += 1
        events = await world.record(arrivals, [NOW] * len(arrivals))

        await world.follow(events, batch_ends)

        then = Moment(
            events[0].position - 1 + min(position, len(events)),
            None if time is None else datetime.fromtimestamp(FIRST + time, UTC),
        )
        for moment in (Moment(), then):
            plain = board(events, moment)
            for kind, listed in LISTS.items():
                chosen = listed.chosen(getattr(plain, kind), filter_ % len(listed.filters))
                order = sorted(listed.orders)[filter_ % len(listed.orders)]
                await _compare(world, moment, listed, filter_, order, chosen, descending=descending)
            await _compare_below(world, events, moment)

    await run_examples(holds)


async def _compare(
    world: World,
    moment: Moment,
    listed: Listed,
    filter_: int,
    order: str,
    chosen: Any,
    *,
    descending: bool,
) -> None:
    """Walk a list in pages of three, forwards or backwards."""
    size, cursor, end, more = (
        ("first", "after", "endCursor", "hasNextPage")
        if filter_ % 2
        else ("last", "before", "startCursor", "hasPreviousPage")
    )
    query = f"""
    query ($product: ID!, $asOf: AsOf, $filter: {listed.filter}, $cursor: String) {{
      {listed.name}(
        productId: $product, asOf: $asOf, filter: $filter, {size}: 3, {cursor}: $cursor,
        orderBy: {{field: {order}, direction: {"DESC" if descending else "ASC"}}}
      ) {{ totalCount nodes {{ key: id }} pageInfo {{ {more} {end} }} }}
    }}
    """
    found: list[Any] = []
    info: dict[str, Any] = {more: True, end: None}
    while info[more]:
        asked = {"filter": listed.filters[filter_ % len(listed.filters)][0], "cursor": info[end]}
        page = (await world.ask(query, asOf=as_of(moment), **asked))[listed.name]
        assert page["totalCount"] == len(chosen)
        keys = list(rows(page))
        found = [*found, *keys] if size == "first" else [*keys, *found]
        info = page["pageInfo"]
    assert sorted(found) == sorted(chosen)
    assert in_order(chosen, found, listed.orders[order], descending=descending)


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
