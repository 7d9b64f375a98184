"""What the benches stand on: ratios pair by pair, turns, the load generator and the table."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from yarl import URL

from bench import __main__ as everything
from bench import harness
from bench.cores import pinned
from bench.harness import Measure, Options, Report, Samples, in_turn, number_text, table
from bench.listeners import Heard, hang_up, listen, subscription
from bench.load import ask, closed_loop, open_loop, post
from bench.queries import difference, values_of
from tests.given.live_board import PATIENCE_SECONDS, live_board

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
REFUSAL = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def server(answer: bytes, *, stalls_after: int | None = None, seconds: float = 0) -> AsyncIterator[int]:
    """Answer each request with the same bytes; after so many, stop the whole server for a while, once."""
    seen = itertools.count(1)

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.Transport, transport)

        def data_received(self, data: bytes) -> None:
            delay = seconds if next(seen) == stalls_after else 0
            loop = asyncio.get_running_loop()
            loop.call_later(delay, self.transport.write, answer)

    listening = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def test_the_sides_take_turns_and_the_order_is_reversed_each_round() -> None:
    order: list[str] = []

    def side(name: str, value: float) -> Measure:
        async def measure() -> float:
            order.append(name)
            return value

        return measure

    samples = await in_turn({"a": side("a", 1), "b": side("b", 2)}, 3)

    assert order == ["a", "b", "b", "a", "a", "b"]
    assert samples["b"].median == 2


async def test_where_time_is_short_there_are_three_rounds_of_all_sides() -> None:
    async def measure() -> float:
        return 1

    samples = await in_turn({"a": measure, "b": measure}, 5, seconds_max=0)

    assert [len(measured.values) for measured in samples.values()] == [3, 3]


def test_a_ratio_is_taken_pair_by_pair() -> None:
    ours, theirs = Samples((20.0, 10.0, 30.0)), Samples((10.0, 5.0, 15.0))

    assert ours.over(theirs).values == (2.0, 2.0, 2.0)


def test_above_one_is_in_our_favour_whatever_the_unit() -> None:
    report = Report("trial")
    report.compare(
        "latency",
        {"ours": Samples((2.0,)), "theirs": Samples((6.0,))},
        unit="ms",
        ours="ours",
        better="lower",
    )
    report.compare("rate", {"ours": Samples((6.0,)), "theirs": Samples((2.0,))}, unit="/s", ours="ours")

    assert [row.ratio.median for row in report.rows if row.ratio] == [3.0, 3.0]


def test_each_row_says_how_to_repeat_it(tmp_path: Path) -> None:
    report = Report("trial", quick=True)
    report.add("memory", "ours", (10.0, 12.0, 11.0), unit="MiB")

    content = json.loads(report.write(tmp_path).read_text())

    assert content["rows"][0]["median"] == 11.0
    assert content["quick"] is True
    assert "`make bench-trial`" in table(content["rows"])


def test_a_row_says_of_how_many_samples_it_is_the_median() -> None:
    report = Report("trial")
    report.add("memory", "ours", (10.0, 12.0, 11.0), unit="MiB")

    heads, _, cells = (
        [cell.strip() for cell in line.split("|")] for line in table([report.rows[0].as_json()]).splitlines()
    )

    assert cells[heads.index("samples")] == "3"


def test_what_was_measured_before_a_bench_failed_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(options: Options, report: Report) -> None:
        report.add("memory", "ours", 10.0, unit="MiB")
        raise RuntimeError("no room left")

    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["bench"])

    with pytest.raises(RuntimeError, match="no room left"):
        harness.main("trial", fails)

    content = json.loads((tmp_path / "trial.json").read_text())
    assert len(content["rows"]) == 1
    assert content["complete"] is False


def test_a_turn_that_fails_leaves_the_others_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(name: str, quick: bool, seconds: float) -> str | None:
        report = Report(name, complete=name == "page")
        report.add(f"memory of {name}", "ours", 10.0, unit="MiB")
        report.write(tmp_path)
        return None if name == "page" else "not done"

    monkeypatch.setattr(everything, "RESULTS", tmp_path)
    monkeypatch.setattr(everything, "run", measured)
    monkeypatch.setattr(everything, "fetch", lambda: None)
    monkeypatch.setattr("sys.argv", ["bench", "--quick"])

    assert everything.main() == 1

    told = capsys.readouterr()
    assert all(f"memory of {turn.name}" in told.out for turn in everything.TURNS)
    assert "NOT MEASURED  growth: not done" in told.err
    assert "NOT MEASURED  page" not in told.err


def test_each_turn_is_a_bench_that_there_is() -> None:
    assert all((harness.ROOT / "bench" / f"{turn.name}.py").exists() for turn in everything.TURNS)


def test_numbers_have_three_digits_that_count() -> None:
    assert [number_text(value) for value in (18_634.2, 3.14159, 0.0, 412.7)] == ["18,634", "3.14", "0", "413"]


def test_pinning_ends_with_its_block() -> None:
    os = pytest.importorskip("os")
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system pins no processes")
    before = os.sched_getaffinity(0)

    with pinned(frozenset({min(before)})):
        assert os.sched_getaffinity(0) == {min(before)}

    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("answer", [ANSWER, CHUNKED])
async def test_a_closed_loop_ends_with_its_requests(answer: bytes) -> None:
    async with server(answer) as port:
        load = await closed_loop(port, [post("/", b"{}")] * 50, connections=4)
        assert await ask(port, post("/", b"{}")) == (200, b"{}")

    assert load.answers == 50
    assert load.all_well() is load


async def test_a_rate_of_refusals_is_no_rate() -> None:
    async with server(REFUSAL) as port:
        load = await closed_loop(port, [post("/", b"{}")] * 4, connections=2)

    with pytest.raises(RuntimeError, match="503: 4"):
        load.all_well()


async def test_an_open_loop_charges_a_stall_to_everyone_who_waited() -> None:
    async with server(ANSWER, stalls_after=20, seconds=0.3) as port:
        load = await open_loop(port, itertools.repeat(post("/", b"{}")), rate=200, connections=1, seconds=0.5)

    assert load.answers == 100
    assert sum(latency > 0.1 for latency in load.latencies_seconds) > 20


async def test_a_server_that_hangs_up_is_an_error() -> None:
    class HangsUp(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.close()

    listening = await asyncio.get_running_loop().create_server(HangsUp, "127.0.0.1", 0)
    async with listening:
        with pytest.raises(RuntimeError, match="broke a connection"):
            await closed_loop(listening.sockets[0].getsockname()[1], [post("/", b"{}")] * 2, connections=1)


async def test_a_listener_notes_where_in_the_log_each_message_is(database_url: str) -> None:
    heard = Heard(timed=True)
    heard.want(2)
    async with live_board(database_url) as board:
        port = URL(board.service.url).port
        listeners = await listen(port or 0, [subscription("subscription { events { action } }")], heard)
        await board.append_items(2)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await heard.reached.wait()
        hang_up(listeners)

    assert [position for position, _ in heard.arrivals] == [1, 2]


def test_answers_are_equal_however_moments_and_big_numbers_are_spelt() -> None:
    ours = {"votes": {"net": 4}, "at": 12, "castAt": "2026-06-14T09:13:02Z"}
    theirs = {"net": 4, "at": "12", "castAt": "2026-06-14T09:13:02.000000+00:00"}

    assert values_of(ours) == values_of(theirs)


def test_a_difference_is_shown_where_it_is() -> None:
    assert difference({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == ".a.1.b: 2 against 3"
