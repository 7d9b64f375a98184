"""How closely the projections follow the log, and what it costs to follow while nothing happens.

Lag: 2,000 deliveries a second by the clock, the bodies that a board goes on with. An event's lag is the time
from `recorded_at`, which the log takes before it commits, until a notification that the checkpoint is past
its position reaches another connection, which Postgres sends after that commit: both are more than the truth.

Idle: processor time of the service and of all of its Postgres, the children that ended meanwhile included.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg

from bench.board import PRODUCT, SEED, fill_log
from bench.cores import cores
from bench.harness import Options, Report, main, say
from bench.listeners import Heard, hang_up, listen, subscription
from bench.load import open_loop, post
from bench.ours import Service, projected, recount
from bench.processes import processor_seconds
from bench.throwaway import USED_WAL, bench_postgres, database, settled, use_wal
from service.postgres.embedded import EmbeddedPostgres
from service.simulator import simulate

RATE: Final = 2_000
CONNECTIONS: Final = 32
VOTES_SHARE: Final = 0.7
LAG_P99_MS_MAX: Final = 250.0
IDLE_PERCENT_MAX: Final = 1.0
RESTING_SECONDS: Final = 15.0
SUBSCRIPTION: Final = "subscription { events { position type occurredAt item { title votes { net } } } }"
SETTINGS: Final = {"RECOUNT_LOG_LEVEL": "warning"}

_PASSED: Final = "recount_projected"
_HEAD: Final = "select coalesce(max(position), 0) from log.events"
_RECORDED: Final = """
select position, extract(epoch from recorded_at)::float8 as at
  from log.events
 where position > $1
 order by position
"""
_COUNTED: Final = "select count(*) from {facts} where position > $1"
_FACTS: Final = """
select format('read_model.%I', 'event_facts_' || generation)
  from read_model.checkpoints
 where 'event_facts' = any (tables)
"""


@dataclass
class Passed:
    """When a checkpoint was heard of: positions that rise, and the clock beside each."""

    positions: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        """Note a notification; one that tells of nothing new says nothing about any event."""
        position, now = int(str(payload)), time.time()
        if not self.positions or position > self.positions[-1]:
            self.positions.append(position)
            self.times.append(now)

    def lags_ms(self, recorded: Sequence[tuple[int, float]]) -> list[float]:
        """Return how long each event waited, the least first; raises where one was never passed."""
        lags = []
        for position, at in recorded:
            found = bisect_left(self.positions, position)
            if found == len(self.positions):
                raise RuntimeError(f"nobody said that position {position} was projected")
            lags.append((self.times[found] - at) * 1_000)
        return sorted(lags)


@asynccontextmanager
async def hearing(dsn: str) -> AsyncIterator[Passed]:
    """Listen for checkpoints on a connection of its own while the block lasts."""
    passed = Passed()
    connection = await asyncpg.connect(dsn)
    try:
        await connection.add_listener(_PASSED, passed.hear)
        yield passed
    finally:
        await connection.close()


async def lag(
    service: Service, postgres: EmbeddedPostgres, dsn: str, bodies: Iterator[bytes], *, seconds: float
) -> tuple[list[float], float, float]:
    """Deliver at the rate; return each event's lag in ms, and the cores that service and Postgres used.

    Raises where an event is not recorded, or not projected.
    """
    total = int(RATE * seconds)
    requests = [
        post("/webhooks", body, headers=service.key_header) for body in itertools.islice(bodies, total)
    ]
    connection = await asyncpg.connect(dsn)
    try:
        before = int(await connection.fetchval(_HEAD))
        used = processor_seconds(service.pid), postgres_seconds(postgres)
        async with hearing(dsn) as passed:
            load = await open_loop(
                service.port, iter(requests), rate=RATE, connections=CONNECTIONS, seconds=seconds
            )
            await projected(dsn)
            await _heard_of(passed, int(await connection.fetchval(_HEAD)))
        service_used = processor_seconds(service.pid) - used[0]
        postgres_used = postgres_seconds(postgres) - used[1]
        recorded = [(row["position"], row["at"]) for row in await connection.fetch(_RECORDED, before)]
        facts = await connection.fetchval(_FACTS)
        counted = await connection.fetchval(_COUNTED.format(facts=facts), before)
    finally:
        await connection.close()
    load.all_well()
    if load.behind or not len(recorded) == counted == load.answers == total:
        raise RuntimeError(
            f"{total} sent, {load.answers} answered, {len(recorded)} recorded, {counted} counted"
        )
    return passed.lags_ms(recorded), service_used / seconds, postgres_used / seconds


async def _heard_of(passed: Passed, position: int) -> None:
    """Wait for a notification that is still under way."""
    async with asyncio.timeout(10):
        while not passed.positions or passed.positions[-1] < position:
            await asyncio.sleep(0.01)


def postgres_seconds(postgres: EmbeddedPostgres) -> float:
    """Return the processor time of a Postgres: its processes, and those of them that have ended."""
    if postgres.pid is None:
        return 0.0
    children = Path(f"/proc/{postgres.pid}/task/{postgres.pid}/children")
    with suppress(OSError):
        running = sum(processor_seconds(int(pid)) for pid in children.read_text().split())
        return processor_seconds(postgres.pid) + running + _ended_seconds(postgres.pid)
    return 0.0


def _ended_seconds(pid: int) -> float:
    """Return the processor time of the children that a process has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


