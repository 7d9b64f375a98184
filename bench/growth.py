"""How ours grows: the same measurements on logs of 10^5, 10^6 and 5·10^6 events of one board.

The board keeps its size, 3,300 items, and only its history grows: what costs more then, costs more because
of the log's length. Everything that is timed over HTTP is `recount serve` on one core, asked by one client.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import asyncpg

from bench.board import PRODUCT, bodies, fill_log
from bench.harness import (
    Options,
    Report,
    bench_postgres,
    database,
    main,
    memory_mib,
    own_memory_mib,
    say,
    seconds_of,
    settled,
)
from bench.load import ask, closed_loop, post
from bench.ours import projected, recount
from bench.versus_ingest import deliveries
from projections.projector import Projector
from projections.rebuild import rebuild
from service.database import open_pool

SIZES: Final = (100_000, 1_000_000, 5_000_000)
QUICK_SIZES: Final = (5_000, 10_000, 20_000)
ITEMS: Final = 3_300
USERS: Final = 60_000
POLL_SECONDS: Final = 0.2

_BYTES: Final = """
select sum(pg_total_relation_size(c.oid)) filter (where n.nspname = 'log') as log,
       sum(pg_total_relation_size(c.oid)) filter (where n.nspname = 'read_model') as read_model
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'm')
"""
_MOST_VOTED: Final = "{ items(first: 1, orderBy: {field: VOTES, direction: DESC}) { nodes { sleekplanId } } }"


async def bench(options: Options, report: Report) -> None:
    """Take every measurement at every size."""
    lines: dict[str, list[tuple[float, float]]] = {}
    async with bench_postgres({"max_wal_size": "8GB"}) as postgres:
        for events in QUICK_SIZES if options.quick else SIZES:
            say(f"{events:,} events")
            dsn = await database(postgres, f"growth_{events}")
            measured = await at_size(dsn, events, options, postgres.pid or 0)
            for (what, unit), values in measured.items():
                report.add(what, f"{events:,} events", values, unit=unit)
                middle = sorted(values)[len(values) // 2]
                lines.setdefault(f"{what}, {unit}", []).append((events, middle))
    for what, points in lines.items():
        report.curve("growth", what, points, x="events in the log", y=what)


async def at_size(
    dsn: str, events: int, options: Options, postmaster: int
) -> dict[tuple[str, str], list[float]]:
    """Return every measurement of one size, by what it is and its unit."""
    measured: dict[tuple[str, str], list[float]] = {}
    seconds = await seconds_of(fill_log(dsn, events, items=ITEMS, users=USERS))
    measured["simulated, decoded and appended", "events/s"] = [events / seconds]
    await settled(dsn)
    async with peak_memory(postmaster) as peak:
        seconds = await seconds_of(_projected_first(dsn))
        measured["projected for the first time, everything", "events/s"] = [events / seconds]
        again = [
            events / await seconds_of(_rebuilt(dsn)) for _ in range(1 if events > 10**6 else options.runs)
        ]
        measured["rebuild, everything", "events/s"] = again
    measured["most memory that Postgres's processes held of their own", "MiB"] = [peak[0]]
    await settled(dsn)
    log, read_model = await _bytes(dsn)
    measured["disk of the log", "bytes an event"] = [log / events]
    measured["disk of the read model", "bytes an event"] = [read_model / events]
    async with recount(dsn) as service:
        for what, text in (await questions(service.port, events)).items():
            times = [await _p50_ms(service.port, text, options) for _ in range(options.runs)]
            measured[what, "ms p50"] = times
        measured["memory of the service, after the questions", "MiB"] = [memory_mib(service.pid)]
        fresh = deliveries(list(bodies(5_000, items=200, users=500, seed=events)))
        rates = []
        for _ in range(options.runs):
            requests = (post("/webhooks", body, headers=service.key_header) for body in fresh)
            load = await closed_loop(
                service.port, requests, connections=64, seconds=0.5 if options.quick else 2
            )
            rates.append(load.all_well().per_second)
            await projected(dsn)
        measured["ingest, 64 connections, projecting too", "events/s"] = rates
    return measured


async def questions(port: int, events: int) -> dict[str, str]:
    """Return what is asked: a list, an item, each now and as of the middle of the log."""
    _, body = await ask(port, post("/graphql", json.dumps({"query": _MOST_VOTED}).encode()))
    item = json.loads(body)["data"]["items"]["nodes"][0]["sleekplanId"]
    then = f"asOf: {{position: {events // 2}}}"
    product = f'productId: "{PRODUCT}"'
    order = "orderBy: {field: VOTES, direction: DESC}, first: 20"
    fields = "sleekplanId title status { key } votes { up down net } commentCount updatedAt"
    return {
        "20 items by votes": f"{{ items({product}, {order}) {{ nodes {{ {fields} }} }} }}",
        "20 items by votes, as of the middle of the log": (
            f"{{ items({product}, {order}, {then}) {{ nodes {{ {fields} }} }} }}"
        ),
        "one item": f'{{ item({product}, sleekplanId: "{item}") {{ {fields} }} }}',
        "one item, as of the middle of the log": (
            f'{{ item({product}, sleekplanId: "{item}", {then}) {{ {fields} }} }}'
        ),
        "its newest 100 events": (
            f'{{ item({product}, sleekplanId: "{item}")'
            " { timeline(last: 100) { nodes { position type } } } }"
        ),
    }


async def _p50_ms(port: int, text: str, options: Options) -> float:
    request = post("/graphql", json.dumps({"query": text}).encode())
    status, body = await ask(port, request)
    if status != 200 or json.loads(body).get("errors"):
        raise RuntimeError(f"{text} was answered {status} {body[:400]!r}")
    seconds = 0.3 if options.quick else 1.0
    load = await closed_loop(port, itertools.repeat(request), connections=1, seconds=seconds)
    return load.all_well().percentile_ms(0.5)


async def _projected_first(dsn: str) -> None:
    await _with_pool(dsn, lambda pool: Projector(pool).catch_up())


async def _rebuilt(dsn: str) -> None:
    await _with_pool(dsn, lambda pool: rebuild(pool))


async def _with_pool(dsn: str, work: Callable[[Any], Awaitable[object]]) -> None:
    pool = await open_pool(dsn, min_size=1, max_size=8, application_name="bench")
    try:
        await work(pool)
    finally:
        await pool.close()


async def _bytes(dsn: str) -> tuple[float, float]:
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow(_BYTES)
        assert row
        return float(row["log"]), float(row["read_model"])
    finally:
        await connection.close()


@asynccontextmanager
async def peak_memory(postmaster: int) -> AsyncIterator[list[float]]:
    """Give a list whose one number ends as the most memory of their own that Postgres's processes held."""
    peak = [0.0]

    async def look() -> None:
        while True:
            peak[0] = max(peak[0], sum(own_memory_mib(pid) for pid in _children(postmaster)))
            await asyncio.sleep(POLL_SECONDS)

    task = asyncio.create_task(look())
    try:
        yield peak
    finally:
        task.cancel()


def _children(postmaster: int) -> list[int]:
    with suppress(OSError):
        return [
            int(pid) for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        ]
    return []


if __name__ == "__main__":
    main("growth", bench)
