"""What all benches share: sides in turn, medians with their spread, ratios, cores, a table and a JSON file.

    async def bench(options: Options, report: Report) -> None:
        async with bench_postgres() as postgres:
            samples = await in_turn({"recount": ours, "insert a request": theirs}, options.runs)
        report.compare("ingest, 64 connections", samples, unit="events/s", ours="recount")

    if __name__ == "__main__":
        main("ingest", bench)

Ratios are taken pair by pair, between runs that stood next to each other, since a shared machine drifts.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import math
import os
import platform
import secrets
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import uvloop

from service.postgres.embedded import EmbeddedPostgres, temporary_postgres

ROOT: Final = Path(__file__).parent.parent
RESULTS: Final = ROOT / "bench" / "results"

RUNS: Final = 5
"""How often each side is measured; `--quick` measures less."""

RUNS_LEAST: Final = 3
"""How often at least, where time is short."""

QUICK_RUNS: Final = 2

Measure = Callable[[], Awaitable[float]]
Better = Literal["higher", "lower"]


# What is measured


@dataclass(frozen=True)
class Samples:
    """What one side measured, run by run."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of the runs."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The least of the runs."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The most of the runs."""
        return max(self.values)

    def over(self, other: Samples) -> Samples:
        """Return this side as a multiple of another, run by run: those of a pair stood side by side."""
        return Samples(tuple(ours / theirs for ours, theirs in zip(self.values, other.values, strict=True)))


async def in_turn(
    sides: Mapping[str, Measure], runs: int, *, seconds_max: float = math.inf
) -> dict[str, Samples]:
    """Measure each side `runs` times, in turn; every other round in reverse, so that none is always last.

    With `seconds_max` there are fewer rounds, but at least three, where one more would take longer in all.
    """
    values: dict[str, list[float]] = {name: [] for name in sides}
    began = time.perf_counter()
    for number in range(runs):
        spent = time.perf_counter() - began
        if number >= RUNS_LEAST and spent * (number + 1) / number > seconds_max:
            say(f"  no more than {number} runs: they take too long")
            break
        order = list(sides.items())
        for name, measure in order if number % 2 == 0 else reversed(order):
            values[name].append(await measure())
            say(f"  run {number + 1} of {runs}: {name}: {number_text(values[name][-1])}")
    return {name: Samples(tuple(measured)) for name, measured in values.items()}


async def seconds_of(work: Awaitable[object]) -> float:
    """Return how long something took."""
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


# What is reported


@dataclass(frozen=True)
class Row:
    """One line of the table: what a side measured, and how ours compares with it."""

    what: str
    side: str
    unit: str
    samples: Samples
    ratio: Samples | None  # ours as a multiple of this side; above 1 is in our favour whatever the unit
    command: str
    note: str

    def as_json(self) -> dict[str, Any]:
        """Return what goes to the results file."""
        return {
            "what": self.what,
            "side": self.side,
            "unit": self.unit,
            **_spread(self.samples),
            "ours_is_times": _spread(self.ratio) if self.ratio else None,
            "command": self.command,
            "note": self.note,
        }


