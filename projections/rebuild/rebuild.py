"""Rebuilds projections beside the tables in use, then switches to the new ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Final

import asyncpg
import structlog

from projections.catalogue import Projection, all_projections, together
from projections.checkpoints import furthest, head, lock, tell
from projections.declare import another_counts, declare
from projections.lease import Lease
from projections.rebuild.build import EVENTS_A_STEP, Build, Lane, drop_leftovers, new_generation
from projections.rebuild.code import code_digest
from projections.rebuild.replay import OF_AN_ITEM, Aside, is_most, refused_at
from projections.rebuild.report import RebuildReport, Watch
from projections.shown import attach, drop_childless, let_plans_pass, show
from projections.steps import AnyConnection, drop_tables, failure_of, is_lasting, said_by
from service.ending_tasks import rest
from service.errors import LostLease, ProjectionError, RebuildStopped, UnknownProjection
from service.log.database import Pool, is_away
from service.sql_files import load

# The rest is small enough to be counted in with every index in place.
NEARLY_THERE: Final = 20_000
LEASE_SECONDS: Final = 10.0
GRACE_SECONDS: Final = 30.0
REQUEST_POLL_SECONDS: Final = 5.0
# Longer than the projector gives way for to a service of another version.
GIVE_WAY_SECONDS: Final = 30.0

_log = structlog.get_logger(__name__)
_sql = load(__file__, "rebuild.sql")


def turn_to_rebuild() -> Lease:
    """The lease that rebuilds and comparisons take: one of them runs at a time."""
    return Lease("rebuild", LEASE_SECONDS)


async def rebuild(
    pool: Pool,
    names: Iterable[str] | None = None,
    *,
    product_id: int | None = None,
    item_id: str | None = None,
    progress: Watch | None = None,
    events_a_step: int = EVENTS_A_STEP,
    unless_done: bool = False,
) -> RebuildReport:
    """Rebuild projections (all by default), with those whose tables their steps read, and switch to them.

    Reads are answered from the old tables until the switch. What another process rebuilds is waited for; one
    that was killed is gone on with. Raises UnknownProjection, RebuildStopped. With `unless_done`, a product
    that was counted since it was erased from or let go of last is not counted again.
    """
    rebuilder = Rebuilder(pool, events_a_step=events_a_step)
    number = await rebuilder.request(names, product_id=product_id, item_id=item_id, unless_done=unless_done)
    async with rebuilder.lease.awaited(pool):
        return await rebuilder.up_to(number, progress)


class Rebuilder:
    """Runs the rebuilds that were asked for, one at a time over all instances."""

    def __init__(
        self,
        pool: Pool,
        *,
        events_a_step: int = EVENTS_A_STEP,
        grace_seconds: float = GRACE_SECONDS,
        poll_seconds: float = REQUEST_POLL_SECONDS,
    ) -> None:
        self._pool = pool
        self._poll_seconds = poll_seconds
        self._events_a_step = events_a_step
        self._grace_seconds = grace_seconds
        self.lease = turn_to_rebuild()

    async def request(
        self,
        names: Iterable[str] | None = None,
        *,
        product_id: int | None = None,
        item_id: str | None = None,
        unless_done: bool = False,
    ) -> int:
        """Ask for a rebuild and return its number; one that is the same and has not ended is joined.

        Not one that may have read a product's events before somebody was erased from them.
        """
        chosen = _chosen(names)
        async with self._pool.acquire() as connection:
            await declare(connection)
            async with connection.transaction():
                await connection.execute(_sql["lock_list"])
                wanted = [projection.name for projection in chosen]
                standing = await connection.fetchval(_sql["standing"], product_id)
                same = await connection.fetchval(
                    _sql["same"], wanted, product_id, item_id, standing, unless_done
                )
                return int(
                    same
                    or await connection.fetchval(
                        _sql["add"], wanted, _fingerprint(chosen), product_id, item_id
                    )
                )

    async def run(self) -> None:
        """Do what is asked for, and rebuild what was counted by other statements than today's; for ever."""
        while True:
            try:
                if not await another_counts(self._pool, GIVE_WAY_SECONDS):
                    await self.turn()
            except RebuildStopped as stopped:
                _log.error("rebuild_stopped", projection=stopped.projection, position=stopped.position)
            except LostLease as lost:
                _log.info("rebuild_lost_lease", reason=str(lost))
            except ProjectionError as error:
                _log.warning("rebuild_failed", reason=type(error).__name__)
            await rest(self._poll_seconds)

    async def turn(self) -> RebuildReport | None:
        """Run the next rebuild that waits, if any; drop tables that nobody reads any more."""
        await self.drop_discarded()
        row = await self._pool.fetchrow(_sql["requested"])
        if row is None:
            outdated = await stale(self._pool)
            if not outdated or await self._pool.fetchval(
                _sql["stopped_before"], _fingerprint(_chosen(outdated))
            ):
                return None
            await self.request(outdated)
            row = await self._pool.fetchrow(_sql["requested"])
        return None if row is None else await self.work(row["rebuild"])

    async def work(self, number: int) -> RebuildReport | None:
        """Run the rebuilds that wait, up to this one; None when another process is at it.

        Raises RebuildStopped, LostLease; what else fails is noted and can be tried again.
        """
        async with self.lease.kept(self._pool) as ours:
            return await self.up_to(number) if ours else None

    async def up_to(self, number: int, progress: Watch | None = None) -> RebuildReport:
        """Run the rebuilds that wait, up to this one, in our turn. Raises as `work`, of this one alone."""
        while True:
            row = await self._pool.fetchrow(_sql["requested"])
            if row is None or row["rebuild"] > number:
                return await self._ended(number)
            try:
                report = await self._run(row, progress)
            except (RebuildStopped, UnknownProjection) as ended:
                if row["rebuild"] == number:
                    raise
                _log.error("rebuild_stopped", rebuild=row["rebuild"], reason=type(ended).__name__)
                continue
            if row["rebuild"] == number:
                return report

    async def drop_discarded(self) -> list[str]:
        """Drop the tables that were switched away from some time ago; the ones still being read wait."""
        tables = [row["table_name"] for row in await self._pool.fetch(_sql["to_drop"], self._grace_seconds)]
        dropped = []
        for table in tables:
            with contextlib.suppress(asyncpg.LockNotAvailableError, asyncpg.DependentObjectsStillExistError):
                async with self._pool.acquire() as connection, connection.transaction():
                    await connection.execute("set local lock_timeout = '200ms'")
                    await drop_tables(connection, [table])
                dropped.append(table)
        if dropped:
            await self._pool.execute(_sql["dropped"], dropped)
            async with self._pool.acquire() as connection:
                await drop_childless(connection)
        return dropped

    async def _ended(self, number: int) -> RebuildReport:
        """What became of a rebuild that another process ran."""
        row = await self._pool.fetchrow(_sql["ended"], number)
        assert row is not None
        if row["state"] == "FAILED":
            raise RebuildStopped(", ".join(row["projections"]), row["position"], row["error"])
        return RebuildReport(tuple(row["projections"]), row["position"], row["seconds"])

    async def _run(self, row: asyncpg.Record, progress: Watch | None) -> RebuildReport:
        try:
            return await self._run_as_asked(row, progress)
        except UnknownProjection as unknown:  # the package that it is of is here no more
            await self._pool.execute(_sql["finish"], row["rebuild"], "FAILED", str(unknown), None)
            raise
        except asyncpg.PostgresError as error:
            if not is_away(error):
                await self._pool.execute(_sql["note_error"], row["rebuild"], failure_of(error))
            raise

    async def _run_as_asked(self, row: asyncpg.Record, progress: Watch | None) -> RebuildReport:
        chosen = _chosen(row["projections"])
        resumed = row["state"] == "RUNNING" and row["fingerprint"] == _fingerprint(chosen)
        if row["product_id"] is not None and not resumed:
            standing = await self._pool.fetchval(_sql["standing"], row["product_id"])
            await self._pool.execute(_sql["begin"], row["rebuild"], standing)
            if not await self._wholly(row, chosen):
                return await self._replay(row, chosen)
        generation = row["generation"] if resumed else await new_generation(self._pool, row["rebuild"])
        async with Build.on(self._pool, chosen, generation, events_a_step=self._events_a_step) as build:
            return await _Run(build, self.lease, row["rebuild"], progress).run(row, resumed)

    async def _wholly(self, row: asyncpg.Record, chosen: Sequence[Projection]) -> bool:
        """Whether all is counted again where one product was asked for.

        Tables of another version's statements may lack what is counted, and are to be rebuilt anyway.
        """
        if {projection.name for projection in chosen} & set(await stale(self._pool)):
            return True
        return row["item_id"] is None and await is_most(self._pool, row["product_id"])

    async def _replay(self, row: asyncpg.Record, chosen: Sequence[Projection]) -> RebuildReport:
        """Count one product again, and put its rows (or an item's) in place of those in the tables in use.

        Readers see the rows of before until the transaction commits. Appends go on; the projector waits
        while the rows are put in.
        """
        if row["item_id"] is not None:
            chosen = [projection for projection in chosen if projection.name in OF_AN_ITEM]
        loop = asyncio.get_running_loop()
        began, number = loop.time(), row["rebuild"]
        async with self._pool.acquire() as connection:
            await drop_leftovers(connection, number)  # somebody may be in them who was erased since
            try:
                async with connection.transaction():
                    aside = Aside(connection, chosen, row["product_id"])
                    position = await aside.hold(self.lease)
                    events = await aside.put_in(position, row["item_id"])
                    await connection.execute(_sql["finish"], number, "DONE", None, position)
                    await tell(connection, position)
            except asyncpg.PostgresError as error:
                if not is_lasting(error):
                    raise
                reached = await furthest(connection, chosen)
                refused = await refused_at(connection, chosen, reached, row["product_id"])
                raise await _stop(connection, number, chosen, refused, error) from error
        return RebuildReport(tuple(each.name for each in chosen), events, loop.time() - began)


