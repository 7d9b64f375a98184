"""A back-fill sends nothing to who follows items or bounds, unless they ask for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.events import decode
from tests.given.bodies import NOON
from tests.given.live_board import PRODUCT, Board, an_update, live_board

EVENTS = (
    "subscription ($p: ID) { events(productId: $p, after: 0, filter: {origins: [WEBHOOK]}) { position } }"
)
ALL = "subscription ($p: ID) { events(productId: $p, after: 0) { position } }"
ITEMS = "subscription ($p: ID, $o: [Origin!]) { items(productId: $p, after: 0, origins: $o) { position } }"
BOUNDS = """subscription ($p: ID, $o: [Origin!]) {
  thresholds(productId: $p, after: 0, origins: $o, rules: [{metric: UPVOTES, gte: 5}]) { position } }"""
FETCHED = 40


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[Board]:
    """A board with a back-fill of some items, and then two deliveries about another one."""
    async with live_board(database_url) as board:
        bodies = [
            {
                "product_id": PRODUCT,
                "action": "item.snapshot",
                "data": {"feedback_id": item, "title": "Old", "total_up": up, "total_down": 0},
                "timestamp": 1_780_000_000 + up,
            }
            for up in (0, 9)
            for item in range(1, FETCHED // 2 + 1)
        ]
        await board.store.append([decode(json.dumps(body).encode(), NOON, "BACKFILL") for body in bodies])
        await board.append(an_update(FETCHED, 0), an_update(FETCHED, 9))
        await board.projected()
        yield board


async def first(board: Board, query: str, **asked: Any) -> int:
    """Return the position of the first message."""
    async with board.socket() as client:
        await client.subscribe(query, p=str(PRODUCT), **asked)
        [position] = await client.positions(1)
        return position


@pytest.mark.parametrize("query", [EVENTS, ITEMS, BOUNDS])
async def test_who_follows_is_told_of_deliveries_alone(query: str, filled: Board) -> None:
    assert await first(filled, query) > FETCHED


@pytest.mark.parametrize(
    ("query", "origins"), [(ALL, None), (ITEMS, ["BACKFILL"]), (BOUNDS, ["WEBHOOK", "BACKFILL"])]
)
async def test_who_asks_for_a_back_fill_is_told_of_it(
    query: str, origins: list[str] | None, filled: Board
) -> None:
    asked: dict[str, Any] = {} if origins is None else {"o": origins}

    assert await first(filled, query, **asked) <= FETCHED
