"""Ingest beside what people would pick: each delivery acknowledged by itself once committed, `fsync` on.

64 connections, bodies of 1 KB, no two alike. The server has one core to itself; the load generator and
Postgres share the other, so a server that stores nothing sets the ceiling. Ours does more for an event than
any of them: it knows copies, keeps an order without gaps, tells whoever waits. It is measured twice:
receiving alone, which is what the peers do, and as `recount serve`, which counts the board meanwhile.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import asyncpg

from bench.harness import Options, Report, Samples, in_turn, main, say
from bench.load import Load, closed_loop, open_loop, post
from bench.ours import KEY, projected, recount
from bench.processes import memory_mib, running
from bench.setup_peers import peer, peers_python
from bench.throwaway import USED_WAL, bench_postgres, checkpoint, database, use_wal
from service.postgres.embedded import EmbeddedPostgres
from tests.given.ports import free_port

CONNECTIONS: Final = 64
SECONDS: Final = 3.0
BODY_BYTES: Final = 1_024
OURS: Final = "recount, receiving"
FULL: Final = "recount serve, projecting too"
BARE: Final = "bare aiohttp (stores nothing)"

_PEERS: Final = {
    "aiohttp + asyncpg, an insert a request": ("insert_aiohttp", "events"),
    "FastAPI + SQLAlchemy, an insert a request": ("insert_fastapi", "events"),
    "eventsourcing's Postgres recorder": ("insert_eventsourcing", "stored_events"),
}


_NUMBER: Final = b"0000000000"


@dataclass
class Side:
    """A server that takes deliveries, and where it keeps them."""

    port: int
    pid: int
    dsn: str | None = None
    table: str = "log.events"
    headers: str = ""
    projects: bool = False
    loads: list[Load] = field(default_factory=list)
    paced: list[float] = field(default_factory=list)  # the rates at which its latency was measured

    async def stored(self) -> int | None:
        """How many events it has stored; None where it stores none."""
        if self.dsn is None:
            return None
        connection = await asyncpg.connect(self.dsn)
        try:
            return int(await connection.fetchval(f"select count(*) from {self.table}"))
        finally:
            await connection.close()

    async def at_rest(self) -> None:
        """Return when it has nothing left to do."""
        if self.projects and self.dsn is not None:
            await projected(self.dsn)


def a_body(number: bytes) -> bytes:
    """A vote as Sleekplan sends it, with the full post inside, of 1 KB."""
    post_object = {
        "feedback_id": 42,
        "product_id": 647288130,
        "title": "Dark mode",
        "status": "planned",
        "type": "t68df02a7ea223",
        "trend": 4,
        "total_up": 132,
        "total_down": 2,
        "total_sum": 134,
        "total_comments": 12,
        "total_ratio": 130,
        "total_subscriber": 57,
        "scoring": 0.81,
        "effort": 2,
        "created": "2026-03-01 08:30:00",
        "updated": "2026-06-14 09:12:45",
        "description": "",
    }
    user = {"user_id": number.decode(), "admin_id": 0, "data_name": "ana_w", "data_mail": "ana@example.com"}
    content = {
        "product_id": 647288130,
        "action": "vote.create",
        "data": {"vote": 1, "user": user, "feedback_item": post_object},
        "timestamp": 1781428382,
    }
    short = len(json.dumps(content, separators=(",", ":")))
    post_object["description"] = ("My eyes hurt after dark. " * 40)[: BODY_BYTES - short]
    return json.dumps(content, separators=(",", ":")).encode()


async def bench(options: Options, report: Report) -> None:
    """Measure rates and latencies of every side, then latency under rising load."""
    fresh = count(1)
    async with bench_postgres(USED_WAL) as postgres, AsyncExitStack() as stack:
        await use_wal(postgres)
        sides: dict[str, Side] = {}
        for name, opened in servers(postgres).items():
            sides[name] = await stack.enter_async_context(opened)
        seconds = 0.5 if options.quick else SECONDS
        rates = await in_turn(
            {name: closed(postgres, side, fresh, seconds) for name, side in sides.items()}, options.runs
        )
        report.compare("ingest, 64 connections", rates, unit="events/s", ours=OURS)
        closed_ms = {name: _p99(side.loads[-options.runs :]) for name, side in sides.items()}
        report.compare("ingest at its peak, p99", closed_ms, unit="ms", ours=OURS, better="lower")
        slow = {name: at_share(side, fresh, 0.7, seconds) for name, side in sides.items()}
        slow_ms = await in_turn(slow, options.runs)
        report.compare(
            "ingest at 70 % of its own peak, p99",
            slow_ms,
            unit="ms",
            ours=OURS,
            better="lower",
            notes={name: f"{Samples(tuple(side.paced)).median:,.0f}/s" for name, side in sides.items()},
        )
        for name, side in sides.items():
            report.add("memory after ingest", name, memory_mib(side.pid), unit="MiB")
        if not options.quick:
            for name, side in sides.items():
                await rising_load(name, side, fresh, rates[name].median, report)


def servers(postgres: EmbeddedPostgres) -> dict[str, Any]:
    """Return the servers by name, each as a block that keeps it up."""
    python = peers_python()
    named: dict[str, Any] = {
        OURS: receiving_side(postgres),
        FULL: whole_side(postgres),
        BARE: python_side(postgres, python, "bare_aiohttp", None),
    }
    return named | {
        name: python_side(postgres, python, file, table) for name, (file, table) in _PEERS.items()
    }


@asynccontextmanager
async def receiving_side(postgres: EmbeddedPostgres) -> AsyncIterator[Side]:
    """Keep up the part of our service that takes deliveries."""
    dsn = await database(postgres, "receiving")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="recount-bench-") as folder:
        command: list[str | Path] = [sys.executable, "-m", "bench.receiver"]
        command += ["--port", str(port), "--dsn", dsn, "--folder", folder]
        async with running(command, ready=f"127.0.0.1:{port}") as pid:
            yield Side(port, pid, dsn, headers=f"X-Secret: {KEY}\r\n")


@asynccontextmanager
async def whole_side(postgres: EmbeddedPostgres) -> AsyncIterator[Side]:
    """Keep our whole service up."""
    dsn = await database(postgres, "serve")
    async with recount(dsn) as service:
        yield Side(service.port, service.pid, dsn, headers=service.key_header, projects=True)


@asynccontextmanager
async def python_side(
    postgres: EmbeddedPostgres, python: Any, name: str, table: str | None
) -> AsyncIterator[Side]:
    """Keep a peer's server up."""
    dsn = await database(postgres, name) if table else None
    port = free_port()
    command = [python, peer(name), "--port", str(port), "--dsn", dsn or ""]
    async with running(command, ready=f"http://127.0.0.1:{port}/") as pid:
        yield Side(port, pid, dsn, table or "")


