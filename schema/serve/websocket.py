"""Speaks graphql-transport-ws: operations over one WebSocket, each message as the protocol has it.

Frames of subscriptions are written to the transport whole, encoded once for all sockets; everything
else goes through aiohttp. The legacy protocol `graphql-ws` is not spoken.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from typing import Any, Final

import orjson
import structlog
from aiohttp import WSMsgType, web

from schema.answer.documents import Request
from schema.answer.execute import Operations
from schema.context import Caller, Context, Services
from schema.errors import INTERNAL, Refused, told
from schema.live.messages import Message
from schema.live.subscribe import Cancellable, Live
from schema.serve.held import PerAddress, SocketLimits
from schema.serve.protocol import (
    PROTOCOL,
    Close,
    Violation,
    closing_words,
    id_of,
    message_of,
    payload_of,
    text_frame,
)
from schema.serve.requests import (
    SCOPES_NAMED,
    HashForText,
    asked_for,
    followed,
    token_in,
)
from schema.serve.who import Authenticate, Credential
from service.errors import PostgresAway

MESSAGE_BYTES_MAX: Final = 256 * 1024

_log = structlog.get_logger(__name__)


class Sockets:
    """All WebSockets of the process: their limits, their pings, and their end."""

    def __init__(
        self,
        services: Services,
        operations: Operations,
        live: Live,
        authenticate: Authenticate,
        limits: SocketLimits | None = None,
    ) -> None:
        self.services = services
        self.operations = operations
        self.live = live
        self.authenticate = authenticate
        self.limits = limits or SocketLimits()
        self.operations_of = PerAddress(self.limits.operations_address_max)
        self.closing = False
        self._open: set[Socket] = set()
        self._sweeper: asyncio.Task[None] | None = None

    async def serve(self, request: web.Request, credential: Credential) -> web.StreamResponse:
        """Speak with one client until either side ends it; `credential` is what it was opened with."""
        if self.closing or len(self._open) >= self.limits.sockets_max:
            raise web.HTTPServiceUnavailable(
                text="too many connections; try again", headers={"Retry-After": "5"}
            )
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        response = web.WebSocketResponse(
            protocols=(PROTOCOL,), autoping=False, compress=False, max_msg_size=MESSAGE_BYTES_MAX
        )
        await response.prepare(request)
        if PROTOCOL not in [name.strip() for name in offered.split(",")]:
            await response.close(
                code=Close.SUBPROTOCOL_NOT_ACCEPTABLE,
                message=b"Subprotocol not acceptable: " + PROTOCOL.encode(),
            )
            return response
        socket = Socket(self, request, response, credential)
        self._open.add(socket)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep(), name="websocket pings")
        try:
            await socket.run()
        finally:
            self._open.discard(socket)
            if not self._open and self._sweeper is not None:
                self._sweeper.cancel()
                self._sweeper = None
        return response

    async def _sweep(self) -> None:
        """Ping each socket in its turn, drop the long silent, close those whose token was revoked."""
        while True:
            await asyncio.sleep(min(5.0, self.limits.ping_seconds / 5))
            granted: dict[Credential, Caller | None] = {}
            for number, socket in enumerate(list(self._open)):
                socket.look()
                await socket.check_token(granted)
                if number % 1_000 == 999:
                    await asyncio.sleep(0)

    async def close(self) -> None:
        """Close every socket because the service stops; returns within seconds, whoever answers."""
        self.closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        sockets = list(self._open)
        for socket in sockets:
            socket.end(Close.GOING_AWAY, "the service stops; connect again and resume")
        if sockets:
            await asyncio.wait([socket.ended for socket in sockets], timeout=self.limits.close_seconds)
        for socket in list(self._open):
            socket.abort()


class Socket:
    """One client's connection: who it is, and the operations it runs."""

    def __init__(
        self,
        sockets: Sockets,
        request: web.Request,
        response: web.WebSocketResponse,
        credential: Credential,
    ) -> None:
        assert request.transport is not None
        self.transport: Final = request.transport
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sockets = sockets
        self._response = response
        self._scopes = request.query.get(SCOPES_NAMED)
        self._address = request.remote or ""
        self._credential = credential
        self._granted: Caller | None = None
        self._caller: Caller | None = None
        self._initialised = False
        self._operations: dict[str, Operation] = {}
        self._heard_at = self._pinged_at = asyncio.get_running_loop().time()
        self._expiry: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[Any] | None = None

    async def run(self) -> None:
        """Read messages until the socket closes; what the client did wrong closes it with a code."""
        loop = asyncio.get_running_loop()
        deadline = loop.call_later(self._sockets.limits.init_seconds, self._init_too_late)
        try:
            while True:
                message = await self._response.receive()
                self._heard_at = loop.time()
                if message.type is WSMsgType.TEXT:
                    await self._take(message.data)
                elif message.type is WSMsgType.PING:
                    await self._response.pong(message.data)
                elif message.type is WSMsgType.BINARY:
                    raise Violation(Close.BAD_REQUEST, "Invalid message: a binary frame")
                elif message.type is not WSMsgType.PONG:
                    break
        except Violation as violation:
            await self._response.close(code=violation.code, message=closing_words(violation.reason))
        except (ConnectionError, RuntimeError):
            pass  # it went away while an answer was written
        finally:
            deadline.cancel()
            self._release()

    def _release(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        for operation in list(self._operations.values()):
            operation.cancel()
        if not self.ended.done():
            self.ended.set_result(None)

    def _init_too_late(self) -> None:
        if not self._initialised:
            self.end(Close.INIT_TIMEOUT, "Connection initialisation timeout")

    def end(self, code: Close, reason: str) -> None:
        """Close from our side, once; the reader notices and releases what the socket holds."""
        if self._closing is None:
            for operation in list(self._operations.values()):
                operation.cancel()
            self._closing = asyncio.create_task(self._close(code, reason))

    async def _close(self, code: Close, reason: str) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError, TimeoutError):
            async with asyncio.timeout(self._sockets.limits.close_seconds):
                await self._response.close(code=code, message=closing_words(reason))
        self.abort()

    def abort(self) -> None:
        """Drop the connection; what was not sent is gone."""
        self.transport.abort()

    def look(self) -> None:
        """Ping when it is time; drop a client that neither reads nor answers."""
        now, limits = asyncio.get_running_loop().time(), self._sockets.limits
        if now - self._heard_at > limits.silence_seconds:
            self.abort()
        elif now - max(self._pinged_at, self._heard_at) > limits.ping_seconds - 2.5:
            self._pinged_at = now
            self.write(b"\x89\x00")

    async def check_token(self, granted: dict[Credential, Caller | None]) -> None:
        """Close when the token that opened it is good no longer, or reaches less than it did.

        `granted` has what was found in this round: ten thousand sockets of one token ask once
        (asking for each took 5 % of a core).
        """
        shown = self._credential
        if self._caller is None:
            return
        if shown not in granted:
            granted[shown] = await self._sockets.authenticate(shown)
        if granted[shown] != self._granted:
            self.end(Close.FORBIDDEN, "Forbidden: the token was revoked or has expired")

    def write(self, frame: bytes) -> None:
        """Write a whole frame without waiting."""
        if self._closing is None and not self.transport.is_closing():
            self.transport.write(frame)

    def say(self, message: dict[str, Any]) -> None:
        """Write a message of the protocol."""
        self.write(text_frame(orjson.dumps(message)))

    async def _take(self, text: str) -> None:
        message = message_of(text)
        match message.get("type"):
            case "connection_init":
                await self._init(payload_of(message))
            case "ping":
                payload = payload_of(message)
                self.say({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})
            case "pong":
                payload_of(message)
            case "subscribe":
                self._subscribe(message)
            case "complete":
                self._complete(id_of(message))
            case kind:
                raise Violation(Close.BAD_REQUEST, f"Invalid message: unknown type {str(kind)[:40]!r}")

    async def _init(self, payload: dict[str, Any] | None) -> None:
        if self._initialised:
            raise Violation(Close.TOO_MANY_INIT, "Too many initialisation requests")
        self._initialised = True
        self._credential = token_in(payload) or self._credential
        try:
            self._granted = await self._sockets.authenticate(self._credential)
        except PostgresAway as away:
            raise Violation(Close.TRY_AGAIN_LATER, str(away)) from away
        if self._granted is None:
            raise Violation(Close.FORBIDDEN, "Forbidden: the token is missing, unknown or expired")
        self._caller = caller = self._granted.with_at_most(self._scopes)
        if caller.expires_at is not None:
            left = (caller.expires_at - dt.datetime.now(dt.UTC)).total_seconds()
            self._expiry = asyncio.get_running_loop().call_later(
                max(left, 0), self.end, Close.FORBIDDEN, "Forbidden: the token has expired"
            )
        self.say({"type": "connection_ack"})

    def _subscribe(self, message: dict[str, Any]) -> None:
        operation_id = id_of(message)
        try:
            request = asked_for(message.get("payload"))
        except HashForText as refused:
            return self._refuse(operation_id, refused)
        except Refused as refused:
            raise Violation(Close.BAD_REQUEST, f"Invalid message: {refused}") from None
        if self._caller is None:
            raise Violation(Close.UNAUTHORIZED, "Unauthorized")
        if operation_id in self._operations:
            raise Violation(Close.SUBSCRIBER_EXISTS, f"Subscriber for {operation_id} already exists")
        limits = self._sockets.limits
        if len(self._operations) >= limits.operations_socket_max:
            return self._refuse(operation_id, _too_many(limits.operations_socket_max, "a socket"))
        if self._sockets.operations_of.full(self._address):
            return self._refuse(operation_id, _too_many(limits.operations_address_max, "an address"))
        operation = self._operations[operation_id] = Operation(self, operation_id)
        self._sockets.operations_of.take(self._address)
        operation.start(request, Context(self._sockets.services, self._caller), self._sockets)
        return None

    def _refuse(self, operation_id: str, refused: Refused) -> None:
        self.say({"id": operation_id, "type": "error", "payload": told(refused.errors)})

    def _complete(self, operation_id: str) -> None:
        operation = self._operations.get(operation_id)
        if operation is not None:
            operation.cancel()

    def forget(self, operation_id: str) -> None:
        """Let the id of an operation that ended be used again."""
        if self._operations.pop(operation_id, None) is not None:
            self._sockets.operations_of.leave(self._address)


