"""graphql-transport-ws: every message and every close code as the protocol has them."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from schema.context import Caller
from schema.serve.held import SocketLimits
from schema.serve.protocol import text_frame
from service.errors import PostgresAway
from service.scopes import SCOPES
from tests.given.graphql_service import Served, served
from tests.given.small_schema import schema

INIT = {"type": "connection_init"}


@pytest.fixture
async def service() -> AsyncIterator[Served]:
    async with served(schema) as running:
        yield running


def _subscribe(operation_id: str, query: str, **payload: object) -> dict[str, object]:
    return {"id": operation_id, "type": "subscribe", "payload": {"query": query, **payload}}


async def _ready(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_json(INIT)
    assert await socket.receive_json() == {"type": "connection_ack"}


async def _close_of(socket: aiohttp.ClientWebSocketResponse) -> tuple[int | None, str]:
    message = await socket.receive(10)
    while message.type is WSMsgType.TEXT:
        message = await socket.receive(10)
    assert message.type is WSMsgType.CLOSE
    return socket.close_code, str(message.extra)


async def test_a_query_a_mutation_and_a_subscription_run_over_one_socket(service: Served) -> None:
    async with service.socket() as socket:
        await _ready(socket)
        await socket.send_json(
            _subscribe("q", "query($n: String!) { hello(name: $n) }", variables={"n": "Ada"})
        )
        assert (await socket.receive_json())["payload"]["data"] == {"hello": "hello Ada"}
        assert await socket.receive_json() == {"id": "q", "type": "complete"}
        await socket.send_json(_subscribe("m", "mutation { poke }"))
        assert (await socket.receive_json())["payload"]["data"] == {"poke": "poked"}
        assert await socket.receive_json() == {"id": "m", "type": "complete"}
        await socket.send_json(_subscribe("s", "subscription { count(to: 2) }"))
        got = [await socket.receive_json() for _ in range(3)]

    assert [message.get("payload") for message in got] == [
        {"data": {"count": 1}},
        {"data": {"count": 2}},
        None,
    ]
    assert got[-1] == {"id": "s", "type": "complete"}


@pytest.mark.parametrize("protocols", [(), ("graphql-ws",), ("mqtt", "graphql-ws")])
async def test_other_protocols_are_not_spoken(service: Served, protocols: tuple[str, ...]) -> None:
    async with service.socket(protocols=protocols) as socket:
        assert (await _close_of(socket))[0] == 4406


async def test_a_client_that_never_begins_is_closed() -> None:
    async with served(schema, socket_limits=SocketLimits(init_seconds=0.05)) as service:
        async with service.socket() as socket:
            assert await _close_of(socket) == (4408, "Connection initialisation timeout")


async def test_operations_before_the_acknowledgement_are_unauthorized(service: Served) -> None:
    async with service.socket() as socket:
        await socket.send_json(_subscribe("1", "{ hello }"))
        assert await _close_of(socket) == (4401, "Unauthorized")


async def test_beginning_twice_is_too_often(service: Served) -> None:
    async with service.socket() as socket:
        await _ready(socket)
        await socket.send_json(INIT)
        assert await _close_of(socket) == (4429, "Too many initialisation requests")


async def test_an_id_in_use_is_refused(service: Served) -> None:
    async with service.socket() as socket:
        await _ready(socket)
        for _ in range(2):
            await socket.send_json(_subscribe("same", "subscription { silence }"))
        assert await _close_of(socket) == (4409, "Subscriber for same already exists")


async def test_an_id_may_be_used_again_once_its_operation_ended(service: Served) -> None:
    async with service.socket() as socket:
        await _ready(socket)
        for _ in range(3):
            await socket.send_json(_subscribe("same", "subscription { silence }"))
            await socket.send_json({"id": "same", "type": "complete"})
        await socket.send_json(_subscribe("same", "{ hello }"))
        assert (await socket.receive_json())["type"] == "next"


@pytest.mark.parametrize(
    "frame",
    [
        "5",
        "null",
        "[]",
        '"connection_init"',
        "not json",
        "",
        "{}",
        '{"type": "nonsense"}',
        '{"type": 5}',
        '{"type": "connection_init", "payload": 5}',
        '{"type": "ping", "payload": []}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{ hello }"}}',
        '{"type": "subscribe", "id": 5, "payload": {"query": "{ hello }"}}',
        '{"type": "subscribe", "id": "1"}',
        '{"type": "subscribe", "id": "1", "payload": {}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "variables": []}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "operationName": 5}}',
        '{"type": "complete"}',
    ],
)
async def test_a_malformed_message_closes_with_4400(service: Served, frame: str) -> None:
    async with service.socket() as socket:
        await socket.send_str(frame)
        assert (await _close_of(socket))[0] == 4400


async def test_a_binary_frame_closes_with_4400(service: Served) -> None:
    async with service.socket() as socket:
        await socket.send_bytes(json.dumps(INIT).encode())
        assert (await _close_of(socket))[0] == 4400


@pytest.mark.parametrize("query", ["{ nothing }", "{", "{ __typename", "subscription { failing }"])
async def test_an_operation_that_fails_leaves_the_others(service: Served, query: str) -> None:
    async with service.socket() as socket:
        await _ready(socket)
        await socket.send_json(_subscribe("quiet", "subscription { silence }"))
        await socket.send_json(_subscribe("bad", query))
        failed = await socket.receive_json()
        await socket.send_json(_subscribe("good", "{ hello }"))
        answered = await socket.receive_json()

    assert (failed["id"], failed["type"]) == ("bad", "error")
    assert isinstance(failed["payload"], list)
    assert (answered["id"], answered["type"]) == ("good", "next")


async def test_completing_what_is_unknown_is_no_error(service: Served) -> None:
    async with service.socket() as socket:
        await _ready(socket)
        await socket.send_json({"id": "never", "type": "complete"})
        await socket.send_json(_subscribe("1", "{ hello }"))
        assert (await socket.receive_json())["type"] == "next"


async def test_a_ping_of_the_protocol_is_answered_even_before_the_beginning(service: Served) -> None:
    async with service.socket() as socket:
        await socket.send_json({"type": "ping", "payload": {"n": 1}})
        assert await socket.receive_json() == {"type": "pong", "payload": {"n": 1}}
        await socket.send_json({"type": "ping"})
        assert await socket.receive_json() == {"type": "pong"}


async def test_a_ping_of_the_socket_is_answered(service: Served) -> None:
    async with service.socket(autoping=False) as socket:
        await socket.ping(b"here?")
        message = await socket.receive(10)

    assert (message.type, bytes(message.data)) == (WSMsgType.PONG, b"here?")


async def test_the_server_pings_and_drops_whoever_is_silent() -> None:
    limits = SocketLimits(ping_seconds=0.05, silence_seconds=0.5)
    async with served(schema, socket_limits=limits) as service:
        async with service.socket(autoping=False) as socket:
            await _ready(socket)
            assert (await socket.receive(10)).type is WSMsgType.PING
            async with asyncio.timeout(10):
                while (message := await socket.receive()).type is WSMsgType.PING:
                    pass

    assert message.type in (WSMsgType.CLOSED, WSMsgType.ERROR, WSMsgType.CLOSE)


@pytest.mark.parametrize(
    ("payload", "header"),
    [
        ({"token": "good"}, None),
        ({"Authorization": "Bearer good"}, None),
        ({"authorization": "good"}, None),
        ({}, "Bearer good"),
        (None, "Bearer good"),
    ],
)
async def test_a_token_is_taken_from_the_first_message_or_the_header(
    payload: dict[str, Any] | None, header: str | None
) -> None:
    async with served(schema, tokens=True) as service:
        headers = {"Authorization": header} if header else {}
        async with service.socket(headers=headers) as socket:
            await socket.send_json(INIT if payload is None else {**INIT, "payload": payload})
            assert await socket.receive_json() == {"type": "connection_ack"}


@pytest.mark.parametrize(
    "payload", [None, {}, {"token": "bad"}, {"token": 5}, {"Authorization": "Bearer bad"}]
)
async def test_without_a_valid_token_the_socket_is_forbidden(payload: dict[str, Any] | None) -> None:
    async with served(schema, tokens=True) as service, service.socket() as socket:
        await socket.send_json(INIT if payload is None else {**INIT, "payload": payload})
        assert (await _close_of(socket))[0] == 4403


async def test_a_token_that_expires_closes_with_4403() -> None:
    async def soon_over(_: str | None) -> Caller:
        return Caller(SCOPES, expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.2))

    async with served(schema, authenticate=soon_over) as service, service.socket() as socket:
        await _ready(socket)
        await socket.send_json(_subscribe("1", "subscription { silence }"))
        assert await _close_of(socket) == (4403, "Forbidden: the token has expired")


async def test_a_token_that_is_revoked_closes_with_4403() -> None:
    valid = True

    async def until_revoked(_: str | None) -> Caller | None:
        return Caller(SCOPES) if valid else None

    limits = SocketLimits(ping_seconds=0.05)
    async with served(schema, authenticate=until_revoked, socket_limits=limits) as service:
        async with service.socket() as socket:
            await _ready(socket)
            valid = False
            assert (await _close_of(socket))[0] == 4403


async def test_where_postgres_alone_knows_the_token_the_client_is_to_come_again() -> None:
    async def away(_: str | None) -> Caller | None:
        raise PostgresAway

    async with served(schema, authenticate=away) as service:
        async with service.socket() as socket:
            await socket.send_json(INIT)
            assert (await _close_of(socket))[0] == 1013
        status, answer, _ = await service.post({"query": "{ __typename }"})
        assert (status, answer["errors"][0]["extensions"]["code"]) == (503, "POSTGRES_AWAY")


async def test_pages_of_other_sites_get_no_socket(service: Served) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await service.socket(origin="https://evil.example.com")

    assert refused.value.status == 403


async def test_operations_of_a_socket_and_of_an_address_are_limited() -> None:
    limits = SocketLimits(operations_socket_max=2, operations_address_max=3)
    async with served(schema, socket_limits=limits) as service:
        async with service.socket() as one, service.socket() as other:
            for socket, count in ((one, 3), (other, 2)):
                await _ready(socket)
                for number in range(count):
                    await socket.send_json(_subscribe(str(number), "subscription { silence }"))
            third, fourth = await one.receive_json(), await other.receive_json()
            await one.send_json({"id": "0", "type": "complete"})
            await one.send_json(_subscribe("again", "{ hello }"))
            again = await one.receive_json()

    assert (third["id"], third["type"]) == ("2", "error")
    assert "2 operations a socket" in third["payload"][0]["message"]
    assert (fourth["id"], fourth["type"]) == ("1", "error")
    assert "3 operations an address" in fourth["payload"][0]["message"]
    assert again["type"] == "next"


async def test_sockets_are_limited() -> None:
    async with served(schema, socket_limits=SocketLimits(sockets_max=1)) as service:
        async with service.socket() as socket:
            await _ready(socket)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await service.socket()

    assert refused.value.status == 503


async def test_when_the_service_stops_everybody_is_told_within_seconds() -> None:
    async with served(schema) as service:
        sockets = [await service.socket() for _ in range(20)]
        for socket in sockets:
            await _ready(socket)
            await socket.send_json(_subscribe("1", "subscription { silence }"))
        closes = [asyncio.create_task(_close_of(socket)) for socket in sockets]
        async with asyncio.timeout(5):
            await service.endpoint.close()
            codes = {code for code, _ in await asyncio.gather(*closes)}
        for socket in sockets:
            await socket.close()

    assert codes == {1001}


async def test_a_client_that_vanishes_leaves_nothing_behind(service: Served) -> None:
    socket = await service.socket()
    await _ready(socket)
    await socket.send_json(_subscribe("1", "subscription { silence }"))
    await socket.send_json({"type": "ping"})
    await socket.receive_json()
    sockets = service.endpoint.sockets
    assert sockets.operations_of

    await socket.close()
    async with asyncio.timeout(10):
        await asyncio.gather(*(each.ended for each in list(sockets._open)))

    assert not sockets.operations_of


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 100_000])
async def test_frames_of_every_length_are_read_whole(service: Served, size: int) -> None:
    async with service.socket(max_msg_size=0) as socket:
        await _ready(socket)
        await socket.send_json(_subscribe("1", f"{{ longText(length: {size}) }}"))
        assert (await socket.receive_json())["payload"]["data"]["longText"] == "x" * size


def test_a_frame_has_the_header_of_its_length() -> None:
    assert text_frame(b"x" * 125)[:2] == b"\x81\x7d"
    assert text_frame(b"x" * 126)[:4] == b"\x81\x7e\x00\x7e"
    assert text_frame(b"x" * 65_536)[:10] == b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"
