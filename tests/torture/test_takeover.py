"""Promise 6: a projector that is killed is succeeded within ten seconds, and no event is counted twice."""

from __future__ import annotations

import asyncio
import sys
import time

import asyncpg
import pytest

from projections.follow.projector import Projector
from projections.rebuild.verify import verify
from tests.given.projecting import a_history, record

pytestmark = pytest.mark.torture

PROJECTOR = """
import asyncio, sys
from projections.follow.projector import Projector
from service.log.database import open_pool

async def main():
    await Projector(await open_pool(sys.argv[1], min_size=1, max_size=4)).run()

asyncio.run(main())
"""


async def test_a_killed_projector_is_succeeded_within_ten_seconds(
    pool: asyncpg.Pool, database_url: str
) -> None:
    history = a_history(1_200)
    await record(pool, history[:400])
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROJECTOR, database_url)
    other = Projector(pool)
    try:
        await other.catch_up()
        await record(pool, history[400:800])
    finally:
        process.kill()
        await process.wait()
    began = time.perf_counter()
    following = asyncio.create_task(Projector(pool).run())
    try:
        await other.catch_up()
        took = time.perf_counter() - began
        await record(pool, history[800:])
        await other.catch_up()
    finally:
        following.cancel()
        await asyncio.wait([following])

    print(f"succeeded after {took:.1f} s")
    assert took < 10
    assert all(table.equal for table in (await verify(pool)).tables)
