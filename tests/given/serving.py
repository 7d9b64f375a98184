"""Runs the service in the test's own process, so that a test can see what it does inside."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from service.app import Service
from service.config import load_settings, variable
from service.listener import listening_socket
from service.process import in_background

GRAPHQL = "/graphql"


@dataclass
class Started:
    """A service that runs, and how to talk to it."""

    service: Service
    session: aiohttp.ClientSession
    listener: socket.socket

    async def post(self, body: bytes, key: str = "key") -> tuple[int, dict[str, Any]]:
        async with self.session.post("/webhooks", data=body, headers={"X-Secret": key}) as answer:
            return answer.status, await answer.json()

    async def ask(self, query: str) -> dict[str, Any]:
        async with self.session.post(GRAPHQL, json={"query": query}) as answer:
            content: dict[str, Any] = await answer.json(content_type=None)
            return content

    async def metric(self, line: str) -> float:
        """Return the value of the one line of /metrics that begins so."""
        async with self.session.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        [found] = [each for each in lines if each.startswith(line)]
        return float(found.split()[-1])

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with self.session.ws_connect(GRAPHQL, protocols=("graphql-transport-ws",)) as socket:
            await socket.send_json({"type": "connection_init"})
            assert (await socket.receive_json())["type"] == "connection_ack"
            yield socket


@asynccontextmanager
async def serving(settings: Mapping[str, str]) -> AsyncIterator[Started]:
    """Run the service with these settings, by their names in service/config.py, until the block ends."""
    loaded = load_settings({variable(name): value for name, value in settings.items()})
    with listening_socket(loaded.host, loaded.port) as listener:
        async with (
            Service(loaded).opened() as service,
            in_background(service.work()),
            service.listening(listener),
            aiohttp.ClientSession(service.address) as session,
        ):
            yield Started(service, session, listener)