class _Run:
    """One rebuild, from its tables to the switch."""

    def __init__(self, build: Build, lease: Lease, rebuild: int, progress: Watch | None) -> None:
        self._build = build
        self._lease = lease
        self._rebuild = rebuild
        self._progress = progress
        self._connection = build.counting
        self._head = 0
        self._settled = False

    async def run(self, row: asyncpg.Record, resumed: bool) -> RebuildReport:
        loop = asyncio.get_running_loop()
        began = loop.time()
        resumed = resumed and len(row["lanes"]) == len(self._build.lanes)
        if resumed:
            for lane in self._build.lanes:
                lane.position, lane.indexed = row["lanes"][lane.number], row["indexed"][lane.number]
        self._settled = bool(row["settled"]) and resumed
        resumed_at = self._build.position
        try:
            await self._start(resumed)
            if not self._settled:
                await self._load()
                await self._settle()
            async with self._connection.transaction():
                shown = await attach(self._connection, self._build.projections, self._build.names)
            position = await self._catch_up(self._build.position)
            await let_plans_pass(self._connection)
            position = await self._switch(position, shown)
        except asyncpg.PostgresError as error:
            if not is_lasting(error):
                raise
            raise await self._stopped(error) from error
        await self._build.drop_staged()
        self._tell(position)
        names = tuple(projection.name for projection in self._build.projections)
        return RebuildReport(names, position, loop.time() - began, resumed_at)

    async def _start(self, resumed: bool) -> None:
        self._head = await self._live()
        await self._build.drop_staged()
        async with self._connection.transaction():
            if not resumed:
                await self._build.create()
            await self._connection.execute(
                _sql["start"],
                self._rebuild,
                self._build.generation,
                [lane.position for lane in self._build.lanes],
                [lane.indexed for lane in self._build.lanes],
                self._settled,
                self._head,
                [projection.name for projection in self._build.projections],
                _fingerprint(self._build.projections),
            )

    async def _load(self) -> None:
        """Count in until what is left is little; once indexes are there, that is left to following."""
        if any(lane.indexed for lane in self._build.lanes):
            return
        # A kill between their commits leaves one lane behind the other; what follows takes them for even.
        await self._build.load(max(lane.position for lane in self._build.lanes), self._note)
        while self._head - self._build.position > (NEARLY_THERE if self._build.position else 0):
            await self._build.load(self._head, self._note)
            self._head = await self._live()

    async def _live(self) -> int:
        """How far the new tables must get: to where those in use are, or to the head of the log."""
        if self._whole:
            return await head(self._connection)
        return await furthest(self._connection, self._build.projections)

    @property
    def _whole(self) -> bool:
        """Whether all that advances together is rebuilt: then it may get ahead of the tables in use."""
        names = {projection.name for projection in self._build.projections}
        built_in = {projection.name for projection in all_projections() if projection.built_in}
        return built_in <= names or not built_in & names

    async def _note(self, lane: Lane, first: int, last: int, rate: float, settled: bool = False) -> None:
        """Write down what a lane has counted in, in its transaction; refused when it is not our turn."""
        await self._lease.check(lane.connection)
        row = await lane.connection.fetchrow(
            _sql["advance"],
            self._rebuild,
            lane.number + 1,
            first,
            last,
            lane.indexed,
            max(self._head, last),
            rate,
            settled,
        )
        if row is None:
            raise self._lease.lost()
        if row["position"] == last and first < last:
            self._tell(last)

    def _tell(self, position: int) -> None:
        if self._progress is not None:
            self._progress(position, max(self._head, position))

    async def _settle(self) -> None:
        self._tell(self._build.position)
        await self._build.settle(self._note, lookups=True)
        async with self._connection.transaction():
            await self._lease.check(self._connection)
            await self._follow(self._build.position, self._build.position)
        self._settled = True

    async def _follow(self, first: int, last: int) -> None:
        row = await self._connection.fetchrow(
            _sql["follow"], self._rebuild, first, last, max(self._head, last), len(self._build.lanes)
        )
        if row is None:
            raise self._lease.lost()

    async def _catch_up(self, position: int) -> int:
        self._steps = await self._build.follower()
        while self._head - position > 1_000 or self._head < await self._live() - 1_000:
            last = min(self._head, position + NEARLY_THERE)
            async with self._connection.transaction():
                await self._lease.check(self._connection)
                await self._steps.apply(position, last)
                await self._follow(position, last)
            position = last
            self._tell(last)
            self._head = await self._live()
        return position

    async def _switch(self, position: int, shown: Sequence[str]) -> int:
        """Count the last events in while the live checkpoints stand still; use these tables from then on."""
        projections = self._build.projections
        names = [projection.name for projection in projections]
        async with self._connection.transaction():
            await self._connection.execute("set local synchronous_commit = on")
            rows = await lock(self._connection, projections)
            live = int(max(row["position"] for row in rows))
            if self._whole:  # an older backup's log ends before them
                live = min(live, await head(self._connection))
            if position < live:
                await self._steps.apply(position, live)
            live = max(position, live)
            await self._lease.check(self._connection)
            await self._connection.execute(
                _sql["switch"],
                names,
                self._build.generation,
                [projection.fingerprint for projection in projections],
                live,
                [",".join(projection.relations) for projection in projections],
            )
            await show(self._connection, shown)
            rows += await self._connection.fetch(_sql["forget"], [each.name for each in all_projections()])
            old = [f"read_model.{table}_{row['generation']}" for row in rows for table in row["tables"]]
            await self._connection.execute(_sql["discard"], old)
            await self._connection.execute(_sql["finish"], self._rebuild, "DONE", None, live)
            await tell(self._connection, live)
        return live

    async def _stopped(self, error: asyncpg.PostgresError) -> RebuildStopped:
        unread = not self._settled and self._build.position < self._head
        position = await self._build.first_refused(self._head) if unread else self._build.position
        await self._build.drop()
        return await _stop(self._connection, self._rebuild, self._build.projections, position, error)


