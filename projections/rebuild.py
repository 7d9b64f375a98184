"""Rebuilds projections beside the tables in use, then switches to the new ones."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Final

import asyncpg
import structlog

from projections.catalogue import STAGING, Projection, all_projections, fill, staging_of, together
from projections.declare import declare, next_generation
from projections.parking import is_data_error, reason_of
from projections.replay import replay
from projections.report import Progress, RebuildReport, Watch
from projections.steps import (
    AnyConnection,
    LiveSteps,
    between,
    create_indexes,
    create_tables,
    drop_tables,
    group_of,
    run,
    tables_of,
)
from service.database import Pool
from service.errors import LostLease, RebuildRuns, RebuildStopped
from service.sql_files import load

EVENTS_A_STEP: Final = 500_000
# The rest is small enough to be counted in with every index in place.
NEARLY_THERE: Final = 20_000
LEASE_SECONDS: Final = 10.0
GRACE_SECONDS: Final = 30.0
REQUEST_POLL_SECONDS: Final = 5.0

# For the session that builds. A crash loses at most steps that are not yet committed as far as their rebuild
# row says; the switch itself commits durably (see `_switch`).
_BUILD_SETTINGS: Final = {
    "synchronous_commit": "off",
    "work_mem": "128MB",
    "maintenance_work_mem": "256MB",
    "max_parallel_maintenance_workers": "2",
    "idle_in_transaction_session_timeout": "60s",
    # It would keep what it remembers of a body by the body.
    "enable_memoize": "off",
}

_log = structlog.get_logger(__name__)
_sql = load(__file__, "rebuild.sql")
_follow = load(__file__, "projector.sql")


class Lease:
    """The turn to rebuild, kept by a task of its own: a step may take longer than the lease lasts."""

    def __init__(self, pool: Pool, holder: str | None = None) -> None:
        self._pool = pool
        self._holder = holder or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._task: asyncio.Task[None] | None = None
        self.epoch = 0

    async def take(self) -> bool:
        """Return whether it is our turn now, and keep it until `give_back`."""
        epoch = await self._pool.fetchval(_follow["take_lease"], "rebuild", self._holder, LEASE_SECONDS)
        if epoch is None:
            return False
        self.epoch = epoch
        self._task = asyncio.create_task(self._keep(), name="rebuild lease")
        return True

    async def holder(self) -> str:
        """Who holds it."""
        row = await self._pool.fetchrow(_follow["read_lease"], "rebuild")
        return str(row["holder"]) if row else "nobody"

    async def check(self, connection: AnyConnection) -> None:
        """Raise LostLease unless it is still ours: asked inside the transaction that commits a step."""
        row = await connection.fetchrow(_follow["read_lease"], "rebuild")
        if row is None or row["epoch"] != self.epoch:
            raise LostLease("rebuild", self.epoch)

    async def give_back(self) -> None:
        """End our turn."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._pool.execute(_follow["give_lease_back"], "rebuild", self._holder)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 4)
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._pool.execute(_follow["take_lease"], "rebuild", self._holder, LEASE_SECONDS)


