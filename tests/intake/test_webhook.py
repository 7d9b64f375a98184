"""POST /webhooks as Sleekplan, curious people and hostile clients see it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from pydantic import SecretStr

from service.given_secrets import WebhookKey, parse_webhook_keys
from service.intake.appender import Appender
from service.intake.spool import Spool
from service.intake.webhook import Webhook
from service.log.database import Pool, open_pool
from service.log.event_store import EventStore
from service.log.quarantine import Quarantine
from service.web.keys import WebhookKeys
from service.web.metrics import Metrics
from service.web.request_log import METRICS, AccessLog
from service.web.runner import Runner
from tests.given.bodies import NO_EVENTS, NOT_FOR_JSONB, ODD_BUT_FINE, a_body, an_event
from tests.given.postgres_tools import dump
from tests.given.proxy import proxy_before
from tests.given.waiting import eventually

KEY = "kä+/y %41nary"  # takes the long way through aiohttp, since its URL must be parsed
PLAIN = "plain"  # takes the shortcut
BOUND = "bound"
LIMIT = 300_000


@dataclass
class Board:
    """A service on a port, as far as deliveries go."""

    address: str
    port: int
    store: EventStore
    quarantine: Quarantine
    metrics: Metrics
    http: aiohttp.ClientSession
    webhook: Webhook
    spool: Spool
    key: str = KEY

    async def post(self, body: bytes, key: str | None = "", **headers: str) -> tuple[int, dict[str, Any]]:
        key = self.key if key == "" else key
        path = "/webhooks" if key is None else f"/webhooks?key={quote(key, safe='')}"
        async with self.http.post(f"{self.address}{path}", data=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def raw(self, *pieces: bytes, read: int = 65_536) -> bytes:
        """Send bytes as they are, and return what comes back until the connection is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await asyncio.wait_for(reader.read(read), 10)
        finally:
            writer.close()


@asynccontextmanager
async def board_on(pool: Pool, folder: Path, **options: Any) -> AsyncIterator[Board]:
    store = EventStore(pool)
    quarantine = Quarantine(pool, store)
    metrics = Metrics()
    head_seconds = options.pop("head_seconds", 10)
    ring = WebhookKeys.of([*parse_webhook_keys(f"{BOUND}@7,{PLAIN}"), WebhookKey(SecretStr(KEY))])
    spool = Spool(folder, options.pop("spool_bytes_max", 10**9))
    queue_max = options.pop("queue_max", 10_000)
    async with spool, Appender(store, quarantine, spool, queue_max=queue_max, metrics=metrics) as appender:
        webhook = Webhook(appender, ring, metrics=metrics, **({"body_bytes_max": LIMIT} | options))
        app = web.Application()
        app[METRICS] = metrics
        webhook.add_to(app)
        runner = Runner(app, access_log_class=AccessLog, shutdown_timeout=1, head_seconds=head_seconds)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        [(_, port)] = runner.addresses
        async with aiohttp.ClientSession() as http:
            yield Board(f"http://127.0.0.1:{port}", port, store, quarantine, metrics, http, webhook, spool)
        await runner.cleanup()


@pytest.fixture(params=[KEY, PLAIN], ids=["long way", "shortcut"])
async def board(pool: Pool, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Board]:
    async with board_on(pool, tmp_path) as opened:
        opened.key = request.param
        yield opened


async def test_a_delivery_is_answered_with_its_position_and_again_as_a_duplicate(board: Board) -> None:
    assert await board.post(a_body(1)) == (200, {"position": 1, "duplicate": False, "spooled": False})
    assert await board.post(a_body(1)) == (200, {"position": 1, "duplicate": True, "spooled": False})


async def test_the_key_may_come_in_the_header_or_in_the_url(board: Board) -> None:
    assert (await board.post(a_body(1), key=None, **{"X-Secret": BOUND}))[0] == 202  # of another product
    assert (await board.post(a_body(1, product_id=7), key=None, **{"X-Secret": BOUND}))[0] == 200
    assert (await board.post(a_body(1, product_id=7), key=BOUND))[0] == 200
    # The header goes first; where it opens nothing, the URL may.
    status, answer = await board.post(a_body(3, product_id=8), key=KEY, **{"X-Secret": BOUND})
    assert (status, "bound to product 7" in answer["error"]) == (202, True)
    assert (await board.post(a_body(1), key=KEY, **{"X-Secret": "wrong"}))[0] == 200


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?key=",
        "?key=wrong",
        "?Key=bound",
        "?key=bound%00",
        f"?key={'x' * 5000}",
        "?key=%FF",
        "?keys=bound",
    ],
)
async def test_every_wrong_key_gets_the_same_answer_to_the_byte_and_stores_nothing(
    board: Board, query: str
) -> None:
    async with board.http.post(f"{board.address}/webhooks?key=no", data=a_body(1)) as usual:
        expected = await usual.read()
    async with board.http.post(f"{board.address}/webhooks{query}", data=a_body(1)) as answer:
        assert (answer.status, await answer.read()) == (401, expected)
        assert set(answer.headers) == set(usual.headers)

    assert await board.store.head() == 0
    assert await board.quarantine.list() == []


