"""All benches, one after the other: `make bench`, an hour on two cores; `make bench-quick`, five minutes.

Each runs in a process of its own and may take so long and no longer; one that fails or runs over is said so
at the end, with what it had measured by then in the table, and leaves the others their turn. Exit 1 then.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any, Final, NamedTuple

from bench.harness import RESULTS, ROOT, machine_line, say, table
from bench.setup_peers import PeersNotInstalled, peers_python, postgraphile


class Turn(NamedTuple):
    """A bench and the most time that it may take."""

    name: str
    minutes_max: float
    quick_seconds_max: float


TURNS: Final = (
    Turn("versus_ingest", 8, 55),
    Turn("versus_rebuild", 7, 40),
    Turn("queries", 9, 50),
    Turn("versus_live", 5, 30),
    Turn("growth", 27, 60),
    Turn("ingest", 4, 30),
    Turn("live", 6, 85),
    Turn("following", 6, 90),
    Turn("page", 4, 40),
)
"""What the comparison asks for comes first. Each may take a third more than it takes on two quiet cores."""

ALL_MINUTES_MAX: Final = 58.0
QUICK_SECONDS_MAX: Final = 290.0
MARK: Final = "<!-- bench -->"
END_MARK: Final = "<!-- end of bench -->"
HEADLINES: Final = {
    ("ingest, 64 connections", "aiohttp + asyncpg, an insert a request"),
    ("rebuild", "Python fold with COPY"),
    ("A: 100 items x 10 fields", "PostGraphile 5"),
    ("B: 100 items x 10 votes x 5 fields", "plain Strawberry"),
    ("frames to 500 equal subscribers", "plain Strawberry subscription, from LISTEN"),
}
"""The rows that the README shows: each thing measured once, beside what is nearest to it or most usual."""


def main() -> int:
    """Run every bench, print one table, draw the plots; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--quick", action="store_true", help="a short look: smaller and fewer runs")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="measure nothing; put the last full results into the documentation",
    )
    given = parser.parse_args()
    if given.publish:
        publish()
        return 0
    quick = given.quick
    give_up = time.monotonic() + (QUICK_SECONDS_MAX if quick else ALL_MINUTES_MAX * 60)
    fetch()
    for turn in TURNS:
        (RESULTS / f"{turn.name}.json").unlink(missing_ok=True)
    problems = []
    for turn in TURNS:
        left = give_up - time.monotonic()
        most = min(left, turn.quick_seconds_max if quick else turn.minutes_max * 60)
        if most < 5:
            problems.append(f"{turn.name}: no time was left")
            continue
        say(f"\n{turn.name}: at most {most:.0f} s")
        began = time.monotonic()
        problem = run(turn.name, quick, most)
        say(f"{turn.name} took {time.monotonic() - began:.0f} s")
        if problem:
            problems.append(f"{turn.name}: {problem}")
    rows = [row for turn in TURNS if (found := results_of(turn.name)) for row in found["rows"]]
    text = f"{machine_line()}\n\n{table(rows)}\n" if rows else ""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "table.md").write_text(text)
    print(f"\n{text}")
    if not quick:
        draw()
    for problem in problems:
        say(f"NOT MEASURED  {problem}")
    return 1 if problems else 0


def fetch() -> None:
    """Get the peers before any time counts."""
    peers_python()
    try:
        postgraphile()
    except PeersNotInstalled as missing:
        say(f"NOT MEASURED  PostGraphile: {missing}")


def run(name: str, quick: bool, seconds: float) -> str | None:
    """Run one bench to its end; return what went wrong, if anything did."""
    command = [sys.executable, "-m", f"bench.{name}", *(["--quick"] if quick else [])]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        end(process)
        return f"not done after {seconds:.0f} s"
    except KeyboardInterrupt:
        end(process)
        raise
    return f"ended with {code}" if code else None


def end(process: subprocess.Popen[bytes]) -> None:
    """Let a bench stop what it started; after a minute stop it all, and what it stored stays behind."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def results_of(name: str) -> dict[str, Any] | None:
    """Return what a bench wrote, if it did."""
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.exists() else None


def publish() -> None:
    """Put the tables of the last full run of each bench between the marks in the documentation, and draw."""
    written = [results_of(turn.name) for turn in TURNS]
    found = [content for content in written if content and not content["quick"]]
    rows = [row for content in found for row in content["rows"]]
    days = sorted({content["measured_at"][:10] for content in found})
    commits = dict.fromkeys(content["commit"] for content in found)
    where = f"{' and '.join(days)}, {found[0]['machine']}, commit {' and '.join(commits)}."
    whole = {content["bench"] for content in found if content.get("complete", True)}
    left = [turn.name for turn in TURNS if turn.name not in whole]
    if left:
        where += f" Not measured in full on this version: {', '.join(left)}."
    headlines = [row for row in rows if (row["what"], row["side"]) in HEADLINES]
    _put("docs/benchmarks.md", f"{where}\n\n{table(rows)}")
    _put("README.md", f"{where}\n\n{table(headlines)}")
    draw()


def _put(file: str, text: str) -> None:
    """Replace what stands between the marks of a file, where it has them."""
    path = ROOT / file
    before, mark, rest = path.read_text().partition(MARK)
    _, end, after = rest.partition(END_MARK)
    if mark and end:
        path.write_text(f"{before}{mark}\n{text}\n{end}{after}")
        say(f"{file}: {len(text.splitlines())} lines")


def draw() -> None:
    """Draw the plots, in the peers' venv."""
    subprocess.run([peers_python(), ROOT / "bench" / "plots.py"], cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
