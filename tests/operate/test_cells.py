"""What is held for another cell, or for this one, ends in a log, however the products went."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from service.config import Settings, load_settings
from service.errors import ProductElsewhere, SplitRefused
from service.log.event_store import EventStore
from service.operate.cells import Split, check_cells, elsewhere, forward
from service.operate.cells_map import CellsMap
from tests.conftest import _new_database as new_database
from tests.given.asking import a_pool
from tests.given.bodies import an_event
from tests.given.waiting import eventually

STAYED, WENT = 101, 102


@pytest.fixture
async def another(server_url: str, template: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool on the database of another cell."""
    async with new_database(server_url, template) as url, a_pool(url) as pool:
        yield pool


async def depart(pool: asyncpg.Pool, cell: str, *products: int, left: bool = True) -> None:
    """Have products on another cell, or on their way there."""
    async with pool.acquire() as connection, connection.transaction():
        split = await connection.fetchval(
            "insert into log.splits (id, cell, from_cell, products, ended_at)"
            " values (gen_random_uuid(), $1, 'a', $2, case when $3 then clock_timestamp() end) returning id",
            cell, list(products), left,
        )  # fmt: skip
        await connection.executemany(
            "insert into log.departures values ($1, $2, $3, case when $4 then clock_timestamp() end)",
            [(product, cell, split, left) for product in products],
        )


async def hold(pool: asyncpg.Pool, *products: int) -> None:
    """Hold a delivery of each product."""
    store = EventStore(pool)
    assert await store.hold([an_event(number, product_id=each) for number, each in enumerate(products, 1)])
    await store.close()


async def recorded(pool: asyncpg.Pool) -> list[int]:
    """Return the products of the events, in their order."""
    rows = await pool.fetch("select product_id from log.events order by position")
    return [row["product_id"] for row in rows]


async def told(pool: asyncpg.Pool, settings: Settings) -> list[str]:
    """Return what the doctor says of cells."""
    async with pool.acquire() as connection:
        return [found.text async for found in check_cells(settings, connection)]


async def test_what_an_undo_that_was_cut_off_left_is_recorded_by_the_next(
    pool: asyncpg.Pool, tmp_path: Path
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

    assert await told(pool, settings) == ["1 deliveries of products that came back are not recorded yet"]
    assert await undo() == ["1 deliveries that were held are recorded"]
    assert await recorded(pool) == [WENT]
    assert await told(pool, settings) == []
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
