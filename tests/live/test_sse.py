"""graphql-sse, one connection an operation: what curl and a browser's EventSource see."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
from collections.abc import AsyncIterator

import pytest

from schema.context import Caller
from schema.serve import sse
from schema.serve.held import SocketLimits
from service.scopes import SCOPES
from tests.given.graphql_service import Served, served
from tests.given.live_board import sse_events
from tests.given.small_schema import schema

HEADERS = {"Accept": "text/event-stream"}


@pytest.fixture
async def service() -> AsyncIterator[Served]:
    async with served(schema) as running:
        yield running


def _stream(service: Served, query: str, **headers: str):
    return service.session.post(service.url, json={"query": query}, headers={**HEADERS, **headers})


async def test_answers_come_as_next_and_end_with_complete(service: Served) -> None:
    async with _stream(service, "subscription { count(to: 2) }") as response:
        events = await sse_events(response.content, 3)
        assert await response.content.read() == b""

    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert events == [
        (None, "next", {"data": {"count": 1}}),
        (None, "next", {"data": {"count": 2}}),
        (None, "complete", None),
    ]


async def test_queries_and_mutations_are_answered_once(service: Served) -> None:
    for query, data in (("{ hello }", {"hello": "hello you"}), ("mutation { poke }", {"poke": "poked"})):
        async with _stream(service, query) as response:
            (_, kind, answer), (_, last, _) = await sse_events(response.content, 2)
        assert (kind, answer["data"], last) == ("next", data, "complete")


@pytest.mark.parametrize(
    "query", ["{", "{ nothing }", "subscription { failing }", "query A { hello } query B { hello }"]
)
async def test_what_is_wrong_is_told_inside_the_stream(service: Served, query: str) -> None:
    """An EventSource shows its page nothing of a response with another status than 200."""
    async with _stream(service, query) as response:
        events = await sse_events(response.content, 2)

    assert response.status == 200
    assert events[0][2]["errors"]
    assert events[1][1] == "complete"


async def test_a_last_event_id_that_is_no_position_is_told(service: Served) -> None:
    async with _stream(service, "subscription { count(to: 1) }", **{"Last-Event-ID": "x" * 99}) as response:
        ((_, _, answer), *_) = await sse_events(response.content, 2)

    assert "is no position" in answer["errors"][0]["message"]


async def test_a_mutation_by_get_is_not_executed(service: Served) -> None:
    async with service.session.get(
        service.url, params={"query": "mutation { poke }"}, headers=HEADERS
    ) as response:
        ((_, _, answer), *_) = await sse_events(response.content, 2)

    assert answer["errors"][0]["extensions"]["code"] == "MUTATION_BY_GET"


async def test_a_comment_comes_while_nothing_happens(
    service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(sse, "LOOK_SECONDS", 0.01)
    async with _stream(service, "subscription { silence }") as response:
        assert await response.content.readuntil(b"\n\n") == b":\nretry: 1000\n\n"
        assert await asyncio.wait_for(response.content.readuntil(b"\n\n"), 10) == b":\n\n"


async def test_without_a_valid_token_there_is_no_stream() -> None:
    async with served(schema, tokens=True) as service:
        async with _stream(service, "subscription { silence }") as response:
            assert response.status == 401
        async with _stream(service, "{ hello }", Authorization="Bearer good") as response:
            assert response.status == 200


async def test_a_stream_ends_with_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LOOK_SECONDS", 0.01)

    over = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.5)

    async def soon_over(_: str | None) -> Caller | None:
        return Caller(SCOPES, expires_at=over) if dt.datetime.now(dt.UTC) < over else None

    async with served(schema, authenticate=soon_over) as service:
        async with _stream(service, "subscription { silence }") as response:
            await asyncio.wait_for(response.content.read(), 10)


async def test_streams_are_limited_together_with_other_operations() -> None:
    async with served(schema, socket_limits=SocketLimits(operations_address_max=1)) as service:
        async with _stream(service, "subscription { silence }") as first:
            await first.content.readuntil(b"\n\n")
            async with _stream(service, "{ hello }") as second:
                assert second.status == 503


async def test_a_client_that_leaves_is_forgotten(service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LOOK_SECONDS", 0.01)
    async with _stream(service, "subscription { silence }") as response:
        await response.content.readuntil(b"\n\n")
        (stream,) = service.endpoint.streams._open
    async with asyncio.timeout(10):
        while service.endpoint.sockets.operations_of:
            await asyncio.wait([stream._ended], timeout=0.01)

    assert not service.endpoint.streams._open


async def test_when_the_service_stops_streams_end(service: Served) -> None:
    async with _stream(service, "subscription { silence }") as response:
        await response.content.readuntil(b"\n\n")
        async with asyncio.timeout(5):
            await service.endpoint.close()
            await response.content.read()


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1"])
async def test_curl_follows(service: Served, version: str) -> None:
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    arguments = ["-sN", version, "-H", "Accept: text/event-stream", "-H", "Content-Type: application/json"]
    body = '{"query": "subscription { count(to: 2) }"}'
    process = await asyncio.create_subprocess_exec(
        program, *arguments, "-d", body, service.url, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 20)

    assert out.decode().endswith(
        'event: next\ndata: {"data":{"count":1}}\n\nevent: next\ndata: {"data":{"count":2}}\n\n'
        "event: complete\ndata:\n\n"
    )
