"""How fast `recount export` writes tables as files, and that its memory does not grow with them.

The events of a log of 100,000 and then of 1,000,000, as Parquet with their bodies, as Parquet and as CSV
without, each by the command in a process of its own. The most memory of its own counts, where Linux tells it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from bench.harness import Options, Report, main, say
from bench.long_log import SETTINGS, LongLog
from bench.processes import clean_environment, own_memory_mib
from bench.rebuild import rebuilt
from bench.throwaway import bench_postgres, database

EVENTS: Final = (100_000, 1_000_000)
QUICK_EVENTS: Final = (5_000, 20_000)
WAYS: Final = {
    "Parquet with bodies": ("--format", "parquet", "--of", "events", "--personal"),
    "Parquet": ("--format", "parquet", "--of", "events"),
    "CSV": ("--format", "csv", "--of", "events"),
}
COMMAND: Final = Path(sys.executable).with_name("recount")
LOOK_SECONDS: Final = 0.05


async def bench(options: Options, report: Report) -> None:
    """Make the log longer and export it at each length."""
    async with bench_postgres(SETTINGS) as postgres:
        dsn = await database(postgres, "export")
        log = LongLog(dsn)
        for events in QUICK_EVENTS if options.quick else EVENTS:
            await log.grow(events)
            await rebuilt(dsn)
            for way, arguments in WAYS.items():
                seconds, memory, mib = await exported(dsn, arguments)
                what = f"export of {events:,} events"
                say(f"  {what}, {way}: {seconds:.1f} s, {memory:.0f} MiB, a file of {mib:.0f} MiB")
                report.add(f"{what}: rate", way, events / seconds, unit="events/s")
                report.add(f"{what}: the most memory of its own", way, memory, unit="MiB")
                report.add(f"{what}: the file", way, mib, unit="MiB")


async def exported(dsn: str, arguments: tuple[str, ...]) -> tuple[float, float, float]:
    """Export; return the seconds, the most memory, and the size of the file, both in MiB."""
    with tempfile.TemporaryDirectory(prefix="recount-bench-") as folder:
        written, began = Path(folder) / "events", time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            COMMAND, "export", *arguments, "--output", written,
            env=clean_environment({"RECOUNT_DATABASE_URL": dsn, "RECOUNT_DATA_DIR": folder}),
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        ending, most = asyncio.create_task(process.wait()), 0.0
        while not ending.done():
            most = max(most, own_memory_mib(process.pid))
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(ending), LOOK_SECONDS)
        if process.returncode:
            raise RuntimeError(f"the export ended with {process.returncode}")
        return time.perf_counter() - began, most, written.stat().st_size / 2**20


if __name__ == "__main__":
    main("export", bench)
