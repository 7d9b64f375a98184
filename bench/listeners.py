"""WebSocket clients cheap enough to hold ten thousand of in one process: they count frames and note times."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

_HEAD_END: Final = b"\r\n\r\n"
_POSITION: Final = b'"extensions":{"position":'
PING: Final = 0x9
CLOSE: Final = 0x8


@dataclass
class Heard:
    """What all listeners heard together. Times are kept only where `timed`: they cost more than counting."""

    timed: bool = False
    ready: int = 0
    frames: int = 0
    bytes: int = 0
    lost: int = 0
    arrivals: list[tuple[int, float]] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    wanted: int = 0

    def want(self, frames: int) -> None:
        """Set `reached` once so many more frames have come."""
        self.frames, self.wanted = 0, frames
        self.arrivals.clear()
        self.reached.clear()


class Listener(asyncio.Protocol):
    """One socket with one subscription."""

    def __init__(self, heard: Heard, port: int, subscription: bytes) -> None:
        self._heard, self._port, self._subscription = heard, port, subscription
        self._rest = b""
        self._state = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard.lost += 1

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if self._state == 0:
            end = data.find(_HEAD_END)
            if end < 0:
                self._rest = data
                return
            if not data.startswith(b"HTTP/1.1 101"):
                raise RuntimeError(f"no socket: {data[:200]!r}")
            data = data[end + 4 :]
            self._state = 1
            self._send(b'{"type":"connection_init"}')
        self._frames(data)

    def _frames(self, data: bytes) -> None:
        at, size = 0, len(data)
        while size - at >= 2:
            length, head = data[at + 1], 2
            if length == 126:
                length, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            elif length == 127:
                length, head = int.from_bytes(data[at + 2 : at + 10], "big"), 10
            end = at + head + length
            if end > size:
                break
            self._frame(data[at] & 0xF, data, at + head, end)
            at = end
        self._rest = data[at:]

    def _frame(self, opcode: int, data: bytes, start: int, end: int) -> None:
        heard = self._heard
        if opcode == PING:
            self._send(data[start:end], 0xA)
        elif opcode == CLOSE:
            raise RuntimeError(f"closed: {data[start:end]!r}")
        elif self._state == 1:
            self._state = 2
            self._send(self._subscription)
            self._send(b'{"type":"ping"}')  # its pong says that the subscription was read
        elif self._state == 2:
            self._state = 3
            heard.ready += 1
        else:
            heard.frames += 1
            heard.bytes += end - start
            if heard.timed and (position := position_told(data, start, end)) is not None:
                heard.arrivals.append((position, time.perf_counter()))
            if heard.frames == heard.wanted:
                heard.reached.set()

    def _send(self, payload: bytes, opcode: int = 0x1) -> None:
        """Send a frame; its mask is zero, which the protocol allows and costs nothing."""
        assert self.transport is not None
        size = len(payload)
        head = (
            bytes((0x80 | opcode, 0x80 | size))
            if size < 126
            else b"%c\xfe%b" % (0x80 | opcode, size.to_bytes(2, "big"))
        )
        self.transport.write(head + b"\0\0\0\0" + payload)

    def stop_reading(self) -> None:
        """Read nothing more, as a client that hangs."""
        assert self.transport is not None
        self.transport.pause_reading()


def position_told(data: bytes, start: int, end: int) -> int | None:
    """Return the position that the message in a frame tells; None where it tells none."""
    found = data.rfind(_POSITION, start, end)
    if found < 0:
        return None
    found += len(_POSITION)
    return int(data[found : data.find(b",", found, end)])


def subscription(query: str, variables: Mapping[str, Any] | None = None) -> bytes:
    """Return the message that subscribes."""
    payload = {"query": query, "variables": variables or {}}
    return json.dumps({"id": "1", "type": "subscribe", "payload": payload}).encode()


async def listen(port: int, subscriptions: Iterable[bytes], heard: Heard) -> list[Listener]:
    """Open a socket for each subscription, some at a time, and return once all are subscribed."""
    loop = asyncio.get_running_loop()
    listeners: list[Listener] = []
    before = heard.ready
    for each in subscriptions:
        listener = Listener(heard, port, each)
        listeners.append(listener)
        await loop.create_connection(lambda listener=listener: listener, "127.0.0.1", port)  # type: ignore[misc]
        while len(listeners) - (heard.ready - before) > 100:
            await asyncio.sleep(0.005)
    async with asyncio.timeout(60):
        while heard.ready - before < len(listeners):
            await asyncio.sleep(0.01)
    return listeners


def hang_up(listeners: Iterable[Listener]) -> None:
    """Close all sockets without a word."""
    for listener in listeners:
        if listener.transport is not None:
            listener.transport.abort()
