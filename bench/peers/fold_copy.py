"""A rebuild as a Python fold: read the log, merge in dictionaries, write the tables by COPY at the end.

Quick while everything fits in memory, which ours does not need; a crash starts it over.
"""

from __future__ import annotations

import json
import time
from typing import Any

import asyncpg
import orjson
import uvloop
from folding import COLUMNS, TABLES, said
from serving import database

READ = """
select position, product_id, action, occurred_at, data
  from log.events
 where position > $1
 order by position
 limit 5000
"""

Rows = dict[tuple[Any, ...], list[Any]]


async def rebuild(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    """Build the three tables from the log; return how many events that took."""
    tables: dict[str, Rows] = {name: {} for name in COLUMNS}
    events = after = 0
    while page := await connection.fetch(READ, after):
        for position, product_id, action, occurred_at, data in page:
            for table, key, values in said(position, product_id, action, occurred_at, orjson.loads(data)):
                merge(tables[table], key, values, position)
        events += len(page)
        after = page[-1]["position"]
    async with connection.transaction():
        await connection.execute("truncate items, votes, users")
        for name, rows in tables.items():
            records = [(*key, *row) for key, row in rows.items()]
            await connection.copy_records_to_table(name, records=records, columns=COLUMNS[name])
    return events


def merge(rows: Rows, key: tuple[Any, ...], values: tuple[Any, ...], position: int) -> None:
    """Put what was said over what was known."""
    row = rows.get(key)
    if row is None:
        rows[key] = [*values, position]
        return
    for number, value in enumerate(values):
        if value is not None:
            row[number] = value
    row[-1] = position


async def main() -> None:
    """Rebuild once and print how long it took."""
    connection = await asyncpg.connect(database())
    await connection.execute(TABLES)
    began = time.perf_counter()
    events = await rebuild(connection)
    print(json.dumps({"events": events, "seconds": time.perf_counter() - began}))
    await connection.close()


if __name__ == "__main__":
    uvloop.run(main())
