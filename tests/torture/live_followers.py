"""Followers that are cut off at random, resume after their last position, and note what they got."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp

from bench.listeners import Heard, Listener, position_told, subscription

QUERY = """
  subscription($after: Position, $filter: EventFilter) { events(after: $after, filter: $filter) { position } }
"""
RESUME = Callable[[int], int]


class Follower:
    """One client: wants the events of one filter after one position, whatever happens to its connections."""

    def __init__(self, port: int, filter: dict[str, Any], resumes_after: RESUME = lambda last: last) -> None:
        self._port, self._filter, self._resumes_after = port, filter, resumes_after
        self.positions: list[int] = []
        self.cuts = 0
        self._connection: _Connection | None = None
        self._stopped = False

    async def follow(self) -> None:
        """Connect, and again whenever the connection ends."""
        loop = asyncio.get_running_loop()
        while not self._stopped:
            last = self.positions[-1] if self.positions else 0
            variables = {"after": self._resumes_after(last), "filter": self._filter}
            connection = _Connection(self, self._port, subscription(QUERY, variables))
            try:
                await loop.create_connection(lambda: connection, "127.0.0.1", self._port)  # noqa: B023
                self._connection = connection
                await connection.ended
            except OSError:
                pass
            await asyncio.sleep(random.uniform(0.05, 0.5))

    def cut(self) -> None:
        """Cut the line, as a network does: without a word to either side's program."""
        if self._connection is not None and self._connection.transport is not None:
            self.cuts += 1
            self._connection.transport.abort()

    def stop(self) -> None:
        """Follow no more."""
        self._stopped = True
        self.cut()


class _Connection(Listener):
    def __init__(self, follower: Follower, port: int, message: bytes) -> None:
        super().__init__(Heard(), port, message)
        self._follower = follower
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except RuntimeError:  # closed, or no socket to be had: come again
            if self.transport is not None:
                self.transport.abort()

    def _frame(self, opcode: int, data: bytes, start: int, end: int) -> None:
        position = position_told(data, start, end)
        if position is None:
            super()._frame(opcode, data, start, end)
            return
        self._state = 3
        self._follower.positions.append(position)


async def cut_at_random(followers: list[Follower], a_second: float, until: asyncio.Event) -> None:
    """Cut so many connections a second."""
    while not until.is_set():
        random.choice(followers).cut()
        await asyncio.sleep(random.expovariate(a_second))


async def deliver(
    url: str, bodies: Iterable[bytes], *, rate: float, seconds: float, workers: int = 16
) -> int:
    """Deliver bodies at a rate, each again until it is acknowledged; return how many."""
    waiting: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=2 * workers)
    delivered = 0

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal delivered
        while (body := await waiting.get()) is not None:
            while not await _acknowledged(session, url, body):
                await asyncio.sleep(0.05)
            delivered += 1

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        tasks = [asyncio.create_task(work(session)) for _ in range(workers)]
        began = time.monotonic()
        for number, body in enumerate(bodies):
            due = began + number / rate
            if due > began + seconds:
                break
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await waiting.put(body)
        for _ in tasks:
            await waiting.put(None)
        await asyncio.gather(*tasks)
    return delivered


async def _acknowledged(session: aiohttp.ClientSession, url: str, body: bytes) -> bool:
    try:
        async with session.post(url, data=body) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
