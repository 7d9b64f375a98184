"""`recount demo --with-api` fetches a board that was there before, and loses some of what happens then."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from service.config import load_settings
from service.events import decode
from service.log.event_store import EventStore
from service.log.hub import Hub
from service.operate import demo_api
from service.operate.demo_api import LOST_EACH, MOVES, OLDER_PRODUCT_ID, older_board
from tests.given.fake_board import JumpingClock
from tests.given.running import recount
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


async def test_its_log_has_the_command_for_a_dry_run_against_the_made_up_api(
    pool: asyncpg.Pool, database_url: str, tmp_path: Path
) -> None:
    async def post(_: bytes) -> None:
        """Nothing is delivered before the board is fetched."""

    settings = load_settings({"RECOUNT_DATA_DIR": str(tmp_path / "a demo")})
    async with Hub(database_url) as hub:
        with capture_logs() as said:
            knobs = older_board(datetime(2026, 6, 1, tzinfo=UTC))
            running = asyncio.create_task(demo_api.show(knobs, pool, hub, settings, post))
            await eventually(lambda: [line for line in said if line["event"] == "demo_api"], PATIENCE_SECONDS)
        *given, program, command, dry, product, number, folder, place = shlex.split(said[0]["to_try"])
        env = dict(each.split("=", 1) for each in given) | {"RECOUNT_DATABASE_URL": database_url}
        ended = await recount(command, dry, product, number, folder, place, env=env)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    assert shutil.which(program), "a shell does not find it by what was said"
    assert (Path(program).name, ended.returncode) == ("recount", 0), ended.stderr
    assert f"product {OLDER_PRODUCT_ID}: " in ended.stdout
