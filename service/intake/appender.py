"""Takes deliveries from whoever received them and makes them safe: in the log, or in the spool.

One writer takes what waits, up to a limit and without lingering, and appends it in one call. When
Postgres does not take it within a second and a half, it goes to the spool, and so does everything that
arrives until the spool has been drained: an arrival never overtakes another.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeAlias

import structlog

from service.ending_tasks import ended
from service.errors import BatchRefused, LogUnavailable, NotAnEvent, ProductElsewhere, SpoolUnavailable
from service.events import EventData, decode
from service.intake.spool import Spool, Spooled
from service.log.event_store import APPEND_SECONDS_MAX, EventStore
from service.log.quarantine import Quarantine, Unreadable, refused_event

DRAIN_SECONDS_MAX: Final = 10.0
DRAIN_PAUSE_SECONDS: Final = (0.05, 0.5)
DRAIN_RECORDS_MIN: Final = 20
CATCH_UP_SECONDS_MAX: Final = 1.0
PROBE_SECONDS: Final = 1.0
SHARED_OUT_MIN: Final = 16
"""From how many waiting deliveries on a batch may leave some of them to the next one."""

_log = structlog.get_logger(__name__)

Arrival: TypeAlias = EventData | Unreadable
Told: TypeAlias = "Callable[[Receipt | Exception], None]"


class Receipt(NamedTuple):
    """What became of a delivery. Spooled ones have no position yet; quarantined ones never have."""

    position: int | None = None
    duplicate: bool | None = None
    spooled: bool = False
    quarantined: str | None = None
    reason: str | None = None


class AppendMetrics(Protocol):
    """Who counts appends."""

    def batch(self, events: int, seconds: float) -> None: ...
    def append_failed(self) -> None: ...


class Appender:
    """The one writer of this process. Open it with `async with`; leaving flushes what was accepted.

    `recorded` is told, after each append, the newest position that it was answered with.
    """

    def __init__(
        self,
        store: EventStore,
        quarantine: Quarantine,
        spool: Spool,
        *,
        queue_max: int = 10_000,
        batch_max: int = 1_000,
        append_seconds_max: float = APPEND_SECONDS_MAX,
        metrics: AppendMetrics | None = None,
        recorded: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._quarantine = quarantine
        self._spool = spool
        self._queue_max = queue_max
        self._batch_max = batch_max
        self._append_seconds_max = append_seconds_max
        self._metrics = metrics
        self._recorded = recorded
        self._queue: deque[tuple[Arrival, Told]] = deque()
        self._arrived: asyncio.Future[None] | None = None
        self._room: deque[asyncio.Future[None]] = deque()
        self._noticed = asyncio.Event()
        self._spool_emptied = asyncio.Event()
        self._spool_refused = asyncio.Event()
        self._drain_turned = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self.log_answers = True
        """Whether Postgres took the last append that was tried."""
        self.spool_answers = True
        """Whether the spool took what it was last given, or would take as much by now."""

    async def __aenter__(self) -> Appender:
        self._tasks = [
            asyncio.create_task(self._write_all(), name="appender"),
            asyncio.create_task(self._drain_all(), name="spool drain"),
            asyncio.create_task(self._try_spool(), name="spool trial"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what waits, then stop. What is in the spool stays there until the next start."""
        writer, *others = self._tasks
        self._closing = True
        self._wake_writer()
        await writer
        for task in others:
            await ended(task)
        await self._store.close()

    @property
    def waiting(self) -> int:
        """How many deliveries wait to be written."""
        return len(self._queue)

    @property
    def ready(self) -> bool:
        """Whether a delivery would be kept: by the log, or by the spool."""
        return (self.log_answers and not self._spool.pending) or self.spool_answers

    async def append(self, arrival: Arrival) -> Receipt:
        """Return once the delivery is safe. Raises SpoolUnavailable when nothing can take it.

        Waits while the queue is full, so that whoever sends is slowed down rather than refused.
        """
        while self.full:
            room = asyncio.get_running_loop().create_future()
            self._room.append(room)
            await room
        done: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self.offer(arrival, partial(_settle, done))
        return await done

    @property
    def full(self) -> bool:
        """Whether the queue holds all that it may."""
        return len(self._queue) >= self._queue_max

    def offer(self, arrival: Arrival, told: Told) -> None:
        """Put a delivery into the queue, which must not be full.

        `told` is called later, once, with what `append` returns or raises.
        """
        self._queue.append((arrival, told))
        self._wake_writer()

    # The writer

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        before = 0
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._arrived = loop.create_future()
                await self._arrived
                before = 0
                continue
            await self._let_drain_catch_up()
            before = size = min(_share(before, len(self._queue)), self._batch_max)
            batch = [self._queue.popleft() for _ in range(size)]
            self._make_room()
            arrivals = [arrival for arrival, _ in batch]
            try:
                receipts: list[Receipt | Exception] = await self._make_safe(arrivals)
            except Exception as error:
                # Whatever it is, nobody may wait for ever, and the next batch may fare better.
                _log.exception("append_failed")
                receipts = [error] * len(batch)
            # What waits goes to Postgres first, which works while these are answered.
            loop.call_soon(_tell, batch, receipts)

    def _wake_writer(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _make_room(self) -> None:
        for _ in range(min(len(self._room), self._queue_max - len(self._queue))):
            room = self._room.popleft()
            if not room.done():
                room.set_result(None)

    async def _make_safe(self, arrivals: Sequence[Arrival]) -> list[Receipt | Exception]:
        if self._spool.pending:
            return await self._write_to_spool(arrivals)
        receipts: list[Receipt | None] = [None] * len(arrivals)
        try:
            began = time.perf_counter()
            await self._record(arrivals, receipts, self._append_seconds_max)
        except LogUnavailable as error:
            self._note_failure(error)
            left = [arrival for arrival, receipt in zip(arrivals, receipts, strict=True) if receipt is None]
            spooled = iter(await self._write_to_spool(left))
            return [next(spooled) if receipt is None else receipt for receipt in receipts]
        self.log_answers = True
        if self._metrics is not None:
            self._metrics.batch(len(arrivals), time.perf_counter() - began)
        return [receipt for receipt in receipts if receipt is not None]

    async def _write_to_spool(self, arrivals: Sequence[Arrival]) -> list[Receipt | Exception]:
        try:
            await self._spool.write([_spooled(arrival) for arrival in arrivals])
        except SpoolUnavailable as error:
            self.spool_answers = False
            self._spool_refused.set()
            return [error] * len(arrivals)
        self.spool_answers = True
        self._spool_refused.clear()
        self._spool_emptied.clear()
        self._noticed.set()
        return [
            Receipt(spooled=True, quarantined=arrival.id, reason=arrival.reason)
            if isinstance(arrival, Unreadable)
            else Receipt(spooled=True)
            for arrival in arrivals
        ]

    async def _let_drain_catch_up(self) -> None:
        """Wait, where the log answers and something is in the spool, for the drain to gain on the writer.

        Else, under steady load, what arrives is spooled faster than it is drained, or each batch behind the
        one that is just being drained, for as long as the load lasts. Where more waits than one turn of the
        drain takes, it is spooled at once: the drain could not gain by that.
        """
        if self._spool.pending and self.log_answers and len(self._queue) < self._batch_max:
            until = self._spool_emptied if self._spool.pending <= self._batch_max else self._drain_turned
            self._drain_turned.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CATCH_UP_SECONDS_MAX):
                    await until.wait()

    def _note_failure(self, error: LogUnavailable) -> None:
        if self.log_answers:
            _log.warning("log_unavailable", reason=error.reason)
        self.log_answers = False
        self._noticed.set()
        if self._metrics is not None:
            self._metrics.append_failed()

    # Into the log

    async def _record(
        self, arrivals: Sequence[Arrival], receipts: list[Receipt | None], timeout: float
    ) -> None:
        """Record events and put the rest into the quarantine, noting each receipt once it is due.

        Raises LogUnavailable, with the receipts that were due until then in their places.
        """
        events: list[tuple[int, EventData]] = []
        for index, arrival in enumerate(arrivals):
            if isinstance(arrival, EventData):
                events.append((index, arrival))
            else:
                receipts[index] = await self._set_aside(arrival)
        if events:
            await self._append(events, receipts, timeout)

    async def _append(
        self, events: list[tuple[int, EventData]], receipts: list[Receipt | None], timeout: float
    ) -> None:
        """Append; halve what Postgres refuses, until the one that it refuses stands alone.

        What is of products that other cells have is held, to be forwarded.
        """
        try:
            appended = await self._store.append([event for _, event in events], timeout=timeout)
        except ProductElsewhere as error:
            for away in (True, False):
                part = [each for each in events if (each[1].product_id in error.cells) is away]
                if part and not (away and await self._hold(part, receipts, timeout)):
                    await self._append(part, receipts, timeout)
        except BatchRefused as error:
            if len(events) > 1:
                middle = len(events) // 2
                await self._append(events[:middle], receipts, timeout)
                await self._append(events[middle:], receipts, timeout)
                return
            [(index, event)] = events
            receipts[index] = await self._set_aside(refused_event(event, error))
        else:
            for (index, _), (position, duplicate) in zip(events, appended, strict=True):
                receipts[index] = Receipt(position, duplicate)
            # The head is told here before Postgres has notified this process of it.
            self._recorded(max(position for position, _ in appended))

    async def _hold(
        self, events: list[tuple[int, EventData]], receipts: list[Receipt | None], timeout: float
    ) -> bool:
        if not await self._store.hold([event for _, event in events], timeout=timeout):
            return False
        for index, _ in events:
            receipts[index] = Receipt(spooled=True)
        return True

    async def _set_aside(self, refused: Unreadable) -> Receipt:
        return Receipt(quarantined=await self._quarantine.keep(refused), reason=refused.reason)

    # The drain

    async def _drain_all(self) -> None:
        pause, pause_max = DRAIN_PAUSE_SECONDS
        limit = self._batch_max
        while True:
            await self._wait_for_spooled()
            try:
                records = await self._spool.peek(limit)
                await self._record(
                    [_arrival(record) for record in records], [None] * len(records), DRAIN_SECONDS_MAX
                )
                await self._spool.forget()
            except LogUnavailable as error:
                self._note_failure(error)
            except Exception:
                # A disk that cannot be read, say. Nothing is given up: it is tried again.
                _log.exception("drain_failed")
            else:
                self._note_drained()
                pause, limit = DRAIN_PAUSE_SECONDS[0], self._batch_max
                continue
            # A batch too large for a slow database would fail for ever.
            limit = max(limit // 2, DRAIN_RECORDS_MIN)
            await asyncio.sleep(pause)
            pause = min(pause * 2, pause_max)

    async def _wait_for_spooled(self) -> None:
        """Wait for something to drain; meanwhile look whether a Postgres that went away is back."""
        while not self._spool.pending:
            try:
                async with asyncio.timeout(None if self.log_answers else PROBE_SECONDS):
                    await self._noticed.wait()
                    self._noticed.clear()
            except TimeoutError:
                with contextlib.suppress(LogUnavailable):
                    await self._store.ping()
                    self._note_drained()

    async def _try_spool(self) -> None:
        """Look whether a spool that refused something would take it by now.

        A balancer that goes by /readyz sends nothing until then, so no delivery would find out.
        """
        while True:
            await self._spool_refused.wait()
            await asyncio.sleep(PROBE_SECONDS)
            if await self._spool.takes_again():
                self.spool_answers = True
                self._spool_refused.clear()

    def _note_drained(self) -> None:
        if not self.log_answers:
            _log.info("log_available", spooled=self._spool.pending)
        self.log_answers = True
        self._drain_turned.set()
        if not self._spool.pending:
            self._spool_emptied.set()


def _share(before: int, waiting: int) -> int:
    """Return how many of those that wait go into the next batch: all, unless the one before it was smaller.

    Whoever sends again once answered comes again together with all who were answered at once. Taken as they
    come, the batches of such senders end as one of nearly all and one of nearly none in turn, and Postgres
    and this process wait for each other; alike, they work at the same time.
    """
    if waiting < SHARED_OUT_MIN or not 0 < before < waiting:
        return waiting
    return (before + waiting + 1) // 2


def _tell(batch: Sequence[tuple[Arrival, Told]], receipts: Sequence[Receipt | Exception]) -> None:
    for (_, told), receipt in zip(batch, receipts, strict=True):
        try:
            told(receipt)
        except Exception:
            # One that cannot be told must not keep the others from it.
            _log.exception("answer_failed")


def _settle(done: asyncio.Future[Receipt], receipt: Receipt | Exception) -> None:
    if done.done():
        return
    if isinstance(receipt, Exception):
        done.set_exception(receipt)
    else:
        done.set_result(receipt)


def _spooled(arrival: Arrival) -> Spooled:
    if isinstance(arrival, Unreadable):
        return Spooled(arrival.received_at, arrival.origin, arrival.body, arrival.product_id, arrival.reason)
    return Spooled(arrival.received_at, arrival.origin, arrival.received)


def _arrival(record: Spooled) -> Arrival:
    reason = record.reason
    if reason is None:
        try:
            return decode(record.body, record.received_at, record.origin)
        except NotAnEvent as error:  # it was one for the version that spooled it
            reason = error.reason
    return Unreadable(reason, record.body, record.received_at, record.origin, record.product_id)
