"""Chooses where a query is read: a replica that holds this log and is near its end, else the primary."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal, NamedTuple

import asyncpg
import structlog

from projections.read_model import Reader
from projections.steps import AnyConnection
from service.config import Settings
from service.dsn import Dsn
from service.ending_tasks import ended, rest
from service.log.database import NO_CONNECTION, NOT_MADE, Pool, open_pool, shares_sessions
from service.sql_files import load

State = Literal["UNKNOWN", "WELL", "BEHIND", "AWAY", "OTHER_LOG", "SHARED"]

CHECK_SECONDS: Final = 1.0
ANSWER_SECONDS_MAX: Final = 3.0
KNOWN_SECONDS_MAX: Final = 5.0
"""For so long a replica is as it was found; nobody asks while nothing is read."""
LOOK_AGAIN_SECONDS: Final = 0.1
LOOKS_MAX: Final = 3

_log = structlog.get_logger(__name__)
_sql = load(__file__, "replicas.sql")


class ReplicaFound(NamedTuple):
    """How a replica was found, and up to where it has the projections."""

    state: State
    position: int = 0
    lag_seconds: float = 0.0

    def __str__(self) -> str:
        match self.state:
            case "WELL":
                return f"is read: {self.lag_seconds:.1f} s behind, at position {self.position}"
            case "BEHIND":
                return (
                    f"is {self.lag_seconds:,.0f} s behind, at position {self.position}: not read until it is "
                    "nearer than RECOUNT_READ_LAG_SECONDS_MAX"
                )
            case "SHARED":
                return (
                    "is behind a pooler in transaction mode: not read; give Postgres's own address, or the "
                    "pooler's in session mode"
                )
            case "OTHER_LOG":
                return "holds another log, or has parted from this one: not read; correct RECOUNT_READ_URL"
            case _:
                return "does not answer: not read until it does"


class Replica:
    """One server that is read, and what is known of it."""

    def __init__(self, number: int, pool: Pool) -> None:
        self.number, self.pool = number, pool
        self.reader = Reader(pool)
        self.found = ReplicaFound("UNKNOWN")
        self.asked_at = float("-inf")
        self._limits: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reader]:
        """Read there while the block lasts, which ends by a TimeoutError where it turns out to be away."""
        async with asyncio.timeout(None) as limit:
            self._limits.add(limit)
            try:
                yield self.reader
            finally:
                self._limits.discard(limit)

    async def note(self, found: ReplicaFound) -> None:
        """Keep how it was found, and say so once."""
        before, self.found = self.found, found
        self.asked_at = asyncio.get_running_loop().time()
        if found.state != before.state:
            tell = _log.info if found.state == "WELL" else _log.warning
            tell("replica", replica=self.number, note=str(found))
        if found.state == "AWAY":
            for limit in self._limits:
                limit.reschedule(self.asked_at)
            await self.pool.expire_connections()


class Replicas:
    """The servers of RECOUNT_READ_URL, taken in turn; without any, the primary is read.

    They are looked at each second while somebody reads. One that is away, too far behind, or of another log
    is passed over, and so is one that is not known to hold the position that a read needs.
    """

    def __init__(self, primary: Pool, pools: Sequence[Pool] = (), *, lag_seconds_max: float = 10.0) -> None:
        self.all = [Replica(number, pool) for number, pool in enumerate(pools, start=1)]
        self._primary = primary
        self._lag_seconds_max = lag_seconds_max
        self._read = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Replicas:
        if self.all:
            self._read.set()
            self._task = asyncio.create_task(self._watch(), name="replicas")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await ended(self._task)

    def holding(self, position: int) -> Replica | None:
        """Return a replica that is well and has a position; None where the primary is to be read."""
        self._read.set()
        fresh = asyncio.get_running_loop().time() - KNOWN_SECONDS_MAX
        return next(
            (
                each
                for each in self._in_turn()
                if each.found.state == "WELL" and each.found.position >= position and each.asked_at > fresh
            ),
            None,
        )

    def instead(self) -> Replica | None:
        """Return a replica to read while the primary is away, however far it has come."""
        return next((each for each in self._in_turn() if each.found.state in ("WELL", "BEHIND")), None)

    def _in_turn(self) -> Iterator[Replica]:
        for _ in range(len(self.all)):
            self.all.append(self.all.pop(0))
            yield self.all[-1]

    async def _watch(self) -> None:
        while True:
            await self._read.wait()
            self._read.clear()
            await asyncio.gather(*map(self._look, self.all))
            await rest(CHECK_SECONDS)

    async def _look(self, replica: Replica) -> None:
        found, there = await _asked(replica.pool, was_well=replica.found.state == "WELL")
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                found = found or await _compared(there, self._primary, self._lag_seconds_max)
        except NO_CONNECTION:
            # Nobody can tell more while the primary is away: it stays as it was.
            found = replica.found._replace(position=there["projected"] if there else 0)
        await replica.note(found)


async def examine(replica: Pool, primary: AnyConnection | Pool, lag_seconds_max: float) -> ReplicaFound:
    """Return how a replica is found beside the primary."""
    found, there = await _asked(replica)
    return found or await _compared(there, primary, lag_seconds_max)


async def _asked(
    replica: Pool, *, was_well: bool = False
) -> tuple[ReplicaFound | None, asyncpg.Record | None]:
    """Return how a replica is found by itself, None where that is to be compared, and where it stands."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            if not was_well and await _is_shared(replica):
                return ReplicaFound("SHARED"), None
            return None, await _there(replica)
    except NO_CONNECTION:
        return ReplicaFound("AWAY"), None


