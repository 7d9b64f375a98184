"""Speaks graphql-sse, one connection an operation: `curl -N` or a browser's EventSource is client enough."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson
from aiohttp import web

from schema.answer.documents import Request
from schema.answer.execute import Operations
from schema.context import Context
from schema.errors import Refused, told
from schema.live.messages import Message
from schema.live.subscribe import Cancellable, Live
from schema.resume import ResumePoint, parse_cursor
from schema.serve.held import PerAddress
from schema.serve.requests import followed

HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}
HEARTBEAT_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 2.0
RETRY_MILLISECONDS: Final = 1_000


class EventStreams:
    """All event streams of the process."""

    def __init__(
        self,
        operations: Operations,
        live: Live,
        *,
        streams_max: int,
        operations_of: PerAddress,
    ) -> None:
        self._operations = operations
        self._live = live
        self._streams_max = streams_max
        self._operations_of = operations_of
        self._open: set[EventStream] = set()

    async def serve(
        self,
        request: web.Request,
        asked: Request,
        context: Context,
        still_valid: Callable[[], Awaitable[bool]],
        *,
        headers: Mapping[str, str],
        only_queries: bool = False,
    ) -> web.StreamResponse:
        """Answer one operation as an event stream; what is wrong with it is told there, too.

        `Last-Event-ID` is where the client's last connection ended, and wins over the argument `after`.
        An EventSource shows its page nothing of a response with status 400, hence no such answer. `headers`
        are those that let an allowed page read it.
        """
        address = request.remote or ""
        if len(self._open) >= self._streams_max or self._operations_of.full(address):
            raise Refused.because(
                "too many operations are open from this address, or altogether; end one first",
                "TOO_MANY_OPERATIONS",
                status=503,
            )
        stream = EventStream(request, headers)
        self._open.add(stream)
        self._operations_of.take(address)
        running: Cancellable | None = None
        try:
            running = await self._start(stream, asked, context, only_queries)
            await stream.begin()
            await stream.until_ended(still_valid)
        finally:
            if running is not None:
                running.cancel()
            self._open.discard(stream)
            self._operations_of.leave(address)
        return stream.response

    async def _start(
        self, stream: EventStream, asked: Request, context: Context, only_queries: bool
    ) -> Cancellable | None:
        try:
            document = await followed(self._operations, asked)
            if document is not None:
                return await self._live.subscribe(
                    document, asked, context, stream, after=stream.last_event_id()
                )
            answer = await self._operations.execute(asked, context, only_queries=only_queries)
            stream.send(Message(context.read_at, answer.body))
            stream.complete()
        except Refused as refused:
            stream.fail(told(refused.errors, debug=self._operations.debug))
        return None

    async def close(self) -> None:
        """End every stream because the service stops; clients come again with their last id."""
        for stream in list(self._open):
            stream.end()


class EventStream:
    """One operation's stream of events."""

    def __init__(self, request: web.Request, headers: Mapping[str, str]) -> None:
        self._request = request
        self._chunked = request.version >= (1, 1)
        self._early: list[bytes] = []
        self._begun = False
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.response = web.StreamResponse(headers=HEADERS | dict(headers))

    def last_event_id(self) -> ResumePoint | None:
        """Return where the client's last connection ended; raises Refused for what is no cursor."""
        header = self._request.headers.get("Last-Event-ID")
        if not header:
            return None
        cursor = parse_cursor(header)
        if cursor is None:
            raise Refused.because(
                f"Last-Event-ID {header[:40]!r} is no position; send the last event's id, or leave it out",
                "BAD_USER_INPUT",
            )
        return cursor

    async def begin(self) -> None:
        """Send the headers, and what came before them."""
        if self._chunked:
            self.response.enable_chunked_encoding()
        await self.response.prepare(self._request)
        await self.response.write(b":\nretry: %d\n\n" % RETRY_MILLISECONDS)
        self._begun = True
        for frame in self._early:
            self._write(frame)
        self._early.clear()

    async def until_ended(self, still_valid: Callable[[], Awaitable[bool]]) -> None:
        """Wait until the operation ended, the token did or the client went away; a comment now and then."""
        loop = asyncio.get_running_loop()
        beat_at = loop.time() + HEARTBEAT_SECONDS
        while not self._ended.done():
            await asyncio.wait([self._ended], timeout=LOOK_SECONDS)
            if self._gone:
                return
            if not await still_valid():
                self.end()
            if loop.time() >= beat_at:
                beat_at = loop.time() + HEARTBEAT_SECONDS
                self._write(self._framed(b":\n\n"))
        if not self._gone:
            await self.response.write_eof()

    @property
    def _gone(self) -> bool:
        transport = self._request.transport
        return transport is None or transport.is_closing()

    def _framed(self, event: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(event), event) if self._chunked else event

    def _write(self, frame: bytes) -> None:
        if not self._begun:
            self._early.append(frame)
        elif not self._gone:
            assert self._request.transport is not None
            self._request.transport.write(frame)

    def send(self, message: Message) -> None:
        """Write a message; all event streams share its bytes."""
        if self._ended.done():
            return
        if not self._chunked:
            self._write(_event(message))
            return
        if not message.sse:
            message.sse = self._framed(_event(message))
        self._write(message.sse)

    def pending_bytes(self) -> int:
        """Return what the socket has not taken yet."""
        transport = self._request.transport
        return 0 if transport is None or not self._begun else transport.get_write_buffer_size()

    def complete(self) -> None:
        """Say that there will be no more, and end."""
        if not self._ended.done():
            self._write(self._framed(b"event: complete\ndata:\n\n"))
            self.end()

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """Say that the operation ended by errors."""
        if not self._ended.done():
            body = orjson.dumps({"errors": errors})
            self._write(self._framed(b"event: next\ndata: " + body + b"\n\n"))
            self.complete()

    def stalled(self, position: int) -> None:
        """Drop a client that reads nothing; it knows its last id."""
        self.end()
        if self._request.transport is not None:
            self._request.transport.abort()

    def moved(self) -> None:
        """End the response, and come again by itself where the product is."""
        self.end()

    def end(self) -> None:
        """End the response without a last event: EventSource comes again by itself."""
        if not self._ended.done():
            self._ended.set_result(None)


def _event(message: Message) -> bytes:
    place = b"id: %b\n" % str(message.cursor).encode() if message.cursor is not None else b""
    return b"%bevent: next\ndata: %b\n\n" % (place, message.body)
