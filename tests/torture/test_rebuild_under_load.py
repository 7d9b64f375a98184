"""Promises 7 and 9: a rebuild killed again and again, while events arrive and queries are answered."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import asyncpg
import pytest

from bench.long_log import LongLog
from projections.follow.projector import Projector
from projections.read_model import Reader
from projections.rebuild.rebuild import LEASE_SECONDS
from projections.rebuild.verify import verify
from service.events import decode
from service.log.database import open_pool
from service.log.event_store import EventStore
from service.simulator import simulate

pytestmark = pytest.mark.torture

EVENTS_A_SECOND = 500
QUERIES_A_SECOND = 200
EVENTS_A_STEP = 50_000
BATCHES_A_SECOND = 20
KILL_WITHIN_SECONDS = 15.0

REBUILD = """
import asyncio, sys
from projections.rebuild.rebuild import rebuild
from service.log.database import open_pool

async def main():
    pool = await open_pool(sys.argv[1], min_size=1, max_size=8)
    report = await rebuild(pool, events_a_step=int(sys.argv[2]))
    print(report)
    await pool.close()

asyncio.run(main())
"""


@dataclass
class Load:
    """What arrived and was asked meanwhile."""

    appended: int = 0
    answered: int = 0
    longest_append: float = 0.0
    mixtures: list[tuple[int, int]] = field(default_factory=list)


@pytest.mark.parametrize(("events", "kills"), [(100_000, 3), (2_000_000, 20)])
async def test_a_rebuild_killed_under_load_ends_the_same_and_no_read_sees_a_mixture(
    database_url: str, events: int, kills: int
) -> None:
    await LongLog(database_url).grow(events)
    pool = await open_pool(database_url, min_size=4, max_size=20, application_name="recount-tests")
    load = Load()
    try:
        await Projector(pool).catch_up()
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(Projector(pool).run()),
                group.create_task(append(pool, load)),
                group.create_task(ask(pool, load)),
            ]
            dice = random.Random(11)
            for _ in range(kills):
                await rebuild_for(database_url, dice.uniform(0.2, KILL_WITHIN_SECONDS))
            said = await rebuild_for(database_url, None)
            for task in others:
                task.cancel()
        await Projector(pool).catch_up()
        report = await verify(pool)
    finally:
        await pool.close()

    print(said, load, sep="\n")
    assert load.mixtures == []
    assert load.appended > 0
    assert [table.table for table in report.tables if not table.equal] == []


async def rebuild_for(url: str, seconds: float | None) -> str:
    """Rebuild in a process of its own, killed so long after it may begin; None: not at all."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", REBUILD, url, str(EVENTS_A_STEP)), stdout=asyncio.subprocess.PIPE
    )
    try:
        allowed = None if seconds is None else LEASE_SECONDS + seconds
        output, _ = await asyncio.wait_for(process.communicate(), allowed)
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    assert process.returncode == 0
    return output.decode()


async def append(pool: asyncpg.Pool, load: Load) -> None:
    """Append steadily; how long an append took at most is the pause that a switch makes."""
    store = EventStore(pool)
    try:
        bodies = arriving()
        while True:
            began = time.perf_counter()
            at = dt.datetime.now(dt.UTC)
            batch = [decode(body, at) for body in islice(bodies, EVENTS_A_SECOND // BATCHES_A_SECOND)]
            await store.append(batch, timeout=60)
            took = time.perf_counter() - began
            load.appended += len(batch)
            load.longest_append = max(load.longest_append, took)
            await asyncio.sleep(max(0.0, 1 / BATCHES_A_SECOND - took))
    finally:
        await store.close()


def arriving() -> Iterator[bytes]:
    """Traffic without end, of another seed than the log's."""
    for seed in range(1_000, 10_000):
        yield from simulate(seed=seed, events=20_000, items=50, users=500, rate=float(EVENTS_A_SECOND))


async def ask(pool: asyncpg.Pool, load: Load) -> None:
    """Ask steadily; every event has a fact, so the last fact is at the position of the snapshot."""
    reader = Reader(pool)
    while True:
        began = time.perf_counter()
        async with reader.snapshot() as snapshot:
            rows = await snapshot.fetch("select max(position) as position from {event_facts}")
            await snapshot.fetch("select item_id, votes_net from {items} order by votes_net desc limit 20")
        if rows[0]["position"] != snapshot.position:
            load.mixtures.append((snapshot.position, rows[0]["position"]))
        load.answered += 1
        await asyncio.sleep(max(0.0, 1 / QUERIES_A_SECOND - (time.perf_counter() - began)))
