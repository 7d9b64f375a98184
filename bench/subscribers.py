"""Many subscribers over graphql-transport-ws, as cheap as they can be: frames are counted, not decoded.

A frame's JSON is read only until the operation runs; after that whoever holds a `Subscribers` is told of each
frame by its number and bytes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class Subscriber(asyncio.Protocol):
    """One socket with one subscription; calls `told(number, payload)` for each answer, counted from 0."""

    def __init__(self, query: str, told: Callable[[int, bytes], None]) -> None:
        self._query, self._told = query, told
        self._buffer = b""
        self._upgraded = False
        self._transport: asyncio.Transport | None = None
        self.received = 0
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self._transport.write(
            (
                "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
            ).encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionResetError("closed before the subscription ran"))

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data
        if not self._upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.ready.set_exception(ConnectionError(f"no WebSocket: {head[:200]!r}"))
                return
            self._upgraded = True
            self._send({"type": "connection_init"})
        at = 0
        while (frame := _frame(data, at)) is not None:
            code, start, at = frame
            self._handle(code, data[start:at])
        self._buffer = data[at:]

    def close(self) -> None:
        """Hang up."""
        if self._transport:
            self._transport.close()

    def _handle(self, code: int, payload: bytes) -> None:
        if code == _PING:
            self._write(_PONG, payload)
        elif code != _TEXT:
            return
        elif b'"next"' in payload[:40] or b'"next"' in payload[-40:]:
            self.received += 1
            self._told(self.received - 1, payload)
        else:
            self._control(payload)

    def _control(self, payload: bytes) -> None:
        kind = json.loads(payload)["type"]
        if kind == "ping":
            self._send({"type": "pong"})
        elif kind == "connection_ack":
            self._send({"id": "1", "type": "subscribe", "payload": {"query": self._query}})
            self._send({"type": "ping"})  # answered once the subscription before it has been taken
        elif kind == "pong" and not self.ready.done():
            self.ready.set_result(None)
        elif kind == "error" and not self.ready.done():
            self.ready.set_exception(RuntimeError(payload.decode()))

    def _send(self, content: object) -> None:
        self._write(_TEXT, json.dumps(content).encode())

    def _write(self, code: int, payload: bytes) -> None:
        assert self._transport
        size = (
            bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack("!H", len(payload))
        )
        # The mask of zeros leaves the payload as it is.
        self._transport.write(bytes([0x80 | code]) + size + b"\0\0\0\0" + payload)


def _frame(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Return a whole frame's code, where its payload begins and where it ends; None while some is missing."""
    if len(data) < at + 2:
        return None
    length, start = data[at + 1], at + 2
    if length == 126:
        if len(data) < at + 4:
            return None
        length, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
    elif length == 127:
        if len(data) < at + 10:
            return None
        length, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
    end = start + length
    return (data[at] & 0x0F, start, end) if len(data) >= end else None


@asynccontextmanager
async def subscribers(
    port: int, count: int, query: str, told: Callable[[int, bytes], None]
) -> AsyncIterator[list[Subscriber]]:
    """Keep so many equal subscriptions open, each on a socket of its own; entered once all of them run."""
    loop = asyncio.get_running_loop()
    opened: list[Subscriber] = []
    try:
        while len(opened) < count:
            made = [
                await loop.create_connection(lambda: Subscriber(query, told), "127.0.0.1", port)
                for _ in range(min(50, count - len(opened)))
            ]
            opened += [subscriber for _, subscriber in made]
            await asyncio.wait_for(asyncio.gather(*(subscriber.ready for _, subscriber in made)), 30)
        yield opened
    finally:
        for subscriber in opened:
            subscriber.close()
