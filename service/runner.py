"""Runs aiohttp's server so that no answer and no open connection says or costs what it should not."""

from __future__ import annotations

from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

KEEPALIVE_SECONDS: Final = 75.0
"""How long a client may take to send a request's head, or to say something again on an open connection.

Aiohttp counts both by one clock. Longer than the proxies before it wait, so that they close first.
"""


class Runner(web.AppRunner):
    """`web.AppRunner` whose error pages repeat nothing of what was sent, and which leaves bodies as they are.

    A request line that aiohttp cannot parse never reaches a handler or a middleware, and aiohttp's own answer
    quotes the line, with the key in it. What a handler lets through ends here too. Compressed bodies are
    inflated by whoever knows their limit.
    """

    def __init__(self, app: web.Application, **options: Any) -> None:
        super().__init__(
            app, **({"keepalive_timeout": KEEPALIVE_SECONDS, "auto_decompress": False} | options)
        )

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        return server


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    __slots__ = ()

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


_OURS: Final = "something went wrong here; the service's log says where"


def _error(status: int, text: str) -> web.Response:
    return web.Response(body=orjson.dumps({"error": text}), status=status, content_type="application/json")
