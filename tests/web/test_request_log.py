"""What gets into a line of the log, and what never does."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
import pytest
import structlog
from aiohttp import web

from service.errors import BadArgument, DatabaseUnreachable
from service.lines import set_up_lines, tell_crashes, where
from service.web.metrics import Metrics
from service.web.request_log import METRICS, AccessLog
from tests.given.waiting import eventually

CANARY = "canary-8d1f"


@pytest.fixture
async def url(lines: io.StringIO) -> AsyncIterator[str]:
    """A service with one route, and a metric for what it answers."""

    async def webhooks(request: web.Request) -> web.Response:
        body = await request.text()
        if "fail" in body:
            raise ValueError(body)
        return web.json_response({})

    app = web.Application()
    app[METRICS] = Metrics()
    app.router.add_post("/webhooks", webhooks)
    runner = web.AppRunner(app, access_log_class=AccessLog)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def _read(stream: io.StringIO) -> list[dict[str, object]]:
    structlog.get_logger().warning("end of the test")  # a warning is written at once, and all before it
    return [orjson.loads(line) for line in stream.getvalue().splitlines()][:-1]


async def _post(url: str, body: str = "{}") -> int:
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as answer:
        await answer.read()
        return answer.status


async def test_a_request_is_one_line_with_its_route_and_status(url: str, lines: io.StringIO) -> None:
    began = datetime.now(UTC)
    assert await _post(f"{url}/webhooks") == 200

    (line,) = _read(lines)
    assert began <= datetime.fromisoformat(str(line.pop("at"))) <= datetime.now(UTC)
    assert isinstance(line.pop("seconds"), float)
    assert line == {
        "event": "request",
        "level": "info",
        "method": "POST",
        "route": "/webhooks",
        "status": 200,
    }


async def test_no_line_holds_what_was_sent(url: str, lines: io.StringIO) -> None:
    await _post(f"{url}/webhooks?key={CANARY}", CANARY)
    await _post(f"{url}/webhooks/{CANARY}?key={CANARY}")
    assert await _post(f"{url}/webhooks?key={CANARY}", f"fail {CANARY}") == 500
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(f"GET /webhooks?key={CANARY} HTTP/9.{CANARY}\r\nX-Secret: {CANARY}\r\n\r\n".encode())
    assert b"400" in await reader.read(1000)
    writer.close()
    await writer.wait_closed()

    told = _read(lines)
    assert [line["route"] for line in told if "route" in line] == [
        "/webhooks",
        "unmatched",
        "/webhooks",
        "unmatched",
    ]
    assert any(line.get("error") == "ValueError" and "webhooks (" in str(line["where"]) for line in told)
    assert CANARY not in lines.getvalue()


async def test_a_line_is_written_soon_even_when_no_other_follows(lines: io.StringIO) -> None:
    written = asyncio.Event()

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            written.set()
            return len(text)

    set_up_lines(stream=Stream())

    structlog.get_logger().info("alone")
    assert not written.is_set()

    await asyncio.wait_for(written.wait(), timeout=5)


@pytest.mark.parametrize("blocking", [True, False], ids=["waits", "refuses"])
async def test_a_reader_who_stops_reading_keeps_nobody_waiting(lines: io.StringIO, *, blocking: bool) -> None:
    """Also with a pipe that refuses what it has no room for, as a parent may have set it."""
    reads, writes = os.pipe()
    os.set_blocking(writes, blocking)
    with os.fdopen(reads) as reader, os.fdopen(writes, "w") as writer:
        set_up_lines(stream=writer)
        log = structlog.get_logger()
        for number in range(3_000):  # a pipe holds a third of them
            log.info("told", number=number)
        log.warning("told", number=3_000)

        told = await asyncio.to_thread(lambda: [orjson.loads(reader.readline()) for _ in range(3_001)])

    assert [line["number"] for line in told] == [*range(3_001)]


async def test_of_what_nobody_reads_the_newest_lines_are_kept_and_the_others_counted(
    lines: io.StringIO,
) -> None:
    reads, writes = os.pipe()
    with os.fdopen(reads) as reader, os.fdopen(writes, "w") as writer:
        set_up_lines(stream=writer)
        log = structlog.get_logger()
        for number in range(25_000):
            log.info("told", number=number)
        log.warning("last")

        def read() -> list[dict[str, Any]]:
            told = [orjson.loads(reader.readline())]
            while told[-1]["event"] != "last":
                told.append(orjson.loads(reader.readline()))
            return told

        told = await asyncio.to_thread(read)

    dropped = sum(line["lines"] for line in told if line["event"] == "lines_dropped")
    assert dropped > 0
    assert len([line for line in told if line["event"] == "told"]) + dropped == 25_000
    assert told[-2]["number"] == 24_999


async def test_what_is_told_while_a_line_is_being_written_keeps_nobody_waiting(lines: io.StringIO) -> None:
    log = structlog.get_logger()

    class LettingGo(io.StringIO):
        """Lets go of something, as any line of Python may: of a task, say, whose error nobody took."""

        def write(self, text: str) -> int:
            if "outer" in text:
                log.warning("inner")
            return super().write(text)

    stream = LettingGo()
    set_up_lines(stream=stream)
    telling = threading.Thread(target=log.warning, args=("outer",), daemon=True)
    telling.start()
    await eventually(lambda: not telling.is_alive(), 20)

    assert {line["event"] for line in _read(stream)} == {"inner", "outer"}


async def test_what_libraries_say_is_told_without_what_they_quote(lines: io.StringIO) -> None:
    def callback(_: str) -> None:
        raise ValueError(CANARY)

    async def coroutine() -> None:
        raise ValueError(CANARY)

    loop = asyncio.get_running_loop()
    loop.call_soon(callback, CANARY)
    task = loop.create_task(coroutine(), name=CANARY)
    await asyncio.wait([task])
    del task
    await asyncio.sleep(0)
    logging.getLogger("strawberry.execution").error("no such user: %s", CANARY)
    logging.getLogger("aiohttp.server").error(f"Error handling request from {CANARY}")
    logging.getLogger("asyncio").error("Unclosed connection\n%r", CANARY)

    told = _read(lines)
    assert CANARY not in lines.getvalue()
    assert [line["library"] for line in told if line["event"] == "library"][-3:] == [
        "strawberry.execution",
        "aiohttp.server",
        "asyncio",
    ]
    assert told[-1]["text"] == "Unclosed connection"
    assert any(
        line.get("text") == "Exception in callback test_what_libraries_say_is_told_without_what_they_quote."
        for line in told
    )


def test_an_exception_is_told_by_its_kind_and_place_not_by_its_text(lines: io.StringIO) -> None:
    try:
        raise KeyError(CANARY)
    except KeyError:
        structlog.get_logger().exception("something_failed")

    (line,) = _read(lines)
    assert (line["event"], line["error"]) == ("something_failed", "KeyError")
    assert "test_request_log.py" in str(line["where"])
    assert CANARY not in lines.getvalue()


def test_errors_of_ours_explain_themselves_unless_they_repeat_what_was_asked() -> None:
    away = DatabaseUnreachable("Connection refused")
    asked = BadArgument("search", CANARY, "is too long")

    assert where(away)["message"] == str(away)
    assert where(asked) == {"error": "BadArgument"}


def test_warnings_and_crashes_are_lines_too(lines: io.StringIO) -> None:
    tell_crashes()

    warnings.showwarning(UserWarning(CANARY), UserWarning, "/somewhere/module.py", 12)
    sys.excepthook(ValueError, ValueError(CANARY), None)

    warned, crashed = _read(lines)
    assert (warned["kind"], warned["by"]) == ("UserWarning", "module.py:12")
    assert (crashed["event"], crashed["error"]) == ("crashed", "ValueError")
    assert CANARY not in lines.getvalue()


def test_a_log_whose_reader_is_gone_stops_nobody(lines: io.StringIO) -> None:
    lines.close()

    structlog.get_logger().error("nobody_reads_this")


def test_a_terminal_gets_text(lines: io.StringIO) -> None:
    set_up_lines(stream=lines, json=False)

    structlog.get_logger().warning("spooling", events=3)

    assert "spooling" in lines.getvalue()
    assert not lines.getvalue().startswith("{")