@dataclass
class Report:
    """The rows of one bench and the curves that it wants drawn. `main` prints and writes it.

    It is written whatever happens; what was measured counts even where the rest could not be (`complete`).
    """

    name: str
    quick: bool = False
    complete: bool = False
    rows: list[Row] = field(default_factory=list)
    curves: list[dict[str, Any]] = field(default_factory=list)

    @property
    def command(self) -> str:
        """How a reader repeats the bench."""
        return f"make bench-{self.name}"

    def compare(
        self,
        what: str,
        samples: Mapping[str, Samples],
        *,
        unit: str,
        ours: str | None = None,
        better: Better = "higher",
        notes: Mapping[str, str] | None = None,
    ) -> None:
        """Add a row for each side. With `ours`, the others say how many times better it is than they."""
        for side, measured in samples.items():
            ratio = None
            if ours is not None and side != ours:
                us = samples[ours]
                ratio = us.over(measured) if better == "higher" else measured.over(us)
            note = (notes or {}).get(side, "")
            self.rows.append(Row(what, side, unit, measured, ratio, self.command, note))

    def add(
        self, what: str, side: str, values: Iterable[float] | float, *, unit: str, note: str = ""
    ) -> None:
        """Add one row that compares with nothing."""
        many = (values,) if isinstance(values, int | float) else tuple(values)
        self.rows.append(Row(what, side, unit, Samples(many), None, self.command, note))

    def curve(self, plot: str, side: str, points: Sequence[tuple[float, float]], *, x: str, y: str) -> None:
        """Add a line to a plot: curves of one `plot` share a picture, `docs/plots/PLOT.png`."""
        self.curves.append({"plot": plot, "side": side, "x": x, "y": y, "points": [list(p) for p in points]})

    def write(self, folder: Path | None = None) -> Path:
        """Write the JSON file of this bench and return its path."""
        folder = folder or RESULTS
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        content = {
            "bench": self.name,
            "quick": self.quick,
            "complete": self.complete,
            "measured_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "machine": machine_line(),
            "commit": _commit(),
            "rows": [row.as_json() for row in self.rows],
            "curves": self.curves,
        }
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        return path


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows, as the results files have them, as a Markdown table that reads well in a terminal too."""
    head = ("what", "side", "median", "lowest-highest", "samples", "ours is", "repeat with")
    lines = [head, tuple("---" for _ in head)]
    for row in rows:
        ratio = row["ours_is_times"]
        ahead = f"{ratio['median']:.2f} x ({ratio['low']:.2f}-{ratio['high']:.2f})" if ratio else ""
        spread = f"{number_text(row['low'])}-{number_text(row['high'])}" if len(row["samples"]) > 1 else ""
        side = f"{row['side']} ({row['note']})" if row["note"] else row["side"]
        median = f"{number_text(row['median'])} {row['unit']}"
        samples = str(len(row["samples"]))
        lines.append((row["what"], side, median, spread, samples, ahead, f"`{row['command']}`"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = [
        [cell.ljust(width, "-" if number == 1 else " ") for cell, width in zip(line, widths, strict=True)]
        for number, line in enumerate(lines)
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def number_text(value: float) -> str:
    """Return a number with three digits that count, thousands parted."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def machine_line() -> str:
    """Return what this was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def say(text: str) -> None:
    """Tell whoever waits how far it is; the table goes to standard output, this does not."""
    print(text, file=sys.stderr, flush=True)


# How a bench is run


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    quick: bool = False
    runs: int = RUNS

    def pick(self, full: int, quick: int) -> int:
        """Return a size: the full one, or the one for a short look."""
        return quick if self.quick else full


def main(name: str, bench: Callable[[Options, Report], Awaitable[None]]) -> None:
    """Run one bench as a command: read its options, print its table, write its results file."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}")
    parser.add_argument("--quick", action="store_true", help="a short look: smaller and fewer runs")
    parser.add_argument("--runs", type=int, help=f"runs of each side (default {RUNS}, quick {QUICK_RUNS})")
    given = parser.parse_args()
    runs = given.runs or (QUICK_RUNS if given.quick else RUNS)
    report = Report(name, quick=given.quick)
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        uvloop.run(_run(bench(Options(given.quick, runs), report)))
        report.complete = True
    finally:
        path = report.write()
    print(f"\n{machine_line()}\n\n{table([row.as_json() for row in report.rows])}\n")
    say(f"written to {path.relative_to(ROOT)}")


async def _run(work: Awaitable[None]) -> None:
    await work


def _as_interrupt(*_: object) -> None:
    raise KeyboardInterrupt  # so that what was started is stopped on the way out


# Cores


@dataclass(frozen=True)
class Cores:
    """Which cores do what: the server one, the load another; Postgres goes where there is room."""

    server: frozenset[int]
    load: frozenset[int]
    all: frozenset[int]


def cores() -> Cores:
    """Return the cores of this machine as the benches share them out; one core alone is shared by all."""
    if not hasattr(os, "sched_getaffinity"):
        none: frozenset[int] = frozenset()
        return Cores(none, none, none)
    first, *others = sorted(_CORES_AT_START)
    return Cores(frozenset({first}), frozenset(others[-1:] or [first]), frozenset(_CORES_AT_START))


@contextmanager
def pinned(to: frozenset[int]) -> Iterator[None]:
    """Keep this process, and the children that it starts meanwhile, on some cores while the block lasts.

    The load generator runs in `pinned(cores().load)`. Where the system cannot pin (macOS), nothing happens.
    """
    if not to:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


_CORES_AT_START: Final = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()


# What is started


@asynccontextmanager
async def running(
    command: Sequence[str | Path],
    *,
    ready: str,
    environment: Mapping[str, str] | None = None,
    on: frozenset[int] | None = None,
    seconds: float = 30.0,
    folder: Path | None = None,
) -> AsyncIterator[int]:
    """Run a server on the server's core until the block ends; give its process id once `ready` answers.

    `ready` is `http://host:port/path` (any answer will do) or `host:port`. What it prints goes to
    `bench/results/logs/`, and its end is part of the error when it does not come up.
    """
    log = RESULTS / "logs" / f"{Path(str(command[0])).name}-{secrets.token_hex(3)}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output, pinned(cores().server if on is None else on):
        process = subprocess.Popen(  # noqa: ASYNC220 - it must inherit the core; a fork takes a millisecond
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder or ROOT,
            env=clean_environment(environment),
            start_new_session=True,
        )
    try:
        await _until_answers(process, ready, seconds, log)
        yield process.pid
    finally:
        await _stop(process)
        log.unlink(missing_ok=True)


