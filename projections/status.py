"""Says what state each projection is in, and how far behind the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import asyncpg

from projections.catalogue import all_projections
from projections.steps import AnyConnection
from service.log.database import NOT_MADE, Pool
from service.sql_files import load

State = Literal["LIVE", "CATCHING_UP", "REBUILDING", "OUTDATED", "STUCK", "FAILED", "ABSENT"]

_sql = load(__file__, "status.sql")

FUNCTION: Final = _sql["function"]
"""Declares `read_model.status`, which every answer comes from; what the states mean stands there."""

_NOT_WORKING: Final[tuple[State, ...]] = ("FAILED", "STUCK")
LATE_SECONDS: Final = 60.0
"""Longer than a step, and than the moment in which another instance takes over."""


@dataclass(frozen=True)
class Standing:
    """One projection."""

    name: str
    state: State
    built_in: bool
    position: int
    head: int
    lag_events: int
    lag_seconds: float
    rate_per_second: float
    eta_seconds: float | None
    parked: int
    progress: float | None
    last_error: str | None


def known() -> tuple[list[str], list[str]]:
    """The names of this process's projections, and the fingerprint of each: what the answer is asked with."""
    projections = all_projections()
    return [each.name for each in projections], [each.fingerprint for each in projections]


async def status(connection: AnyConnection | Pool) -> list[Standing]:
    """Every projection by name, from the database: any instance may be asked, whichever projects.

    Empty before the read model was declared.
    """
    try:
        return [Standing(**row) for row in await connection.fetch(_sql["status"], *known())]
    except (asyncpg.UndefinedFunctionError, *NOT_MADE):
        return []


def lateness(found: Iterable[Standing]) -> str | None:
    """Say how far behind the log projections are for whose next event it has been waiting for too long.

    A rebuild beside tables that are read and followed makes nothing late.
    """
    late = [each for each in found if each.lag_seconds > LATE_SECONDS]
    if not late:
        return None
    events, seconds = (max(each.lag_events for each in late), max(each.lag_seconds for each in late))
    if done := [each.progress for each in late if each.progress is not None]:
        return f"{events} events behind the log, and {min(done):.0%} of a rebuild is done"
    return f"{events} events behind the log, which have waited for {seconds:.0f} s"


def failings(found: Sequence[Standing]) -> str | None:
    """Say in a few words which projections do not do their work, or None where all do."""
    named = {state: ", ".join(each.name for each in found if each.state == state) for state in _NOT_WORKING}
    said = [f"{state}: {names}" for state, names in named.items() if names]
    return "; ".join([*said, *filter(None, [lateness(found)])]) or None