async def test_the_content_type_is_of_no_interest(board: Board) -> None:
    for number, kind in enumerate(
        ["text/plain", "application/x-www-form-urlencoded", "nonsense", "image/png"], 1
    ):
        assert (await board.post(a_body(number), **{"Content-Type": kind}))[1]["position"] == number


async def test_a_browser_is_told_what_the_url_is_for(board: Board) -> None:
    async with board.http.get(f"{board.address}/webhooks?key={quote(KEY)}") as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "POST"
        assert "Sleekplan" in await answer.text()


async def test_a_body_that_is_no_event_is_kept_and_says_why(board: Board) -> None:
    status, answer = await board.post(b"hello")

    assert status == 202
    assert "not JSON" in answer["error"]
    kept = await board.quarantine.show(answer["quarantined"])
    assert kept.body == b"hello"


async def test_a_body_of_another_product_than_its_key_goes_to_the_quarantine(board: Board) -> None:
    status, answer = await board.post(a_body(1, product_id=8), key=BOUND)

    assert status == 202
    assert "product 8" in answer["error"]
    assert (await board.quarantine.show(answer["quarantined"])).product_id == 7
    assert await board.store.head() == 0


async def test_the_known_killers_are_recorded(board: Board) -> None:
    for position, (name, body) in enumerate((ODD_BUT_FINE | NOT_FOR_JSONB).items(), start=1):
        status, answer = await board.post(body)

        assert (status, answer.get("position")) == (200, position), name


async def test_bodies_that_no_event_can_be_made_of_are_quarantined_byte_for_byte(board: Board) -> None:
    for name, body in NO_EVENTS.items():
        status, answer = await board.post(body)

        if len(body) > LIMIT:
            assert status == 413, name
        else:
            assert status == 202, name
            assert (await board.quarantine.show(answer["quarantined"])).body == body


# Size, encoding, time


async def test_a_body_over_the_limit_is_refused_and_one_at_the_limit_is_not(board: Board) -> None:
    fitting = a_body(1)
    padded = fitting[:-1] + b" " * (LIMIT - len(fitting)) + b"}"
    assert len(padded) == LIMIT

    assert (await board.post(padded))[0] == 200
    status, answer = await board.post(padded[:-1] + b" }")
    assert status == 413
    assert str(LIMIT) in answer["error"]


async def test_what_is_declared_too_large_is_refused_before_it_is_sent(board: Board) -> None:
    answer = await board.raw(
        f"POST /webhooks?key={BOUND} HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n".encode()
    )

    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()


