"""How fast the log is counted again: some of it, everything, and whether a longer log costs more an event.

The log is copied into Postgres directly (its content is what deliveries would have left). Each rebuild is one
from an empty generation to the switch. Quick: 60,000 events instead of two million.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import Any, Final

import orjson

from bench.harness import (
    Options,
    Report,
    bench_postgres,
    database,
    main,
    own_memory_mib,
    say,
    seconds_of,
    settled,
)
from projections.rebuild import rebuild
from service.database import connect, migrate, open_pool
from service.events import decode
from service.simulator import simulate

EVENTS: Final = 2_000_000
QUICK_EVENTS: Final = 60_000
VOTES_SHARE: Final = 0.70
CURRENT: Final = ("items", "votes", "users")
LENGTHS: Final = (0.5, 1, 2)
"""The lengths of the log at which it is rebuilt, as shares of the one that is compared."""

_COLUMNS: Final = [
    *("position", "product_id", "action", "entity", "entity_id", "occurred_at", "occurred_assumed"),
    *("recorded_at", "origin", "digest", "envelope", "data"),
]
_BATCH: Final = 20_000
_START: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


async def bench(options: Options, report: Report) -> None:
    """Grow one log to half, once and twice a length; rebuild it at each, and most often at the middle one."""
    events = options.pick(EVENTS, QUICK_EVENTS)
    runs = max(2, options.runs // 2)
    dsn, length, points = "", 0, []
    async with bench_postgres() as postgres:
        dsn = await database(postgres, "rebuild")
        for share in LENGTHS:
            longer = int(events * share)
            await copy_log(dsn, length + 1, longer, size=int(events * LENGTHS[-1]))
            length = longer
            await settled(dsn)
            seconds, peak = await _measured(dsn, lambda: _counted(dsn, None))
            points.append((length, seconds / length * 1e6))
            report.add("what an event costs a rebuild", f"log of {length:,}", points[-1][1], unit="µs")
            report.add("memory of its sessions, most", f"log of {length:,}", peak, unit="MiB")
            say(f"  {length:,} events: {length / seconds:,.0f} events/s")
            if share == 1:
                await _compared(dsn, events, runs, length / seconds, report)
    report.add(
        "growth",
        f"{LENGTHS[-1] / LENGTHS[0]:g} times the log",
        points[-1][1] / points[0][1],
        unit="x the cost an event",
    )
    report.curve("rebuild", "recount", points, x="events in the log", y="microseconds an event")


async def _compared(dsn: str, events: int, runs: int, first: float, report: Report) -> None:
    """Rebuild everything, and items, votes and users alone; `first` is what the first rebuild made."""
    everything, some = [first], []
    for _ in range(runs):
        seconds, _ = await _measured(dsn, lambda: _counted(dsn, CURRENT))
        some.append(events / seconds)
        if len(everything) < runs:
            seconds, _ = await _measured(dsn, lambda: _counted(dsn, None))
            everything.append(events / seconds)
    report.add(
        f"rebuild of {events:,} events", "items, votes and users with their past", some, unit="events/s"
    )
    report.add(f"rebuild of {events:,} events", "everything with its past", everything, unit="events/s")


async def copy_log(dsn: str, first: int, last: int, *, size: int) -> None:
    """Put the events from `first` to `last`, of a log that will have `size`, into it as deliveries would."""
    connection = await connect(dsn)
    try:
        await migrate(connection)
        await connection.execute("set synchronous_commit = off")
        records = islice(_records(size), first - 1, last)
        while batch := list(islice(records, _BATCH)):
            await connection.copy_records_to_table(
                "events", schema_name="log", columns=_COLUMNS, records=batch
            )
        await connection.execute("analyze log.events")
    finally:
        await connection.close()


def _records(size: int) -> Iterator[tuple[Any, ...]]:
    bodies = simulate(
        seed=7,
        events=size,
        items=size // 200,
        users=size // 30,
        votes_share=VOTES_SHARE,
        rate=max(100.0, size / 300),
    )
    for position, body in enumerate(bodies, 1):
        at = _START + dt.timedelta(milliseconds=position)
        event = decode(body, at)
        yield (
            position,
            event.product_id,
            event.action,
            event.entity,
            event.entity_id,
            event.occurred_at,
            event.occurred_assumed,
            at,
            "IMPORT",
            event.digest,
            "{}",
            orjson.dumps(orjson.loads(event.body)["data"]).decode(),
        )


async def _counted(dsn: str, names: tuple[str, ...] | None) -> None:
    pool = await open_pool(dsn, min_size=1, max_size=8, application_name="bench")
    try:
        await rebuild(pool, names)
        await pool.execute("delete from read_model.discarded")
    finally:
        await pool.close()


async def _measured(dsn: str, work: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """Return the seconds, and the most memory of their own that the sessions of Postgres had together."""
    task = asyncio.create_task(seconds_of(work()))
    watcher = await connect(dsn)
    most = 0.0
    try:
        while not task.done():
            rows = await watcher.fetch(
                "select pid from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
            most = max(most, sum(own_memory_mib(row["pid"]) for row in rows))
            await asyncio.wait([task], timeout=0.5)
    finally:
        await watcher.close()
    return await task, most


if __name__ == "__main__":
    main("rebuild", bench)
