"""What is held for another cell, or for this one, ends in a log, however the products went."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from projections.follow.projector import Projector
from projections.rebuild.release import let_go
from service.config import Settings, load_settings
from service.errors import ProductElsewhere, SplitRefused
from service.log.database import connect
from service.log.event_store import EventStore
from service.log.quarantine import Quarantine, Unreadable
from service.operate.cells import Split, check_cells, elsewhere, forward, mark_released
from service.operate.cells_map import CellsMap
from tests.conftest import _new_database as new_database
from tests.given.asking import a_pool
from tests.given.bodies import NOON, a_body, an_event
from tests.given.departed import depart
from tests.given.running import recount
from tests.given.waiting import eventually

STAYED, WENT = 101, 102


@pytest.fixture
async def another(server_url: str, template: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool on the database of another cell."""
    async with new_database(server_url, template) as url, a_pool(url) as pool:
        yield pool


async def hold(pool: asyncpg.Pool, *products: int) -> None:
    """Hold a delivery of each product."""
    store = EventStore(pool)
    assert await store.hold([an_event(number, product_id=each) for number, each in enumerate(products, 1)])
    await store.close()


async def recorded(pool: asyncpg.Pool) -> list[int]:
    """Return the products of the events, in their order."""
    rows = await pool.fetch("select product_id from log.events order by position")
    return [row["product_id"] for row in rows]


async def told(url: str, settings: Settings) -> list[str]:
    """Return what the doctor says of cells."""
    connection = await connect(url)
    try:
        return [found.text async for found in check_cells(settings, connection)]
    finally:
        await connection.close()


async def test_what_an_undo_that_was_cut_off_left_is_recorded_by_the_next(
    pool: asyncpg.Pool, database_url: str, tmp_path: Path
) -> None:
    settings = load_settings({})

    async def reloaded() -> None: ...

    async def undo() -> list[str]:
        way = Split(pool, pool, settings, CellsMap(tmp_path / "cells.map"), None, reloaded)
        return [step async for step in way.undo()]

    async def is_back() -> bool:
        return not await pool.fetchval("select count(*) from log.departures")

    await depart(pool, "b", WENT, left=False)
    await hold(pool, WENT)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table log.held in access exclusive mode")
        undoing = asyncio.create_task(undo())
        await eventually(is_back)
        undoing.cancel()
        await asyncio.wait([undoing])

    assert await told(database_url, settings) == [
        "1 deliveries of products that came back are not recorded yet"
    ]
    assert await undo() == ["1 deliveries that were held are recorded"]
    assert await recorded(pool) == [WENT]
    assert await told(database_url, settings) == []
    with pytest.raises(SplitRefused, match="no split is under way"):
        await undo()


async def test_what_went_on_to_a_third_cell_is_held_by_the_second(
    pool: asyncpg.Pool, another: asyncpg.Pool
) -> None:
    settings = load_settings({})
    await depart(pool, "b", STAYED, WENT)
    await hold(pool, WENT, STAYED, WENT)
    await depart(another, "c", WENT)

    assert await forward(pool, another, settings, "b") == 3

    assert await recorded(another) == [STAYED]
    assert [(each.product_id, each.cell, each.held) for each in await elsewhere(another)] == [(WENT, "c", 2)]
    assert [each.held for each in await elsewhere(pool)] == [0, 0]


async def test_what_is_forwarded_to_a_cell_that_sends_it_back_stays(
    pool: asyncpg.Pool, another: asyncpg.Pool
) -> None:
    await depart(pool, "b", WENT)
    await hold(pool, WENT)
    await depart(another, "b", WENT)

    for there in (pool, another):
        with pytest.raises(ProductElsewhere, match="product 102 belongs to cell b"):
            await forward(pool, there, load_settings({}), "b")

    assert [each.held for each in await elsewhere(pool)] == [1]


async def test_all_of_the_quarantine_is_retried_though_some_of_it_is_another_cells(
    pool: asyncpg.Pool, database_url: str, tmp_path: Path
) -> None:
    store = EventStore(pool)
    for number, product in enumerate((STAYED, WENT, STAYED), 1):
        body = a_body(number, product_id=product)
        await Quarantine(pool, store).keep(Unreadable("as an older version had it", body, NOON, "WEBHOOK"))
    await store.close()
    await depart(pool, "b", WENT)

    env = {"RECOUNT_DATABASE_URL": database_url, "RECOUNT_DATA_DIR": str(tmp_path / "data")}
    retried = await recount("quarantine", "retry", "--all", "--json", env=env)

    assert retried.returncode == 1, retried.stderr
    errors = [found["error"] for found in json.loads(retried.stdout)]
    assert len(errors) == 3
    [error] = [error for error in errors if error]
    assert error.startswith("product 102 belongs to cell b")
    assert await recorded(pool) == [STAYED, STAYED]


async def test_what_is_let_go_of_is_not_looked_for_in_the_log(pool: asyncpg.Pool, database_url: str) -> None:
    store = EventStore(pool)
    await store.append([an_event(number, product_id=(STAYED, WENT)[number % 2]) for number in range(10)])
    await store.close()
    await Projector(pool).catch_up()
    await depart(pool, "b", WENT)
    reader = await asyncpg.connect(database_url)

    async with reader.transaction(), asyncio.timeout(60):
        await reader.execute("lock table log.events in access exclusive mode")
        await let_go(pool, await mark_released(pool, None), lambda _product: None)

    await reader.close()
    rows = await pool.fetch("select distinct product_id from board.items")
    assert [row["product_id"] for row in rows] == [STAYED]
