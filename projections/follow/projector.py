"""Follows the log: counts each event into the read model, one projector at a time over all instances."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import structlog

from projections.catalogue import all_projections
from projections.checkpoints import head, projected
from projections.declare import declare
from projections.follow.follower import RETRY_SECONDS, RETRY_SECONDS_MAX, LogFollower
from projections.lease import Lease
from projections.rebuild.rebuild import rebuild, stale
from projections.steps import AnyConnection, groups_of
from service.ending_tasks import rest
from service.errors import CountedByAnother, LostLease, ProjectionError, RebuildStopped
from service.lines import Seldom
from service.log.database import POSTGRES_FAILURES, Pool, is_away
from service.log.hub import Hub, Signal
from service.sql_files import load

if TYPE_CHECKING:
    from service.log.traces import Traces

LEASE_SECONDS: Final = 6.0
POLL_SECONDS: Final = 1.0
# Longer than a service of another version takes from its start to its turn.
GIVE_WAY_SECONDS: Final = 15.0
# Shorter than the lease: a process that is stopped in the middle of a step must not keep its locks.
IDLE_IN_TRANSACTION: Final = "4s"
# What a crash of the database takes of a step, rows and checkpoint alike, is counted in again from the log.
_TURN_SETTINGS: Final = (
    f"set idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION}'; set synchronous_commit = off"
)
EVENTS_A_STEP_MAX: Final = 20_000
# Further behind than this, catching up rebuilds: the same steps, larger, with most indexes made at the end.
FOLLOWED_EVENTS_MAX: Final = 200_000

_log = structlog.get_logger(__name__)
_sql = load(__file__, "projector.sql")


class Projector:
    """Advances every projection, or waits for its turn.

    All built-in projections move in one transaction, so that a read meets them at one position; each
    projection of a plugin in one of its own, so that it cannot hold the others up.
    """

    def __init__(
        self,
        pool: Pool,
        hub: Hub | None = None,
        *,
        events_a_step_max: int = EVENTS_A_STEP_MAX,
        lease_seconds: float = LEASE_SECONDS,
        traces: Traces | None = None,
    ) -> None:
        self._pool = pool
        self._hub = hub
        self._traces = traces
        self._lease = Lease("projector", lease_seconds)
        self._lease_seconds = lease_seconds
        self._events_a_step_max = events_a_step_max
        self.position = 0
        self.failure: str | None = None
        """Why Postgres did not let us become the projector, or see that another one is."""

    async def run(self) -> None:
        """Follow the log for as long as the service runs; whatever fails is tried again."""
        pause, near, gave_way = RETRY_SECONDS, False, False
        seldom = Seldom()
        while True:
            try:
                if not near:
                    await self._begin_near()
                    near = True
                await self._turn(None)
                pause = RETRY_SECONDS
            except LostLease as lost:
                _log.info("projector_lost_lease", reason=str(lost))
            except CountedByAnother:
                self.failure = None
                if not gave_way:
                    _log.warning("projector_gave_way", note="another version came after this one")
                gave_way = True
                await rest(GIVE_WAY_SECONDS)
                continue
            except POSTGRES_FAILURES as error:
                self.failure = None if is_away(error) else type(error).__name__
                if times := seldom.times():
                    told = {"reason": type(error).__name__, "retry_seconds": pause}
                    _log.warning("projector_failed", times=times, **told)
                pause = RETRY_SECONDS if is_away(error) else min(pause * 2, RETRY_SECONDS_MAX)
            await rest(pause)

    async def catch_up(self) -> int:
        """Return the position reached once everything recorded is projected.

        Does it itself when no other process is the projector, else waits for the one that is. Raises
        ProjectionFailed, CheckpointAheadOfLog.
        """
        target = await head(self._pool)
        await self._bring_near(target)
        while True:
            with contextlib.suppress(LostLease):
                await self._turn(target)
            reached = await projected(self._pool)
            if reached >= target:
                return reached
            await self._wait("projected", reached)

    async def _begin_near(self) -> None:
        """Rebuild where following from so far behind takes longer; what that stops at, following parks."""
        if await self._is_far_from(await head(self._pool)):
            try:
                await rebuild(self._pool)
            except RebuildStopped as stopped:
                _log.error("rebuild_stopped", projection=stopped.projection, position=stopped.position)

    async def _bring_near(self, target: int) -> None:
        """Rebuild where that is what it takes, or far faster than following from so far behind."""
        far = await self._is_far_from(target)
        outdated = await stale(self._pool)
        if outdated:
            await rebuild(self._pool, outdated)
        elif far:
            await rebuild(self._pool)

    async def _is_far_from(self, target: int) -> bool:
        """Declare what is missing, and return whether a rebuild gets there far sooner than following."""
        async with self._pool.acquire() as connection:
            await declare(connection)
        return target - await projected(self._pool) > FOLLOWED_EVENTS_MAX

    async def _turn(self, target: int | None) -> None:
        """Be the projector, if it is our turn, until `target` is reached (None: for ever)."""
        async with self.turn() as turn:
            if turn is None:
                return
            while True:
                # Asked first: what is recorded from here on raises it, what was before is counted in.
                known = 0 if self._hub is None else self._hub.value("head")
                began = 0 if self._traces is None else time.time_ns()
                moved = await turn.advance(self._events_a_step_max)
                self.failure = None
                if self._traces is not None and moved:
                    await self._traces.projected(turn.connection, *turn.stepped, began)
                if target is not None and turn.failure is not None:
                    raise turn.failure
                self._reached(turn.position)
                if target is not None and self.position >= target and not moved:
                    return
                if not moved:
                    await self._wait("head", max(known, turn.position))

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn | None]:
        """Hold the lease and a connection to advance with; None when it is another process's turn."""
        async with self._pool.acquire() as connection:  # which pins the session anew when it is given back
            await connection.execute(_TURN_SETTINGS)
            await declare(connection)
            turn = Turn(connection, self._lease)
            if not await turn.take():
                self.failure = None
                yield None
                return
            watch = asyncio.create_task(self._drop_if_lost(turn), name="projector connection")
            try:
                yield turn
            finally:
                watch.cancel()
                await turn.give_back()

    async def _drop_if_lost(self, turn: Turn) -> None:
        """Cut a turn's connection that leads nowhere once Postgres, or another in its place, is there again.

        A server that was promoted meanwhile does not know it. For one that does, it has to stand still for a
        while: no limit of time could tell a way that is broken from a step that takes long.
        """
        while self._hub is not None:
            await self._hub.reconnected()
            rounds = turn.rounds
            if await self._knows(turn):
                await asyncio.sleep(self._lease_seconds)
                if turn.rounds != rounds:
                    continue
            turn.connection.terminate()
            return

    async def _knows(self, turn: Turn) -> bool:
        """Whether the server that is there now has the session of a turn; also where it does not say."""
        with contextlib.suppress(*POSTGRES_FAILURES):
            async with asyncio.timeout(self._lease_seconds):
                return bool(await self._pool.fetchval(_sql["has_session"], *turn.session))
        return True

    def _reached(self, position: int) -> None:
        self.position = position
        if self._hub is not None:
            self._hub.advance("projected", position)

    async def _wait(self, signal: Signal, beyond: int) -> None:
        if self._hub is None:
            await asyncio.sleep(0.02)
        else:
            await self._hub.wait_beyond(signal, beyond, POLL_SECONDS)


