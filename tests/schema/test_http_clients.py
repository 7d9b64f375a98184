"""What other people's clients send: other sites' pages, hashes for texts, odd headers, odd documents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.given.graphql_service import Served, served
from tests.given.small_schema import schema

BOARD = "https://board.example.com"
URQL = "application/graphql-response+json, application/graphql+json, application/json, text/event-stream"
RESPONSE_JSON = "application/graphql-response+json"


@pytest.fixture(params=[True, False], ids=["by the shortcut", "the long way"])
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    async with served(schema, shortcut=request.param, allowed_origins=frozenset({BOARD})) as running:
        yield running


async def test_an_allowed_page_may_read_an_event_stream(service: Served) -> None:
    headers = {"Origin": BOARD, "Accept": "text/event-stream"}
    async with service.session.post(
        service.url, json={"query": "subscription { count(to: 1) }"}, headers=headers
    ) as response:
        assert response.headers["Access-Control-Allow-Origin"] == BOARD
        assert response.content_type == "text/event-stream"


async def test_an_allowed_pages_event_source_is_answered(service: Served) -> None:
    """Chromium's sends these headers, and a page can add none."""
    headers = {
        "Origin": BOARD,
        "Accept": "text/event-stream",
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "cors",
    }
    params = {"query": "subscription { count(to: 1) }"}
    async with service.session.get(service.url, params=params, headers=headers) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == BOARD
        assert '{"count":1}' in await response.text()


@pytest.mark.parametrize(
    ("query", "accept", "content_type"),
    [
        ("{ hello }", URQL, RESPONSE_JSON),
        ("{ hello }", "text/event-stream, application/json", "application/json"),
        ("{ hello }", "application/json;q=0.5, text/event-stream", "text/event-stream"),
        ("mutation { poke }", URQL, RESPONSE_JSON),
        ("subscription { count(to: 1) }", URQL, "text/event-stream"),
        ("subscription { count(to: 1) }", "text/event-stream;q=0.1, */*", "text/event-stream"),
    ],
)
async def test_json_wins_a_tie_for_what_json_can_answer(
    service: Served, query: str, accept: str, content_type: str
) -> None:
    async with service.session.post(
        service.url, json={"query": query}, headers={"Accept": accept}
    ) as response:
        assert response.status == 200
        assert response.content_type == content_type


async def test_an_allowed_page_may_send_the_headers_that_its_tools_add(service: Served) -> None:
    asked = "apollographql-client-name, baggage, content-type, sentry-trace, traceparent, x-datadog-trace-id"
    headers = {"Origin": BOARD, "Access-Control-Request-Headers": asked}
    async with service.session.options(service.url, headers=headers) as response:
        allowed = {
            name.strip().lower() for name in response.headers["Access-Control-Allow-Headers"].split(",")
        }

    assert allowed >= set(asked.split(", "))
    assert "authorization" in allowed


async def test_a_preflight_from_elsewhere_allows_nothing(service: Served) -> None:
    headers = {"Origin": "https://evil.example.com", "Access-Control-Request-Headers": "sentry-trace"}
    async with service.session.options(service.url, headers=headers) as response:
        assert response.status == 403
        assert "Access-Control-Allow-Headers" not in response.headers


PERSISTED = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}


async def test_a_persisted_query_is_told_to_be_sent_as_text(service: Served) -> None:
    """Apollo's and urql's clients fall back at this message or this code, in an answer with status 200."""
    for accept in ("application/json", URQL):
        status, answer, _ = await service.post({"extensions": PERSISTED}, {"Accept": accept})
        assert status == 200
        assert answer == {
            "errors": [
                {
                    "message": "PersistedQueryNotSupported",
                    "extensions": {"code": "PERSISTED_QUERY_NOT_SUPPORTED"},
                }
            ]
        }
    params = {"extensions": orjson.dumps(PERSISTED).decode()}
    async with service.session.get(service.url, params=params) as response:
        assert (await response.json())["errors"][0]["message"] == "PersistedQueryNotSupported"
    status, answer, _ = await service.post({"query": "{ hello }", "extensions": PERSISTED})
    assert answer["data"] == {"hello": "hello you"}


