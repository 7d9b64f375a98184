"""Serves a GraphQL endpoint on a free port of this machine, for tests that speak to it as clients do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import aiohttp
from aiohttp import web

from schema.build import Schema
from schema.context import EVERYTHING, Caller, Services
from schema.live.subscribe import Live
from schema.serve.http import GraphQLEndpoint
from service.web.runner import Runner
from tests.given.streaming import StreamingLive

TOKENS = {"good": EVERYTHING, "reads": Caller(frozenset({"read"}), frozenset({1}))}


@dataclass
class Served:
    """A running endpoint and a session to talk to it with."""

    endpoint: GraphQLEndpoint
    url: str
    session: aiohttp.ClientSession

    async def post(
        self, body: object, headers: dict[str, str] | None = None, **options: Any
    ) -> tuple[int, dict[str, Any], aiohttp.ClientResponse]:
        """Send a request as JSON, and return status, decoded body and response."""
        async with self.session.post(self.url, json=body, headers=headers, **options) as response:
            return response.status, await response.json(content_type=None), response

    def socket(self, **options: Any) -> Any:
        """Open a WebSocket that speaks graphql-transport-ws."""
        options.setdefault("protocols", ("graphql-transport-ws",))
        return self.session.ws_connect(self.url, **options)


async def authenticate_anybody(token: str | None) -> Caller | None:
    return EVERYTHING


async def authenticate(token: str | None) -> Caller | None:
    return TOKENS.get(token or "")


@asynccontextmanager
async def served(
    schema: Schema,
    services: Services | None = None,
    *,
    tokens: bool = False,
    shortcut: bool = True,
    **options: Any,
) -> AsyncIterator[Served]:
    """Serve a schema; with `tokens`, only to whoever shows one of TOKENS."""
    options.setdefault("open_on_loopback", not tokens)
    with patch("schema.serve.http.Live", Live if services is not None else StreamingLive):
        endpoint = GraphQLEndpoint(
            schema,
            services,  # type: ignore[arg-type]
            options.pop("authenticate", authenticate if tokens else authenticate_anybody),
            **options,
        )
    application = web.Application()
    endpoint.add_to(application)
    # Aiohttp's own runner knows of no shortcut.
    runner = (Runner if shortcut else web.AppRunner)(application, access_log=None, shutdown_timeout=5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            yield Served(endpoint, f"http://127.0.0.1:{port}/graphql", session)
    finally:
        await runner.cleanup()