class Operation:
    """One operation of a socket; for a subscription also the sink of its messages."""

    __slots__ = ("_ended", "_id", "_prefix", "_running", "_socket", "_task")

    def __init__(self, socket: Socket, operation_id: str) -> None:
        self._socket = socket
        self._id = operation_id
        self._prefix = b'{"id":' + orjson.dumps(operation_id) + b',"type":"next","payload":'
        self._running: Cancellable | None = None
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    def start(self, request: Request, context: Context, sockets: Sockets) -> None:
        """Run it beside the others."""
        self._task = asyncio.create_task(self._run(request, context, sockets))

    async def _run(self, request: Request, context: Context, sockets: Sockets) -> None:
        operations = sockets.operations
        try:
            document = await followed(operations, request)
            if document is not None:
                self._running = await sockets.live.subscribe(document, request, context, self)
            else:
                answer = await operations.execute(request, context)
                if answer.executed:
                    self._socket.write(text_frame(self._prefix + answer.body + b"}"))
                    self.complete()
                else:
                    self.fail(orjson.loads(answer.body)["errors"])
        except Refused as refused:
            self.fail(told(refused.errors, debug=operations.debug))
        except Exception as error:
            _log.exception("graphql_operation_failed", error=type(error).__name__)
            message = "an internal error; the service's log tells more"
            self.fail([{"message": message, "extensions": {"code": INTERNAL}}])
        finally:
            self._task = None
            if self._ended and self._running is not None:
                self._running.cancel()

    def cancel(self) -> None:
        """End it without a word: the client said so, or is gone."""
        self._ended = True
        self._socket.forget(self._id)
        if self._running is not None:
            self._running.cancel()
        elif self._task is not None:
            self._task.cancel()

    def send(self, message: Message) -> None:
        """Write a message; sockets whose clients chose the same id share the frame."""
        if self._ended:
            return
        if message.ws_id != self._prefix:
            message.ws = text_frame(self._prefix + message.body + b"}")
            message.ws_id = self._prefix
        self._socket.write(message.ws)

    def pending_bytes(self) -> int:
        """Return what the socket has not taken yet."""
        return self._socket.transport.get_write_buffer_size()

    def complete(self) -> None:
        """Say that there will be no more."""
        self._last({"id": self._id, "type": "complete"})

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """Say that it ended by errors; the others on the socket go on."""
        self._last({"id": self._id, "type": "error", "payload": errors})

    def _last(self, message: dict[str, Any]) -> None:
        if not self._ended:
            self._ended = True
            self._socket.forget(self._id)
            self._socket.say(message)

    def stalled(self, position: int) -> None:
        """Close the socket: its client reads nothing, and can resume after the last position."""
        self._socket.end(Close.STALLED, f"Nothing was read for long; resume after {position}")

    def moved(self) -> None:
        """Close the socket: it may lead to where the product was, and a new one to where it is."""
        self._socket.end(Close.GOING_AWAY, "a product has moved to another cell; connect again and resume")


def _too_many(most: int, where: str) -> Refused:
    message = f"at most {most} operations {where} are allowed; complete one first"
    return Refused.because(message, "TOO_MANY_OPERATIONS")
