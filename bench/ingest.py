"""How fast deliveries are made safe: over HTTP, acknowledged one by one, and by `recount import`.

Bodies of 1 KB, each another, 64 connections, `fsync` on. The server has one core to itself; the load
generator and Postgres share the other, so a server that stores nothing sets the ceiling.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.harness import (
    USED_WAL,
    Options,
    Report,
    bench_postgres,
    checkpoint,
    database,
    free_port,
    in_turn,
    main,
    output_of,
    running,
    use_wal,
)
from bench.load import closed_loop, open_loop, post
from bench.ours import KEY, recount
from service.embedded import EmbeddedPostgres

CONNECTIONS: Final = 64
BODY_BYTES: Final = 1_024
SHARE_OF_PEAK: Final = 0.7
OURS: Final = "recount, receiving"
WHOLE: Final = "recount serve, projecting too"
BARE: Final = "bare aiohttp, stores nothing"
INSERT: Final = "aiohttp, an insert a request"

_PEERS: Final = Path(__file__).with_name("peers")
_NUMBER: Final = b"0000000000"


@dataclass(frozen=True)
class Server:
    """A server under load."""

    port: int
    header: str
    number: int


@asynccontextmanager
async def server(kind: str, postgres: EmbeddedPostgres, number: int) -> AsyncIterator[Server]:
    """Run one of the sides on a database of its own."""
    dsn = await database(postgres, f"ingest_{number}")
    await checkpoint(postgres)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="recount-bench-") as folder:
        commands: dict[str, list[str | Path]] = {
            OURS: [sys.executable, "-m", "bench.receiver", "--dsn", dsn, "--folder", folder],
            BARE: [sys.executable, _PEERS / "bare_aiohttp.py"],
            INSERT: [sys.executable, _PEERS / "insert_aiohttp.py", "--dsn", dsn],
        }
        if kind == WHOLE:
            async with recount(dsn) as service:
                yield Server(service.port, service.key_header, number)
            return
        command = [*commands[kind], "--port", str(port)]
        async with running(command, ready=f"127.0.0.1:{port}"):
            yield Server(port, f"X-Secret: {KEY}\r\n", number)


def requests(header: str, first: int) -> Iterator[bytes]:
    """Give deliveries for ever, each with another number in it."""
    head, _, tail = post("/webhooks", body(_NUMBER), headers=header).partition(_NUMBER)
    for number in itertools.count(first):
        yield b"%s%010d%s" % (head, number, tail)


def body(number: bytes) -> bytes:
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
    """Compare the rates, then take each one's times at 70 % of its peak, then import."""
    seconds = options.pick(5, 3)
    numbers = itertools.count(1)
    sides = [OURS, WHOLE, INSERT, BARE]
    async with bench_postgres(USED_WAL) as postgres:
        await use_wal(postgres)

        async def peak(kind: str) -> float:
            async with server(kind, postgres, next(numbers)) as on:
                await closed_loop(on.port, requests(on.header, 1), connections=CONNECTIONS, seconds=1)
                stream = requests(on.header, 10**6)
                load = await closed_loop(on.port, stream, connections=CONNECTIONS, seconds=seconds)
                return load.all_well().per_second

        def measure(kind: str):  # type: ignore[no-untyped-def]
            return lambda: peak(kind)

        peaks = await in_turn({kind: measure(kind) for kind in sides}, options.runs)
        report.compare("acknowledged one by one", peaks, unit="events/s", ours=OURS)

        async def p99(kind: str) -> float:
            async with server(kind, postgres, next(numbers)) as on:
                await closed_loop(on.port, requests(on.header, 1), connections=CONNECTIONS, seconds=1)
                rate = SHARE_OF_PEAK * peaks[kind].median
                stream = requests(on.header, 10**6)
                load = await open_loop(on.port, stream, rate=rate, connections=CONNECTIONS, seconds=seconds)
                if load.behind:
                    raise RuntimeError(f"{kind} was {load.behind} answers behind at {rate:.0f} a second")
                return load.all_well().percentile_ms(0.99)

        def time_of(kind: str):  # type: ignore[no-untyped-def]
            return lambda: p99(kind)

        times = await in_turn({kind: time_of(kind) for kind in (OURS, WHOLE, INSERT)}, options.runs)
        report.compare(
            "p99 in an open loop at 70 % of its own peak", times, unit="ms", ours=OURS, better="lower"
        )

        with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
            lines = options.pick(400_000, 60_000)
            for number in range(lines):
                file.write(body(b"%010d" % number) + b"\n")
            file.flush()
            rates = []
            for _ in range(options.runs):
                dsn = await database(postgres, f"ingest_{next(numbers)}")
                rates.append(await imported(dsn, Path(file.name), lines))
        report.add("import of bodies of 1 KB", "recount", rates, unit="events/s", note="until committed")


async def imported(dsn: str, file: Path, lines: int) -> float:
    """Import a file in a process of its own and return the rate, from the first line to the last commit."""
    said = await output_of([sys.executable, "-m", "bench.ingest_import", dsn, file])
    seconds, head = json.loads(said)
    if head != lines:
        raise RuntimeError(f"{head} of {lines} lines were recorded")
    return lines / float(seconds)


if __name__ == "__main__":
    main("ingest", bench)
