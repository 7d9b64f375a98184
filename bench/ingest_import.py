"""`python -m bench.ingest_import DSN FILE`: records a file as `recount import` does, before it projects."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from service.log.database import connect, migrate, open_pool
from service.log.event_store import EventStore
from service.operate.interchange import import_lines


async def run(dsn: str, path: Path) -> None:
    """Import, and print the seconds that it took and the head of the log."""
    connection = await connect(dsn)
    await migrate(connection)
    await connection.close()
    pool = await open_pool(dsn)
    began = time.perf_counter()
    with path.open("rb") as file:
        await import_lines(file, pool, now=datetime.now(UTC))
    seconds = time.perf_counter() - began
    print(json.dumps([seconds, await EventStore(pool).head()]))
    await pool.close()


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], Path(sys.argv[2])))
