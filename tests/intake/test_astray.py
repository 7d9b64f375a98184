"""What plainly is a delivery is kept, wherever it is sent; what is refused is counted and told what to do."""

from __future__ import annotations

import asyncio
import string
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from service.given_secrets import parse_webhook_keys
from service.log.database import Pool
from service.web.keys import WebhookKeys
from tests.given.bodies import a_body
from tests.intake.test_webhook import BOUND, PLAIN, Board, board_on

NEARLY = [
    "/webhooks",
    "/webhooks/",
    "/webhooks//",
    "//webhooks",
    "//webhooks/",
    "/Webhooks",
    "/WEBHOOKS/",
    "/webhook",
    "/webhook/",
    "/webhooks/sleekplan",
    "/webhooks%2F",
    "/webhooks%20",
    "/%77ebhooks",
    "/./webhooks",
    "/recount/webhooks",
]
ELSEWHERE = ["/", "//", "/api/v1/hooks/", "/index.php", "/livez", "/webhooksome"]
METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]


@pytest.fixture
async def board(pool: Pool, tmp_path: Path) -> AsyncIterator[Board]:
    async with board_on(pool, tmp_path) as opened:
        yield opened


async def _ask(
    board: Board, method: str, target: str, body: bytes = b"", *, headers: str = ""
) -> tuple[int, bytes, bytes]:
    """Send a request whose target is not touched by any client; return status, head and content."""
    reader, writer = await asyncio.open_connection("127.0.0.1", board.port)
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}"
    writer.write(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await asyncio.wait_for(reader.read(-1), 30)
    writer.close()
    first, _, content = answer.partition(b"\r\n\r\n")
    return int(answer[9:12]), first, content


def _count(board: Board, outcome: str) -> float:
    counted = generate_latest(board.metrics.registry).decode().splitlines()
    lines = [line for line in counted if line.startswith(f'recount_deliveries_total{{outcome="{outcome}"')]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def test_with_a_key_a_post_is_a_delivery_at_any_path(board: Board) -> None:
    for position, path in enumerate(NEARLY + ELSEWHERE, start=1):
        in_url = await _ask(board, "POST", f"{path}?key={PLAIN}", a_body(position))
        in_header = await _ask(board, "POST", path, a_body(position), headers=f"x-secret: {PLAIN}\r\n")

        assert (in_url[0], in_url[2]) == (
            200,
            b'{"position":%d,"duplicate":false,"spooled":false}' % position,
        )
        assert (in_header[0], in_header[2]) == (200, in_url[2].replace(b"false", b"true", 1)), path
    assert _count(board, "recorded") == len(NEARLY + ELSEWHERE)


async def test_a_wrong_key_gets_the_same_answer_at_any_path_and_is_counted(board: Board) -> None:
    _, head, content = await _ask(board, "POST", "/webhooks?key=wrong", a_body(1))
    asked = 1

    for path in NEARLY + ELSEWHERE:
        for target, headers in (
            (f"{path}?key=wrong", ""),
            (f"{path}?key=", ""),
            (f"{path}?key=wrong&key=as+wrong", ""),
            (path, "X-Secret: wrong\r\n"),
        ):
            status, its_head, its_content = await _ask(board, "POST", target, a_body(1), headers=headers)
            asked += 1
            assert (status, its_content) == (401, content), target
            assert _without_date(its_head) == _without_date(head)

    assert _count(board, "unauthorized") == asked
    assert b"/webhooks?key=" in content
    assert await board.store.head() == 0


async def test_a_key_in_the_body_or_the_path_opens_nothing_and_is_told_where_it_goes(board: Board) -> None:
    asked = 0
    for path in NEARLY:
        for target in (
            path,
            f"{path}/{PLAIN}",
            f"{path}&key={PLAIN}",
            f"{path}%3Fkey={PLAIN}",
            f"{path}?{PLAIN}",
        ):
            for body in (a_body(1, key=PLAIN), f"key={PLAIN}".encode()):
                status, _, content = await _ask(board, "POST", target, body)
                asked += 1
                assert (status, b"?key=" in content, b"X-Secret" in content) == (401, True, True), target
    assert _count(board, "unauthorized") == asked


def _without_date(head: bytes) -> list[bytes]:
    return [line for line in head.split(b"\r\n") if not line.startswith(b"Date:")]


async def test_a_post_without_any_key_to_elsewhere_is_none_of_ours(board: Board) -> None:
    status, _, _ = await _ask(board, "POST", "/index.php", a_body(1))

    assert (status, _count(board, "unauthorized")) == (404, 0)
    counted = 'recount_http_requests_total{method="POST",route="unmatched",status="404"} 1.0'
    assert counted in generate_latest(board.metrics.registry).decode()


async def test_another_method_than_post_is_told_so_and_counted(board: Board) -> None:
    for path in NEARLY:
        for method in METHODS:
            status, head, content = await _ask(board, method, f"{path}?key={PLAIN}", a_body(1))

            assert (status, b"Allow: POST\r\n" in head + b"\r\n") == (405, True), (method, path)
            assert (b"Settings, Integrations, Webhooks" in content) == (method != "HEAD")
            assert f"key={PLAIN}".encode() not in head + content
    assert (_count(board, "not_posted"), await board.store.head()) == (len(NEARLY) * len(METHODS), 0)


async def test_the_header_s_key_goes_first_whatever_its_case_and_however_often(board: Board) -> None:
    for position, headers in enumerate(
        (
            f"x-secret: {PLAIN}\r\n",
            f"X-SECRET: {PLAIN}\r\n",
            f"X-Secret: older\r\nX-Secret: {PLAIN}\r\n",
            f"X-Secret: {PLAIN}\r\nX-Secret: older\r\n",
        ),
        start=1,
    ):
        for target in ("/webhooks", "/webhooks?key=older", f"/webhooks?key={BOUND}"):
            status, _, content = await _ask(board, "POST", target, a_body(position), headers=headers)

            assert (status, b'"position":%d,' % position in content) == (200, True), (headers, target)


async def test_every_letter_that_a_key_may_have_arrives_as_it_stands(pool: Pool, tmp_path: Path) -> None:
    letters = sorted(set(string.printable) - set(string.whitespace) - set("@,#"))
    keys = [f"k{letter}e{letter}y" for letter in letters]
    async with board_on(pool, tmp_path) as board:
        board.webhook._keys = WebhookKeys.of(parse_webhook_keys(",".join(keys)))
        for position, key in enumerate(keys, start=1):
            status, _, content = await _ask(board, "POST", f"/webhooks?key={key}", a_body(position))

            assert (status, b'"position":%d,' % position in content) == (200, True), key


async def test_a_request_that_is_none_is_counted(pool: Pool, tmp_path: Path) -> None:
    async with board_on(pool, tmp_path, head_seconds=0.1) as board:
        assert (await board.raw(b"POST /webhooks \x01\r\n\r\n")).startswith(b"HTTP/1.0 400")
        assert (await board.raw(b"POST /webhooks HTTP/1.1\r\n")).startswith(b"HTTP/1.1 408")

        text = generate_latest(board.metrics.registry).decode()
    for status in (400, 408):
        counted = f'recount_http_requests_total{{method="OTHER",route="unmatched",status="{status}"}} 1.0'
        assert counted in text