async def test_what_turns_out_too_large_is_refused_without_reading_on(board: Board) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    sent = 0

    reader, writer = await asyncio.open_connection("127.0.0.1", board.port)
    writer.write(
        f"POST /webhooks?key={BOUND} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    answer = b""
    try:
        for _ in range(1_000):
            writer.write(chunk)
            await writer.drain()
            sent += len(chunk)
        answer = await reader.read(100)
    except ConnectionError:
        answer = b"HTTP/1.1 413"  # refused and closed while we were still sending
    finally:
        writer.close()

    assert answer.startswith(b"HTTP/1.1 413")
    assert await board.store.head() == 0


async def test_gzip_is_inflated_within_the_limit_and_known_again_uncompressed(board: Board) -> None:
    packed = {"Content-Encoding": "gzip"}

    assert (await board.post(gzip.compress(a_body(1)), **packed))[1] == {
        "position": 1,
        "duplicate": False,
        "spooled": False,
    }
    assert (await board.post(a_body(1)))[1]["duplicate"]
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < LIMIT
    assert (await board.post(bomb, **packed))[0] == 413
    assert await board.store.head() == 1


async def test_a_body_that_never_ends_is_given_up(pool: Pool, tmp_path: Path) -> None:
    async with board_on(pool, tmp_path, read_deadline_seconds=0.2) as board:
        head = f"POST /webhooks?key={BOUND} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode()

        answer = await board.raw(head, b'{"product_id"')

        assert answer.startswith(b"HTTP/1.1 408")
        assert (await board.post(a_body(1)))[0] == 200


@pytest.mark.parametrize("before", [b"", b"GET /webhooks HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_a_head_that_never_ends_is_given_up(pool: Pool, tmp_path: Path, before: bytes) -> None:
    async with board_on(pool, tmp_path, head_seconds=0.3) as board:
        reader, writer = await asyncio.open_connection("127.0.0.1", board.port)
        writer.write(before + b"POST /webhooks HTTP/1.1\r\n")
        said = b""
        for _ in range(100):
            with contextlib.suppress(TimeoutError):
                said += await asyncio.wait_for(reader.read(4_096), 0.05)
            if b"408" in said:
                break
            with contextlib.suppress(ConnectionError):
                writer.write(b"X: y\r\n")  # it trickles, so silence is not what ends it
        writer.close()

        assert b"HTTP/1.1 408" in said
        assert (await board.post(a_body(1)))[0] == 200


async def test_many_slow_bodies_do_not_stop_one_that_comes_whole(pool: Pool, tmp_path: Path) -> None:
    async with board_on(pool, tmp_path, read_deadline_seconds=5, bodies_in_flight_max=3) as board:
        head = f"POST /webhooks?key={BOUND} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode()
        slow = [await asyncio.open_connection("127.0.0.1", board.port) for _ in range(10)]
        for _, writer in slow:
            writer.write(head + b"{")
            await writer.drain()

        assert (await board.post(a_body(1)))[0] == 200

        for _, writer in slow:
            writer.close()


async def test_a_body_that_comes_in_pieces_is_put_together(board: Board) -> None:
    body = a_body(1)
    head = f"POST /webhooks?key={quote(KEY, safe='')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    whole = await board.raw(
        f"{head}Content-Length: {len(body)}\r\n\r\n".encode(), *(body[n : n + 1] for n in range(len(body)))
    )

    assert b'"position":1' in whole


async def test_a_client_that_leaves_half_way_leaves_nothing(board: Board) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", board.port)
    writer.write(f"POST /webhooks?key={BOUND} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
    await writer.drain()
    writer.transport.abort()

    assert (await board.post(a_body(1)))[1]["position"] == 1
    assert await board.quarantine.list() == []


# Postgres away


async def test_while_postgres_is_away_a_delivery_is_answered_as_spooled(
    database_url: str, pool: Pool, tmp_path: Path
) -> None:
    async with proxy_before(database_url) as (proxy, through):
        behind = await open_pool(through, min_size=0)
        proxy.refuses = True
        async with board_on(behind, tmp_path) as board:
            assert await board.post(a_body(1)) == (
                200,
                {"position": None, "duplicate": None, "spooled": True},
            )
            status, answer = await board.post(b"hello")
            assert (status, set(answer)) == (202, {"quarantined", "error"})
            proxy.heal()
        await behind.close()


async def test_with_neither_postgres_nor_spool_the_answer_is_503_and_when_to_come_back(
    database_url: str, tmp_path: Path
) -> None:
    async with proxy_before(database_url) as (proxy, through):
        behind = await open_pool(through, min_size=0)
        proxy.refuses = True
        async with board_on(behind, tmp_path, spool_bytes_max=1) as board:
            async with board.http.post(
                f"{board.address}/webhooks?key={BOUND}", data=an_event(1).body
            ) as answer:
                assert answer.status == 503
                assert int(answer.headers["Retry-After"]) > 0
                assert "RECOUNT_SPOOL_BYTES_MAX" in (await answer.json())["error"]
        await behind.close()


# Secrets


async def test_the_key_is_nowhere_but_in_the_request(
    board: Board,
    pool: Pool,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: io.StringIO,
) -> None:
    """A canary is sent in every way there is; then everything that is written anywhere is searched for it."""
    escaped = quote(KEY, safe="")
    answers = b""
    for path in (
        f"/webhooks?key={escaped}",
        f"/webhooks/{escaped}?key={escaped}",
        f"/{escaped}",
        f"//?key={escaped}",
    ):
        for method in ("GET", "POST", "PUT", "OPTIONS", "BREW"):
            async with board.http.request(method, board.address + path, data=a_body(1)) as answer:
                answers += str(answer.headers).encode() + await answer.read()
    for request in (
        f"POST /webhooks?key={escaped} HTTP/9.9\r\n\r\n",
        f"POST /webhooks?key={escaped}\r\n\r\n",
        f"POST /webhooks?key={escaped} \x01\r\n\r\n",
        f"POST /webhooks?key={escaped} HTTP/1.1\r\nbad header {escaped}\r\n\r\n",
        f"GET /{'x' * 9000}?key={escaped} HTTP/1.1\r\n\r\n",
        f"POST /webhooks?key={escaped} HTTP/1.1\r\nHost: x\r\nContent-Length: nonsense {escaped}\r\n\r\n",
        f"POST /webhooks HTTP/1.1\r\nHost: x\r\nX-Secret: {escaped}\r\nConnection: close\r\n"
        "Content-Length: 5\r\n\r\nhello",
    ):
        answers += await board.raw(request.encode())

    async def broken(*_: object) -> None:
        raise RuntimeError(f"key={KEY}")

    monkeypatch.setattr(Appender, "append", broken)
    async with board.http.post(f"{board.address}/webhooks?key={escaped}", data=a_body(99)) as answer:
        assert answer.status == 500
        answers += await answer.read()

    tables = [
        str([tuple(row) for row in await pool.fetch(f"select t::text from {name} t")])
        for name in ("log.events", "log.quarantine", "log.keys", "log.deliveries")
    ]
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    written = lines.getvalue()
    assert written.count("RuntimeError") == 1
    assert written.count('"status":400') >= 5
    for place, text in {
        "answers": answers.decode(errors="replace"),
        "log": written,
        "metrics": generate_latest(board.metrics.registry).decode(),
        "tables": "".join(tables),
        "dump": await dump(database_url),
        "files": b"".join(files).decode(errors="replace"),
    }.items():
        for spelling in _spellings():
            assert spelling not in text, f"the key is in the {place}"


def _spellings() -> Iterator[str]:
    yield KEY
    yield json.dumps(KEY)[1:-1]
    for safe in ("", "/", "/+"):
        yield quote(KEY, safe=safe)
        yield quote(KEY, safe=safe).lower()


# Fuzz


async def fuzz(board: Board, bodies: Any, most: int) -> int:
    """Send bodies; each is answered without a 5xx and comes back as it was. Return how many there were."""
    loop = asyncio.get_running_loop()
    under_way: deque[tuple[bytes, Future[tuple[int, dict[str, Any]]]]] = deque()
    positions: dict[int, list[bytes]] = {}
    spooled: dict[bytes, bytes] = {}  # where a busy machine's Postgres took too long
    quarantined: dict[str, bytes] = {}

    def settle(left: int) -> None:
        while len(under_way) > left:
            body, answer = under_way.popleft()
            status, said = answer.result(60)
            assert status in (200, 202), (status, body)
            if status == 202:
                quarantined[said["quarantined"]] = body
            elif said["spooled"]:
                spooled[sha256(body).digest()] = body
            else:
                positions.setdefault(said["position"], []).append(body)

    @settings(max_examples=most, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(bodies)
    def send(body: bytes) -> None:
        under_way.append((body, asyncio.run_coroutine_threadsafe(board.post(body), loop)))
        settle(64)

    await asyncio.to_thread(send)
    await asyncio.to_thread(settle, 0)

    await eventually(lambda: board.spool.pending == 0)

    for event in await board.store.read_after(0, await board.store.head()):
        drained = [spooled.pop(event.digest)] if event.digest in spooled else []
        for body in positions.pop(event.position, []) + drained:
            if event.raw is not None:
                assert event.raw == body
            else:
                assert _exactly(event.envelope) | {"data": _exactly(event.data)} == _exactly(body)
        found = event.position
    for id, body in quarantined.items():
        assert (await board.quarantine.show(id)).body == body
    assert positions == {}
    assert spooled == {}
    return found + len(quarantined)


def _exactly(text: str | bytes) -> Any:
    """Parse JSON without rounding a number."""
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


_TEXT = st.text(max_size=20) | st.sampled_from(["\x00", "\ud800", '":', '"', "\\u0000", "\\", "‮", "𝄞"])
_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)
_ENVELOPE = st.fixed_dictionaries(
    {},
    optional={
        "product_id": st.integers(-1, 2**64) | _VALUE,
        "action": st.sampled_from(["item.create", "vote.create", "x"]) | _VALUE,
        "data": st.dictionaries(_TEXT, _VALUE, max_size=5) | _VALUE,
        "timestamp": st.integers(0, 2 * 10**12) | _VALUE,
        "more": _VALUE,
    },
)
BODIES = (
    st.binary(max_size=300)
    | _ENVELOPE.map(lambda content: json.dumps(content).encode())
    | _ENVELOPE.map(lambda content: json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    | st.sampled_from([*ODD_BUT_FINE.values(), *NOT_FOR_JSONB.values(), *NO_EVENTS.values()]).filter(
        lambda body: len(body) < LIMIT
    )
    | st.builds(
        lambda body, at, piece: body[:at] + piece + body[at + len(piece) :],
        st.builds(a_body, st.integers(1, 99)),
        st.integers(0, 150),
        st.binary(min_size=1, max_size=4),
    )
)


async def test_no_body_makes_a_5xx_and_each_comes_back_as_it_was(board: Board) -> None:
    await fuzz(board, BODIES, most=300)
