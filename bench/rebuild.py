"""How fast two million events are counted again: everything, and items, votes and users alone.

With their past, from an empty generation to the switch, beside tables that go on answering. Whether a longer
log costs more an event is part of `growth`, which rebuilds one log at several lengths. Quick: 60,000 events.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from bench.harness import Options, Report, Samples, in_turn, main, seconds_of
from bench.long_log import SETTINGS, LongLog
from bench.processes import own_memory_mib
from bench.throwaway import bench_postgres, database
from projections.rebuild.rebuild import Rebuilder, rebuild
from service.log.database import open_pool

EVENTS: Final = 2_000_000
QUICK_EVENTS: Final = 60_000
CURRENT: Final = ("items", "votes", "users")
EVERYTHING: Final = "everything with its past"
COMPARED_SECONDS_MAX: Final = 480.0
_POLL_SECONDS: Final = 0.2


async def bench(options: Options, report: Report) -> None:
    """Make a log and rebuild it."""
    async with bench_postgres(SETTINGS) as postgres:
        dsn = await database(postgres, "rebuild")
        events = options.pick(EVENTS, QUICK_EVENTS)
        await LongLog(dsn).grow(events)
        await compare(dsn, events, options, report)


async def compare(dsn: str, events: int, options: Options, report: Report) -> Samples:
    """Rebuild everything, and items, votes and users, in turn; return the rates of everything."""

    def rate(names: tuple[str, ...] | None) -> Callable[[], Awaitable[float]]:
        async def once() -> float:
            return events / await rebuilt(dsn, names)

        return once

    rates = await in_turn(
        {EVERYTHING: rate(None), "items, votes and users with their past": rate(CURRENT)},
        options.runs,
        seconds_max=COMPARED_SECONDS_MAX,
    )
    report.compare(f"rebuild of {events:,} events", rates, unit="events/s")
    return rates[EVERYTHING]


async def rebuilt(dsn: str, names: tuple[str, ...] | None = None) -> float:
    """Rebuild some projections, or all; return the seconds. What they replace is dropped, untimed."""
    pool = await open_pool(dsn, min_size=1, max_size=8, application_name="bench")
    try:
        seconds = await seconds_of(rebuild(pool, names))
        await Rebuilder(pool, grace_seconds=0).drop_discarded()
        return seconds
    finally:
        await pool.close()


def report_growth(rates: Mapping[int, Sequence[float]], report: Report) -> None:
    """Say what an event costs at the longest length as a multiple of its cost at each other."""
    longest = max(rates)
    least = Samples(tuple(rates[longest])).median
    for length in sorted(rates)[:-1]:
        report.add(
            "rebuild: the cost of an event",
            f"{longest:,} events, against {length:,}",
            Samples(tuple(rates[length])).median / least,
            unit="x",
        )


@asynccontextmanager
async def peak_memory(postmaster: int) -> AsyncIterator[list[float]]:
    """Give a list whose one number ends as the most memory of their own that Postgres's processes held."""
    peak = [0.0]

    async def look() -> None:
        while True:
            peak[0] = max(peak[0], sum(own_memory_mib(pid) for pid in _children(postmaster)))
            await asyncio.sleep(_POLL_SECONDS)

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
    main("rebuild", bench)
