"""Sends HTTP/1.1 requests over connections that stay open, cheaply enough not to be what is measured.

Two loops. Closed: each connection sends its next request when it has its answer; the rate is the result.
Open: requests leave by a timetable whatever has been answered, and a latency counts from the moment in the
timetable, so that a server that stalls is charged for everyone who waits (no coordinated omission).

One asyncio protocol a connection, on uvloop; requests are encoded beforehand, and of an answer only the
status and its end are read. On one core it made 150,000 requests/s against a server that does nothing,
five times what the quickest server measured here answers.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, cast

from bench.cores import cores, pinned

_HEAD_END: Final = b"\r\n\r\n"


@dataclass
class Load:
    """What came of a load: answers, their times, and what was not a 2xx."""

    seconds: float
    latencies_seconds: list[float]
    refused: dict[int, int] = field(default_factory=dict)
    behind: int = 0  # open loop: requests of the timetable that were never answered

    @property
    def answers(self) -> int:
        """How many were answered, refusals included."""
        return len(self.latencies_seconds)

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Return the latency, in milliseconds, that this share of the answers did not exceed."""
        ordered = sorted(self.latencies_seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1_000

    def all_well(self) -> Load:
        """Return itself; raises when anything was refused, since rates of refusals mean nothing."""
        if self.refused:
            raise RuntimeError(f"not every request was answered with 2xx: {self.refused}")
        return self


def post(path: str, body: bytes, *, host: str = "127.0.0.1", headers: str = "") -> bytes:
    """Return a POST of JSON, encoded. `headers` are further lines, each ended by CRLF."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{headers}"
        f"Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def closed_loop(
    port: int, requests: Iterable[bytes], *, connections: int, seconds: float | None = None
) -> Load:
    """Send requests over so many connections, each as soon as the one before is answered.

    Ends when `requests` end or, given `seconds`, when they are over. For one request again and again pass
    `itertools.repeat(request)` and `seconds`.
    """
    waiting = iter(requests)
    return await _drive(_Closed(waiting, connections, seconds), port, connections)


async def open_loop(
    port: int, requests: Iterable[bytes], *, rate: float, connections: int, seconds: float
) -> Load:
    """Send `rate` requests a second by the clock; who finds every connection busy waits, and it counts."""
    return await _drive(_Open(iter(requests), connections, rate, seconds), port, connections)


async def ask(port: int, request: bytes) -> tuple[int, bytes]:
    """Send one request and return the answer's status and body: to check answers before they are timed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head = await reader.readuntil(_HEAD_END)
        status = int(head[9:12])
        length = _content_length(head)
        if length is not None:
            return status, await reader.readexactly(length)
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        return status, body
    finally:
        writer.close()


class _Answers(asyncio.Protocol):
    """One connection: sends what it is given, and says when the answer has come whole."""

    def __init__(
        self, answered: Callable[[_Answers, int], None], lost: Callable[[Exception | None], None]
    ) -> None:
        self._answered, self._lost = answered, lost
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(exc)

    def send(self, request: bytes, due: float) -> None:
        assert self._transport
        self.due = due
        self._transport.write(request)

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer = self._buffer + data
        end = data.find(_HEAD_END)
        if end < 0:
            self._buffer = data
            return
        length = _content_length(data[: end + 2])
        # Without a length it is chunked, and JSON has no such end.
        whole = data.endswith(b"0\r\n\r\n") if length is None else len(data) - end - 4 >= length
        if not whole:
            self._buffer = data
            return
        self._buffer = b""
        self._answered(self, int(data[9:12]))


def _content_length(head: bytes) -> int | None:
    at = head.find(b"ontent-Length: ")
    if at < 0:
        at = head.find(b"ontent-length: ")
    if at < 0:
        if b"chunked" not in head:
            raise RuntimeError(f"an answer of unknown length: {head[:300]!r}")
        return None
    return int(head[at + 15 : head.find(b"\r\n", at)])


class _Loop:
    """What both loops share: connections, times and the end."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.requests = requests
        self.latencies: list[float] = []
        self.refused: dict[int, int] = {}
        self.under_way = 0
        self.behind = 0
        self.over = asyncio.Event()
        self.failure: Exception | None = None
        self.done = False

    def begin(self, connections: list[_Answers]) -> None:
        raise NotImplementedError

    def note(self, connection: _Answers, status: int) -> None:
        self.latencies.append(time.perf_counter() - connection.due)
        if status >= 300:
            self.refused[status] = self.refused.get(status, 0) + 1

    def answered(self, connection: _Answers, status: int) -> None:
        raise NotImplementedError

    def lost(self, error: Exception | None) -> None:
        if not self.done:
            self.failure = error or ConnectionResetError("the server closed a connection")
            self.over.set()


class _Closed(_Loop):
    def __init__(self, requests: Iterator[bytes], connections: int, seconds: float | None) -> None:
        super().__init__(requests)
        self._until = None if seconds is None else seconds
        self._end = float("inf")

    def begin(self, connections: list[_Answers]) -> None:
        if self._until is not None:
            self._end = time.perf_counter() + self._until
        for connection in connections:
            self.under_way += 1
            self._next(connection)

    def answered(self, connection: _Answers, status: int) -> None:
        self.note(connection, status)
        self._next(connection)

    def _next(self, connection: _Answers) -> None:
        now = time.perf_counter()
        request = next(self.requests, None) if now < self._end else None
        if request is not None:
            connection.send(request, now)
            return
        self.under_way -= 1
        if not self.under_way:
            self.over.set()


class _Open(_Loop):
    """A timetable: a tick a millisecond sends what is due; who finds no free connection waits in line."""

    _GRACE_SECONDS = 2.0

    def __init__(self, requests: Iterator[bytes], connections: int, rate: float, seconds: float) -> None:
        super().__init__(requests)
        self._rate, self._total = rate, int(rate * seconds)
        self._free: list[_Answers] = []
        self._line: deque[tuple[bytes, float]] = deque()
        self._sent = 0

    def begin(self, connections: list[_Answers]) -> None:
        self._free = list(connections)
        self._start = time.perf_counter()
        self._tick()

    def _tick(self) -> None:
        now = time.perf_counter()
        due_by_now = min(self._total, int((now - self._start) * self._rate) + 1)
        while self._sent < due_by_now:
            due = self._start + self._sent / self._rate
            request = next(self.requests)
            self._sent += 1
            if self._free:
                self.under_way += 1
                self._free.pop().send(request, due)
            else:
                self._line.append((request, due))
        loop = asyncio.get_running_loop()
        if self._sent < self._total:
            loop.call_later(0.001, self._tick)
        elif not self.under_way and not self._line:
            self.over.set()
        elif now > self._start + self._total / self._rate + self._GRACE_SECONDS:
            self.behind = len(self._line) + self.under_way
            self.over.set()
        else:
            loop.call_later(0.005, self._tick)

    def answered(self, connection: _Answers, status: int) -> None:
        self.note(connection, status)
        if self._line:
            connection.send(*self._line.popleft())
            return
        self.under_way -= 1
        self._free.append(connection)


async def _drive(load: _Loop, port: int, count: int) -> Load:
    """Connect, run a loop to its end on the load's core, and return what it saw."""
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Answers(load.answered, load.lost), "127.0.0.1", port)
        for _ in range(count)
    ]
    connections = [protocol for _, protocol in made]
    gc.collect()
    gc.disable()  # a collection here would be a stall there
    try:
        with pinned(cores().load):
            began = time.perf_counter()
            load.begin(connections)
            await load.over.wait()
            seconds = time.perf_counter() - began
    finally:
        gc.enable()
        load.done = True
        for connection in connections:
            connection.close()
    if load.failure:
        raise RuntimeError(
            f"the server broke a connection after {len(load.latencies)} answers"
        ) from load.failure
    return Load(seconds, load.latencies, load.refused, load.behind)
