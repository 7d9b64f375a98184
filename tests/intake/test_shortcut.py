"""Plain deliveries go past most of aiohttp; nobody outside can tell which way one went."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

from service.log.database import Pool
from service.web.runner import Answer
from tests.given.bodies import a_body
from tests.intake.test_webhook import BOUND, PLAIN, Board, board_on

GET = b"GET /webhooks HTTP/1.1\r\nHost: x\r\n\r\n"


class Watched:
    """A board, and which way its deliveries went."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.taken: list[bool] = []
        self._take = board.webhook.take
        board.webhook.take = self.take  # type: ignore[method-assign]

    def take(
        self, message: RawRequestMessage, payload: StreamReader, answered: Callable[[Answer], None]
    ) -> bool:
        self.taken.append(self._take(message, payload, answered))
        return self.taken[-1]

    async def talk(self, *sent: bytes, answers: int) -> list[bytes]:
        """Send over one connection, and return so many answers as they came, without their dates."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.board.port)
        try:
            # Not drained: a server that waits until its answers are read takes nothing more meanwhile.
            writer.write(b"".join(sent))
            return [await _answer(reader) for _ in range(answers)]
        finally:
            writer.close()


@pytest.fixture
async def watched(pool: Pool, tmp_path: Path) -> AsyncIterator[Watched]:
    async with board_on(pool, tmp_path) as board:
        yield Watched(board)


def a_post(body: bytes, *, headers: str = "", key: str = PLAIN, version: str = "1.1") -> bytes:
    length = len(body)
    head = f"POST /webhooks?key={key} HTTP/{version}\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n"
    return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    length = re.search(rb"Content-Length: (\d+)", head)
    assert length
    return re.sub(rb"Date: [^\r]+", b"Date: then", head) + await reader.readexactly(int(length[1]))


LONG_WAY = "Content-Encoding: identity\r\n"


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (a_body(1), PLAIN),
        (b"hello", PLAIN),
        (a_body(1, product_id=8), BOUND),
        (b"\x1f\x8bno gzip", PLAIN),
        (gzip.compress(zlib.compress(a_body(1))), PLAIN),
        (gzip.compress(b" " * 10_000_000), PLAIN),
    ],
)
async def test_both_ways_answer_the_same_to_the_byte(watched: Watched, body: bytes, key: str) -> None:
    await watched.talk(a_post(body, key=key), answers=1)

    short = await watched.talk(a_post(body, key=key), answers=1)
    long = await watched.talk(a_post(body, key=key, headers=LONG_WAY), answers=1)

    assert watched.taken == [True, True, False]
    assert sorted(short[0].split(b"\r\n")) == sorted(long[0].split(b"\r\n"))


@pytest.mark.parametrize(
    "sent",
    [
        a_post(a_body(1), headers=LONG_WAY),
        a_post(a_body(1), headers="Connection: close\r\n"),
        a_post(a_body(1), headers="Expect: nothing\r\n"),
        a_post(a_body(1)).replace(b"/webhooks?", b"/webhooks/?"),
        a_post(a_body(1), version="1.0"),
        a_post(a_body(1), key="wrong"),
        a_post(a_body(1), key="pl%61in"),
        a_post(b""),
        GET,
    ],
)
async def test_what_is_not_plain_goes_the_long_way(watched: Watched, sent: bytes) -> None:
    await watched.talk(sent, answers=1)

    assert watched.taken in ([], [False])


async def test_a_body_that_comes_after_its_head_goes_the_long_way(watched: Watched) -> None:
    head, _, body = a_post(a_body(1)).partition(b"\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", watched.board.port)
    writer.write(head + b"\r\n\r\n" + body[:1])
    while not watched.taken:
        await asyncio.sleep(0)
    writer.write(body[1:])

    assert b'"position":1' in await _answer(reader)
    assert watched.taken == [False]
    writer.close()


async def test_requests_sent_at_once_are_answered_in_their_order_whichever_way_each_goes(
    watched: Watched,
) -> None:
    sent = [
        a_post(a_body(1)),
        a_post(a_body(2)),
        GET,
        a_post(a_body(3), headers=LONG_WAY),
        a_post(a_body(4)),
        a_post(b"no event"),
        a_post(a_body(1)),
    ]

    answers = await watched.talk(b"".join(sent), answers=len(sent))

    assert [int(answer[9:12]) for answer in answers] == [200, 200, 405, 200, 200, 202, 200]
    positions = [re.search(rb'"position":(\d+)', answer) for answer in answers]
    assert [found and int(found[1]) for found in positions] == [1, 2, None, 3, 4, None, 1]


async def test_who_sends_without_reading_gets_every_answer_once_it_reads(watched: Watched) -> None:
    many = 3_000

    answers = await watched.talk(*(a_post(a_body(number)) for number in range(1, many + 1)), answers=many)

    assert [int(answer.partition(b'"position":')[2].split(b",")[0]) for answer in answers] == [
        *range(1, many + 1)
    ]


async def test_who_leaves_before_the_answer_has_delivered_all_the_same(watched: Watched) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", watched.board.port)
    writer.write(a_post(a_body(1)))
    while not watched.taken:
        await asyncio.sleep(0)
    writer.transport.abort()

    _, answer = await watched.board.post(a_body(2))

    assert answer["position"] == 2


async def test_a_full_queue_makes_plain_deliveries_wait_like_all_others(
    pool: Pool, tmp_path: Path, database_url: str
) -> None:
    holder = await asyncpg.connect(database_url)
    async with board_on(pool, tmp_path, queue_max=2) as board:
        watched = Watched(board)
        await holder.execute("begin; select 1 from log.head for update")
        asked = [asyncio.create_task(watched.talk(a_post(a_body(n)), answers=1)) for n in range(1, 8)]
        while len(watched.taken) < 7:
            await asyncio.sleep(0)

        # One batch is with Postgres, two more may wait; the others do so outside of the queue.
        assert watched.taken.count(False) >= 2
        await holder.execute("rollback")
        assert {(await one)[0][9:12] for one in asked} == {b"200"}
    await holder.close()
