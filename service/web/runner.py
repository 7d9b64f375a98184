"""Runs aiohttp's server so that no answer and no open connection says or costs what it should not.

The shortcut and the limit on a head's time lean on what aiohttp keeps to itself. Where an aiohttp has not all
of it, it is left to its own way, and the log says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Protocol

import orjson
import structlog
from aiohttp import StreamReader, hdrs, web
from aiohttp.http import SERVER_SOFTWARE, HttpRequestParser, HttpVersion11, RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from service.web.metrics import Metrics
from service.web.request_log import METRICS, OTHER_METHOD, UNMATCHED, tell_answered

KEEPALIVE_SECONDS: Final = 75.0
"""How long an open connection may be silent: longer than proxies wait, so that they close first."""

HEAD_SECONDS: Final = 10.0
"""How long a request's head may take from its first byte on. Aiohttp has no limit of its own."""

UNHEARD_SECONDS: Final = 1.0
"""How long a stop waits for the first head of whoever was accepted. Browsers connect in advance."""

LATELY_SECONDS: Final = 0.1
"""For how long after an answer the next request on its connection may be on its way, of who sends more."""

_LOOK_SECONDS: Final = 0.01

_LEANED_ON: Final[Mapping[type, tuple[str, ...]]] = {
    RequestHandler: (
        "_close",
        "_handler_waiter",
        "_keepalive_handle",
        "_keepalive_timeout",
        "_loop",
        "_manager",
        "_messages",
        "_next_keepalive_close_time",
        "_parser",
        "_paused",
        "_process_keepalive",
        "_request_in_progress",
        "_waiter",
    ),
    HttpRequestParser: ("message_consumed",),
    RawRequestMessage: ("headers", "method", "path", "should_close", "upgrade", "version"),
    StreamReader: ("is_eof", "read_nowait", "total_bytes"),
}

_log = structlog.get_logger(__name__)


class Answer(NamedTuple):
    """What a shortcut answers: JSON, and further header lines, each ended by CRLF."""

    status: int
    body: bytes
    headers: bytes = b""
    content_type: bytes = b"application/json"


class Shortcut(Protocol):
    """A route whose plain POSTs are answered without all that aiohttp makes for each request.

    A Request, two Tasks, a Response and the way through the application cost as much again as keeping a
    delivery does. Parsing stays aiohttp's, and so does every request that is not plain.
    """

    route: str
    """The path, without anything that varies."""

    def take(
        self, message: RawRequestMessage, payload: StreamReader, answered: Callable[[Answer], None]
    ) -> bool:
        """Return whether the request is taken; if so, `answered` is called later, once, and never raises.

        Nothing of the payload may have been read when it is not.
        """
        ...


_SHORTCUTS: Final = web.AppKey("shortcuts", dict[str, Shortcut])


def add_shortcut(application: web.Application, shortcut: Shortcut) -> None:
    """Have the plain POSTs to a route of the application's go by the shortcut."""
    application.setdefault(_SHORTCUTS, {})[shortcut.route] = shortcut


class Runner(web.AppRunner):
    """`web.AppRunner` whose error pages repeat nothing of what was sent, and which leaves bodies as they are.

    A request line that aiohttp cannot parse never reaches a handler or a middleware, and aiohttp's own answer
    quotes the line, with the key in it. What a handler lets through ends here too. Compressed bodies are
    inflated by whoever knows their limit.
    """

    def __init__(
        self,
        app: web.Application,
        *,
        head_seconds: float = HEAD_SECONDS,
        unheard_seconds: float = UNHEARD_SECONDS,
        **options: Any,
    ) -> None:
        self._head_seconds = head_seconds
        self._unheard_seconds = unheard_seconds
        super().__init__(
            app, **({"keepalive_timeout": KEEPALIVE_SECONDS, "auto_decompress": False} | options)
        )
        app.on_response_prepare.append(self._say_if_last)

    def let_go(self) -> None:
        """Have each connection end with its next answer, and say so: what is sent on it later were lost."""
        if isinstance(self.server, _Server):
            self.server.lets_go = True

    async def _say_if_last(self, _: web.Request, response: web.StreamResponse) -> None:
        if (
            isinstance(self.server, _Server)
            and self.server.lets_go
            and response.status != HTTPStatus.SWITCHING_PROTOCOLS
        ):
            response.headers[hdrs.CONNECTION] = "close"
            response.force_close()

    async def cleanup(self) -> None:
        """Accept nobody any more, hear who was accepted last, then answer what is in flight and close."""
        self.let_go()
        for site in self.sites.copy():
            await site.stop()
        await asyncio.sleep(0)  # whoever was accepted in this turn of the loop is told of in its next
        with suppress(TimeoutError):
            async with asyncio.timeout(self._unheard_seconds):
                while self.server is not None and any(
                    isinstance(each, _ShortConnection) and each.awaited for each in self.server.connections
                ):
                    await asyncio.sleep(_LOOK_SECONDS)
        await super().cleanup()

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        assert isinstance(server, _Server)
        server.head_seconds = self._head_seconds
        shortcuts = self.app.get(_SHORTCUTS)
        server.shortcuts = shortcuts or {}
        server.connection = _ShortConnection
        server.metrics = self.app.get(METRICS)
        if missing := _missing():
            server.connection = _Connection
            note = "requests take aiohttp's own way, which is slower, and their heads may take any time"
            _log.error("shortcut_off", missing=missing, aiohttp=SERVER_SOFTWARE, note=note)
        return server


