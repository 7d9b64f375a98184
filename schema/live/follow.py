"""Follows the log for all feeds of the process: reads each event once, and wakes whoever waits for it.

The log is the truth and a notification a hint. Without a subscription nothing is read.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, cast

import structlog

from schema.context import Services
from schema.live.filter import Fact
from schema.live.work import AWAY, READ_SECONDS_MAX, Work, outlast, pause
from schema.resume import ResumePoint, marked
from service.errors import AnotherLog, LogWentBack, PositionBeyondHead
from service.sql_files import load

PAGE_EVENTS: Final = 1_000
RING_EVENTS: Final = 10_000
LOOK_AGAIN_SECONDS: Final = 0.2
LOOK_AGAIN_SECONDS_MIN: Final = 0.01

_log = structlog.get_logger(__name__)
_sql = load(__file__, "follow.sql")


class Follower:
    """The newest events that were read, and up to where.

    `lost` hears of a log that went back behind that, and of what else nobody can follow.
    """

    def __init__(self, services: Services, work: Work, lost: Callable[[Exception], object]) -> None:
        self.position = 0
        self._services = services
        self._work = work
        self._lost = lost
        self._ring: list[Fact] = []
        self._ring_positions: list[int] = []
        self._ring_floor = 0
        self._last: Fact | None = None
        """The newest event that was read, by which a log that went back is told from one that grew."""
        self._risen: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[tuple[int, int]] | None = None

    @property
    def running(self) -> bool:
        """Whether the log is followed."""
        return self._task is not None

    def stop(self) -> None:
        """Read no more, and let go of what was read, until somebody asks for a first position again."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self._ring.clear()
            self._ring_positions.clear()

    async def first_position(self, after: ResumePoint | None) -> int:
        """Return the position all of which was had, asked of Postgres where a hint could be behind.

        From here on nothing after it is missed. Raises PositionBeyondHead, AnotherLog.
        """
        if not self.running:
            await self._begin()
        if after is None:
            _, projected = await self._now()
            return max(projected, self.position)
        if after.position > self.position:
            head, _ = await self._now()
            if after.position > head:
                raise PositionBeyondHead(after.position, head)
        if after.mark is not None:
            recorded_at = await outlast(lambda: self._recorded_at(after.position))
            if marked(after.position, recorded_at).mark != after.mark:
                raise AnotherLog(str(after))
        return after.position - 1 if after.ordinal else after.position

    def place(self, position: int) -> ResumePoint:
        """Return a position as a place, with the mark of its event where that is in memory."""
        return marked(position, self._remembered(position))

    async def risen_beyond(self, position: int) -> None:
        """Wait until events beyond a position have been read."""
        while self.position <= position:
            if self._risen is None:
                self._risen = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._risen])

    async def facts_after(self, after: int) -> tuple[Sequence[Fact], int]:
        """Return the next events, from memory where they are recent, with where they end."""
        if after < self._ring_floor:
            return await self._page(after)
        start = bisect_right(self._ring_positions, after)
        facts = self._ring[start : start + PAGE_EVENTS]
        more = start + PAGE_EVENTS < len(self._ring)
        return facts, facts[-1]["position"] if more else max(self.position, after)

    async def _now(self) -> tuple[int, int]:
        """Return the head and the projected position; all who ask at once share one read.

        None gets a read that began before they asked: it might not know the position that they come from.
        """
        if self._reading is None:
            self._reading = self._work.spawn(self._read_now())
        return await asyncio.shield(self._reading)

    async def _read_now(self) -> tuple[int, int]:
        await asyncio.sleep(0)
        self._reading = None
        return await outlast(self._ends)

    async def _ends(self) -> tuple[int, int]:
        async with asyncio.timeout(READ_SECONDS_MAX), self._services.reader.snapshot() as snapshot:
            (row,) = await snapshot.fetch(_sql["head"])
            return max(row["position"], snapshot.position), snapshot.position

    async def _recorded_at(self, position: int) -> datetime | None:
        """Return when an event was recorded; None where there is none."""
        if (remembered := self._remembered(position)) is not None:
            return remembered
        async with asyncio.timeout(READ_SECONDS_MAX):
            return await self._services.reader.recorded_at(position)

    def _remembered(self, position: int) -> datetime | None:
        at = bisect_right(self._ring_positions, position) - 1
        fact = self._ring[at] if at >= 0 else self._last
        if fact is None or fact["position"] != position:
            return None
        return cast("datetime", fact["recorded_at"])

    async def _begin(self) -> None:
        _, projected = await self._now()
        facts, _ = await outlast(lambda: self._page(projected - 1))
        if not self.running:
            stands = bool(facts) and facts[0]["position"] == projected
            self._start_at(projected, facts[0] if stands else None)
            self._task = self._work.spawn(self._follow())

    def _start_at(self, position: int, last: Fact | None) -> None:
        self.position = self._ring_floor = position
        self._last = last
        self._ring.clear()
        self._ring_positions.clear()

    async def _follow(self) -> None:
        """Read what has been projected, once for all feeds, and wake them."""
        wait = LOOK_AGAIN_SECONDS_MIN
        while True:
            try:
                await self._services.hub.wait_beyond("projected", self.position, None)
                facts, upto = await self._next()
            except AWAY as error:
                await pause(error)
                continue
            except Exception as error:
                # A fault of ours must not leave subscribers waiting for what will never come.
                _log.exception("live_follower_failed", error=type(error).__name__)
                self._lost(error)
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
                continue
            if upto <= self.position:
                await asyncio.sleep(wait)  # the hint was ahead of what this connection can see
                wait = min(2 * wait, LOOK_AGAIN_SECONDS)
                continue
            wait = LOOK_AGAIN_SECONDS_MIN
            self._keep(facts)
            self.position = upto
            risen, self._risen = self._risen, None
            if risen is not None:
                risen.set_result(None)

    async def _next(self) -> tuple[Sequence[Fact], int]:
        """Read the next page, and on the way whether what was sent last still stands where it stood."""
        last = self._last
        facts, upto = await self._page(self.position if last is None else last["position"] - 1)
        stands = last is None or (bool(facts) and _is_same(facts[0], last))
        if (not stands or upto < self.position) and await self._gone(last):
            return [], self.position
        return [fact for fact in facts if fact["position"] > self.position], upto

    async def _gone(self, last: Fact | None) -> bool:
        """Start anew where the log lost what subscriptions had, and tell; return whether it has.

        Only the log itself can tell. After a crash the projections may be behind for a while, and all wait.
        """
        async with asyncio.timeout(READ_SECONDS_MAX), self._services.reader.snapshot() as snapshot:
            (row,) = await snapshot.fetch(_sql["head"])
            head, position = row["position"], snapshot.position
            found = await snapshot.recorded_at(last["position"]) if last is not None else None
        stands = head >= self.position if last is None else found == last["recorded_at"]
        if stands:
            return False
        error = LogWentBack(self.position, head)
        _log.warning("log_went_back", sent_up_to=self.position, head=head)
        self._start_at(min(head, position), None)
        self._lost(error)
        return True

    def _keep(self, facts: Sequence[Fact]) -> None:
        self._last = facts[-1] if facts else self._last
        self._ring.extend(facts)
        self._ring_positions.extend(fact["position"] for fact in facts)
        surplus = len(self._ring) - RING_EVENTS
        if surplus > PAGE_EVENTS:
            self._ring_floor = self._ring_positions[surplus - 1]
            del self._ring[:surplus], self._ring_positions[:surplus]

    async def _page(self, after: int) -> tuple[Sequence[Fact], int]:
        """Read a page of events from Postgres, and return it with the position up to which it is complete."""
        async with asyncio.timeout(READ_SECONDS_MAX):
            rows, projected = await self._services.reader.rows(_sql["facts_after"], after, PAGE_EVENTS)
        facts = sorted(cast("list[Fact]", rows), key=itemgetter("position"))
        return facts, facts[-1]["position"] if len(facts) == PAGE_EVENTS else projected


def _is_same(fact: Any, other: Fact) -> bool:
    """Whether an event is the same one, if both stand at one position."""
    return bool(fact["recorded_at"] == other["recorded_at"])
