"""Plain operations go past most of aiohttp; nobody outside can tell which way one went."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from structlog.testing import capture_logs
from yarl import URL

from service.web.runner import Answer
from tests.given.graphql_service import Served, served
from tests.given.small_schema import schema

LONG_WAY = "Content-Encoding: identity\r\n"
ORIGIN = "Origin: http://friend.example\r\n"


class Watched:
    """An endpoint, and which way its requests went."""

    def __init__(self, service: Served) -> None:
        self.service = service
        self.taken: list[bool] = []
        self._take = service.endpoint.take
        service.endpoint.take = self.take  # type: ignore[method-assign]

    def take(
        self, message: RawRequestMessage, payload: StreamReader, answered: Callable[[Answer], None]
    ) -> bool:
        self.taken.append(self._take(message, payload, answered))
        return self.taken[-1]

    async def talk(self, *sent: bytes) -> list[bytes]:
        """Send over one connection, and return as many answers as they came, without what is drawn anew."""
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(self.service.url).port)
        try:
            writer.write(b"".join(sent))
            return [await _answer(reader) for _ in sent]
        finally:
            writer.close()


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    async with served(
        schema, tokens=True, timeout_seconds=0.2, allowed_origins=frozenset({"http://friend.example"})
    ) as service:
        yield Watched(service)


def a_post(
    query: object,
    *,
    headers: str = "",
    token: str = "good",
    host: str = "localhost",
    path: str = "/graphql",
    content_type: str = "application/json",
    version: str = "1.1",
) -> bytes:
    body = query if isinstance(query, bytes) else json.dumps({"query": query}).encode()
    head = (
        f"POST {path} HTTP/{version}\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {content_type}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    length = re.search(rb"Content-Length: (\d+)", head)
    assert length
    body = await reader.readexactly(int(length[1]))
    # Faults are told by ids that are drawn anew each time.
    return re.sub(rb"Date: [^\r]+", b"Date: then", head) + re.sub(rb"\b[0-9a-f]{12}\b", b"id", body)


@pytest.mark.parametrize(
    "options",
    [
        {"query": "{ hello }"},
        {"query": b'{"query": "query($n: String!) { hello(name: $n) }", "variables": {"n": "Ada"}}'},
        {"query": "{ hello }", "content_type": "application/json; charset=utf-8"},
        {"query": "{ hello }", "headers": "Accept: application/graphql-response+json\r\n"},
        {"query": "{ nothing }", "headers": "Accept: application/graphql-response+json\r\n"},
        {"query": "{ nothing }"},
        {"query": "{"},
        {"query": b"{"},
        {"query": b"[]"},
        {"query": "{ fault }"},
        {"query": "{ refusal }"},
        {"query": "{ never }"},
        {"query": "{ longText(length: 3000) }"},
        {"query": "{ longText(length: 3000) }", "headers": "Accept-Encoding: gzip\r\n"},
        {"query": "{ longText(length: 300000) }", "headers": "Accept-Encoding: gzip\r\n"},
        {"query": "{ __schema { types { name } } }"},
        {"query": "mutation { poke }"},
        {"query": "subscription { count(to: 2) }"},
        {"query": "{ hello }", "token": "unknown"},
        {"query": "{ hello }", "headers": ORIGIN},
        {"query": "{ hello }", "headers": "Origin: http://localhost\r\n"},
    ],
)
async def test_both_ways_answer_the_same_to_the_byte(watched: Watched, options: dict[str, str]) -> None:
    headers = options.get("headers", "")

    short = await watched.talk(a_post(**options))
    long = await watched.talk(a_post(**(options | {"headers": headers + LONG_WAY})))

    assert watched.taken == [True, False]
    head, _, body = short[0].partition(b"\r\n\r\n")
    expected_head, _, expected = long[0].partition(b"\r\n\r\n")
    assert body == expected
    assert sorted(head.split(b"\r\n")) == sorted(expected_head.split(b"\r\n"))


@pytest.mark.parametrize(
    "sent",
    [
        a_post("{ hello }", headers=LONG_WAY),
        a_post("{ hello }", headers="Accept: image/png\r\n"),
        a_post("{ hello }", headers="Origin: http://foreign.example\r\n"),
        a_post("{ hello }", headers="Connection: close\r\n"),
        a_post("{ hello }", content_type="text/plain"),
        a_post("{ hello }", content_type="application/json; charset=latin-1"),
        a_post("{ hello }", path="/graphql?query={hello}"),
        a_post("{ hello }", version="1.0"),
        a_post(b""),
        b"GET /graphql?query={hello} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer good\r\n\r\n",
    ],
)
async def test_what_is_not_plain_goes_the_long_way(watched: Watched, sent: bytes) -> None:
    await watched.talk(sent)

    assert watched.taken in ([], [False])


async def test_a_body_that_comes_after_its_head_goes_the_long_way(watched: Watched) -> None:
    head, _, body = a_post("{ hello }").partition(b"\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(watched.service.url).port)
    writer.write(head + b"\r\n\r\n" + body[:1])
    while not watched.taken:
        await asyncio.sleep(0)
    writer.write(body[1:])

    assert b'"hello"' in await _answer(reader)
    assert watched.taken == [False]
    writer.close()


async def test_requests_sent_at_once_are_answered_in_their_order_whichever_way_each_goes(
    watched: Watched,
) -> None:
    ways = ["", LONG_WAY, "", "", LONG_WAY, ""]
    sent = [
        a_post(f"{{ hello(name: {json.dumps(str(number))}) }}", headers=way)
        for number, way in enumerate(ways)
    ]

    answers = await watched.talk(*sent)

    assert [json.loads(answer.partition(b"\r\n\r\n")[2])["data"]["hello"] for answer in answers] == [
        f"hello {number}" for number in range(len(ways))
    ]


async def test_who_leaves_before_the_answer_disturbs_nobody(watched: Watched) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", URL(watched.service.url).port)
    writer.write(a_post("{ never }"))
    while not watched.taken:
        await asyncio.sleep(0)
    writer.transport.abort()

    [answer] = await watched.talk(a_post("{ hello }"))

    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_every_request_has_its_line_in_the_log(watched: Watched) -> None:
    with capture_logs() as lines:
        await watched.talk(a_post("{ hello }"), a_post("{ hello }", token="unknown"))

    told = [(line["method"], line["route"], line["status"]) for line in lines if line["event"] == "request"]
    assert told == [("POST", "/graphql", 200), ("POST", "/graphql", 401)]
