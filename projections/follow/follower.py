"""Moves projections along the log, a step at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg
import structlog

from projections.catalogue import Projection, fill
from projections.checkpoints import checkpoints, head
from projections.declare import came_another
from projections.follow.parking import hold_back, park
from projections.lease import Lease
from projections.steps import (
    SHORT_STEP_EVENTS_MAX,
    AnyConnection,
    LiveSteps,
    failure_of,
    group_of,
    is_data_error,
    tables_of,
)
from service.errors import CheckpointAheadOfLog, CountedByAnother, ProjectionError, ProjectionFailed
from service.log.database import is_away
from service.sql_files import load

RETRY_SECONDS: Final = 1.0
RETRY_SECONDS_MAX: Final = 10.0

_log = structlog.get_logger(__name__)
_sql = load(__file__, "follower.sql")


class LogFollower:
    """Moves the checkpoints of projections that advance in one transaction."""

    def __init__(self, connection: AnyConnection, lease: Lease, projections: Sequence[Projection]) -> None:
        self._connection = connection
        self._lease = lease
        self._projections = tuple(projections)
        self._names = [projection.name for projection in projections]
        self._group = group_of(projections)
        self._generations: tuple[int, ...] = ()
        self._steps: LiveSteps | None = None
        self._function = ""
        self._events_max: int | None = None
        self._again_at = 0.0
        self._pause = RETRY_SECONDS
        self._well = False  # what the holder before failed with stands until a step of ours has gone well
        self.first = self.position = 0
        self.failure: ProjectionError | None = None

    async def advance(self, events_max: int) -> bool:
        """Take the next step; return whether there was one. A failure is told, and tried again after a pause.

        Raises LostLease, CountedByAnother, and what Postgres raises when it goes away: that is no failure of
        these projections.
        """
        if asyncio.get_running_loop().time() < self._again_at:
            return False
        try:
            moved = await self.step(events_max)
        except (asyncpg.PostgresError, CheckpointAheadOfLog) as error:
            if is_away(error):
                raise
            await self._give_way()
            await self._fail(error)
            return False
        if not self._well:
            self.failure, self._pause, self._well = None, RETRY_SECONDS, True
            await self._note(None)
        return moved

    async def _give_way(self) -> None:
        """Raise CountedByAnother where another version came, which has tables and functions of its own."""
        if await came_another(self._connection):
            raise CountedByAnother

    async def _fail(self, error: asyncpg.PostgresError | CheckpointAheadOfLog) -> None:
        reason = failure_of(error)
        self._well = False
        await self._note(reason)
        _log.error(
            "projection_failed",
            projection=self._group,
            reason=type(error).__name__,
            retry_seconds=self._pause,
        )
        self._again_at = asyncio.get_running_loop().time() + self._pause
        self._pause = min(self._pause * 2, RETRY_SECONDS_MAX)
        if isinstance(error, CheckpointAheadOfLog):
            self.failure = error
            return
        name = "the built-in projections" if self._group == "*" else f"projection {self._group!r}"
        self.failure = ProjectionFailed(name, self.position, reason)

    async def _note(self, reason: str | None) -> None:
        await self._connection.execute(_sql["note_error"], self._lease.epoch, self._names, reason)

    async def step(self, events_max: int) -> bool:
        """Count the next events in, at most `events_max`; return whether there were any.

        A step that an event spoils is tried again with half as many, until the one event is known and parked.
        """
        size = min(events_max, self._events_max or events_max)
        try:
            if not await self._prepared():
                return False
            moved = await self._follow(size)
            if moved is None:
                moved = await self._step(await head(self._connection), size)
        except asyncpg.PostgresError as error:
            if not is_data_error(error):
                raise
            size = min(size, await head(self._connection) - self.position)
            if size <= 1:
                await self._park(self.position + 1, error)
            self._events_max = max(size // 2, 1)
            return True
        self._events_max = None if size >= events_max else size * 2
        return moved

    async def _follow(self, events_max: int) -> bool | None:
        """Take a short step in one round trip, where there is nothing else to it; None where there is."""
        assert self._steps is not None
        await self._steps.renew_plans(self.position)
        stepped = await self._connection.fetchval(
            f"select {self._function}($1, $2, $3, $4, $5)",
            self._lease.epoch,
            self._names,
            self._group,
            self._generations,
            events_max,
        )
        if stepped is None:
            return None
        self.first, self.position = stepped
        return bool(self.first < self.position)

    async def _step(self, head: int, events_max: int) -> bool:
        async with self._connection.transaction():
            rows = await self._locked()
            if tuple(row["generation"] for row in rows) != self._generations:
                self._steps = None
                return True
            first = min(row["position"] for row in rows)
            self.first = self.position = first
            if first > head:
                raise CheckpointAheadOfLog(rows[0]["projection"], first, head, built_in=rows[0]["built_in"])
            last = min(head, first + events_max)
            if first == last:
                return False
            if rows[0]["parked"]:
                await hold_back(self._connection, self._group, first, last)
            await self._apply(first, last)
        self.position = last
        return True

    async def _locked(self) -> list[asyncpg.Record]:
        rows = await self._connection.fetch(
            _sql["lock_checkpoints"], self._lease.epoch, self._names, self._group
        )
        if len(rows) != len(self._names):
            raise self._lease.lost()
        return list(rows)

    async def _apply(self, first: int, last: int) -> None:
        assert self._steps is not None
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._steps.apply(first, last)
        rate = (last - first) / max(loop.time() - began, 1e-6)
        moved = await self._connection.fetch(
            _sql["move_checkpoints"], self._lease.epoch, self._names, first, last, rate
        )
        if len(moved) != len(self._names):
            raise self._lease.lost()

    async def _park(self, position: int, error: asyncpg.PostgresError) -> None:
        async with self._connection.transaction():
            await self._locked()
            await park(self._connection, self._group, position, error)
        _log.error("event_parked", position=position, projection=self._group, reason=type(error).__name__)

    async def _prepared(self) -> bool:
        """Whether the tables are of this version's statements; outdated ones wait for their rebuild."""
        if self._steps is not None:
            return True
        rows = await checkpoints(self._connection)
        found = {row["projection"]: row for row in rows}
        mine = [found[name] for name in sorted(self._names)]
        self.position = min(row["position"] for row in mine)
        if any(
            found[p.name]["fingerprint"] != p.fingerprint for p in self._projections
        ) or self.position != max(row["position"] for row in mine):
            await self._give_way()
            return False
        self._generations = tuple(row["generation"] for row in mine)
        names = {}
        for projection in self._projections:
            names.update(tables_of([projection], found[projection.name]["generation"]))
        steps = LiveSteps(self._connection, self._projections, names)
        await steps.open()
        self._function = steps.short.replace("short_step", "follow")
        places = {"follow": self._function, "step": steps.short, "short": str(SHORT_STEP_EVENTS_MAX)}
        await self._connection.execute(fill(_sql["follow"], places))
        self._steps = steps
        return True
