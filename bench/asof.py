"""What a look at the past costs, on a log and on one twice as long: twenty items by votes, and one item.

The items of the board are as many in both, 10,000 (quick: fewer), and both are asked of moments when nine
in ten or more had been heard of. A younger board has fewer to rank, and the shorter log is that of one.
"""

from __future__ import annotations

import datetime as dt
import random
import statistics
import time
from collections.abc import Mapping
from typing import Any, Final

from bench.harness import Options, Report, bench_postgres, database, main, settled
from bench.long_log import SETTINGS, LongLog
from bench.rebuild import rebuilt
from projections import catalogue
from projections.read_model import Reader
from service.database import open_pool
from service.sql_files import load

LENGTHS: Final = (1_000_000, 2_000_000)
QUICK_LENGTHS: Final = (20_000, 40_000)
READS: Final = 100
PAGE: Final = 20

_FOREVER: Final = dt.datetime.max.replace(tzinfo=dt.UTC)
_HEARD_OF: Final = (
    "select percentile_disc(0.9) within group (order by first_position) as position from {items}"
)
_AS_OF: Final = load(catalogue.__file__, "as_of.sql")


async def bench(options: Options, report: Report) -> None:
    """Measure reads on a log and on one twice as long."""
    async with bench_postgres(SETTINGS) as postgres:
        dsn = await database(postgres, "asof")
        log, found = LongLog(dsn), {}
        for length in QUICK_LENGTHS if options.quick else LENGTHS:
            await log.grow(length)
            await rebuilt(dsn)
            await settled(dsn)
            found[length] = await look_back(dsn, length)
        report_on(found, report)


async def look_back(dsn: str, length: int) -> dict[str, list[float]]:
    """Return the milliseconds of reads as of random positions since nine items in ten had been heard of."""
    pool = await open_pool(dsn, min_size=1, max_size=8, application_name="bench")
    try:
        reader = Reader(pool)
        rows, _ = await reader.fetch("select product_id, item_id from {items} order by item_id")
        (heard_of,), _ = await reader.fetch(_HEARD_OF)
        dice = random.Random(5)
        found: dict[str, list[float]] = {}
        for position in [dice.randint(heard_of["position"], length) for _ in range(READS)]:
            item = dice.choice(rows)
            reads: dict[str, tuple[str, tuple[Any, ...]]] = {
                f"a page of {PAGE} by votes, {len(rows):,} items": (
                    "items_by_votes",
                    (item["product_id"], position, _FOREVER, PAGE, None, None),
                ),
                "one item": ("item", (item["product_id"], item["item_id"], position, _FOREVER)),
            }
            for what, (statement, arguments) in reads.items():
                began = time.perf_counter()
                await reader.fetch(_AS_OF[statement], *arguments)
                found.setdefault(what, []).append((time.perf_counter() - began) * 1000)
        return found
    finally:
        await pool.close()


def report_on(found: Mapping[int, Mapping[str, list[float]]], report: Report) -> None:
    """Add what was found at two lengths, and the medians of the longer as multiples of the shorter's."""
    for length, reads in found.items():
        for what, milliseconds in reads.items():
            report.add(f"as of, {length:,} events", what, milliseconds, unit="ms")
    short, long = (list(found[length].values()) for length in sorted(found))
    for what, before, after in zip(("a page", "one item"), short, long, strict=True):
        ratio = statistics.median(after) / statistics.median(before)
        report.add("as of, twice the log", what, ratio, unit="x")


if __name__ == "__main__":
    main("asof", bench)
