"""Several hosts: a silent or a standing-by one keeps nobody from the one that takes writes."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from projections.follow.projector import Projector
from service.errors import DatabaseUnreachable
from service.log.database import Connection, close_pool, connect, open_pool
from service.log.event_store import EventStore
from service.log.hub import Hub
from tests.given.asking import a_pool
from tests.given.bodies import a_body, an_event
from tests.given.proxy import Proxy, proxy_before
from tests.given.serving import serving
from tests.given.waiting import eventually

LIVE = "subscription { events(after: 0) { position } }"
PATIENCE_SECONDS = 60


@contextlib.asynccontextmanager
async def two_hosts(dsn: str) -> AsyncIterator[tuple[Proxy, Proxy, str]]:
    """Give two ways to one Postgres, and an address that names both."""
    async with proxy_before(dsn) as (first, through), proxy_before(dsn) as (second, _):
        parts = urlsplit(through)
        place = f"{parts.netloc},127.0.0.1:{second.port}"
        yield first, second, urlunsplit(parts._replace(netloc=place))


@pytest.mark.parametrize("silent", [0, 1])
async def test_a_host_that_takes_connections_and_says_nothing_keeps_nobody_waiting(
    database_url: str, silent: int
) -> None:
    async with two_hosts(database_url) as (first, second, address):
        (first, second)[silent].swallows = True

        connection = await connect(address)
        assert await connection.fetchval("select 1") == 1
        await connection.close()
        pool = await open_pool(address)
        assert await pool.fetchval("select 1") == 1
        await pool.close()


async def test_of_two_hosts_that_answer_one_connection_is_kept(database_url: str) -> None:
    async with two_hosts(database_url) as (first, second, address):
        connection = await connect(address)

        await eventually(lambda: first.connections + second.connections == 1)
        await connection.close()


async def test_of_several_hosts_those_that_only_read_are_passed_over(database_url: str) -> None:
    connection = await connect(database_url)
    try:
        await connection.execute("create role reads_only login")
        await connection.execute("alter role reads_only set default_transaction_read_only = on")
        async with two_hosts(database_url) as (_, _, address):
            parts = urlsplit(address)
            hosts = parts.netloc.rpartition("@")[2]
            with pytest.raises(DatabaseUnreachable, match="none of its hosts is as"):
                await connect(urlunsplit(parts._replace(netloc=f"reads_only@{hosts}")))
    finally:
        await connection.execute("drop role reads_only")
        await connection.close()


async def test_a_host_that_is_promoted_while_another_says_nothing_is_found_before_that_one_is_given_up(
    database_url: str,
) -> None:
    owner = await connect(database_url)
    role = f"stands_by_{secrets.token_hex(4)}"
    await owner.execute(f"create role {role} login")
    await owner.execute(f"alter role {role} set default_transaction_read_only = on")
    try:
        async with two_hosts(database_url) as (first, second, address):
            first.swallows = True
            answered = asyncio.Event()
            second.said_besides = lambda _: answered.set() or b""  # type: ignore[func-returns-value]
            parts = urlsplit(address)
            hosts = parts.netloc.rpartition("@")[2]
            connecting = asyncio.create_task(connect(urlunsplit(parts._replace(netloc=f"{role}@{hosts}"))))
            await answered.wait()
            await eventually(lambda: not second.connections)  # it was told that this one stands by
            await owner.execute(f"alter role {role} reset default_transaction_read_only")

            connection = await connecting
            assert await connection.fetchval("select 1") == 1
            await connection.close()
    finally:
        await owner.execute(f"drop role {role}")
        await owner.close()


@contextlib.asynccontextmanager
async def _projector_in_a_statement(database_url: str) -> AsyncIterator[tuple[Projector, asyncio.Task[None]]]:
    """A projector whose server falls silent in the middle of a statement, with another way to it."""
    async with contextlib.AsyncExitStack() as stack:
        first, second, address = await stack.enter_async_context(two_hosts(database_url))
        second.refuses = True
        pool = await open_pool(address)
        stack.push_async_callback(close_pool, pool)
        hub = await stack.enter_async_context(Hub(address, pools=[pool]))
        beside = await stack.enter_async_context(a_pool(database_url))
        store = EventStore(beside)
        projector = Projector(pool, hub, lease_seconds=1)
        task = asyncio.create_task(projector.run())
        await store.append([an_event(1)])
        await eventually(lambda: projector.position == 1, PATIENCE_SECONDS)
        async with beside.acquire() as holder, holder.transaction():
            await holder.execute("lock table read_model.checkpoints in access exclusive mode")
            await store.append([an_event(2)])
            await eventually(
                lambda: beside.fetchval("select exists (select from pg_locks where not granted)")
            )
            first.swallows, second.refuses = True, False
        yield projector, task
        task.cancel()
        ended, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        await store.close()
        assert ended, "a stop waits for a server that says nothing"


async def test_a_projector_goes_on_where_its_server_falls_silent_in_a_statement(database_url: str) -> None:
    """Nobody waits for what is recorded then, and so nobody would see that the server says nothing."""
    async with _projector_in_a_statement(database_url) as (projector, _):
        await eventually(lambda: projector.position == 2, PATIENCE_SECONDS)


async def test_a_projector_whose_server_falls_silent_in_a_statement_can_be_stopped(database_url: str) -> None:
    async with _projector_in_a_statement(database_url) as (_, task):
        task.cancel()


async def test_projector_and_live_try_again_each_second_at_the_longest_however_long_postgres_was_away(
    database_url: str, tmp_path: Path, lines: io.StringIO
) -> None:
    told_twice = ("hub_lost_postgres", "projector_failed")

    def told(event: str) -> list[tuple[int, float]]:
        """How many failures each line stands for, and the pause after the last of them."""
        said = [json.loads(line) for line in lines.getvalue().splitlines()]
        return [(each["times"], each["retry_seconds"]) for each in said if each["event"] == event]

    async with proxy_before(database_url) as (proxy, through):
        settings = {"database_url": through, "data_dir": str(tmp_path), "port": "0", "webhook_keys": "key"}
        async with serving(settings) as started, started.socket() as live, asyncio.timeout(PATIENCE_SECONDS):
            await live.send_json({"id": "1", "type": "subscribe", "payload": {"query": LIVE}})
            await started.post(a_body(1))
            await live.receive_json()
            proxy.refuses = True
            proxy.cut()
            await eventually(lambda: all(len(told(each)) > 1 for each in told_twice), PATIENCE_SECONDS)

            proxy.heal()
            healed = time.monotonic()
            await started.post(a_body(2))
            assert (await live.receive_json())["payload"]["data"]["events"]["position"] == 2
            print(f"live {time.monotonic() - healed:.2f} s after Postgres")

    for event in told_twice:
        [first, second, *_] = told(event)
        assert first[0] == 1
        assert second[0] > 1, "each failure had a line of its own"
        assert second[1] <= 1


async def test_hosts_that_are_all_away_are_told_as_one(database_url: str) -> None:
    async with two_hosts(database_url) as (first, second, address):
        first.refuses = second.refuses = True

        with pytest.raises(DatabaseUnreachable):
            await connect(address)


def _option(connection: Connection, level: int, name: str) -> int:
    ours: socket.socket = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
    return ours.getsockopt(level, getattr(socket, name))


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has TCP_USER_TIMEOUT")
async def test_our_end_of_a_connection_notices_a_machine_that_is_gone(database_url: str) -> None:
    async with proxy_before(database_url) as (_, through):
        connection = await connect(through)

        assert _option(connection, socket.SOL_SOCKET, "SO_KEEPALIVE")
        assert _option(connection, socket.IPPROTO_TCP, "TCP_USER_TIMEOUT") == 10_000
        assert _option(connection, socket.IPPROTO_TCP, "TCP_KEEPIDLE") == 5
        await connection.close()


async def test_a_server_that_falls_silent_is_left_for_another_by_deliveries_projector_reads_and_live(
    database_url: str, tmp_path: Path
) -> None:
    async with two_hosts(database_url) as (first, second, address):
        second.refuses = True
        settings = {"database_url": address, "data_dir": str(tmp_path), "port": "0", "webhook_keys": "key"}
        async with serving(settings) as started, started.socket() as live, asyncio.timeout(PATIENCE_SECONDS):
            await live.send_json({"id": "1", "type": "subscribe", "payload": {"query": LIVE}})
            await started.post(a_body(1))
            assert (await live.receive_json())["payload"]["data"]["events"]["position"] == 1

            first.swallows, second.refuses = True, False
            await started.post(a_body(2))

            assert (await live.receive_json())["payload"]["data"]["events"]["position"] == 2
            answer = await started.ask("{ events(minPosition: 2) { totalCount } }")
            assert answer["data"]["events"]["totalCount"] == 2
            assert "position" in (await started.post(a_body(3)))[1]
