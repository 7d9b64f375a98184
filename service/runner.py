"""Runs aiohttp's server so that no answer and no open connection says or costs what it should not."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

KEEPALIVE_SECONDS: Final = 75.0
"""How long an open connection may be silent: longer than proxies wait, so that they close first."""

HEAD_SECONDS: Final = 10.0
"""How long a request's head may take from its first byte on. Aiohttp has no limit of its own."""


class Runner(web.AppRunner):
    """`web.AppRunner` whose error pages repeat nothing of what was sent, and which leaves bodies as they are.

    A request line that aiohttp cannot parse never reaches a handler or a middleware, and aiohttp's own answer
    quotes the line, with the key in it. What a handler lets through ends here too. Compressed bodies are
    inflated by whoever knows their limit.
    """

    def __init__(self, app: web.Application, *, head_seconds: float = HEAD_SECONDS, **options: Any) -> None:
        self._head_seconds = head_seconds
        super().__init__(
            app, **({"keepalive_timeout": KEEPALIVE_SECONDS, "auto_decompress": False} | options)
        )

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        assert isinstance(server, _Server)
        server.head_seconds = self._head_seconds
        return server


class _Server(web.Server):
    head_seconds: float

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    __slots__ = ("_head_deadline", "_head_seconds")

    def __init__(self, server: _Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._head_seconds = server.head_seconds
        self._head_deadline: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Pass the bytes on; whoever waits for a request after that got only a part of one's head."""
        super().data_received(data)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            if self._head_deadline is None:
                self._head_deadline = self._loop.call_later(self._head_seconds, self._give_up)
        elif self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the deadline with the connection."""
        if self._head_deadline is not None:
            self._head_deadline.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if self.transport is not None:
            self.transport.write(_TOO_SLOW)
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed, or what a handler let through, with the status alone."""
        super().handle_error(request, status, exc, "")
        response = _error(status, "this is no HTTP request that can be read" if status < 500 else _OURS)
        response.force_close()
        return response


_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_OURS: Final = "something went wrong here; the service's log says where"


def _error(status: int, text: str) -> web.Response:
    return web.Response(body=orjson.dumps({"error": text}), status=status, content_type="application/json")
