"""Loads a receiving service with deliveries, kills what it stands on, and then looks for each delivery."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from service.log.database import connect, migrate
from service.postgres import embedded
from service.postgres.embedded import EmbeddedPostgres
from tests.given.bodies import a_body
from tests.given.ports import free_port
from tests.given.processes import kill_with_children
from tests.given.toll import Toll, count
from tests.torture.service import AS_DESIGNED

ROOT: Final = Path(__file__).parent.parent.parent
CONNECTIONS: Final = 64
_HEAD: Final = b"POST /webhooks?key=key HTTP/1.1\r\nHost: x\r\n"


class Receiver:
    """The service process."""

    def __init__(
        self, dsn: str, folder: Path, variant: str, environment: dict[str, str] | None = None
    ) -> None:
        self.dsn, self.folder, self.variant = dsn, folder, variant
        self.environment = environment or {}
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None
        self.output = folder / "service.log"

    async def start(self) -> None:
        """Start it and wait until it listens."""
        with self.output.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.torture.service",
                self.dsn,
                str(self.folder),
                str(self.port),
                self.variant,
                cwd=ROOT,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environment},
            )
        for _ in range(3_000):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            except OSError:
                if self.process.returncode is not None:
                    break
                await asyncio.sleep(0.01)
        raise RuntimeError(f"the service did not start: {self.output.read_text()[-2000:]}")

    async def kill(self) -> None:
        """Kill it with -9."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def drained(self, seconds: float = 120) -> None:
        """Wait until nothing is in the spool."""
        async with asyncio.timeout(seconds):
            while (await self.pending())["pending"]:
                await asyncio.sleep(0.05)

    async def pending(self) -> dict[str, Any]:
        """Return what it says of its spool."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /pending HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return found


@asynccontextmanager
async def receiving(
    dsn: str, folder: Path, variant: str = AS_DESIGNED, environment: dict[str, str] | None = None
) -> AsyncIterator[Receiver]:
    """Run a service that does not outlive the block."""
    receiver = Receiver(dsn, folder, variant, environment)
    try:
        await receiver.start()
        yield receiver
    finally:
        await receiver.kill()


class Load:
    """Connections that deliver numbered bodies, each again until it is acknowledged."""

    def __init__(self, port: int, body: Callable[[int], bytes] = a_body) -> None:
        self._port, self._body = port, body
        self._next = 0
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.in_flight = 0
        self.acknowledged: set[int] = set()
        self.spooled = 0
        self.refused = 0

    @property
    def recorded(self) -> int:
        """How many were acknowledged with their place in the log."""
        return len(self.acknowledged) - self.spooled

    def start(self, connections: int = CONNECTIONS) -> None:
        """Begin to deliver."""
        self._tasks = [asyncio.create_task(self._deliver()) for _ in range(connections)]

    async def end(self) -> None:
        """Stop once each connection has the answer to its last delivery."""
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def _deliver(self) -> None:
        number, acknowledged = 0, True
        while not (self._stop.is_set() and acknowledged):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            try:
                while not (self._stop.is_set() and acknowledged):
                    if acknowledged:
                        self._next += 1
                        number, acknowledged = self._next, False
                    body = self._body(number)
                    writer.write(
                        b"POST /webhooks?key=key HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
                        % len(body)
                        + body
                    )
                    self.in_flight += 1
                    try:
                        head = await reader.readuntil(b"\r\n\r\n")
                        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                        answer = await reader.readexactly(length)
                    finally:
                        self.in_flight -= 1
                    acknowledged = head[9:10] == b"2"
                    if acknowledged:
                        self.acknowledged.add(number)
                        self.spooled += b'"spooled":true' in answer
                    else:
                        self.refused += 1
                        await asyncio.sleep(0.02)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()


@asynccontextmanager
async def postgres(
    folder: Path, *, settings: dict[str, str] | None = None, bindir: Path | None = None
) -> AsyncIterator[EmbeddedPostgres]:
    """Run a Postgres that comes back at once whenever it is killed."""
    slowest, embedded._RESTART_SECONDS_MAX = embedded._RESTART_SECONDS_MAX, 0.1
    try:
        async with EmbeddedPostgres(folder, settings=settings, bindir=bindir) as running:
            connection = await connect(running.dsn)
            await migrate(connection)
            await connection.close()
            yield running
    finally:
        embedded._RESTART_SECONDS_MAX = slowest


def kill_postgres(running: EmbeddedPostgres) -> None:
    """Kill Postgres with -9, all of it at once, so that nothing that is only in its memory is written."""
    if running.pid is not None:
        kill_with_children(running.pid)


async def storm(folder: Path, *, kills: int, events: int, variant: str = AS_DESIGNED, seed: int = 1) -> Toll:
    """Load a service; kill it, its Postgres or both at random moments; count what is missing at the end.

    A kill waits until at least 32 deliveries are under way, and most wait until some go into the log again,
    so that not only the spool is hit. Lasts until both numbers are reached.
    """
    chance = random.Random(seed)
    toll = Toll(kills={"service": 0, "postgres": 0, "both": 0})
    began = time.monotonic()
    async with postgres(folder) as running, receiving(running.dsn, folder, variant) as receiver:
        load = Load(receiver.port)
        load.start()
        while sum(toll.kills.values()) < kills or len(load.acknowledged) < events:
            acknowledged, recorded = len(load.acknowledged), load.recorded
            must_record = chance.random() < 0.7
            await asyncio.sleep(chance.uniform(0.05, 2.0 * events / kills / 4_000))
            async with asyncio.timeout(60):
                while (
                    load.in_flight < 32
                    or len(load.acknowledged) <= acknowledged
                    or (must_record and load.recorded <= recorded)
                ):
                    await asyncio.sleep(0)
            target = chance.choice(("service", "postgres", "both"))
            toll.in_flight.append(load.in_flight)
            toll.kills[target] += 1
            if target != "service":
                kill_postgres(running)
            if target != "postgres":
                await receiver.kill()
                await receiver.start()
        await load.end()
        await receiver.drained()
        await receiver.kill()
        toll.acknowledged, toll.spooled, toll.refused = len(load.acknowledged), load.spooled, load.refused
        await count(running.dsn, load.acknowledged, toll)
    toll.seconds = time.monotonic() - began
    return toll
