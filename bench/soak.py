"""Half an hour of steady life: deliveries, queries and subscribers at once; nothing may creep up or get lost.

    python -m bench.soak                        30 minutes at 300 events a second
    python -m bench.soak --minutes 1 --rate 100

It ends with 1 unless the service's memory grew by less than 1 MiB a minute, the p99 of the acknowledgements
stayed under 50 ms, every acknowledged event was counted in the end, and every subscriber got each event once.
The memory of the first part, while caches fill, is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import aiohttp
import asyncpg
import uvloop

from bench.cores import cores, pinned
from bench.harness import ROOT, Report, machine_line, say, table
from bench.load import Load, post
from bench.ours import Service, projected, recount
from bench.processes import memory_mib, processor_seconds
from bench.throwaway import bench_postgres, database
from service.simulator import simulate

MEMORY_MIB_A_MINUTE_MAX: Final = 1.0
ACK_P99_MS_MAX: Final = 50.0
SAMPLE_SECONDS: Final = 5.0
SETTLING_SHARE: Final = 0.25
CONNECTIONS: Final = 64
QUERY_SECONDS_MAX: Final = 30.0
CAUGHT_UP_SECONDS_MAX: Final = 60.0

_CONTENT_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_EVENT_ID: Final = re.compile(rb"^id: (\d+)\n", re.MULTILINE)
_SUBSCRIPTION: Final = "subscription { events(after: 0) { position type occurredAt summary } }"
_QUERIES: Final = (
    "{ items(first: 20, orderBy: {field: VOTES, direction: DESC}) { nodes { title votes { net } } } }",
    "{ events(first: 50) { nodes { position type summary item { title } } } }",
    '{ items(first: 10, asOf: {time: "2026-01-01T00:00:00Z"}) { nodes { title votes { up down } } } }',
    "{ users(first: 20) { nodes { name votes(first: 5) { nodes { item { title } } } } } }",
    '{ movers(window: {last: "P30D"}, first: 5) { item { title } gained } }',
    "{ projections { name lagEvents } ingest { lastEventAt } }",
)
_COUNTS: Final = """
select (select count(*) from log.events) as events,
       (select coalesce(sum(copies), 0) from log.redeliveries)::bigint as copies,
       (select count(*) from log.quarantine) as quarantined,
       (select coalesce(max(position), 0) from log.events) as head
"""


@dataclass
class Subscriber:
    """One event stream: how many events it got, and whether each followed the one before."""

    last: int = 0
    received: int = 0
    out_of_order: int = 0

    async def follow(self, port: int) -> None:
        """Read for ever; cut off, come back behind the last event."""
        url = f"http://127.0.0.1:{port}/graphql"
        headers = {"Accept": "text/event-stream"}
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                resumed = {"Last-Event-ID": str(self.last)} if self.last else {}
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.post(
                        url, json={"query": _SUBSCRIPTION}, headers=headers | resumed
                    ) as answer:
                        await self._read(answer.content)
                await asyncio.sleep(0.2)

    async def _read(self, stream: aiohttp.StreamReader) -> None:
        rest = b""
        async for chunk in stream.iter_any():
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            for found in _EVENT_ID.finditer(whole + newline):
                position = int(found[1])
                self.out_of_order += position != self.last + 1
                self.last = position
                self.received += 1


@dataclass
class Queries:
    """The reads that go on meanwhile."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    async def ask(self, port: int, rate: float) -> None:
        """Ask so many queries a second, one after the other, for ever."""
        loop = asyncio.get_running_loop()
        timeout = aiohttp.ClientTimeout(total=QUERY_SECONDS_MAX)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=timeout) as session:
            for query in itertools.cycle(_QUERIES):
                began = loop.time()
                try:
                    async with session.post("/graphql", json={"query": query}) as answer:
                        content = await answer.json(content_type=None)
                        if "errors" in content:
                            self.errors.append(str(content["errors"][0]["message"]))
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.errors.append(type(error).__name__)
                self.seconds.append(loop.time() - began)
                await asyncio.sleep(max(0.0, 1 / rate - (loop.time() - began)))