async def test_a_persisted_query_over_a_socket_is_told_so_and_the_socket_goes_on(service: Served) -> None:
    async with service.socket() as socket:
        await socket.send_json({"type": "connection_init"})
        await socket.receive_json()
        await socket.send_json({"id": "1", "type": "subscribe", "payload": {"extensions": PERSISTED}})
        refused = await socket.receive_json()
        assert (refused["id"], refused["type"]) == ("1", "error")
        assert refused["payload"][0]["message"] == "PersistedQueryNotSupported"
        await socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": "{ hello }"}})
        assert (await socket.receive_json())["type"] == "next"


@pytest.mark.parametrize(
    "document",
    [
        "{}",
        "mutation {}",
        "subscription {}",
        "{ hello ...{} }",
        "{ hello } fragment F on Query {}",
        "query Q {}",
    ],
)
async def test_a_selection_of_nothing_is_a_syntax_error(service: Served, document: str) -> None:
    """graphql-core 3.3 parses it."""
    status, answer, _ = await service.post({"query": document}, {"Accept": RESPONSE_JSON})

    assert status == 400
    assert answer["errors"][0]["message"] == "Syntax Error: Expected Name, found '}'."
    assert answer["errors"][0]["locations"]


async def test_the_head_of_an_event_stream_has_no_body(service: Served) -> None:
    port = urlsplit(service.url).port or 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"HEAD /graphql?query=subscription{count(to:1)} HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
        b"Accept: text/event-stream\r\nConnection: close\r\n\r\n" % port
    )
    answer = await reader.read()
    writer.close()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert b"text/event-stream" in head
    assert body == b""


PIECES = st.sampled_from(
    [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ":",
        "...",
        "@",
        "!",
        "$",
        "=",
        "|",
        "&",
        "query",
        "mutation",
        "subscription",
        "fragment",
        "on",
        "Query",
        "hello",
        "poke",
        "count",
        "to",
        "name",
        "F",
        "$n",
        "String",
        "Int",
        "null",
        "true",
        "1",
        "-0",
        "1.5e9",
        '"x"',
        '"""x"""',
        "@skip(if:true)",
        "@include(if:$n)",
        "{hello}",
        "...F",
        "...{}",
        "type",
        "extend",
        "schema",
        "input",
        "#",
        ",",
        "\ufeff",
        "\x00",
        "__typename",
        "__schema",
        "{__typename}",
    ]
)
DOCUMENTS = st.lists(PIECES, max_size=12).map(" ".join) | st.text(max_size=40)
NAMES = st.sampled_from(
    [
        "Accept",
        "Accept-Encoding",
        "Authorization",
        "Content-Type",
        "Cookie",
        "Origin",
        "Referer",
        "Sec-Fetch-Site",
        "Last-Event-ID",
        "If-None-Match",
        "Range",
        "X-Requested-With",
        "Access-Control-Request-Headers",
        "TE",
        "DNT",
    ]
)
VALUES = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40
) | (
    st.sampled_from(
        ["*/*;q=", "text/event-stream", "gzip;q=x", "Bearer", "http://[", "bytes=0-", "application/json;"]
    )
)


@pytest.fixture(scope="module", params=[True, False], ids=["by the shortcut", "the long way"])
async def fuzzed(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    async with served(schema, shortcut=request.param, allowed_origins=frozenset({BOARD})) as running:
        yield running


async def test_no_header_and_no_document_makes_a_5xx_or_drops_the_connection(fuzzed: Served) -> None:
    port = urlsplit(fuzzed.url).port or 0

    async def ask(document: str, headers: dict[str, str], method: str) -> None:
        body = orjson.dumps({"query": document})
        lines = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json", **headers}
        lines |= {"Content-Length": str(len(body)), "Connection": "close"}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{method} /graphql HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 "), answer
        assert int(answer[9:12]) < 500, answer

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        document=DOCUMENTS,
        headers=st.dictionaries(NAMES, VALUES, max_size=3),
        method=st.sampled_from(["POST", "POST", "POST", "GET", "HEAD", "OPTIONS", "PUT"]),
    )
    def check(document: str, headers: dict[str, str], method: str) -> None:
        asyncio.run_coroutine_threadsafe(ask(document, headers, method), loop).result()

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(check)


@pytest.mark.parametrize("moment", ["2026-06-01T09:00:00z", "2026-06-01t09:00:00Z", "2026-06-01t09:00:00.5z"])
def test_a_moment_is_taken_in_lower_case(moment: str) -> None:
    """RFC 3339, 5.6: "T" and "Z" may be written in lower case."""
    from schema.scalars import parse_moment

    assert parse_moment(moment) == parse_moment(moment.upper())
