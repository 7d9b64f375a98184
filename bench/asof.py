"""What a look at the past costs, on a log and on one twice as long: twenty items by votes, and one item."""

from __future__ import annotations

import random
import statistics
import time
from typing import Any, Final

from bench.harness import Options, Report, bench_postgres, database, main, settled
from bench.rebuild import copy_log
from projections import catalogue
from projections.read_model import Reader
from projections.rebuild import rebuild
from service.database import connect, migrate, open_pool
from service.sql_files import load

EVENTS: Final = 1_000_000
QUICK_EVENTS: Final = 40_000
READS: Final = 100
PAGE: Final = 20

AS_OF: Final = load(catalogue.__file__, "as_of.sql")


async def bench(options: Options, report: Report) -> None:
    """Measure reads at random positions and times, on a log and on one twice as long."""
    events = options.pick(EVENTS, QUICK_EVENTS)
    medians: dict[str, list[float]] = {}
    async with bench_postgres() as postgres:
        dsn, length = await database(postgres, "asof"), 0
        for times in (1, 2):
            await copy_log(dsn, length + 1, events * times, size=events * 2)
            length = events * times
            await settled(dsn)
            for what, milliseconds in (await _measured(dsn, length)).items():
                report.add(f"as of, {length:,} events", what, milliseconds, unit="ms")
                medians.setdefault(what, []).append(statistics.median(milliseconds))
    for what, (short, long) in medians.items():
        report.add("as of, twice the log", what, long / short, unit="x")


async def _measured(dsn: str, length: int) -> dict[str, list[float]]:
    connection = await connect(dsn)
    await migrate(connection)
    await connection.close()
    pool = await open_pool(dsn, min_size=1, max_size=8, application_name="bench")
    try:
        await rebuild(pool)
        reader = Reader(pool)
        rows, _ = await reader.fetch("select product_id, item_id, first_position from {items}")
        dice = random.Random(5)
        moments = [dice.randint(length // 3, length) for _ in range(READS)]
        found: dict[str, list[float]] = {}
        for position in moments:
            item = dice.choice(rows)
            reads: dict[str, tuple[str, tuple[Any, ...]]] = {
                f"a page of {PAGE} by votes, {len(rows):,} items": (
                    "items_by_votes",
                    (item["product_id"], position, _forever(), PAGE, None, None),
                ),
                "one item": ("item", (item["product_id"], item["item_id"], position, _forever())),
            }
            for what, (statement, arguments) in reads.items():
                began = time.perf_counter()
                await reader.fetch(AS_OF[statement], *arguments)
                found.setdefault(what, []).append((time.perf_counter() - began) * 1000)
        return found
    finally:
        await pool.close()


def _forever() -> Any:
    import datetime as dt

    return dt.datetime.max.replace(tzinfo=dt.UTC)


if __name__ == "__main__":
    main("asof", bench)
