"""What a back-fill costs us beside the waiting for Sleekplan: 20,000 items, 500,000 votes; and its memory.

The made-up Sleekplan runs in a process of its own and answers as fast as it can, since 60,000 requests at 20
a second would take most of an hour. So a row says what a request costs us, and which share that is of the
50 ms that it has at 20 requests a second. A small board, of 200 items and 5,000 votes, is fetched at that
pace as well: what it takes longer than the pace alone is what we cost whoever waits. Quick: the small alone.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from typing import Final

from bench.cores import cores, pinned
from bench.harness import Options, Report, main, say
from bench.processes import own_memory_mib, processor_seconds, running
from bench.sleekplan import knobs_of
from bench.throwaway import bench_postgres, database
from service.backfill.report import SweepReport
from service.backfill.run import WantedBoard, backfill
from service.config import load_settings
from service.log.database import connect, migrate, open_pool
from service.log.hub import Hub
from tests.given.ports import free_port

ITEMS: Final = 20_000
VOTES: Final = 500_000
QUICK_ITEMS: Final = 200
QUICK_VOTES: Final = 5_000
RATE: Final = 1_000_000.0
"""More requests a second than anybody answers: the pace is never waited for."""
AIM_A_SECOND: Final = 20
BOARD_SECONDS_MAX: Final = 600.0
LOOK_REQUESTS: Final = 100
SAY_REQUESTS: Final = 5_000


class _Memory:
    """How much memory of its own this process held, by how many requests were done."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []

    def look(self, done: int, total: int) -> None:
        """Note it, after every hundred requests."""
        if not self.seen or done >= self.seen[-1][0] + LOOK_REQUESTS:
            self.seen.append((done, own_memory_mib(os.getpid())))
        if done % SAY_REQUESTS == 0:
            say(f"  {done:,} of {total:,} requests")


async def bench(options: Options, report: Report) -> None:
    """Make a board, fetch it into an empty log, and say where the time went."""
    if not options.quick:
        await _bench(report, ITEMS, VOTES, RATE)
    await _bench(report, QUICK_ITEMS, QUICK_VOTES, RATE)
    await _bench(report, QUICK_ITEMS, QUICK_VOTES, AIM_A_SECOND)


async def _bench(report: Report, items: int, votes: int, rate: float) -> None:
    port, key = free_port(), secrets.token_urlsafe(16)
    fake = [sys.executable, "-m", "bench.sleekplan", str(port), str(items), str(votes), key]
    async with bench_postgres() as postgres:
        dsn = await database(postgres, "backfill")
        ready = f"http://127.0.0.1:{port}/"
        async with running(fake, ready=ready, on=cores().load, seconds=BOARD_SECONDS_MAX):
            say("the board is made")
            memory = _Memory()
            cpu, began = processor_seconds(os.getpid()), time.perf_counter()
            with pinned(cores().server):
                swept = await _fetched(dsn, port, key, knobs_of(items, votes).product_id, rate, memory)
            seconds = time.perf_counter() - began
            cpu = processor_seconds(os.getpid()) - cpu
    what = f"back-fill of {items:,} items and {votes:,} votes"
    if rate == RATE:
        _tell(report, what, swept, seconds, cpu, memory)
    else:
        paced = swept.requests / rate
        report.add(what, f"at {rate} requests/s", seconds, unit="s")
        report.add(what, "longer than the pace alone", (seconds / paced - 1) * 100, unit="% of the time")


async def _fetched(
    dsn: str, port: int, key: str, product_id: int, rate: float, memory: _Memory
) -> SweepReport:
    connection = await connect(dsn)
    await migrate(connection)
    await connection.close()
    settings = load_settings(
        {
            "RECOUNT_DATABASE_URL": dsn,
            "RECOUNT_SLEEKPLAN_API_URL": f"http://127.0.0.1:{port}/v1",
            "RECOUNT_SLEEKPLAN_API_KEY": key,
        }
    )
    pool = await open_pool(dsn, min_size=1, max_size=4, application_name="bench")
    try:
        async with Hub(dsn) as hub:
            swept = await backfill(pool, hub, settings, WantedBoard(product_id, rate=rate), memory.look)
    finally:
        await pool.close()
    if swept.state != "COMPLETE":
        raise RuntimeError(f"the back-fill is {swept.state}: {swept.problem}")
    return swept


def _tell(report: Report, what: str, swept: SweepReport, seconds: float, cpu: float, memory: _Memory) -> None:
    requests, waited = swept.requests, swept.waiting_seconds
    ours_ms = (seconds - waited) / requests * 1000
    at = f"at {AIM_A_SECOND} requests/s"
    report.add(what, "requests", requests, unit="requests")
    report.add(what, "events recorded", swept.recorded.total(), unit="events")
    report.add(what, "as fast as the made-up Sleekplan answers", seconds, unit="s")
    report.add(what, "waiting for an answer", waited / requests * 1000, unit="ms a request")
    report.add(what, "ours: comparing, recording, noting", ours_ms, unit="ms a request")
    report.add(what, f"ours, {at}", ours_ms * AIM_A_SECOND / 10, unit="% of the time")
    report.add(
        what,
        f"our processor, projecting too, {at}",
        cpu / requests * 1000 * AIM_A_SECOND / 10,
        unit="% of a core",
    )
    settled = [mib for done, mib in memory.seen if done >= requests / 10]
    report.add(what, "memory of its own after a tenth", settled[0], unit="MiB")
    report.add(what, "the most after that", max(settled), unit="MiB")


if __name__ == "__main__":
    main("backfill", bench)
