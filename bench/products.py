"""What thousands of products cost one cell: one log of as many events, of a few boards and of thousands.

The events are the same in number, so that what grows is what a product costs: rows and disk, the start,
memory, what is done while nobody asks, and what is asked of one board and of all.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Iterator
from typing import Final

import asyncpg

from bench.harness import Options, Report, main, say, seconds_of
from bench.load import ask, closed_loop, post
from bench.ours import projected, recount
from bench.processes import memory_mib, processor_seconds
from bench.throwaway import bench_postgres, database, settled
from service.events import EventData, decode
from service.log.database import connect, migrate, open_pool
from service.log.event_store import EventStore
from service.simulator.knobs import Knobs
from service.simulator.traffic import Traffic
from tests.given.processes import children_of

EVENTS: Final = 100_000
PRODUCTS: Final = (10, 1_000, 5_000)
QUICK_EVENTS: Final = 4_000
QUICK_PRODUCTS: Final = (10, 200)
STARTS: Final = 3
REST_SECONDS: Final = 20.0
BATCH: Final = 1_000
FIRST: Final = 1_000_001

_SIZES: Final = """
select sum(pg_total_relation_size(c.oid)) filter (where n.nspname = 'log') as log,
       sum(pg_total_relation_size(c.oid)) filter (where n.nspname = 'read_model') as read_model,
       sum(c.reltuples) filter (where n.nspname = 'read_model' and c.reltuples > 0) as rows
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'm')
"""
_BOARD: Final = """
query ($of: ID) { items(productId: $of, first: 20, orderBy: {field: VOTES, direction: DESC}) {
  totalCount nodes { sleekplanId title status { label } votes { net } commentCount } } }
"""
_ALL: Final = """
{ items(first: 20, orderBy: {field: VOTES, direction: DESC}) {
  nodes { productId sleekplanId votes { net } } } }
"""


async def bench(options: Options, report: Report) -> None:
    """Measure the same number of events as few boards and as thousands."""
    events = options.pick(EVENTS, QUICK_EVENTS)
    async with bench_postgres() as postgres:
        for products in QUICK_PRODUCTS if options.quick else PRODUCTS:
            dsn = await database(postgres, f"products_{products}")
            say(f"{products:,} products: filled in {await seconds_of(_fill(dsn, products, events)):.0f} s")
            await _measure(dsn, postgres.pid or 0, products, report)


async def _measure(dsn: str, postmaster: int, products: int, report: Report) -> None:
    side = f"{products:,} products"
    async with recount(dsn):
        await projected(dsn)
    await settled(dsn)
    connection = await asyncpg.connect(dsn)
    sizes = await connection.fetchrow(_SIZES)
    await connection.close()
    assert sizes is not None
    for what in ("log", "read_model"):
        report.add(f"disk, {what}", side, float(sizes[what]) / 2**20, unit="MiB")
    report.add("rows of the read model", side, float(sizes["rows"]), unit="rows")
    starts = []
    for _ in range(STARTS):
        begun = asyncio.get_running_loop().time()
        async with recount(dsn):
            starts.append(asyncio.get_running_loop().time() - begun)
    report.add("from the start to ready", side, starts, unit="s")
    async with recount(dsn) as service:
        await asyncio.sleep(REST_SECONDS / 4)
        report.add("memory of the service, at rest", side, memory_mib(service.pid), unit="MiB")
        before = processor_seconds(service.pid), _of_postgres(postmaster)
        await asyncio.sleep(REST_SECONDS)
        ours, its = processor_seconds(service.pid) - before[0], _of_postgres(postmaster) - before[1]
        report.add("processor at rest, the service", side, ours / REST_SECONDS * 1_000, unit="ms/s")
        report.add("processor at rest, Postgres", side, its / REST_SECONDS * 1_000, unit="ms/s")
        boards = [_asking(_BOARD, of=str(FIRST + number)) for number in range(products)]
        for which in ("first", "again"):
            load = (await closed_loop(service.port, boards, connections=1)).all_well()
            report.add(
                f"a board's top 20, asked of each product, {which}",
                side,
                load.percentile_ms(0.5),
                unit="ms p50",
            )
        report.add("memory of the service, each board asked for", side, memory_mib(service.pid), unit="MiB")
        top = [_asking(_ALL)] * 50
        load = (await closed_loop(service.port, top, connections=1)).all_well()
        report.add("the top 20 of all products", side, load.percentile_ms(0.5), unit="ms p50")
        scrapes = []
        for _ in range(5):
            asked = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            scrapes.append(await seconds_of(ask(service.port, asked)) * 1_000)
        report.add("a scrape of /metrics", side, scrapes, unit="ms")


def _asking(query: str, **variables: str) -> bytes:
    return post("/graphql", json.dumps({"query": query, "variables": variables}).encode())


def _of_postgres(postmaster: int) -> float:
    return sum(processor_seconds(pid) for pid in (postmaster, *children_of(postmaster)))


async def _fill(dsn: str, products: int, events: int) -> None:
    connection = await connect(dsn)
    await migrate(connection)
    await connection.close()
    pool = await open_pool(dsn)
    store = EventStore(pool)
    batch: list[EventData] = []
    for event in _boards(products, events // products):
        batch.append(event)
        if len(batch) == BATCH:
            await store.append(batch, timeout=60)
            batch = []
    await store.append(batch, timeout=60)
    await store.close()
    await pool.close()


def _boards(products: int, each: int) -> Iterator[EventData]:
    """Give the events of boards that are alike but for their product, all in turn."""
    now = dt.datetime.now(dt.UTC)
    board = Knobs(
        seed=1, events=each, users=max(3, each // 30), items=max(2, each // 60), product_id=FIRST + products
    )
    its = str(board.product_id).encode()
    for body in Traffic(board).history():
        for number in range(products):
            yield decode(body.replace(its, str(FIRST + number).encode()), now, "IMPORT")


if __name__ == "__main__":
    main("products", bench)