async def _stop(
    connection: AnyConnection,
    rebuild: int,
    projections: Iterable[Projection],
    position: int,
    error: asyncpg.PostgresError,
) -> RebuildStopped:
    """End a rebuild that cannot be done, and return the error that says so."""
    await connection.execute(_sql["finish"], rebuild, "FAILED", failure_of(error), position)
    return RebuildStopped(", ".join(each.name for each in projections), position, said_by(error))


async def stale(connection: AnyConnection | Pool) -> list[str]:
    """Projections whose tables were counted by other statements than today's, or that are new and behind."""
    known = all_projections()
    rows = await connection.fetch(
        _sql["stale"],
        [projection.name for projection in known],
        [projection.fingerprint for projection in known],
    )
    return [row["projection"] for row in rows]


def _chosen(names: Iterable[str] | None) -> tuple[Projection, ...]:
    known = all_projections()
    if names is None:
        return tuple(projection for projection in known if projection.built_in)
    chosen = together(names, known)
    plugins = [projection for projection in chosen if not projection.built_in]
    return tuple(plugins) if plugins and len(plugins) == len(chosen) else chosen


def _fingerprint(projections: Iterable[Projection]) -> str:
    counted = ",".join(f"{projection.name}:{projection.fingerprint}" for projection in projections)
    return f"{counted},by:{code_digest()}"