async def _is_shared(replica: Pool) -> bool:
    async with replica.acquire() as connection:
        return await shares_sessions(connection, replica.acquire)


async def _there(replica: Pool) -> asyncpg.Record | None:
    """Return where a replica stands; None where it has no log at all."""
    try:
        return await replica.fetchrow(_sql["there"])
    except NOT_MADE:
        return None


async def _compared(
    there: asyncpg.Record | None, primary: AnyConnection | Pool, lag_seconds_max: float
) -> ReplicaFound:
    if there is None:
        return ReplicaFound("OTHER_LOG")
    here = await _here(primary, there)
    for _ in range(LOOKS_MAX):
        if here["head"] >= there["head"]:
            break
        # A synchronous replica may show an event before the primary does, which waits for its answer.
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        here = await _here(primary, there)
    if here["recorded_at"] != there["recorded_at"]:
        return ReplicaFound("OTHER_LOG")
    lag = here["lag_seconds"]
    return ReplicaFound("BEHIND" if lag > lag_seconds_max else "WELL", there["projected"], lag)


async def _here(primary: AnyConnection | Pool, there: asyncpg.Record) -> asyncpg.Record:
    found = await primary.fetchrow(_sql["here"], there["head"], there["projected"], there["replayed_at"])
    assert found is not None
    return found


@asynccontextmanager
async def replicas_of(settings: Settings, primary: Pool) -> AsyncIterator[Replicas]:
    """Give what the settings name to read from, watched while the block lasts."""
    async with (
        open_replicas(settings) as pools,
        Replicas(primary, pools, lag_seconds_max=settings.read_lag_seconds_max) as replicas,
    ):
        yield replicas


@asynccontextmanager
async def open_replicas(settings: Settings) -> AsyncIterator[list[Pool]]:
    """Give a pool for each host of RECOUNT_READ_URL. Raises InvalidSetting."""
    address, most = settings.read_url, settings.connections_max
    async with contextlib.AsyncExitStack() as stack:
        pools = []
        for host in Dsn.read(address.get_secret_value(), os.environ).apart() if address else ():
            pool = await open_pool(host, min_size=0, max_size=most, application_name="recount reads")
            stack.callback(pool.terminate)
            pools.append(pool)
        yield pools
