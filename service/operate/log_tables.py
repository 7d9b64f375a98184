"""Looks at the log's tables: whether somebody took from them what they keep their promises by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from service.config import Settings
from service.log.database import Connection
from service.operate.finding import Finding, problem
from service.sql_files import load

_sql = load(__file__, "log_tables.sql")

_BY_HAND: Final = 'docs/operations.md, "After somebody changed the database by hand"'


async def check_log_tables(_: Settings, connection: Connection) -> AsyncIterator[Finding]:
    """Whether events can be changed, whether a delivery that comes again is known, whether there is room."""
    unguarded = [row["name"] for row in await connection.fetch(_sql["unguarded"])]
    if unguarded:
        yield problem(
            "log",
            f"{', '.join(unguarded)} would take changes: a trigger is missing or off",
            "alter table … enable trigger all; then recount verify",
        )
    for row in await connection.fetch(_sql["unkeyed"]):
        if row["index"] is not None:
            yield problem("log", f"Postgres does not use {row['index']}", f"reindex index {row['index']}")
        else:
            yield problem("log", f"{row['name']} has no primary key", f"{_BY_HAND}; it is made by hand")
    if unknown := await connection.fetchval(_sql["unknown"]):
        yield problem(
            "log",
            f"{unknown} of the newest events are not in log.deliveries: what comes again is recorded again",
            f"{_BY_HAND}; log.deliveries is filled from the events",
        )
    if await connection.fetchval(_sql["headless"]):
        yield problem(
            "log",
            "log.head has no row, which appends lock: deliveries go to the spool, and come out of it slowly",
            f"{_BY_HAND}; the row is put back",
        )
    left = await connection.fetchval(_sql["partitions"])
    if left is not None and left < 0:
        yield problem(
            "log", "the newest events have no partition ahead", "look at Postgres's log for lock time-outs"
        )
