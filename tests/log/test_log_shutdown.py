"""SIGTERM: what is in flight is answered, what was accepted is written, and everybody is told, in seconds."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from service.log.database import connect
from service.postgres.embedded import EmbeddedPostgres, attach
from service.process import ending_signals
from tests.given.bodies import a_body
from tests.given.running import running
from tests.given.waiting import eventually

SOCKETS = 100
SENDERS = 32
SUBSCRIBE = {
    "id": "1",
    "type": "subscribe",
    "payload": {"query": 'subscription { events(after: "0") { position } }'},
}
_BLOCKED = "select count(*) = 1 from pg_stat_activity where wait_event_type = 'Lock'"


async def test_sigterm_answers_what_is_in_flight_and_closes_100_sockets_within_ten_seconds(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    answered: list[int] = []
    unlimited = aiohttp.TCPConnector(limit=0)
    async with running(folder) as service, aiohttp.ClientSession(connector=unlimited) as http:
        url = service.webhook_url

        async def deliver(first: int) -> None:
            number = first
            while True:
                try:
                    async with http.post(url, data=a_body(number)) as answer:
                        await answer.read()
                except aiohttp.ClientError:
                    return
                if answer.status == 200:
                    answered.append(number)
                number += SENDERS

        async def others_wait() -> bool:
            async with http.get(f"{service.address}/metrics") as answer:
                return f"\nrecount_append_queue_events {SENDERS - 1}.0\n" in await answer.text()

        sockets = [
            await http.ws_connect(service.graphql_url, protocols=("graphql-transport-ws",))
            for _ in range(SOCKETS)
        ]
        for socket in sockets:
            await socket.send_json({"type": "connection_init"})
            assert (await socket.receive_json())["type"] == "connection_ack"
            await socket.send_json(SUBSCRIBE)

        async def close_code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
            async for _ in socket:
                pass
            return socket.close_code

        codes = [asyncio.create_task(close_code(socket)) for socket in sockets]
        # Nothing is written while another holds the head: what was sent is in flight at the signal.
        holder = await connect(attach(folder) or "")
        await holder.execute("begin; select 1 from log.head for update")
        deliveries = [asyncio.create_task(deliver(1))]
        await eventually(lambda: holder.fetchval(_BLOCKED))
        deliveries += [asyncio.create_task(deliver(first)) for first in range(2, SENDERS + 1)]
        await eventually(others_wait)
        began = time.monotonic()
        ended = asyncio.create_task(service.stop(signal.SIGTERM))
        await eventually(lambda: "stopping" in service.said)
        assert not answered
        await holder.execute("rollback")
        await holder.close()
        code = await ended
        seconds = time.monotonic() - began
        await asyncio.gather(*deliveries)
        assert set(await asyncio.gather(*codes)) == {1001}

    assert code == 0
    assert seconds < 10
    assert set(range(1, SENDERS + 1)) <= set(answered)
    async with EmbeddedPostgres(folder) as postgres:
        connection = await connect(postgres.dsn)
        recorded = {
            row["number"] for row in await connection.fetch("select entity_id::int as number from log.events")
        }
        await connection.close()
    assert set(answered) <= recorded


@pytest.mark.parametrize("ignored", [False, True], ids=["in a terminal", "under nohup"])
def test_a_terminal_that_closes_ends_the_service_unless_it_was_started_to_outlive_it(
    *, ignored: bool
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        assert (signal.SIGHUP in ending_signals()) is not ignored
    finally:
        signal.signal(signal.SIGHUP, before)
