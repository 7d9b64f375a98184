"""How fast `recount import` makes bodies safe: a file of bodies of 1 KB, each another, `fsync` on."""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from pathlib import Path

from bench.harness import Options, Report, main
from bench.processes import output_of
from bench.throwaway import USED_WAL, bench_postgres, checkpoint, database, use_wal
from bench.versus_ingest import a_body

LINES = 400_000
QUICK_LINES = 60_000


async def bench(options: Options, report: Report) -> None:
    """Import one file into one empty log after the other."""
    lines = options.pick(LINES, QUICK_LINES)
    numbers = itertools.count(1)
    async with bench_postgres(USED_WAL) as postgres:
        await use_wal(postgres)
        with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
            for number in range(lines):
                file.write(a_body(b"%010d" % number) + b"\n")
            file.flush()
            rates = []
            for _ in range(options.runs):
                dsn = await database(postgres, f"ingest_{next(numbers)}")
                await checkpoint(postgres)
                rates.append(await imported(dsn, Path(file.name), lines))
    report.add("import of bodies of 1 KB", "recount", rates, unit="events/s", note="until committed")


async def imported(dsn: str, file: Path, lines: int) -> float:
    """Import a file in a process of its own and return the rate, from the first line to the last commit."""
    said = await output_of([sys.executable, "-m", "bench.ingest_import", dsn, file])
    seconds, head = json.loads(said)
    if head != lines:
        raise RuntimeError(f"{head} of {lines} lines were recorded")
    return lines / float(seconds)


if __name__ == "__main__":
    main("ingest", bench)
