"""Looks at the log's tables: whether somebody took from them what they keep their promises by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from service.config import Settings
from service.log.database import Connection
from service.operate.finding import Finding, problem
from service.sql_files import load

_sql = load(__file__, "log_tables.sql")

_DELIVERIES: Final = "log.deliveries"


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
        elif row["name"] == _DELIVERIES:
            yield problem(
                "log",
                f"{_DELIVERIES} has no primary key: a delivery that comes again is recorded again",
                f"alter table {_DELIVERIES} add primary key (product_id, digest, received_at); where it says "
                "that a key is duplicated, docs/operations.md has what to do",
            )
        else:
            yield problem(
                "log",
                f"{row['name']} has no primary key",
                "add it as the package's service/log/migrations made it",
            )
    left = await connection.fetchval(_sql["partitions"])
    if left is not None and left < 0:
        yield problem(
            "log", "the newest events have no partition ahead", "look at Postgres's log for lock time-outs"
        )
