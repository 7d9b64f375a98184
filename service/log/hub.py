"""Keeps the newest position of each signal and wakes whoever waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Final, Literal, get_args

import asyncpg
import structlog

from service.ending_tasks import ended, rest
from service.errors import DatabaseUnreachable
from service.lines import Seldom
from service.log.database import NOT_MADE, POSTGRES_FAILURES, Pool, connect
from service.sql_files import load

Signal = Literal["head", "projected"]

SIGNALS: Final[tuple[Signal, ...]] = get_args(Signal)
POLL_SECONDS: Final = 1.0
RECONNECT_SECONDS_MAX: Final = 1.0
ANSWER_SECONDS_MAX: Final = 5.0
LISTEN_AGAIN_SECONDS: Final = 30.0

_SIGNAL_OF: Final[dict[str, Signal]] = {f"recount_{signal}": signal for signal in SIGNALS}

_log = structlog.get_logger(__name__)
_sql = load(__file__, "hub.sql")


class Hub:
    """One LISTEN connection for the process, one number a signal, nothing queued.

    `"head"` is the newest position of the log, `"projected"` the one to which all projections have got.
    A notification is a hint that saves waiting for the next poll; hints only raise a number, so one that
    is lost, late or doubled does no harm, and whoever is woken reads the log. Polls run only while somebody
    waits, on the same connection, which thereby also shows that it still lives. A standby refuses LISTEN:
    there the poll does the work.

    A number falls where a poll finds a lower one than was known before it was asked: a backup was restored,
    or Postgres came back from a crash without what was projected last. Whoever waits is woken then, too.

    `pools` are those whose idle connections are made anew once this one was lost and is there again: after a
    failover they lead to a machine that says nothing, and each would cost somebody its time-out.
    """

    def __init__(self, dsn: str, *, poll_seconds: float = POLL_SECONDS, pools: Sequence[Pool] = ()) -> None:
        self._dsn = dsn
        self._pools = pools
        self._connections = 0
        self._reconnected = asyncio.Event()
        self._poll_seconds = poll_seconds
        self._values: dict[Signal, int] = dict.fromkeys(SIGNALS, 0)
        self._moved: dict[Signal, asyncio.Future[None]] = {}
        self._falls: dict[Signal, int] = dict.fromkeys(SIGNALS, 0)
        self._waiting: dict[Signal, int] = dict.fromkeys(SIGNALS, 0)
        self._somebody_waits = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.listening = False
        self.polls = 0
        """How often it was asked for a number."""

    async def __aenter__(self) -> Hub:
        self._task = asyncio.create_task(self._run(), name="hub")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await ended(self._task)
            self._task = None

    def value(self, signal: Signal) -> int:
        """Return the newest number known; 0 before the first was read."""
        return self._values[signal]

    def advance(self, signal: Signal, position: int) -> None:
        """Take a number learnt by other means, as the appender learns the head that it just made."""
        if position > self._values[signal]:
            self._move(signal, position)

    def _move(self, signal: Signal, position: int) -> None:
        self._values[signal] = position
        moved = self._moved.pop(signal, None)
        if moved is not None and not moved.done():
            moved.set_result(None)

    async def wait_beyond(self, signal: Signal, position: int, timeout: float | None) -> int:
        """Return the newest number once it is beyond `position`, has fallen, or `timeout` seconds are over.

        All who wait for one signal share one future, so thousands of them cost one wake-up each and no
        query. A `timeout` of None waits for ever.
        """
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        falls = self._falls[signal]
        with self._one_more_waiting(signal):
            while self._values[signal] <= position and self._falls[signal] == falls:
                left = None if deadline is None else deadline - loop.time()
                if left is not None and left <= 0:
                    break
                # asyncio.wait leaves the shared future alone when this waiter is cancelled or times out.
                await asyncio.wait([self._move_of(signal)], timeout=left)
        return self._values[signal]

    def _move_of(self, signal: Signal) -> asyncio.Future[None]:
        moved = self._moved.get(signal)
        if moved is None:
            moved = self._moved[signal] = asyncio.get_running_loop().create_future()
        return moved

    @contextlib.contextmanager
    def _one_more_waiting(self, signal: Signal) -> Iterator[None]:
        self._waiting[signal] += 1
        self._somebody_waits.set()
        try:
            yield
        finally:
            self._waiting[signal] -= 1
            if not any(self._waiting.values()):
                self._somebody_waits.clear()

    async def reconnected(self) -> None:
        """Wait until the connection was lost and is there again; polled meanwhile, it shows that it lives."""
        with self._one_more_waiting("head"):
            await self._reconnected.wait()

    async def _made(self) -> None:
        """Note a new connection. After the first one, it may lead to another server than those of before."""
        self._connections += 1
        if self._connections > 1:
            for pool in self._pools:
                await pool.expire_connections()
            self._reconnected.set()
            self._reconnected.clear()

    async def _run(self) -> None:
        """Hold a connection for ever; every failure ends in another attempt, a little later each time."""
        pause, seldom = 0.05, Seldom()
        while True:
            try:
                async with self._connection() as connection:
                    pause = 0.05
                    await self._follow(connection)
            except (DatabaseUnreachable, *POSTGRES_FAILURES) as error:
                if times := seldom.times():
                    told = {"reason": type(error).__name__, "retry_seconds": round(pause, 2)}
                    _log.warning("hub_lost_postgres", times=times, **told)
            await rest(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, RECONNECT_SECONDS_MAX)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await connect(
            self._dsn,
            application_name="recount hub",
            timeout=ANSWER_SECONDS_MAX,
            command_timeout=ANSWER_SECONDS_MAX,
            statement_cache_size=0,  # a pooler in between, or a table made anew, would break a cached plan
        )
        try:
            await self._made()
            yield connection
        finally:
            self.listening = False
            connection.terminate()

    async def _follow(self, connection: asyncpg.Connection) -> None:
        """Listen, then poll while somebody waits; ends when the connection does."""
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connection.add_termination_listener(lambda _: None if lost.done() else lost.set_result(None))
        await self._listen(connection)
        listen_again_at = asyncio.get_running_loop().time() + LISTEN_AGAIN_SECONDS
        await self._poll(
            connection, SIGNALS
        )  # after LISTEN: what came in between is seen by one or the other
        while not lost.done():
            await asyncio.wait([lost], timeout=self._poll_seconds)
            await self._wait_for_somebody(lost)
            await self._poll(connection, [signal for signal in SIGNALS if self._waiting[signal]])
            if not self.listening and asyncio.get_running_loop().time() > listen_again_at:
                await self._listen(connection)
                listen_again_at = asyncio.get_running_loop().time() + LISTEN_AGAIN_SECONDS

    async def _listen(self, connection: asyncpg.Connection) -> None:
        try:
            for signal in SIGNALS:
                await connection.add_listener(f"recount_{signal}", self._heard)
            self.listening = True
        except asyncpg.ReadOnlySQLTransactionError:
            _log.info("hub_polls", reason="a standby refuses LISTEN", poll_seconds=self._poll_seconds)

    def _heard(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        if isinstance(payload, str) and payload.isdecimal():
            self.advance(_SIGNAL_OF[channel], int(payload))

    async def _poll(self, connection: asyncpg.Connection, signals: Iterable[Signal]) -> None:
        for signal in signals:
            known = self._values[signal]
            # Before the first migration there is no table: nothing to know yet.
            with contextlib.suppress(*NOT_MADE):
                found = await connection.fetchval(_sql[signal])
                # A standby may be behind. What was told meanwhile is newer than what was found.
                if found < known == self._values[signal] and self.listening:
                    _log.warning("signal_fell", signal=signal, known=known, found=found)
                    self._falls[signal] += 1
                    self._move(signal, found)
                else:
                    self.advance(signal, found)
            self.polls += 1

    async def _wait_for_somebody(self, lost: asyncio.Future[None]) -> None:
        if self._somebody_waits.is_set() or lost.done():
            return
        waiting = asyncio.create_task(self._somebody_waits.wait())
        try:
            await asyncio.wait((waiting, lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