@dataclass
class Watch:
    """The service's memory over time."""

    points: list[tuple[float, float]] = field(default_factory=list)

    async def look(self, pid: int) -> None:
        """Note the resident memory every few seconds, for ever."""
        began = time.monotonic()
        while True:
            self.points.append(((time.monotonic() - began) / 60, memory_mib(pid)))
            await asyncio.sleep(SAMPLE_SECONDS)

    def slope_mib_a_minute(self) -> float:
        """Return the slope of a straight line through what came after the service had settled."""
        settled = self.points[int(len(self.points) * SETTLING_SHARE) :]
        if len(settled) < 3:
            return 0.0
        return statistics.linear_regression(*zip(*settled, strict=True)).slope


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    minutes: float
    rate: float
    subscribers: int
    queries: float


@dataclass
class Outcome:
    """What a soak came to."""

    load: Load
    watch: Watch
    queries: Queries
    subscribers: list[Subscriber]
    counts: dict[str, int]
    projected: int
    caught_up: bool
    processor_share: float

    def problems(self) -> list[str]:
        """Return what was not as it should be."""
        acknowledged = self.load.answers - sum(self.load.refused.values())
        kept = self.counts["events"] + self.counts["copies"] + self.counts["quarantined"]
        found = []
        if self.load.refused or self.load.behind:
            found.append(f"refused {self.load.refused}, never answered {self.load.behind}")
        if kept < acknowledged:
            found.append(f"{acknowledged} were acknowledged, {kept} are kept")
        if self.counts["events"] != self.counts["head"] or self.projected != self.counts["events"]:
            found.append(
                f"{self.counts['events']} events, head {self.counts['head']}, counted {self.projected}"
            )
        if self.load.percentile_ms(0.99) >= ACK_P99_MS_MAX:
            found.append(f"p99 of the acknowledgement {self.load.percentile_ms(0.99):.1f} ms")
        if self.watch.slope_mib_a_minute() >= MEMORY_MIB_A_MINUTE_MAX:
            found.append(f"memory grows by {self.watch.slope_mib_a_minute():.2f} MiB a minute")
        if self.queries.errors:
            found.append(f"{len(self.queries.errors)} queries failed: {self.queries.errors[0]}")
        wrong = [one for one in self.subscribers if one.received != self.counts["head"] or one.out_of_order]
        if wrong or not self.caught_up:
            found.append(f"{len(wrong)} subscribers did not get every event once: {wrong[:1]}")
        return found


async def soak(options: Options) -> Outcome:
    """Run the service under all three loads, then count."""
    with tempfile.TemporaryFile() as bodies:
        for body in simulate(seed=int(time.time()), events=_events(options), items=2_000, users=5_000):
            bodies.write(body + b"\n")
        bodies.seek(0)
        return await _soak(options, bodies)


def _events(options: Options) -> int:
    """More than will be sent."""
    return int(options.minutes * 60 * options.rate * 1.05) + 1_000


async def _soak(options: Options, bodies: BinaryIO) -> Outcome:
    async with bench_postgres() as postgres:
        dsn = await database(postgres, "soak")
        async with recount(dsn, {"RECOUNT_OPERATIONS_ADDRESS_MAX": "100000"}, on=cores().all) as service:
            with pinned(cores().load):
                return await _under_load(options, service, dsn, bodies)


async def _under_load(options: Options, service: Service, dsn: str, bodies: BinaryIO) -> Outcome:
    watch, queries = Watch(), Queries()
    subscribers = [Subscriber() for _ in range(options.subscribers)]
    seconds = options.minutes * 60
    async with _meanwhile(
        watch.look(service.pid),
        queries.ask(service.port, options.queries),
        *(subscriber.follow(service.port) for subscriber in subscribers),
    ):
        used = processor_seconds(service.pid)
        load = await _deliver(service.port, _requests(service, bodies), options.rate, seconds)
        share = (processor_seconds(service.pid) - used) / seconds
        await projected(dsn)
        counts, counted = await _counts(dsn)
        caught_up = await _caught_up(subscribers, counts["head"])
    return Outcome(load, watch, queries, subscribers, counts, counted, caught_up, share)