class Build:
    """A generation of tables being counted from the log, in large steps.

    One connection reads the next step's events from the log while the other counts the present one in: this
    keeps two cores busy. What a step reads and writes is committed together with `note`.
    """

    def __init__(
        self,
        reading: AnyConnection,
        counting: AnyConnection,
        projections: Sequence[Projection],
        generation: int,
        *,
        events_a_step: int = EVENTS_A_STEP,
    ) -> None:
        self._reading = reading
        self._counting = counting
        self.projections = tuple(projections)
        self.generation = generation
        self.names = tables_of(projections, generation)
        self._events_a_step = events_a_step
        self._staging = staging_of(projections)
        self._staged = {name: f"read_model.step_{name}_{generation}" for name in STAGING}

    @classmethod
    @contextlib.asynccontextmanager
    async def on(
        cls, pool: Pool, projections: Sequence[Projection], generation: int, **arguments: Any
    ) -> AsyncIterator[Build]:
        """A build on two connections of the pool, with settings for long work while it lasts."""
        async with pool.acquire() as reading, pool.acquire() as counting:
            try:
                for name, value in _BUILD_SETTINGS.items():
                    await reading.execute("select set_config($1, $2, false)", name, value)
                    await counting.execute("select set_config($1, $2, false)", name, value)
                yield cls(reading, counting, projections, generation, **arguments)
            finally:
                for connection in (reading, counting):
                    if not connection.is_closed():
                        await connection.execute("; ".join(f"reset {name}" for name in _BUILD_SETTINGS))

    @property
    def counting(self) -> AnyConnection:
        """The connection whose transactions hold the steps."""
        return self._counting

    async def create(self) -> None:
        """Make the tables, empty; what a killed build of this generation left is dropped first."""
        await self.drop()
        await create_tables(self._counting, self.projections, self.names)

    async def drop(self) -> None:
        """Drop the tables of this generation and of its steps."""
        await drop_tables(self._counting, self.names.values())
        await self.drop_staged()

    async def drop_staged(self) -> None:
        """Drop what steps staged."""
        staged = [f"{table}{suffix}" for table in self._staged.values() for suffix in ("", "_0", "_1")]
        await drop_tables(self._counting, staged)

    async def load(self, first: int, last: int, note: Callable[[int, int, float], Any]) -> None:
        """Count (first, last] in, step by step; `note(first, last, rate)` is awaited in each transaction."""
        loop = asyncio.get_running_loop()
        ends = [*range(first + self._events_a_step, last, self._events_a_step), last] if last > first else []
        starts = [first, *ends][: len(ends)]
        reading: asyncio.Task[None] | None = None
        try:
            for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
                began = loop.time()
                await (reading or self._read(number, start, end))
                reading = None
                if number + 1 < len(ends):
                    ahead = self._read(number + 1, end, ends[number + 1])
                    reading = asyncio.create_task(ahead, name="rebuild reading ahead")
                async with self._counting.transaction():
                    await self._count(number, start, end)
                    await note(start, end, (end - start) / max(loop.time() - began, 1e-6))
        finally:
            if reading is not None:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError, asyncpg.PostgresError):
                    await reading

    async def _read(self, number: int, first: int, last: int) -> None:
        table = f"{self._staged['hot']}_{number % 2}"
        sql = between(
            fill(STAGING["hot"], {"group": group_of(self.projections), "only": "true"}), first, last
        )
        await self._reading.execute(
            f"drop table if exists {table}; create unlogged table {table} as {sql}; analyze {table}"
        )

    async def _count(self, number: int, first: int, last: int) -> None:
        names = {**self.names, **self._staged, "hot": f"{self._staged['hot']}_{number % 2}"}
        for name in self._staging:
            if name != "hot":
                sql = between(fill(STAGING[name], names), first, last)
                await self._counting.execute(
                    f"create unlogged table {names[name]} as {sql}; analyze {names[name]}"
                )
        for projection in self.projections:
            for statement in projection.applies:
                await run(self._counting, fill(statement, names), first, last)
        await drop_tables(self._counting, (names[name] for name in self._staging))

    async def first_refused(self, first: int, last: int) -> int:
        """The first event of (first, last] that cannot be counted in; counts in those before it.

        The step that failed is halved until one event is left. Only for a build that is given up then.
        """
        low, high = first, min(last, first + self._events_a_step)
        while high - low > 1:
            middle = (low + high) // 2
            try:
                await self._read(0, low, middle)
                async with self._counting.transaction():
                    await self._count(0, low, middle)
                low = middle
            except asyncpg.PostgresError as error:
                if not is_data_error(error):
                    raise
                high = middle
        return high

    async def settle(self, last: int) -> None:
        """Make the indexes, then run what leans on them over all that was loaded, in one transaction."""
        await create_indexes(self._counting, self.projections, self.names)
        for table in self.names.values():
            await self._counting.execute(f"analyze {table}")
        for projection in self.projections:
            for statement in projection.settles:
                await run(self._counting, fill(statement, self.names), 0, last)

    async def follower(self) -> LiveSteps:
        """The same tables, followed like the live ones: for the last events."""
        steps = LiveSteps(self._counting, self.projections, self.names)
        await steps.open()
        return steps


async def rebuild(
    pool: Pool,
    names: Iterable[str] | None = None,
    *,
    product_id: int | None = None,
    item_id: str | None = None,
    progress: Watch | None = None,
    events_a_step: int = EVENTS_A_STEP,
    wait: bool = False,
) -> RebuildReport:
    """Rebuild projections (all by default), with those whose tables their steps read, and switch to them.

    Reads are answered from the old tables until the switch. A rebuild that was killed is gone on with. Raises
    UnknownProjection, RebuildRuns (unless `wait`), RebuildStopped.
    """
    rebuilder = Rebuilder(pool, events_a_step=events_a_step)
    number = await rebuilder.request(names, product_id=product_id, item_id=item_id)
    while True:
        report = await rebuilder.work(number, progress)
        if report is not None:
            return report
        if not wait:
            raise RebuildRuns(number, await rebuilder.lease.holder())
        await asyncio.sleep(0.2)