class Turn:
    """What the holder of the lease advances with."""

    def __init__(self, connection: AnyConnection, lease: Lease) -> None:
        self.connection = connection
        self.lease = lease
        self._followers: list[LogFollower] = []
        self.session: tuple[object, ...] = ()
        self.rounds = 0
        """How often it was looked for the next events."""

    @property
    def position(self) -> int:
        """The position to which the built-in projections have got."""
        return self._followers[0].position

    @property
    def stepped(self) -> tuple[int, int]:
        """The positions behind which, and up to which, the last step of the built-in projections led."""
        return self._followers[0].first, self._followers[0].position

    async def take(self) -> bool:
        """Return whether it is our turn; then a step of the holder before can no longer commit."""
        if not await self.lease.take(self.connection):
            return False
        self.session = tuple(await self.connection.fetchrow(_sql["session"]) or ())
        await self.connection.execute(_sql["write_epoch"], self.lease.epoch)
        groups = groups_of(all_projections())
        self._followers = [LogFollower(self.connection, self.lease, group) for group in groups]
        return True

    async def advance(self, events_max: int = EVENTS_A_STEP_MAX) -> bool:
        """Count the next events in, a step a group; return whether there were any. Raises LostLease."""
        await self.lease.renew(self.connection)
        moved = [await follower.advance(events_max) for follower in self._followers]
        self.rounds += 1
        return any(moved)

    @property
    def failure(self) -> ProjectionError | None:
        """What the built-in projections failed with, unless their last step went well."""
        return self._followers[0].failure

    async def give_back(self) -> None:
        """Let another one take over at once; where the server does not answer, once the lease is over."""
        if not self.connection.is_closed():
            with contextlib.suppress(*POSTGRES_FAILURES):
                await self.lease.give_back(self.connection)