async def idle(service: Service, postgres: EmbeddedPostgres, *, seconds: float) -> tuple[float, float]:
    """Return what percentage of a core the service and its Postgres use while nothing happens."""
    used = processor_seconds(service.pid), postgres_seconds(postgres)
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    share = 100 / (time.perf_counter() - began)
    return (
        (processor_seconds(service.pid) - used[0]) * share,
        (postgres_seconds(postgres) - used[1]) * share,
    )


def report_idle(report: Report, side: str, service: float, postgres: float) -> None:
    """Add what idling cost."""
    rows = (
        ("processor while idle, the service", service, ""),
        ("processor while idle, its Postgres", postgres, ""),
        ("processor while idle, both", service + postgres, f"under {IDLE_PERCENT_MAX:g}"),
    )
    for what, percent, note in rows:
        say(f"  {what}, {side}: {percent:.2f} %")
        report.add(what, side, percent, unit="% of a core", note=note)


async def at_rest(dsn: str) -> None:
    """Leave nothing to do: no table to vacuum, no page to write, no rebuild to look after."""
    await projected(dsn)
    await settled(dsn)
    await asyncio.sleep(RESTING_SECONDS)


async def bench(options: Options, report: Report) -> None:
    """Deliver at the rate, run by run, then rest; all on one service and one board."""
    history, seconds = options.pick(50_000, 5_000), options.pick(30, 5)
    runs = min(options.runs, 3)
    async with bench_postgres(USED_WAL) as postgres:
        dsn = await database(postgres, "following")
        await fill_log(dsn, history, items=2_000, users=5_000)
        bodies = simulate(
            seed=SEED + 1,
            events=int(RATE * seconds * runs),
            items=2_000,
            users=5_000,
            product_id=PRODUCT,
            votes_share=VOTES_SHARE,
        )
        async with recount(dsn, SETTINGS, on=cores().all) as service:
            await projected(dsn)
            await settled(dsn)
            await use_wal(postgres)
            await follow(service, postgres, dsn, bodies, report, runs=runs, seconds=seconds)
            await rest(service, postgres, dsn, report, seconds=options.pick(60, 10))


async def follow(
    service: Service,
    postgres: EmbeddedPostgres,
    dsn: str,
    bodies: Iterator[bytes],
    report: Report,
    *,
    runs: int,
    seconds: float,
) -> None:
    """Measure lag, run by run."""
    measured: dict[str, list[float]] = {"p50": [], "p99": [], "worst": []}
    service_cores, postgres_cores = [], []
    for number in range(runs):
        lags, ours, theirs = await lag(service, postgres, dsn, bodies, seconds=seconds)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("worst", 1.0)):
            measured[name].append(lags[min(len(lags) - 1, int(share * len(lags)))])
        service_cores.append(ours * 100)
        postgres_cores.append(theirs * 100)
        said = ", ".join(f"{name} {values[-1]:.1f} ms" for name, values in measured.items())
        say(f"  run {number + 1} of {runs}: {said}; service {ours:.2f}, Postgres {theirs:.2f} cores")
    side = f"{RATE:,} events/s for {seconds} s"
    for name, values in measured.items():
        note = f"under {LAG_P99_MS_MAX:g}" if name == "p99" else ""
        report.add(f"from recorded to projected, {name}", side, values, unit="ms", note=note)
    report.add("processor of the service", side, service_cores, unit="% of a core")
    report.add("processor of its Postgres", side, postgres_cores, unit="% of a core")


async def rest(
    service: Service, postgres: EmbeddedPostgres, dsn: str, report: Report, *, seconds: float
) -> None:
    """Measure what following costs while nothing happens: with nobody there, and with one subscriber."""
    await at_rest(dsn)
    report_idle(report, "nobody connected", *await idle(service, postgres, seconds=seconds))
    listeners = await listen(service.port, [subscription(SUBSCRIPTION)], Heard())
    await asyncio.sleep(2)
    report_idle(report, "one live subscriber", *await idle(service, postgres, seconds=seconds))
    hang_up(listeners)


if __name__ == "__main__":
    main("following", bench)
