"""Says how far each projection is, and whether that is well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import asyncpg

from projections.catalogue import all_projections
from projections.steps import AnyConnection
from service.log.database import Pool
from service.sql_files import load

State = Literal["LIVE", "CATCHING_UP", "REBUILDING", "STUCK", "FAILED", "OUTDATED"]

STUCK_SECONDS: Final = 15.0

_sql = load(__file__, "health.sql")


@dataclass(frozen=True)
class Status:
    """One projection: STUCK when the log has waited for it longer than `STUCK_SECONDS` without its moving.

    OUTDATED means that its tables were counted by other statements than this version's: a rebuild is due.
    `progress` is the position that a running rebuild has got to, else the checkpoint.
    """

    name: str
    state: State
    position: int
    head: int
    lag_events: int
    lag_seconds: float
    rate_per_second: float
    eta_seconds: float | None
    last_error: str | None
    progress: int
    generation: int
    parked: int
    built_in: bool
    moved_at: datetime

    @property
    def healthy(self) -> bool:
        """False when the head moves and this checkpoint does not."""
        return self.state not in ("STUCK", "FAILED")


async def status(connection: AnyConnection | Pool, *, stuck_seconds: float = STUCK_SECONDS) -> list[Status]:
    """The state of every projection, from the database: any instance may be asked, whichever projects."""
    fingerprints = {projection.name: projection.fingerprint for projection in all_projections()}
    return [
        _status(row, fingerprints.get(row["name"]))
        for row in await connection.fetch(_sql["status"], stuck_seconds)
    ]


def _status(row: asyncpg.Record, fingerprint: str | None) -> Status:
    state: State = row["state"]
    if state != "REBUILDING" and fingerprint != row["fingerprint"]:
        state = "OUTDATED"
    return Status(
        row["name"],
        state,
        row["position"],
        row["head"],
        row["lag_events"],
        row["lag_seconds"],
        row["rate_per_second"],
        row["eta_seconds"],
        row["last_error"],
        row["progress"],
        row["generation"],
        row["parked"],
        row["built_in"],
        row["moved_at"],
    )
