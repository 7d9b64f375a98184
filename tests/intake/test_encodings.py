"""However a body was packed and whatever its headers say of it, it is read, or kept as it came."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest

from service.intake.unpacking import LAYERS_MAX, TooLarge, unpacked
from service.log.database import Pool
from tests.given.bodies import a_body
from tests.given.waiting import eventually
from tests.intake.test_webhook import KEY, LIMIT, PLAIN, Board, board_on

Packing = Callable[[bytes], bytes]


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKERS: Final[list[Packing]] = [gzip.compress, zlib.compress]


def in_members(body: bytes) -> bytes:
    half = len(body) // 2
    return gzip.compress(body[:half]) + gzip.compress(body[half:])


PACKINGS: Final[dict[str, tuple[str | None, Packing]]] = {
    "nothing, said twice": ("identity, identity", bytes),
    "a charset": ("utf-8", bytes),
    "a charset in capitals": ("UTF-8", bytes),
    "an empty header": ("", bytes),
    "commas alone": (" , ,", bytes),
    "what nobody knows": ("rot13; q=1", bytes),
    "gzip that is none": ("gzip", bytes),
    "deflate that is none": ("deflate", bytes),
    "br that is none": ("br", bytes),
    "zstd that is none": ("zstd", bytes),
    "chunked, in the wrong header": ("chunked", bytes),
    "gzip": ("gzip", gzip.compress),
    "gzip in capitals": ("GZIP", gzip.compress),
    "gzip by its old name": ("x-gzip", gzip.compress),
    "gzip, called a charset": ("utf-8", gzip.compress),
    "gzip, called deflate": ("deflate", gzip.compress),
    "gzip, called br": ("br", gzip.compress),
    "gzip that nobody speaks of": (None, gzip.compress),
    "gzip in two members": ("gzip", in_members),
    "gzip, filled up with zeros": ("gzip", lambda body: gzip.compress(body) + bytes(512)),
    "gzip twice, said twice": ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
    "gzip twice, said once": ("gzip", lambda body: gzip.compress(gzip.compress(body))),
    "zlib": ("deflate", zlib.compress),
    "zlib, hardly packed": ("deflate", lambda body: zlib.compress(body, 0)),
    "zlib that nobody speaks of": (None, zlib.compress),
    "deflate without its frame": ("deflate", raw_deflate),
    "deflate in capitals, without its frame": ("DEFLATE", raw_deflate),
    "gzip in deflate": ("gzip, deflate", lambda body: raw_deflate(gzip.compress(body))),
    "deflate in gzip": ("deflate, gzip", lambda body: gzip.compress(raw_deflate(body))),
}

# What is no event, whatever is tried: the bytes stay, and the reason speaks of the encoding.
UNREADABLE: Final[dict[str, tuple[str | None, bytes]]] = {
    "gzip cut off": ("gzip", gzip.compress(a_body(1))[:-5]),
    "gzip with something behind it": ("gzip", gzip.compress(a_body(1)) + b"and more"),
    "gzip with a wrong checksum": ("gzip", gzip.compress(a_body(1))[:-8] + bytes(8)),
    "nonsense that begins like gzip": ("gzip", b"\x1f\x8bnonsense"),
    "zlib cut off": ("deflate", zlib.compress(a_body(1))[:-3]),
    "deflate cut off": ("deflate", raw_deflate(a_body(1))[:-3]),
    "deflate that nobody speaks of": ("gzip", raw_deflate(a_body(1))),
    "zlib that wants a dictionary": ("deflate", b"\x78\xbb" + bytes(20)),
    "brotli": ("br", b"\x0b\x02\x80hello\x03"),
    "zstandard": ("zstd", b"\x28\xb5\x2f\xfd\x04\x58" + bytes(20)),
}


@pytest.fixture
async def board(pool: Pool, tmp_path: Path) -> AsyncIterator[Board]:
    async with board_on(pool, tmp_path) as opened:
        yield opened


def _headers(encoding: str | None) -> dict[str, str]:
    return {} if encoding is None else {"Content-Encoding": encoding}


@pytest.mark.parametrize("key", [PLAIN, KEY])
async def test_whatever_the_header_says_a_body_that_can_be_read_is_an_event(board: Board, key: str) -> None:
    for position, (name, (encoding, pack)) in enumerate(PACKINGS.items(), start=1):
        answer = await board.post(pack(a_body(position)), key, **_headers(encoding))

        assert answer == (200, {"position": position, "duplicate": False, "spooled": False}), name
        again = await board.post(a_body(position), key)
        assert again[1]["duplicate"], f"{name}: known again as it is"


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_cannot_be_read_is_kept_as_it_came_with_the_reason(board: Board, name: str) -> None:
    encoding, body = UNREADABLE[name]

    status, answer = await board.post(body, **_headers(encoding))

    assert status == 202
    kept = await board.quarantine.show(answer["quarantined"])
    assert kept.body == body
    assert encoding is not None
    assert encoding in kept.reason
    assert kept.reason in answer["error"]


async def test_the_reason_repeats_no_header_that_may_hold_anything(board: Board) -> None:
    _, answer = await board.post(b"hello", **_headers("s3cret-canary"))

    kept = await board.quarantine.show(answer["quarantined"])
    assert "Content-Encoding" in kept.reason
    assert "canary" not in kept.reason + answer["error"]


@pytest.mark.parametrize("layers", range(1, LAYERS_MAX + 2))
async def test_a_bomb_stays_within_the_limit_however_often_it_is_packed(board: Board, layers: int) -> None:
    bomb = b" " * 50_000_000
    for _ in range(layers):
        bomb = gzip.compress(bomb)
    assert len(bomb) < LIMIT

    status, answer = await board.post(bomb)

    assert (status, "quarantined" in answer) == ((413, False) if layers <= LAYERS_MAX else (202, True))


async def test_a_bomb_of_many_members_stays_within_the_limit(board: Board) -> None:
    assert (await board.post(gzip.compress(b" " * (LIMIT // 2)) * 3))[0] == 413
    many = gzip.compress(b"") * (LIMIT // 20)
    assert len(many) <= LIMIT
    assert (await board.post(many))[0] == 202


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-16",
        "application/json; charset=latin1",
        'text/plain; charset="nonsense"',
        "text/plain; charset=",
        "application/json; charset=punycode",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "",
        ";;;",
    ],
)
async def test_a_charset_that_is_not_so_changes_nothing(board: Board, content_type: str) -> None:
    assert (await board.post(a_body(1), PLAIN, **{"Content-Type": content_type}))[1]["position"] == 1
    assert (await board.post(a_body(2), KEY, **{"Content-Type": content_type}))[1]["position"] == 2


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037"])
async def test_a_body_in_another_charset_is_kept_byte_for_byte(board: Board, charset: str) -> None:
    body = a_body(1).decode().encode(charset)

    status, answer = await board.post(body, **{"Content-Type": f"application/json; charset={charset}"})

    if status == 202:
        assert (await board.quarantine.show(answer["quarantined"])).body == body
    else:
        [event] = await board.store.read_after(0, 2)
        assert event.digest == sha256(body).digest()


async def _until_closed(board: Board, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", board.port)
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(-1), 30)
    finally:
        writer.close()


def _head(length: int) -> bytes:
    return f"POST /webhooks?key={PLAIN} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


CHUNKED = "Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize("key", [PLAIN, KEY])
@pytest.mark.parametrize(
    "trailers",
    ["", "X-Checksum: 1\r\n", "Content-Encoding: gzip\r\nX-Secret: nothing\r\n", "Expires: 0\r\n" * 20],
)
async def test_a_body_in_chunks_is_read_whatever_trails_it(board: Board, key: str, trailers: str) -> None:
    body = a_body(1)
    head = (
        f"POST /webhooks?key={quote(key, safe='')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{CHUNKED}\r\n"
    )
    chunks = b"".join(b"%x;name=value\r\n%b\r\n" % (1, body[n : n + 1]) for n in range(len(body)))

    answer = await _until_closed(board, head.encode() + chunks + f"0\r\n{trailers}\r\n".encode())

    assert b'"position":1' in answer


@pytest.mark.parametrize("key", [PLAIN, KEY])
@pytest.mark.parametrize("expect", ["100-continue", "100-Continue", "200-ok", "nonsense", ""])
async def test_whatever_is_expected_a_delivery_is_kept(board: Board, key: str, expect: str) -> None:
    body = a_body(1)
    head = (
        f"POST /webhooks?key={quote(key, safe='')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Expect: {expect}\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    answer = await _until_closed(board, head.encode() + body)

    assert b'"position":1' in answer
    assert answer.startswith(b"HTTP/1.1 100 Continue") == (expect.lower() == "100-continue")


async def test_what_comes_behind_the_length_that_was_said_is_no_part_of_the_delivery(board: Board) -> None:
    body = a_body(1)
    head = (
        f"POST /webhooks?key={PLAIN} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body) - 3}\r\n\r\n".encode()
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", board.port)

    writer.write(head + body[:-3])
    answer = await reader.readuntil(b"}")
    writer.write(body[-3:] + b"\r\n\r\n")
    rest = await asyncio.wait_for(reader.read(-1), 30)
    writer.close()

    assert b"quarantined" in answer
    assert b" 400 " in rest
    [kept] = await board.quarantine.list()
    assert (await board.quarantine.show(kept.id)).body == body[:-3]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
async def test_an_event_that_is_shorter_than_was_said_is_one_all_the_same(
    pool: Pool, tmp_path: Path, pack: Packing
) -> None:
    async with board_on(pool, tmp_path, read_deadline_seconds=0.2) as board:
        body = pack(a_body(1))
        reader, writer = await asyncio.open_connection("127.0.0.1", board.port)
        writer.write(_head(len(body) + 1) + body)
        assert await asyncio.wait_for(reader.readuntil(b'"position":1'), 30)
        writer.close()


@pytest.mark.parametrize("body", ["5;\r\nhello\r\nno size\r\n", "ffffffffffffffffff\r\n", "-1\r\n\r\n"])
async def test_chunks_that_break_off_are_refused_and_counted(board: Board, body: str) -> None:
    head = f"POST /webhooks?key={PLAIN} HTTP/1.1\r\nHost: x\r\n{CHUNKED}\r\n"

    answer = await _until_closed(board, (head + body).encode())

    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert await board.store.head() == 0
    counted = 'recount_http_requests_total{method="OTHER",route="unmatched",status="400"} 1.0'
    assert counted in generate_latest(board.metrics.registry).decode()


async def test_who_leaves_after_a_whole_event_has_delivered_it(board: Board) -> None:
    body = a_body(1)
    _, writer = await asyncio.open_connection("127.0.0.1", board.port)
    writer.write(
        f"POST /webhooks?key={PLAIN} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body) + 1}\r\n\r\n".encode()
    )
    writer.write(body)
    await writer.drain()
    writer.close()

    async def recorded() -> bool:
        return await board.store.head() == 1

    await eventually(recorded)


# The mechanism alone


@settings(max_examples=500, deadline=None, database=None)
@given(
    body=st.binary(max_size=400),
    layers=st.lists(st.sampled_from(PACKERS), max_size=LAYERS_MAX),
)
def test_what_was_packed_comes_out_as_it_was(body: bytes, layers: list[Packing]) -> None:
    packed = body
    for pack in layers:
        packed = pack(packed)

    found = unpacked(packed, "", 10_000)

    # Bytes that look packed themselves may be one layer more.
    assert found in (body, unpacked(body, "", 10_000))


@settings(max_examples=500, deadline=None, database=None)
@given(body=st.binary(max_size=200), declared=st.text(max_size=20), bytes_max=st.integers(1, 300))
def test_no_bytes_and_no_header_make_it_fail_or_grow(body: bytes, declared: str, bytes_max: int) -> None:
    for start in (b"", b"\x1f\x8b\x08", b"\x78\x9c", b"\x78\xbb"):
        for name in (declared, "gzip", "deflate"):
            with suppress(TooLarge):
                assert len(unpacked(start + body, name, bytes_max)) <= max(bytes_max, len(start + body))


@settings(max_examples=300, deadline=None, database=None)
@given(st.dictionaries(st.text(), st.text(), min_size=1))
def test_a_plain_object_is_never_taken_for_packed(content: dict[str, str]) -> None:
    body = a_body(1, data=content)

    for declared in ("", "gzip", "deflate", "br", "deflate, gzip"):
        assert unpacked(body, declared, len(body)) is body
