"""Counts the log again beside the tables in use, and compares the two."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from projections.catalogue import Projection, all_projections, fill, together
from projections.checkpoints import furthest
from projections.declare import declare
from projections.read_model import tables
from projections.rebuild.build import EVENTS_A_STEP, Build, Lane, new_generation
from projections.rebuild.rebuild import turn_to_rebuild
from projections.rebuild.report import Watch
from projections.steps import groups_of, is_lasting, said_by
from service.errors import RebuildRuns, VerifyStopped
from service.log.database import Pool
from service.sql_files import load

ROWS_SHOWN: Final = 5
ERASURES_MET_MAX: Final = 5
ERASURE_SECONDS_MAX: Final = 60.0
ERASURE_LOOK_SECONDS: Final = 0.2

_sql = load(__file__, "verify.sql")


@dataclass(frozen=True)
class TableReport:
    """One table: equal when both digests are; `differences` are (side, row as JSON)."""

    projection: str
    table: str
    rows: int
    digest: str
    rows_anew: int
    digest_anew: str
    differences: tuple[tuple[str, str], ...] = ()

    @property
    def equal(self) -> bool:
        """Whether the table in use has the rows that the log gives."""
        return self.digest == self.digest_anew and self.rows == self.rows_anew


@dataclass(frozen=True)
class VerifyReport:
    """Every table compared, at one position."""

    position: int
    seconds: float
    tables: tuple[TableReport, ...]

    @property
    def equal(self) -> bool:
        """Whether all tables are as the log gives them."""
        return all(table.equal for table in self.tables)


async def verify(
    pool: Pool,
    names: Iterable[str] | None = None,
    *,
    events_a_step: int = EVENTS_A_STEP,
    progress: Watch | None = None,
) -> VerifyReport:
    """Compare projections (all by default) with what the log gives; leaves nothing behind.

    The tables in use go on meanwhile: the comparison is made in one snapshot, at the position it shows. Takes
    the turn to rebuild, so no rebuild runs beside it. Raises UnknownProjection, RebuildRuns.

    An erasure redacts the log first and then has the tables counted again: in between the two differ, and
    should. So one that is under way is let end before (a minute at most, should whoever began it have died),
    and a difference is told only when no erasure met the comparison.
    """
    for _ in range(ERASURES_MET_MAX):
        before = await _erasures(pool)
        report = await _compared(pool, names, events_a_step, progress)
        if report.equal or await pool.fetchval(_sql["erasures"]) == before:
            break
    return report


async def _erasures(pool: Pool) -> int:
    """Return how many erasures there were, once the tables have been counted again after each of them."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + ERASURE_SECONDS_MAX
    while loop.time() < give_up and await pool.fetchval(_sql["erasures_under_way"]):
        await asyncio.sleep(ERASURE_LOOK_SECONDS)
    made: int = await pool.fetchval(_sql["erasures"])
    return made


async def _compared(
    pool: Pool, names: Iterable[str] | None, events_a_step: int, progress: Watch | None
) -> VerifyReport:
    known = all_projections()
    chosen = known if names is None else together(names, known)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with pool.acquire() as connection:
        await declare(connection)
    lease = turn_to_rebuild()
    reports: list[TableReport] = []
    position = 0
    async with lease.kept(pool) as ours:
        if not ours:
            raise RebuildRuns(await lease.holder(pool))
        for group in groups_of(chosen):
            try:
                found, reached = await _verify(pool, group, events_a_step, progress)
            except asyncpg.PostgresError as error:
                if not is_lasting(error):
                    raise
                raise VerifyStopped(", ".join(each.name for each in group), said_by(error)) from error
            reports.extend(found)
            position = position or reached
    return VerifyReport(position, loop.time() - began, tuple(reports))


async def _verify(
    pool: Pool, group: Sequence[Projection], events_a_step: int, progress: Watch | None
) -> tuple[list[TableReport], int]:
    generation = await new_generation(pool)
    async with Build.on(pool, group, generation, events_a_step=events_a_step) as build:
        try:
            await build.create()
            position = await furthest(build.counting, group)

            async def note(lane: Lane, first: int, last: int, rate: float) -> None:
                if progress is not None and lane.number == 0:
                    progress(last, position)

            await build.load(position, note)
            await build.settle(note, lookups=False)
            async with build.counting.transaction(isolation="repeatable_read"):
                now = await furthest(build.counting, group)
                if position < now:
                    await (await build.follower()).apply(position, now)
                return await _compare(build, group), now
        finally:
            if not build.counting.is_closed():
                await build.drop()


async def _compare(build: Build, group: Sequence[Projection]) -> list[TableReport]:
    in_use = (await tables(build.counting)).names
    reports = []
    for projection in group:
        for table in projection.tables:
            old, new = in_use[table], build.names[table]
            a = await build.counting.fetchrow(fill(_sql["digest"], {"table": old}))
            b = await build.counting.fetchrow(fill(_sql["digest"], {"table": new}))
            assert a is not None
            assert b is not None
            differences: tuple[tuple[str, str], ...] = ()
            if a != b:
                statement = fill(_sql["differences"], {"in_use": old, "anew": new})
                found = await build.counting.fetch(statement, ROWS_SHOWN)
                differences = tuple((row["side"], row["line"]) for row in found)
            reports.append(
                TableReport(
                    projection.name, table, a["rows"], a["digest"], b["rows"], b["digest"], differences
                )
            )
    return reports