async def output_of(
    command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None, seconds: float = 900.0
) -> str:
    """Run a command on all cores to its end; return what it printed, or raise with what it complained of."""
    ended = await asyncio.to_thread(
        subprocess.run,
        [str(part) for part in command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean_environment(environment),
        timeout=seconds,
        check=False,
    )
    if ended.returncode:
        tail = " | ".join(ended.stderr.splitlines()[-12:])
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {ended.returncode}: {tail}")
    return str(ended.stdout)


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child: ours without any RECOUNT_ setting, and what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECOUNT_")}
    return kept | dict(more or {})


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process; 0 where the system does not tell."""
    return _status_mib(pid, "VmRSS:")


def own_memory_mib(pid: int) -> float:
    """Return the anonymous memory of a process: without the buffers that all of Postgres shares."""
    return _status_mib(pid, "RssAnon:")


def _status_mib(pid: int, name: str) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    return 0.0


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used; 0 where the system does not tell."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


async def _until_answers(process: subprocess.Popen[bytes], ready: str, seconds: float, log: Path) -> None:
    address, _, path = ready.removeprefix("http://").partition("/")
    host, _, port = address.rpartition(":")
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if process.poll() is not None:
            break
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(host, int(port))
                try:
                    if not ready.startswith("http://"):
                        return
                    writer.write(
                        f"GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode()
                    )
                    if await reader.readexactly(8):
                        return
                finally:
                    writer.close()
        await asyncio.sleep(0.05)
    tail = " | ".join(log.read_text(errors="replace").splitlines()[-12:])
    raise RuntimeError(f"{process.args!r} did not answer at {ready} within {seconds:.0f} s: {tail}")


async def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a server to end and wait; after ten seconds end it and what it started."""
    with suppress(ProcessLookupError):
        process.terminate()
    give_up = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < give_up:
        await asyncio.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


# Postgres

POSTGRES_SETTINGS: Final = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",  # a checkpoint in the middle of one side's run is nobody's merit
    "max_connections": "200",
}


WAL_MIB: Final = 1_536
USED_WAL: Final = {"min_wal_size": f"{WAL_MIB}MB"}
"""Settings of a Postgres for `use_wal`."""


@asynccontextmanager
async def bench_postgres(settings: Mapping[str, str] | None = None) -> AsyncIterator[EmbeddedPostgres]:
    """Run a throwaway Postgres, `fsync` and `synchronous_commit` on, that every side of a bench shares.

    Give a side its own database by `database(postgres, "name")`. It runs on all cores, so start it
    outside of `pinned`.
    """
    async with temporary_postgres(settings=POSTGRES_SETTINGS | dict(settings or {})) as postgres:
        yield postgres


async def database(postgres: EmbeddedPostgres, name: str, *, template: str | None = None) -> str:
    """Make an empty database, or a copy of `template`, in place of any of that name, and return its DSN."""
    connection = await asyncpg.connect(postgres.dsn)
    try:
        await connection.execute(f'drop database if exists "{name}" with (force)')
        copied = f' template "{template}"' if template else ""
        await connection.execute(f'create database "{name}"{copied}')
    finally:
        await connection.close()
    return dsn_of(postgres, name)


def dsn_of(postgres: EmbeddedPostgres, name: str) -> str:
    """Return the address of another database of the same server."""
    parts = urlsplit(postgres.dsn)
    return urlunsplit(parts._replace(path=f"/{name}", netloc=parts.netloc or "recount@"))


async def use_wal(postgres: EmbeddedPostgres) -> None:
    """Have Postgres write its WAL as after a while: into files that it used before.

    A new one makes each file of 16 MB first and fills it with zeros: every second or so, whoever commits
    stands still for 20 to 60 ms.
    """
    connection = await asyncpg.connect(postgres.dsn)
    try:
        for _ in range(WAL_MIB // 16):
            await connection.execute("select pg_logical_emit_message(false, 'bench', repeat('x', 16000000))")
    finally:
        await connection.close()
    await checkpoint(postgres)


async def checkpoint(postgres: EmbeddedPostgres) -> None:
    """Start each side alike: nothing left to write, all of the WAL's files free for use again."""
    connection = await asyncpg.connect(postgres.dsn)
    try:
        await connection.execute("checkpoint")
    finally:
        await connection.close()


async def settled(dsn: str) -> None:
    """Vacuum, analyse and checkpoint, so that no side pays for what was loaded before it."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("vacuum analyze")
        await connection.execute("checkpoint")
    finally:
        await connection.close()


def _spread(samples: Samples) -> dict[str, Any]:
    return {
        "median": samples.median,
        "low": samples.low,
        "high": samples.high,
        "samples": list(samples.values),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()
