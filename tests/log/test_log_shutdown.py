"""SIGTERM: what is in flight is answered, what was accepted is written, and everybody is told, in seconds."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import aiohttp

from service.log.database import connect
from service.postgres.embedded import EmbeddedPostgres
from tests.given.bodies import a_body
from tests.given.running import running
from tests.given.waiting import eventually

SOCKETS = 100
SUBSCRIBE = {
    "id": "1",
    "type": "subscribe",
    "payload": {"query": 'subscription { events(after: "0") { position } }'},
}


async def test_sigterm_answers_what_is_in_flight_and_closes_100_sockets_within_ten_seconds(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    acknowledged: set[int] = set()
    stopping = asyncio.Event()
    answered_while_stopping = 0
    unlimited = aiohttp.TCPConnector(limit=0)
    async with running(folder) as service, aiohttp.ClientSession(connector=unlimited) as http:
        url = service.webhook_url

        async def deliver(first: int) -> None:
            nonlocal answered_while_stopping
            number = first
            while True:
                late = stopping.is_set()
                try:
                    async with http.post(url, data=a_body(number)) as answer:
                        await answer.read()
                except aiohttp.ClientError:
                    return
                if answer.status == 200:
                    acknowledged.add(number)
                    answered_while_stopping += stopping.is_set() and not late
                number += 32

        sockets = [
            await http.ws_connect(service.graphql_url, protocols=("graphql-transport-ws",))
            for _ in range(SOCKETS)
        ]
        for socket in sockets:
            await socket.send_json({"type": "connection_init"})
            assert (await socket.receive_json())["type"] == "connection_ack"
            await socket.send_json(SUBSCRIBE)
        deliveries = [asyncio.create_task(deliver(first)) for first in range(1, 33)]
        await eventually(lambda: len(acknowledged) > 100)

        async def close_code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
            async for _ in socket:
                pass
            return socket.close_code

        codes = [asyncio.create_task(close_code(socket)) for socket in sockets]
        stopping.set()
        began = time.monotonic()
        code = await service.stop(signal.SIGTERM)
        seconds = time.monotonic() - began
        await asyncio.gather(*deliveries)
        assert set(await asyncio.gather(*codes)) == {1001}

    assert code == 0
    assert seconds < 10
    assert answered_while_stopping > 0
    async with EmbeddedPostgres(folder) as postgres:
        connection = await connect(postgres.dsn)
        recorded = {
            row["number"] for row in await connection.fetch("select entity_id::int as number from log.events")
        }
        await connection.close()
    assert acknowledged <= recorded
