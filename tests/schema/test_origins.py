"""Who may ask a service without tokens: whatever comes from this machine, nothing that a proxy brought."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.given.graphql_service import Served, served
from tests.given.small_schema import schema


@pytest.fixture
async def service() -> AsyncIterator[Served]:
    async with served(schema) as service:
        yield service


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For",
        "x_forwarded_for",
        "X-ForwardedFor",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "Forwarded",
        "Forwarded-For",
        "Via",
        "X-Real-IP",
        "X-Client-IP",
        "Client-IP",
        "True-Client-IP",
        "X-Cluster-Client-IP",
        "X-Originating-IP",
        "X-Remote-Addr",
        "X-ProxyUser-IP",
        "X-Original-URL",
        "X-Scheme",
        "Front-End-Https",
        "CF-Connecting-IP",
        "CF-Ray",
        "CDN-Loop",
        "Fastly-Client-IP",
        "Fly-Client-IP",
        "X-Amzn-Trace-Id",
        "X-Azure-SocketIP",
        "X-Cloud-Trace-Context",
        "X-Envoy-External-Address",
        "Tailscale-User-Login",
    ],
)
async def test_without_tokens_what_a_proxy_brought_is_refused(service: Served, header: str) -> None:
    status, answer, _ = await service.post({"query": "{ hello }"}, {header: "203.0.113.7"})

    assert status == 403
    assert answer["errors"][0]["extensions"]["code"] == "PROXY_FORBIDDEN"
    assert header in answer["errors"][0]["message"]
    assert "RECOUNT_API_TOKENS" in answer["errors"][0]["message"]


@pytest.mark.parametrize(
    "header",
    [
        "Accept-Language",
        "Apollographql-Client-Name",
        "DNT",
        "Sec-Fetch-Mode",
        "Sec-CH-UA-Platform",
        "Traceparent",
        "Upgrade-Insecure-Requests",
        "User-Agent",
        "X-Request-Id",
        "X-Requested-With",
    ],
)
async def test_what_browsers_and_clients_send_themselves_is_answered(service: Served, header: str) -> None:
    status, _, _ = await service.post({"query": "{ hello }"}, {header: "1"})

    assert status == 200


async def test_without_tokens_a_proxy_is_known_by_http_1_0_as_nginx_speaks_it(service: Served) -> None:
    """nginx's bare `proxy_pass http://127.0.0.1:8080` sends these lines and adds no header of its own."""
    port = urlsplit(service.url).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"query":"{ hello }"}'
    writer.write(
        b"POST /graphql HTTP/1.0\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (port or 0, len(body), body)
    )
    answer = await reader.read()
    writer.close()

    assert b" 403 " in answer.splitlines()[0]
    assert b"PROXY_FORBIDDEN" in answer


async def test_without_tokens_a_socket_that_a_proxy_opens_is_refused(service: Served) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await service.socket(headers={"X-Forwarded-For": "203.0.113.7"})

    assert refused.value.status == 403


async def test_with_a_token_what_a_proxy_brings_is_answered() -> None:
    async with served(schema, tokens=True) as service:
        headers = {"X-Forwarded-For": "203.0.113.7", "Authorization": "Bearer good"}
        status, _, _ = await service.post({"query": "{ hello }"}, headers)

    assert status == 200


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "//", "http://", "null"])
async def test_an_origin_that_is_none_is_refused_in_words(service: Served, origin: str) -> None:
    status, answer, _ = await service.post({"query": "{ hello }"}, {"Origin": origin})

    assert status == 403
    assert answer["errors"][0]["extensions"]["code"] == "ORIGIN_FORBIDDEN"