class Rebuilder:
    """Runs the rebuilds that were asked for, one at a time over all instances."""

    def __init__(
        self, pool: Pool, *, events_a_step: int = EVENTS_A_STEP, grace_seconds: float = GRACE_SECONDS
    ) -> None:
        self._pool = pool
        self._events_a_step = events_a_step
        self._grace_seconds = grace_seconds
        self.lease = Lease(pool)

    async def request(
        self,
        names: Iterable[str] | None = None,
        *,
        product_id: int | None = None,
        item_id: str | None = None,
    ) -> int:
        """Ask for a rebuild and return its number; one that is waiting or lost and the same is joined."""
        chosen = _chosen(names)
        async with self._pool.acquire() as connection:
            await declare(connection)
            async with connection.transaction():
                await connection.execute(_sql["lock_list"])
                row = await connection.fetchrow(_sql["requested"])
                same = row is not None and (
                    row["projections"] == [projection.name for projection in chosen]
                    and row["product_id"] == product_id
                    and row["item_id"] == item_id
                )
                if row is not None and same:
                    return int(row["rebuild"])
                return int(
                    await connection.fetchval(
                        _sql["add"],
                        [projection.name for projection in chosen],
                        _fingerprint(chosen),
                        product_id,
                        item_id,
                    )
                )

    async def run(self) -> None:
        """Do what is asked for, and rebuild what was counted by other statements than today's; for ever."""
        while True:
            try:
                await self.turn()
            except RebuildStopped as stopped:
                _log.error("rebuild_stopped", projection=stopped.projection, position=stopped.position)
            except LostLease as lost:
                _log.info("rebuild_lost_lease", reason=str(lost))
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                _log.warning("rebuild_failed", reason=type(error).__name__)
            await asyncio.sleep(REQUEST_POLL_SECONDS)

    async def turn(self, progress: Watch | None = None) -> RebuildReport | None:
        """Run the next rebuild that waits, if any; drop tables that nobody reads any more."""
        await self.drop_discarded()
        row = await self._pool.fetchrow(_sql["requested"])
        if row is None:
            outdated = await stale(self._pool)
            if not outdated:
                return None
            await self.request(outdated)
            row = await self._pool.fetchrow(_sql["requested"])
        return None if row is None else await self.work(row["rebuild"], progress)

    async def work(self, number: int, progress: Watch | None = None) -> RebuildReport | None:
        """Run the rebuilds that wait, up to this one; None when another process is at it."""
        if not await self.lease.take():
            return None
        try:
            while True:
                row = await self._pool.fetchrow(_sql["requested"])
                if row is None:
                    raise RebuildRuns(number, "it has ended meanwhile")
                report = await self._run(row, progress)
                if row["rebuild"] >= number:
                    return report
        finally:
            await self.lease.give_back()

    async def drop_discarded(self) -> list[str]:
        """Drop the tables that were switched away from some time ago; the ones still being read wait."""
        tables = [row["table_name"] for row in await self._pool.fetch(_sql["to_drop"], self._grace_seconds)]
        dropped = []
        for table in tables:
            with contextlib.suppress(asyncpg.LockNotAvailableError):
                async with self._pool.acquire() as connection, connection.transaction():
                    await connection.execute("set local lock_timeout = '200ms'")
                    await drop_tables(connection, [table])
                dropped.append(table)
        if dropped:
            await self._pool.execute(_sql["dropped"], dropped)
        return dropped

    async def _run(self, row: asyncpg.Record, progress: Watch | None) -> RebuildReport:
        chosen = _chosen(row["projections"])
        if row["product_id"] is not None:
            return await replay(self._pool, row, chosen, progress)
        resumed = row["state"] == "RUNNING" and row["fingerprint"] == _fingerprint(chosen)
        generation = row["generation"] if resumed else await self._begin(row, chosen)
        async with Build.on(self._pool, chosen, generation, events_a_step=self._events_a_step) as build:
            return await _Run(build, self.lease, row["rebuild"], progress).run(row, resumed)

    async def _begin(self, row: asyncpg.Record, chosen: Sequence[Projection]) -> int:
        async with self._pool.acquire() as connection:
            leftovers = await connection.fetch(_sql["leftovers"], 0)
            await drop_tables(connection, [leftover["table_name"] for leftover in leftovers])
            return await next_generation(connection)


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
        position = row["position"] if resumed else 0
        self._settled = bool(row["settled"]) and resumed
        try:
            await self._start(position, resumed)
            resumed_at = position
            if not self._settled:
                while (self._head - position) > (NEARLY_THERE if position else 0):
                    await self._build.load(position, self._head, self._note)
                    position = self._head
                    self._head = await self._live()
                await self._settle(position)
            position = await self._catch_up(position)
            switch_began = loop.time()
            position = await self._switch(position)
            switch_seconds = loop.time() - switch_began
        except asyncpg.PostgresError as error:
            if is_data_error(error):
                raise await self._stopped(error) from error
            raise
        await self._build.drop_staged()
        self._tell(position, "done", 0.0)
        return RebuildReport(
            self._rebuild,
            tuple(projection.name for projection in self._build.projections),
            self._build.generation,
            position,
            loop.time() - began,
            resumed_at,
            switch_seconds,
        )

    async def _start(self, position: int, resumed: bool) -> None:
        self._head = await self._live()
        await self._build.drop_staged()
        async with self._connection.transaction():
            if not resumed:
                await self._build.create()
            await self._connection.execute(
                _sql["start"],
                self._rebuild,
                self._build.generation,
                position,
                self._settled,
                self._head,
                [projection.name for projection in self._build.projections],
                _fingerprint(self._build.projections),
            )

    async def _live(self) -> int:
        """How far the new tables must get: to where those in use are, or to the head of the log."""
        names = {projection.name for projection in self._build.projections}
        rows = await self._connection.fetch(_follow["checkpoints"])
        if self._whole(rows):
            return int(await self._connection.fetchval(_follow["head"]))
        return max((row["position"] for row in rows if row["projection"] in names), default=0)

    def _whole(self, rows: Sequence[asyncpg.Record]) -> bool:
        """Whether all that advances together is rebuilt: then it may get ahead of the tables in use."""
        names = {projection.name for projection in self._build.projections}
        built_in = {row["projection"] for row in rows if row["built_in"]}
        return built_in <= names or not built_in & names

    async def _note(self, first: int, last: int, rate: float, settled: bool = False) -> None:
        await self._lease.check(self._connection)
        moved = await self._connection.fetch(
            _sql["advance"], self._rebuild, first, last, max(self._head, last), rate, settled
        )
        if not moved:
            raise LostLease("rebuild", self._lease.epoch)
        self._tell(last, "loading", rate)

    def _tell(self, position: int, stage: str, rate: float) -> None:
        if self._progress is not None:
            self._progress(Progress(self._rebuild, position, max(self._head, position), rate, stage))

    async def _settle(self, position: int) -> None:
        self._tell(position, "indexing", 0.0)
        async with self._connection.transaction():
            await self._build.settle(position)
            await self._note(position, position, 0.0, settled=True)
        self._settled = True

    async def _catch_up(self, position: int) -> int:
        self._steps = await self._build.follower()
        while self._head - position > 1_000 or self._head < await self._live() - 1_000:
            last = min(self._head, position + NEARLY_THERE)
            async with self._connection.transaction():
                await self._steps.apply(position, last)
                await self._note(position, last, 0.0, settled=True)
            position = last
            self._head = await self._live()
        return position

    async def _switch(self, position: int) -> int:
        """Count the last events in while the live checkpoints stand still; use these tables from then on."""
        projections = self._build.projections
        names = [projection.name for projection in projections]
        async with self._connection.transaction():
            await self._connection.execute("set local synchronous_commit = on")
            rows = await self._connection.fetch(_sql["lock_live"], names)
            live = int(max(row["position"] for row in rows))
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
                [",".join(projection.tables) for projection in projections],
            )
            old = [f"read_model.{table}_{row['generation']}" for row in rows for table in row["tables"]]
            await self._connection.execute(_sql["discard"], old)
            await self._connection.execute(_sql["finish"], self._rebuild, "DONE", None, live)
            await self._connection.execute(_follow["notify_projected"], str(live))
        return live

    async def _stopped(self, error: asyncpg.PostgresError) -> RebuildStopped:
        row = await self._connection.fetchrow(_sql["show"], self._rebuild)
        counted = row["position"] if row else 0
        position = counted if self._settled or counted >= self._head else await self._culprit(counted)
        await self._build.drop()
        await self._connection.execute(_sql["finish"], self._rebuild, "FAILED", reason_of(error), None)
        names = ", ".join(projection.name for projection in self._build.projections)
        return RebuildStopped(names, position, reason_of(error))

    async def _culprit(self, counted: int) -> int:
        """The event that the step after `counted` cannot apply; found by halving."""
        return await self._build.first_refused(counted, self._head)


async def stale(pool: Pool) -> list[str]:
    """Projections whose tables were counted by other statements than today's, or that are new and behind."""
    known = all_projections()
    rows = await pool.fetch(
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
    return ",".join(f"{projection.name}:{projection.fingerprint}" for projection in projections)
