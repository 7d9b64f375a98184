"""What a look at the past costs, on a log and on one twice as long: twenty items by votes, and one item.

As users ask it: GraphQL over HTTP, one request at a time. The board has as many items in both, 10,000
(quick: fewer), and both are asked of moments in the last tenth of their log. Before that the shorter log
is that of a younger board, which has fewer items to rank; how many were ranked is said beside.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Mapping
from typing import Any, Final

from bench.board import PRODUCT
from bench.harness import Options, Report, main
from bench.load import ask, post
from bench.long_log import SETTINGS, LongLog
from bench.ours import recount
from bench.rebuild import rebuilt
from bench.throwaway import bench_postgres, database, settled
from projections.read_model import Reader
from service.log.database import open_pool

LENGTHS: Final = (1_000_000, 2_000_000)
QUICK_LENGTHS: Final = (20_000, 40_000)
READS: Final = 100
PAGE: Final = 20

A_PAGE: Final = f"a page of {PAGE} by votes"
AN_ITEM: Final = "one item"

_FIELDS: Final = "sleekplanId title status { key } votes { up down net } commentCount updatedAt"
_TEXTS: Final = {
    A_PAGE: f"""query ($position: Position!) {{
      items(productId: "{PRODUCT}", asOf: {{position: $position}}, first: {PAGE},
            orderBy: {{field: VOTES, direction: DESC}}) {{ nodes {{ {_FIELDS} }} }} }}""",
    AN_ITEM: f"""query ($position: Position!, $item: ID!) {{
      item(productId: "{PRODUCT}", asOf: {{position: $position}}, sleekplanId: $item) {{ {_FIELDS} }} }}""",
}
_RANKED: Final = f"""query ($position: Position!) {{
  items(productId: "{PRODUCT}", asOf: {{position: $position}}, first: 1) {{ totalCount }} }}"""


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
    """Return the milliseconds of reads as of random positions, and how many items there were to rank."""
    pool = await open_pool(dsn, min_size=1, max_size=2, application_name="bench")
    try:
        rows, _ = await Reader(pool).fetch("select item_id from {items} order by item_id")
    finally:
        await pool.close()
    dice = random.Random(5)
    found: dict[str, list[float]] = {}
    async with recount(dsn) as service:
        # The first of each makes the plan, which is kept.
        for number in range(READS + 1):
            asked = {"position": str(dice.randint(length - length // 10, length))}
            for what, text in _TEXTS.items():
                variables = asked | ({"item": dice.choice(rows)["item_id"]} if what == AN_ITEM else {})
                milliseconds, _ = await _ask(service.port, text, variables)
                if number:
                    found.setdefault(what, []).append(milliseconds)
            if number % 10 == 0:
                _, data = await _ask(service.port, _RANKED, asked)
                found.setdefault("items ranked", []).append(data["items"]["totalCount"])
    return found


async def _ask(port: int, text: str, variables: Mapping[str, Any]) -> tuple[float, Any]:
    request = post("/graphql", json.dumps({"query": text, "variables": variables}).encode())
    began = time.perf_counter()
    status, body = await ask(port, request)
    milliseconds = (time.perf_counter() - began) * 1000
    answer = json.loads(body)
    if status != 200 or answer.get("errors"):
        raise RuntimeError(f"{text} was answered {status} {body[:400]!r}")
    return milliseconds, answer["data"]


def report_on(found: Mapping[int, Mapping[str, list[float]]], report: Report) -> None:
    """Add what was found at two lengths, and the medians of the longer as multiples of the shorter's."""
    for length, reads in found.items():
        for what, values in reads.items():
            report.add(f"as of, {length:,} events", what, values, unit="ms" if what in _TEXTS else "items")
    short, long = (found[length] for length in sorted(found))
    for what in _TEXTS:
        ratio = statistics.median(long[what]) / statistics.median(short[what])
        report.add("as of, twice the log", what, ratio, unit="x")


if __name__ == "__main__":
    main("asof", bench)
