"""Live updates beside a plain Strawberry subscription: equal subscriptions, from the webhook to the frame.

One core for the server, 500 subscribers that all want every event. The first row lets events come as fast as
they are acknowledged and counts frames until every subscriber has every event; the second sends events by
the clock and takes each frame's time from the moment its webhook was due.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.board import bodies, deliveries
from bench.cores import cores, pinned
from bench.harness import Options, Report, Samples, in_turn, main
from bench.listeners import Heard, hang_up, listen, subscription
from bench.load import closed_loop, open_loop, post
from bench.ours import projected, recount
from bench.processes import memory_mib, running
from bench.setup_peers import peer, peers_python
from bench.throwaway import bench_postgres, database
from tests.given.ports import free_port

OURS: Final = "recount"
THEIRS: Final = "plain Strawberry subscription, from LISTEN"
SUBSCRIBERS: Final = 500
EVENTS: Final = 200
RATE: Final = 10
QUERY: Final = "subscription { events { action occurredAt position } }"


@dataclass(frozen=True)
class Side:
    """A server that takes webhooks and has subscribers."""

    port: int
    pid: int
    dsn: str
    headers: str = ""
    projects: bool = False


async def bench(options: Options, report: Report) -> None:
    """Compare frames a second, then the time from webhook to frame."""
    count = options.pick(SUBSCRIBERS, 100)
    fresh = deliveries(list(bodies(5_000, items=200, users=500)))
    async with bench_postgres() as postgres, AsyncExitStack() as stack:
        sides = {
            OURS: await stack.enter_async_context(our_side(postgres)),
            THEIRS: await stack.enter_async_context(their_side(postgres)),
        }
        await _check_equal(sides, next(fresh))
        for name, side in sides.items():
            before = memory_mib(side.pid)
            async with listening(side, count):
                each = (memory_mib(side.pid) - before) * 1024 / count
            report.add("memory of one more subscriber", name, each, unit="KiB")
        rates = {name: flood(side, fresh, count) for name, side in sides.items()}
        report.compare(
            f"frames to {count} equal subscribers",
            await in_turn(rates, options.runs),
            unit="frames/s",
            ours=OURS,
        )
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
        seconds = options.pick(5, 2)
        await in_turn(
            {name: paced(side, fresh, count, seconds, times[name]) for name, side in sides.items()},
            options.runs,
        )
        for number, share in enumerate(("p50", "p99")):
            measured = {name: Samples(tuple(pair[number] for pair in pairs)) for name, pairs in times.items()}
            what = f"webhook to frame, {RATE} events/s to {count} subscribers, {share}"
            report.compare(what, measured, unit="ms", ours=OURS, better="lower")


@asynccontextmanager
async def our_side(postgres: Any) -> AsyncIterator[Side]:
    """Keep our service up."""
    dsn = await database(postgres, "ours")
    async with recount(dsn) as service:
        yield Side(service.port, service.pid, dsn, service.key_header, projects=True)


@asynccontextmanager
async def their_side(postgres: Any) -> AsyncIterator[Side]:
    """Keep the peer's server up."""
    dsn = await database(postgres, "theirs")
    port = free_port()
    command: list[str | Path] = [peers_python(), peer("strawberry_live"), "--port", str(port), "--dsn", dsn]
    async with running(command, ready=f"http://127.0.0.1:{port}/") as pid:
        yield Side(port, pid, dsn)


def flood(side: Side, fresh: Iterator[bytes], count: int) -> Callable[[], Awaitable[float]]:
    """Return what measures frames a second while events come as fast as they are acknowledged."""

    async def once() -> float:
        async with listening(side, count) as heard:
            some = itertools.islice(fresh, EVENTS)
            requests = [post("/webhooks", body, headers=side.headers) for body in some]
            heard.want(count * EVENTS)
            with pinned(cores().load):
                began = time.perf_counter()
                (await closed_loop(side.port, requests, connections=8)).all_well()
                await asyncio.wait_for(heard.reached.wait(), 120)
                seconds = time.perf_counter() - began
        await _at_rest(side)
        return count * EVENTS / seconds

    return once


def paced(
    side: Side, fresh: Iterator[bytes], count: int, seconds: float, times: list[tuple[float, float]]
) -> Callable[[], Awaitable[float]]:
    """Return what measures the p99 from webhook to frame, and notes it with the p50 in `times`."""

    async def once() -> float:
        events = int(RATE * seconds)
        async with listening(side, count, timed=True) as heard:
            requests = (post("/webhooks", body, headers=side.headers) for body in fresh)
            heard.want(count * events)
            with pinned(cores().load):
                began = time.perf_counter()
                load = await open_loop(side.port, requests, rate=RATE, connections=8, seconds=seconds)
                if load.all_well().behind:
                    raise RuntimeError(f"{load.behind} of {events} webhooks were not answered in time")
                await asyncio.wait_for(heard.reached.wait(), 120)
            first = min(position for position, _ in heard.arrivals)
            # The n-th position counts as the n-th webhook's: two that overtake each other swap their times.
            took = sorted(at - began - (position - first) / RATE for position, at in heard.arrivals)
        await _at_rest(side)
        times.append((took[len(took) // 2] * 1_000, took[int(len(took) * 0.99)] * 1_000))
        return times[-1][1]

    return once


@asynccontextmanager
async def listening(side: Side, count: int, *, timed: bool = False) -> AsyncIterator[Heard]:
    """Keep so many equal subscriptions open, each on a socket of its own; entered once all of them run."""
    heard = Heard(timed=timed)
    opened = await listen(side.port, [subscription(QUERY)] * count, heard)
    try:
        yield heard
    finally:
        hang_up(opened)


async def _check_equal(sides: dict[str, Side], body: bytes) -> None:
    """Raise unless one event's frame says the same on both sides, but for the spelling of a moment."""
    said: dict[str, Any] = {}
    for name, side in sides.items():
        async with aiohttp.ClientSession() as session:
            url = f"ws://127.0.0.1:{side.port}/graphql"
            async with session.ws_connect(url, protocols=["graphql-transport-ws"]) as socket:
                await socket.send_json({"type": "connection_init"})
                await socket.receive_json(timeout=30)
                await socket.send_str(subscription(QUERY).decode())
                await socket.send_json({"type": "ping"})
                await socket.receive_json(timeout=30)
                await closed_loop(side.port, [post("/webhooks", body, headers=side.headers)], connections=1)
                frame = await socket.receive_json(timeout=30)
        event = frame["payload"]["data"]["events"]
        said[name] = event | {"occurredAt": event["occurredAt"].replace("+00:00", "Z")}
    if said[OURS] != said[THEIRS]:
        raise RuntimeError(f"the sides send different events: {said}")


async def _at_rest(side: Side) -> None:
    if side.projects:
        await projected(side.dsn)


if __name__ == "__main__":
    main("versus_live", bench)
