"""`recount demo --with-api` fetches a board that was there before, and loses some of what happens then."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import asyncpg
import pytest

from service.config import load_settings
from service.events import decode
from service.log.event_store import EventStore
from service.log.hub import Hub
from service.operate import demo_api
from service.operate.demo_api import LOST_EACH, MOVES, OLDER_PRODUCT_ID, older_board
from tests.given.fake_board import JumpingClock
from tests.given.waiting import eventually

PATIENCE_SECONDS = 120


async def test_an_older_board_is_fetched_once_and_then_moves_by_deliveries_of_which_some_are_lost(
    pool: asyncpg.Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.sleekplan.pace._OwnWaits", JumpingClock)
    knobs = older_board(datetime(2026, 6, 1, tzinfo=UTC))
    store = EventStore(pool)

    async def post(body: bytes) -> None:
        await store.append([decode(body, datetime.now(UTC), "WEBHOOK")])

    async def origins() -> Counter[str]:
        rows = await pool.fetch("select origin, product_id from log.events")
        assert {row["product_id"] for row in rows} <= {OLDER_PRODUCT_ID}
        return Counter(row["origin"] for row in rows)

    async def shown(until: Callable[[], Awaitable[bool]]) -> Counter[str]:
        running = asyncio.create_task(demo_api.show(knobs, pool, hub, load_settings({}), post))
        try:
            await eventually(until, seconds=PATIENCE_SECONDS)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
        return await origins()

    async def is_compared() -> bool:
        ended = "select count(*) from log.sweeps where kind = 'RECONCILE' and state = 'COMPLETE'"
        return bool(await pool.fetchval(ended) > compared)

    async with Hub(database_url) as hub:
        compared = 0
        first = await shown(is_compared)
        compared = 1
        again = await shown(is_compared)
    await store.close()

    assert first["WEBHOOK"] == MOVES - MOVES // LOST_EACH
    assert first["BACKFILL"] > 1_000
    assert first["RECONCILE"] > 5
    assert again == first
