"""Counts the log into a generation of tables, in steps as large as set-based SQL likes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import asyncpg

from projections.catalogue import STAGING, Projection, fill, staging_of, together
from projections.checkpoints import next_generation
from projections.steps import (
    COUNTED,
    AnyConnection,
    LiveSteps,
    between,
    create_indexes,
    create_lookups,
    create_tables,
    drop_tables,
    first_refused,
    group_of,
    is_lasting,
    run,
    tables_of,
)
from service.log.database import Pool
from service.sql_files import load

EVENTS_A_STEP: Final = 500_000
LANES_MAX: Final = 2
# So many steps are kept as read: one being read, while one lane may be a step before another.
STAGED_MAX: Final = 3

# For the session that builds. A crash loses at most steps that are not yet committed as far as their rebuild
# row says; the switch itself commits durably (see `_switch`).
_BUILD_SETTINGS: Final = {
    "synchronous_commit": "off",
    "work_mem": "128MB",
    "maintenance_work_mem": "128MB",
    "max_parallel_maintenance_workers": "2",
    "idle_in_transaction_session_timeout": "60s",
    # It would keep what it remembers of a body by the body.
    "enable_memoize": "off",
}
# Where our role may. Compressing the pages of new indexes takes longer than making them.
_PRIVILEGED_SETTINGS: Final = {"wal_compression": "off"}

# Autovacuum would look again and again at tables that grow, each time in vain: they are analyzed once loaded.
_LEFT_ALONE: Final = "autovacuum_enabled = off"

# What a step staged is read whole: a short look at it does. Until the end of the transaction.
_LOOK: Final = "select set_config('default_statistics_target', '10', true)"
# Statements that settle, and the first reads, need no more of a table; autovacuum has its own look later.
_SURVEY: Final = "select set_config('default_statistics_target', '30', true)"

_sql = load(__file__, "build.sql")

Note = Callable[["Lane", int, int, float], Awaitable[None]]


@dataclass
class Lane:
    """Projections whose steps read no table of another lane: counted on a connection of their own."""

    number: int
    connection: AnyConnection
    projections: tuple[Projection, ...]
    position: int = 0
    indexed: bool = False


class Build:
    """A generation of tables being counted from the log.

    One connection reads the next steps' events from the log while the lanes count in what was read, each in
    transactions of its own: this keeps the cores busy. What a lane writes is committed together with `note`.
    """

    def __init__(
        self,
        reading: AnyConnection,
        lanes: Sequence[Lane],
        projections: Sequence[Projection],
        generation: int,
        *,
        events_a_step: int = EVENTS_A_STEP,
    ) -> None:
        self._reading = reading
        self.lanes = tuple(lanes)
        self.projections = tuple(projections)
        self.generation = generation
        self.names = tables_of(self.projections, generation)
        self._events_a_step = events_a_step
        self._staged = {name: f"read_model.step_{name}_{generation}" for name in STAGING}

    @classmethod
    @contextlib.asynccontextmanager
    async def on(
        cls,
        pool: Pool,
        projections: Sequence[Projection],
        generation: int,
        *,
        events_a_step: int = EVENTS_A_STEP,
    ) -> AsyncIterator[Build]:
        """A build on connections of the pool, with settings for long work while it lasts."""
        async with contextlib.AsyncExitStack() as stack:
            reading = await stack.enter_async_context(_working(pool))
            lanes = [
                Lane(number, await stack.enter_async_context(_working(pool)), lane)
                for number, lane in enumerate(lanes_of(projections))
            ]
            yield cls(reading, lanes, projections, generation, events_a_step=events_a_step)

    @property
    def counting(self) -> AnyConnection:
        """The connection for what concerns all lanes."""
        return self.lanes[0].connection

    @property
    def position(self) -> int:
        """The position to which all lanes have got."""
        return min(lane.position for lane in self.lanes)

    async def create(self) -> None:
        """Make the tables, empty; what a killed build of this generation left is dropped first."""
        await self.drop()
        await create_tables(self.counting, self.projections, self.names)
        for table in (table for projection in self.projections for table in projection.tables):
            await self.counting.execute(f"alter table {self.names[table]} set ({_LEFT_ALONE})")

    async def drop(self) -> None:
        """Drop the tables of this generation and of its steps."""
        await drop_tables(self.counting, self.names.values())
        await self.drop_staged()

    async def drop_staged(self) -> None:
        """Drop what steps staged."""
        await drop_tables(self.counting, [*self._staged.values(), *map(self._hot, range(STAGED_MAX))])

    def _hot(self, number: int) -> str:
        return f"{self._staged['hot']}_{number % STAGED_MAX}"

    async def load(self, last: int, note: Note) -> None:
        """Count everything up to `last` in; `note(lane, first, last, rate)` is part of each transaction."""
        ahead = max(lane.position for lane in self.lanes)
        for lane in self.lanes:
            await self._load([lane], lane.position, min(ahead, last), note)
        await self._load(self.lanes, ahead, last, note)

    async def _load(self, lanes: Sequence[Lane], first: int, last: int, note: Note) -> None:
        """Read ahead of the lanes; each goes on as soon as its next step is read, and waits for no other.

        When one fails, the others end the step that they are at, so that no transaction is left.
        """
        steps = list(steps_of(first, last, self._events_a_step))
        read = [asyncio.Event() for _ in steps]
        counted = [asyncio.Semaphore(0) for _ in steps]
        failed = False

        async def read_ahead() -> None:
            for number, (start, end) in enumerate(steps):
                if number >= STAGED_MAX:
                    for _ in lanes:
                        await counted[number - STAGED_MAX].acquire()
                if failed:
                    return
                await self._read(number, start, end)
                read[number].set()

        async def count_in(lane: Lane) -> None:
            for number, (start, end) in enumerate(steps):
                await read[number].wait()
                if failed:
                    return
                await self._count_in(lane, number, start, end, note)
                counted[number].release()

        async def tell_failure(work: Awaitable[None]) -> None:
            nonlocal failed
            try:
                await work
            except BaseException:
                failed = True
                for number in range(len(steps)):
                    read[number].set()
                    for _ in lanes:
                        counted[number].release()
                raise

        await _all(map(tell_failure, [read_ahead(), *(count_in(lane) for lane in lanes)]))

    async def _read(self, number: int, first: int, last: int) -> None:
        table = self._hot(number)
        places = {"group": group_of(self.projections), "only": COUNTED}
        sql = between(fill(STAGING["hot"], places), first, last)
        await self._reading.execute(
            f"drop table if exists {table}; create unlogged table {table} with ({_LEFT_ALONE}) as {sql}; "
            f"{_LOOK}; analyze {table}"
        )

    async def _count_in(self, lane: Lane, number: int, first: int, last: int, note: Note) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with lane.connection.transaction():
            await self._count(lane, number, first, last)
            await note(lane, first, last, (last - first) / max(loop.time() - began, 1e-6))
        lane.position = last

    async def _count(self, lane: Lane, number: int, first: int, last: int) -> None:
        names = {**self.names, **self._staged, "hot": self._hot(number)}
        staging = [name for name in staging_of(lane.projections) if name != "hot"]
        for name in staging:
            sql = between(fill(STAGING[name], names), first, last)
            await lane.connection.execute(
                f"create unlogged table {names[name]} with ({_LEFT_ALONE}) as {sql}; "
                f"{_LOOK}; analyze {names[name]}"
            )
        for projection in lane.projections:
            for statement in projection.applies:
                await run(lane.connection, fill(statement, names), first, last)
        await drop_tables(lane.connection, (names[name] for name in staging))

    async def first_refused(self, last: int) -> int:
        """The first event up to `last` that cannot be counted in; counts in those before it.

        The step that failed is halved until one event is left. Only for a build that is given up then.
        """
        found = last
        for lane in self.lanes:
            end = min(last, lane.position + self._events_a_step)
            refused = await first_refused(lane.position, end, partial(self._takes, lane))
            found = min(found, refused or last)
        return found

    async def _takes(self, lane: Lane, first: int, last: int) -> bool:
        try:
            await self._read(0, first, last)
            async with lane.connection.transaction():
                await self._count(lane, 0, first, last)
        except asyncpg.PostgresError as error:
            if not is_lasting(error):
                raise
            return False
        return True

    async def settle(self, note: Note, *, lookups: bool) -> None:
        """Make the indexes, then run what leans on them over all that was loaded, and make the `lookups`.

        Each projection is settled as soon as those are whose tables it reads, on a connection that is free.
        Run again after a kill, it goes on.
        """
        free: asyncio.Queue[AnyConnection] = asyncio.Queue()
        for connection in (self._reading, *(lane.connection for lane in self.lanes)):
            free.put_nowait(connection)
        await self._index(note, free)
        settled: dict[str, asyncio.Task[None]] = {}
        for projection in _read_first(self.projections):
            read = _reads(projection, self.projections)
            needed = [settled[name] for name in settled if name in read]
            settled[projection.name] = asyncio.create_task(
                self._settle(projection, needed, free, lookups), name=f"rebuild settle {projection.name}"
            )
        await _all(settled.values())

    async def _index(self, note: Note, free: asyncio.Queue[AnyConnection]) -> None:
        """Make the indexes of all lanes, the largest projection's first: the last ones to end are short.

        A lane is noted as indexed before anything is settled: nothing may be loaded any more from then on.
        """
        waiting = [projection for lane in self.lanes if not lane.indexed for projection in lane.projections]
        sizes = {
            projection.name: await self.counting.fetchval(
                _sql["size"], [self.names[table] for table in projection.tables]
            )
            for projection in waiting
        }
        waiting.sort(key=lambda projection: sizes[projection.name], reverse=True)
        await _all(self._index_one(projection, free) for projection in waiting)
        for lane in self.lanes:
            if not lane.indexed:
                async with lane.connection.transaction():
                    lane.indexed = True
                    await note(lane, lane.position, lane.position, 0.0)

    async def _index_one(self, projection: Projection, free: asyncio.Queue[AnyConnection]) -> None:
        connection = await free.get()
        try:
            async with connection.transaction():
                mark = self.names[projection.tables[0]]
                # One that lost its turn may still be at it: who comes second finds the mark of the first.
                await connection.execute(f"lock table {mark} in share update exclusive mode")
                if await connection.fetchval(_sql["is_indexed"], mark):
                    return
                await create_indexes(connection, [projection], self.names)
                await connection.execute(_SURVEY)
                for table in projection.tables:
                    await connection.execute(f"analyze {self.names[table]}")
                await connection.execute(f"comment on table {mark} is 'indexed'")
        finally:
            free.put_nowait(connection)

    async def _settle(
        self,
        projection: Projection,
        needed: Iterable[asyncio.Task[None]],
        free: asyncio.Queue[AnyConnection],
        lookups: bool,
    ) -> None:
        for task in needed:
            await task
        connection = await free.get()
        try:
            for table in projection.covered:
                await connection.execute(f"vacuum {self.names[table]}")
            async with connection.transaction():
                mark = self.names[projection.tables[0]]
                if await connection.fetchval(_sql["is_settled"], mark):
                    return
                for statement in projection.settles:
                    await run(connection, fill(statement, self.names), 0, self.position)
                if lookups:
                    await create_lookups(connection, [projection], self.names)
                    for table in projection.tables:
                        await connection.execute(
                            f"alter table {self.names[table]} reset (autovacuum_enabled)"
                        )
                    await connection.execute(f"comment on table {mark} is 'settled'")
        finally:
            free.put_nowait(connection)

    async def follower(self) -> LiveSteps:
        """The same tables, followed like the live ones: for the last events."""
        steps = LiveSteps(self.counting, self.projections, self.names)
        await steps.open()
        return steps


async def new_generation(pool: Pool, rebuild: int = 0) -> int:
    """Return a new generation's number; drop what killed builds left that no other rebuild goes on with."""
    async with pool.acquire() as connection:
        await drop_leftovers(connection, rebuild)
        return await next_generation(connection)