async def _deliver(port: int, requests: Iterator[bytes], rate: float, seconds: float) -> Load:
    """Send by the clock, each connection in its turn, so that none lies idle until the service closes it.

    A latency counts from when the request was due, however late it could be sent.
    """
    loop = asyncio.get_running_loop()
    load = Load(seconds, [])
    began = loop.time()

    async def one_connection(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        due = began + number / rate
        while due < began + seconds:
            await asyncio.sleep(max(0.0, due - loop.time()))
            writer.write(next(requests))
            head = await reader.readuntil(b"\r\n\r\n")
            found = _CONTENT_LENGTH.search(head)
            await reader.readexactly(int(found[1]) if found else 0)
            load.latencies_seconds.append(loop.time() - due)
            status = int(head[9:12])
            if status >= 300:
                load.refused[status] = load.refused.get(status, 0) + 1
            due += CONNECTIONS / rate
        writer.close()

    async with asyncio.TaskGroup() as group:
        for number in range(CONNECTIONS):
            group.create_task(one_connection(number))
    return load


def _requests(service: Service, bodies: BinaryIO) -> Iterator[bytes]:
    """Deliveries made up beforehand: making them up takes more time than sending them."""
    for line in bodies:
        yield post("/webhooks", line[:-1], headers=service.key_header)


@asynccontextmanager
async def _meanwhile(*works: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _counts(dsn: str) -> tuple[dict[str, int], int]:
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow(_COUNTS)
        facts = await connection.fetchval(
            "select format('read_model.%I', 'event_facts_' || generation) from read_model.checkpoints "
            "where 'event_facts' = any (tables)"
        )
        assert row is not None
        return dict(row), int(await connection.fetchval(f"select count(*) from {facts}"))
    finally:
        await connection.close()


async def _caught_up(subscribers: list[Subscriber], head: int) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(CAUGHT_UP_SECONDS_MAX):
            while any(subscriber.last < head for subscriber in subscribers):
                await asyncio.sleep(0.1)
            return True
    return False


def report(options: Options, outcome: Outcome) -> Report:
    """Return the rows and the memory curve."""
    made = Report("soak")
    what = (
        f"{options.minutes:g} min, {options.rate:g} events/s, {options.subscribers} subscribers, "
        f"{options.queries:g} queries/s"
    )
    made.add(what, "acknowledged", outcome.load.answers, unit="deliveries")
    made.add(what, "counted in the end", outcome.projected, unit="events")
    made.add(what, "acknowledgement p50", outcome.load.percentile_ms(0.5), unit="ms")
    made.add(what, "acknowledgement p99", outcome.load.percentile_ms(0.99), unit="ms", note="under 50")
    made.add(what, "memory at the end", outcome.watch.points[-1][1], unit="MiB")
    made.add(what, "memory growth", outcome.watch.slope_mib_a_minute(), unit="MiB/min", note="under 1")
    made.add(what, "queries", len(outcome.queries.seconds), unit="queries")
    slowest = sorted(outcome.queries.seconds)[int(len(outcome.queries.seconds) * 0.99)] * 1000
    made.add(what, "query p99", slowest, unit="ms")
    made.add(what, "delivered live", sum(one.received for one in outcome.subscribers), unit="events")
    made.add(what, "processor time of the service", outcome.processor_share, unit="cores")
    made.curve("soak-memory", "recount serve", outcome.watch.points, x="minutes", y="MiB resident")
    return made


def main() -> None:
    """Run it as a command."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=300, help="events a second")
    parser.add_argument("--subscribers", type=int, default=20)
    parser.add_argument("--queries", type=float, default=10, help="queries a second")
    parser.add_argument("--quick", action="store_true", help="one minute")
    given = parser.parse_args()
    minutes = 1.0 if given.quick else given.minutes
    options = Options(minutes, given.rate, given.subscribers, given.queries)
    say(f"{options.minutes:g} minutes at {options.rate:g} events/s …")
    outcome = uvloop.run(soak(options))
    made = report(options, outcome)
    path = made.write()
    rows = json.loads(Path(path).read_text())["rows"]
    print(f"\n{machine_line()}\n\n{table(rows)}\n")
    say(f"written to {path.relative_to(ROOT)}")
    problems = outcome.problems()
    for problem in problems:
        say(f"PROBLEM: {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
