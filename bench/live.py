"""How live subscriptions are: deliveries a core, time from POST to frame, memory, and what idle ones cost.

The service has one core to itself; Postgres, the clients and whoever posts share the rest. Deliveries are
counted per second of the service's processor time, since the clients saturate their core first.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import asyncpg

from bench.cores import cores, pinned
from bench.harness import Options, Report, main, say
from bench.listeners import Heard, hang_up, listen, subscription
from bench.load import open_loop, post
from bench.ours import Service, projected, recount
from bench.processes import memory_mib, processor_seconds
from bench.throwaway import bench_postgres, database
from schema.ids import encode_id

PRODUCT: Final = 647288130
ITEMS: Final = 25
EVENTS: Final = "subscription { events { position type occurredAt item { title votes { net } } } }"
FILTERED: Final = """
subscription($filter: EventFilter) {
  events(filter: $filter) { position type occurredAt item { title votes { net } } }
}
"""
SETTINGS: Final = {"RECOUNT_OPERATIONS_ADDRESS_MAX": "30000", "RECOUNT_LOG_LEVEL": "warning"}
_QUERIES: Final = (
    "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()"
)


def body(number: int) -> bytes:
    """A vote on one of the items."""
    item = number % ITEMS + 1
    feedback = {
        "feedback_id": item,
        "title": f"Idea {item}",
        "status": "open",
        "total_up": number,
        "total_down": 0,
    }
    data = {"vote": 1, "user": {"user_id": number, "data_name": "ana_w"}, "feedback_item": feedback}
    content = {"product_id": PRODUCT, "action": "vote.create", "data": data, "timestamp": 1781428382 + number}
    return json.dumps(content, separators=(",", ":")).encode()


def requests(service: Service, numbers: Iterator[int]) -> Iterator[bytes]:
    """Give deliveries for ever."""
    for number in numbers:
        yield post("/webhooks", body(number), headers=service.key_header)


async def fan_out(
    service: Service, report: Report, numbers: Iterator[int], *, sockets: int, events: int, rate: float
) -> None:
    """Send the same events to many equal subscriptions."""
    heard = Heard()
    began = time.perf_counter()
    listeners = await listen(service.port, itertools.repeat(subscription(EVENTS), sockets), heard)
    say(f"  {sockets} subscribed in {time.perf_counter() - began:.1f} s")
    side = f"{sockets:,} equal subscribers"
    heard.want(sockets * events)
    cpu, wall = processor_seconds(service.pid), time.perf_counter()
    with pinned(cores().load):
        await open_loop(
            service.port, requests(service, numbers), rate=rate, connections=4, seconds=events / rate
        )
        async with asyncio.timeout(120):
            await heard.reached.wait()
    cpu, wall = processor_seconds(service.pid) - cpu, time.perf_counter() - wall
    report.add(
        "deliveries a second of one core",
        side,
        heard.frames / cpu,
        unit="deliveries/s",
        note=f"{heard.bytes / heard.frames:.0f} bytes each",
    )
    report.add(
        "deliveries a second, on the clock",
        side,
        heard.frames / wall,
        unit="deliveries/s",
        note="clients, Postgres and all on two cores",
    )
    hang_up(listeners)


async def latency(
    service: Service, report: Report, numbers: Iterator[int], *, sockets: int, rate: float, seconds: float
) -> None:
    """Post at a rate to subscribers whose filters are all different and match one event in 25."""
    heard = Heard(timed=True)
    subscriptions = [
        subscription(
            FILTERED,
            {
                "filter": {
                    "itemId": encode_id("Item", PRODUCT, str(number % ITEMS + 1)),
                    "recorded": {"from": f"2026-01-01T00:00:{number % 60:02}.{number:06}Z"},
                }
            },
        )
        for number in range(sockets)
    ]
    listeners = await listen(service.port, subscriptions, heard)
    heard.want(int(rate * seconds * sockets / ITEMS))
    cpu = processor_seconds(service.pid)
    with pinned(cores().load):
        sent = await _post_timed(service, numbers, rate=rate, seconds=seconds)
        async with asyncio.timeout(60):
            await heard.reached.wait()
    cpu = processor_seconds(service.pid) - cpu
    # The first second is the ramp of caches and plans, as after any start.
    first = min(sent.values()) + 1
    times = sorted((at - sent[position]) * 1_000 for position, at in heard.arrivals if sent[position] > first)
    side = f"{sockets:,} subscribers, each its own filter, {rate:,.0f} events/s"
    for name, share in (("p50", 0.5), ("p99", 0.99), ("worst", 1.0)):
        report.add(
            f"from POST to frame, {name}",
            side,
            times[min(len(times) - 1, int(share * len(times)))],
            unit="ms",
        )
    report.add(
        "processor of the service",
        side,
        cpu / seconds * 100,
        unit="% of a core",
        note=f"{len(heard.arrivals) / seconds:,.0f} deliveries/s",
    )
    hang_up(listeners)


async def _post_timed(
    service: Service, numbers: Iterator[int], *, rate: float, seconds: float, connections: int = 16
) -> dict[int, float]:
    """Post by a timetable; return when each position was due to leave."""
    sent: dict[int, float] = {}
    free: asyncio.Queue[_Poster] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    posters = []
    for _ in range(connections):
        poster = _Poster(sent, free.put_nowait)
        await loop.create_connection(lambda poster=poster: poster, "127.0.0.1", service.port)  # type: ignore[misc]
        posters.append(poster)
        free.put_nowait(poster)
    start, total = time.perf_counter(), int(rate * seconds)
    for index, request in zip(range(total), requests(service, numbers), strict=False):
        due = start + index / rate
        pause = due - time.perf_counter()
        if pause > 0.001:
            await asyncio.sleep(pause)
        (await free.get()).send(request, due)
    async with asyncio.timeout(30):
        while len(sent) < total:
            await asyncio.sleep(0.01)
    for poster in posters:
        poster.close()
    return sent


class _Poster(asyncio.Protocol):
    """A connection that posts, and notes under its position when a delivery was due to leave."""

    def __init__(self, sent: dict[int, float], done: Callable[[_Poster], None]) -> None:
        self._sent, self._done = sent, done
        self._due = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        position = json.loads(data[data.rfind(b"{") :])["position"]
        self._sent[position] = self._due
        self._done(self)

    def close(self) -> None:
        self._transport.close()


async def idle(service: Service, report: Report, dsn: str, *, sockets: int, seconds: float) -> None:
    """Count what is asked of Postgres while nothing happens: without sockets, then with many."""
    await _queries(dsn, 12)
    without = await _queries(dsn, seconds)
    heard, before = Heard(), memory_mib(service.pid)
    listeners = await listen(service.port, itertools.repeat(subscription(EVENTS), sockets), heard)
    await asyncio.sleep(12)  # an idle session of Postgres tells its statistics up to ten seconds late
    grown = (memory_mib(service.pid) - before) * 1024
    report.add("memory a subscriber", f"{sockets:,} subscribers", grown / sockets, unit="KiB")
    cpu = processor_seconds(service.pid)
    with_them = await _queries(dsn, seconds)
    cpu = processor_seconds(service.pid) - cpu
    report.add("queries a second while idle", "no sockets", without, unit="queries/s")
    report.add(
        "queries a second while idle",
        f"{sockets:,} subscribers",
        with_them,
        unit="queries/s",
        note="the poll of the hub is one for the process",
    )
    report.add("processor while idle", f"{sockets:,} subscribers", cpu / seconds * 100, unit="% of a core")
    hang_up(listeners)


async def _queries(dsn: str, seconds: float) -> float:
    connection = await asyncpg.connect(dsn)
    try:
        before = await connection.fetchval(_QUERIES)
        await asyncio.sleep(seconds)
        return float(await connection.fetchval(_QUERIES) - before) / seconds
    finally:
        await connection.close()


async def never_reading(
    service: Service,
    report: Report,
    numbers: Iterator[int],
    *,
    silent: int,
    others: int,
    rate: float,
    seconds: float,
) -> None:
    """Let some subscribers read nothing while others follow."""
    quiet, heard = Heard(), Heard(timed=True)
    hanging = await listen(service.port, itertools.repeat(subscription(EVENTS), silent), quiet)
    listeners = await listen(service.port, itertools.repeat(subscription(EVENTS), others), heard)
    for listener in hanging:
        listener.stop_reading()
    before = memory_mib(service.pid)
    heard.want(int(rate * seconds) * others)
    with pinned(cores().load):
        sent = await _post_timed(service, numbers, rate=rate, seconds=seconds)
        async with asyncio.timeout(60):
            await heard.reached.wait()
    side = f"{silent} that never read, {others} that do, {rate:,.0f} events/s"
    report.add("memory grew", side, memory_mib(service.pid) - before, unit="MiB")
    report.add(
        "others' lag, worst",
        side,
        max((at - sent[position]) * 1_000 for position, at in heard.arrivals),
        unit="ms",
    )
    hang_up([*hanging, *listeners])


async def bench(options: Options, report: Report) -> None:
    """Run all parts on one service and one log."""
    numbers = itertools.count(1)
    sockets = options.pick(10_000, 2_000)
    async with bench_postgres() as postgres:
        dsn = await database(postgres, "live")
        async with recount(dsn, SETTINGS) as service:
            await open_loop(
                service.port, requests(service, numbers), rate=200, connections=4, seconds=options.pick(10, 3)
            )
            await projected(dsn)
            await idle(service, report, dsn, sockets=sockets, seconds=options.pick(15, 5))
            await fan_out(service, report, numbers, sockets=sockets, events=options.pick(100, 50), rate=5)
            await latency(service, report, numbers, sockets=1_000, rate=500, seconds=options.pick(60, 5))
            await never_reading(
                service, report, numbers, silent=200, others=100, rate=100, seconds=options.pick(60, 5)
            )


if __name__ == "__main__":
    main("live", bench)
