"""What all benches share: sides in turn, medians with their spread, ratios, a table and a JSON file.

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
import datetime as dt
import json
import math
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import uvloop

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
