"""Looks at replicas of Postgres: whether a commit waits for one, and whether those to be read are fit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from projections.replicas import examine, open_replicas
from service.config import Settings
from service.log.database import Connection
from service.operate.finding import Finding, fine, note, problem
from service.sql_files import load

_sql = load(__file__, "replication.sql")

_STANDS_BY: Final = {
    "standby": problem(
        "Postgres",
        "takes no writes: it is a standby, or still recovers; deliveries go to the spool",
        "promote it (select pg_promote()), or name the server that takes writes in RECOUNT_DATABASE_URL",
    ),
    "paused": problem(
        "Postgres",
        "takes no writes: its recovery is at its target and waits; deliveries go to the spool",
        "look whether that is the moment meant; then, as a superuser: select pg_wal_replay_resume()",
    ),
}


async def check_replication(settings: Settings, connection: Connection) -> AsyncIterator[Finding]:
    """Whether Postgres takes writes, what was acknowledged outlives its machine, replicas can be read."""
    if stands_by := await connection.fetchval(_sql["stands_by"]):
        yield _STANDS_BY[stands_by]
    async for finding in _synchronous(connection):
        yield finding
    async with open_replicas(settings) as pools:
        for number, pool in enumerate(pools, start=1):
            found = await examine(pool, connection, settings.read_lag_seconds_max)
            if found.state == "WELL":
                yield fine("replicas", f"replica {number} {found}")
            else:
                yield problem("replicas", f"replica {number} {found}", "until then the primary is read")


async def _synchronous(connection: Connection) -> AsyncIterator[Finding]:
    rows = await connection.fetch(_sql["replicas"])
    names = await connection.fetchval(_sql["synchronous"])
    if not rows and not names:
        return
    if not names:
        yield note(
            "replication",
            f"{len(rows)} replicas, and no commit waits for one: a failover may lose the newest events",
            "set synchronous_standby_names to the replicas' names",
        )
        return
    if rows and all(row["state"] is None for row in rows):
        yield note(
            "replication",
            f"{len(rows)} replicas; this role may not see whether they keep up",
            "grant pg_read_all_stats to it",
        )
        return
    waited_for = sum(row["state"] == "streaming" and row["sync_state"] in ("sync", "quorum") for row in rows)
    if waited_for:
        yield fine("replication", f"{len(rows)} replicas; {waited_for} that a commit waits for stream")
    else:
        yield problem(
            "replication",
            "commits wait for a synchronous replica, and none streams: deliveries go to the spool",
            "start the replica, or correct synchronous_standby_names",
        )