def requests(side: Side, numbers: Iterator[int]) -> Iterator[bytes]:
    """Yield deliveries without end, each with another number; encoded once, to spare the load's core."""
    head, _, tail = post("/webhooks", a_body(_NUMBER), headers=side.headers).partition(_NUMBER)
    return (b"%s%010d%s" % (head, number, tail) for number in numbers)


async def at_its_peak(side: Side, fresh: Iterator[int], seconds: float) -> Load:
    """Load a side by a closed loop, as much as it takes."""
    return await closed_loop(side.port, requests(side, fresh), connections=CONNECTIONS, seconds=seconds)


def closed(
    postgres: EmbeddedPostgres, side: Side, fresh: Iterator[int], seconds: float
) -> Callable[[], Awaitable[float]]:
    """Return what measures the rate of a side, and that it stored every event that it acknowledged."""

    async def once() -> float:
        await checkpoint(postgres)
        await at_its_peak(side, fresh, seconds / 5)
        before = await side.stored()
        load = await at_its_peak(side, fresh, seconds)
        side.loads.append(load.all_well())
        after = await side.stored()
        if before is not None and after is not None and after - before != load.answers:
            raise RuntimeError(f"{load.answers} acknowledged, but {after - before} stored in {side.table}")
        await side.at_rest()
        return load.per_second

    return once


def at_share(
    side: Side, fresh: Iterator[int], share: float, seconds: float
) -> Callable[[], Awaitable[float]]:
    """Return what measures the p99 of a side, by the clock, at a share of its peak.

    The peak is that of right before: on a shared machine it is another a minute later, and a rate beyond it
    would measure nothing but the line of those who wait.
    """

    async def once() -> float:
        peak = await at_its_peak(side, fresh, seconds / 3)
        side.paced.append(peak.all_well().per_second * share)
        await side.at_rest()
        load = await open_loop(
            side.port, requests(side, fresh), rate=side.paced[-1], connections=CONNECTIONS, seconds=seconds
        )
        await side.at_rest()
        return load.all_well().percentile_ms(0.99)

    return once


async def rising_load(name: str, side: Side, fresh: Iterator[int], peak: float, report: Report) -> None:
    """Measure latency at growing rates until the side no longer keeps up."""
    points = []
    for share in (0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0):
        load = await open_loop(
            side.port, requests(side, fresh), rate=peak * share, connections=CONNECTIONS, seconds=1
        )
        await side.at_rest()
        if load.behind:
            break
        points.append((peak * share, load.percentile_ms(0.99)))
        say(f"  {name}: {peak * share:,.0f}/s: {points[-1][1]:.1f} ms")
    report.curve("ingest-latency", name, points, x="events/s", y="p99 ms")


def _p99(loads: list[Load]) -> Samples:
    return Samples(tuple(load.percentile_ms(0.99) for load in loads))


if __name__ == "__main__":
    main("versus_ingest", bench)