async def drop_leftovers(connection: AnyConnection, rebuild: int = 0) -> None:
    """Drop what killed builds left, but what another rebuild than this one goes on with."""
    leftovers = await connection.fetch(_sql["leftovers"], rebuild)
    await drop_tables(connection, [row["table_name"] for row in leftovers])


def _names(projections: Iterable[Projection]) -> set[str]:
    return {projection.name for projection in projections}


def _reads(projection: Projection, projections: Sequence[Projection]) -> set[str]:
    """The names of the projections whose tables this one's `settle` statements lean on."""
    return _names(together([projection.name], projections)) - {projection.name}


def _read_first(projections: Sequence[Projection]) -> list[Projection]:
    """The projections, each behind those that it reads: they read fewer."""
    return sorted(projections, key=lambda projection: len(_reads(projection, projections)))


def lanes_of(projections: Sequence[Projection]) -> list[tuple[Projection, ...]]:
    """Part projections into lanes whose steps read no table of each other; the most work goes first."""
    parts: list[set[str]] = []
    for projection in projections:
        part = {found.name for found in together([projection.name], projections, settled=False)}
        for other in [other for other in parts if other & part]:
            parts.remove(other)
            part |= other
        parts.append(part)
    parts.sort(key=len, reverse=True)
    rest = {name for part in parts[1:] for name in part}
    return [
        tuple(projection for projection in projections if projection.name in names)
        for names in (parts[0], rest)[:LANES_MAX]
        if names
    ]


@contextlib.asynccontextmanager
async def _working(pool: Pool) -> AsyncIterator[AnyConnection]:
    async with pool.acquire() as connection:  # which pins the session anew when it is given back
        for name, value in _BUILD_SETTINGS.items():
            await connection.execute("select set_config($1, $2, false)", name, value)
        for name, value in _PRIVILEGED_SETTINGS.items():
            await connection.execute(_sql["set_if_allowed"], name, value)
        yield connection


def steps_of(first: int, last: int, largest: int) -> Iterator[tuple[int, int]]:
    """Part (first, last] into steps, small ones first: nothing is counted in until the first one is read.

    Each is so much longer than the one before that it is read by when the lanes have counted that one in.
    """
    length = max(1, largest // 16)
    while first < last:
        end = min(first + length, last)
        yield first, end
        first, length = end, min(length + (length + 1) // 2, largest)


async def _all(work: Iterable[Awaitable[None]]) -> None:
    """Await all; the first error is raised once every one has ended, so that no transaction is left."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