def _missing() -> list[str]:
    """Return what this aiohttp has not of all that is leaned on."""
    return [
        f"{owner.__name__}.{name}"
        for owner, names in _LEANED_ON.items()
        for name in names
        if not hasattr(owner, name)
    ]


class _Server(web.Server):
    lets_go = False
    head_seconds: float
    shortcuts: Mapping[str, Shortcut]
    metrics: Metrics | None
    connection: type[_Connection]

    def __call__(self) -> RequestHandler:
        return self.connection(self, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    """A connection that goes aiohttp's way; only its errors are ours."""

    __slots__ = ("_metrics",)

    def __init__(self, server: _Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._metrics = server.metrics

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed, or what a handler let through, with the status alone."""
        super().handle_error(request, status, exc, "")
        if self._metrics is not None and status < 500:
            # No application sees what could not be parsed, so nobody else counts it.
            self._metrics.http(UNMATCHED, OTHER_METHOD, status)
        response = _error(status, "this is no HTTP request that can be read" if status < 500 else WENT_WRONG)
        response.force_close()
        return response


class _ShortConnection(_Connection):
    """A connection with the shortcut, and with a limit on the time of a head."""

    __slots__ = ("_head_deadline", "_route", "_server", "_silent", "_taken_at")

    def __init__(self, server: _Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._head_deadline: asyncio.TimerHandle | None = None
        self._route = ""
        self._silent = True
        self._taken_at: float | None = None
        """When the request was taken that the shortcut is about; None where it is about none."""

    @property
    def awaited(self) -> bool:
        """Whether a request may be on its way: none came yet, or a part of one, or one was just answered."""
        answered_at = self._next_keepalive_close_time - self._keepalive_timeout
        lately = not self._request_in_progress and self._loop.time() < answered_at + LATELY_SECONDS
        return self._silent or self._head_deadline is not None or lately

    def data_received(self, data: bytes) -> None:
        """Pass the bytes on; whoever waits for a request after that got only a part of one's head."""
        self._silent = False
        waiter = self._waiter
        if waiter is None or waiter.done() or not self._server.shortcuts:
            super().data_received(data)
        else:
            # Hidden meanwhile, so that aiohttp wakes nobody for what the shortcut takes.
            self._waiter = None
            super().data_received(data)
            self._waiter = waiter
            if self._messages and self._taken_at is None:
                self._take_or_wake(waiter)
        if waiter is not None and not waiter.done() and self._taken_at is None:
            if self._head_deadline is None:
                self._head_deadline = self._loop.call_later(self._server.head_seconds, self._give_up)
        elif self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _take_or_wake(self, waiter: asyncio.Future[None]) -> None:
        """Give the next request to the shortcut or, where it is none for it, to aiohttp's own loop."""
        message, payload = self._messages[0]
        # From here on: reading the payload may come back to data_received.
        self._taken_at = now = self._loop.time()
        if (
            isinstance(message, RawRequestMessage)
            and (shortcut := self._server.shortcuts.get(message.path.partition("?")[0])) is not None
            and self._parser is not None
            and self._manager is not None
            and not self._paused  # whoever does not read the answers waits in aiohttp's loop
            and message.version == HttpVersion11
            and not message.should_close
            and not message.upgrade
            and shortcut.take(message, payload, self._answered)
        ):
            self._route = shortcut.route
            self._messages.popleft()
            self._parser.message_consumed()
            self._manager.requests_count += 1
            self._next_keepalive_close_time = now + self._keepalive_timeout
            self._request_in_progress = True
        else:
            self._taken_at = None
            waiter.set_result(None)

    def _answered(self, answer: Answer) -> None:
        """Send what the shortcut answers, and go on with what came meanwhile."""
        assert self._taken_at is not None
        now = self._loop.time()
        seconds, self._taken_at = now - self._taken_at, None
        self._request_in_progress = False
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)
        tell_answered(self._metrics, self._route, "POST", answer.status, seconds)
        if self.transport is None:
            return
        last = self._close or self._server.lets_go
        self.transport.write(_encoded(answer, last=last))
        if last:
            self.transport.close()
            return
        self._next_keepalive_close_time = now + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )
        waiter = self._waiter
        if self._messages and waiter is not None and not waiter.done():
            self._take_or_wake(waiter)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the deadline with the connection."""
        if self._head_deadline is not None:
            self._head_deadline.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        tell_answered(self._metrics, UNMATCHED, OTHER_METHOD, 408, self._server.head_seconds)
        if self.transport is not None:
            self.transport.write(_TOO_SLOW)
        self.force_close()


_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
WENT_WRONG: Final = "something went wrong here; the service's log says where"


_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
_SERVER: Final = SERVER_SOFTWARE.encode()
_HEAD: Final = b"HTTP/1.1 %d %s\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n%s%s"


def _encoded(answer: Answer, *, last: bool) -> bytes:
    """Write out the answer, with the headers that aiohttp's own would have."""
    status, body, headers, content_type = answer
    if last:
        headers += b"Connection: close\r\n"
    end = _end_of_head(int(time.time()))
    return _HEAD % (status, _REASONS[status], headers, content_type, len(body), end, body)


@lru_cache(maxsize=1)
def _end_of_head(now: int) -> bytes:
    return b"Date: %s\r\nServer: %s\r\n\r\n" % (formatdate(now, usegmt=True).encode(), _SERVER)


def _error(status: int, text: str) -> web.Response:
    return web.Response(body=orjson.dumps({"error": text}), status=status, content_type="application/json")
