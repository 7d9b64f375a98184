"""Sends all who follow the same the same messages: at once who keeps up, at its own pace who is slow.

Nothing is queued: a subscriber is a position in the log. Who falls behind leaves the others, reads on from
its own position, and joins them again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from schema.live.filter import Fact, Index, Wanted
from schema.live.follow import Follower
from schema.live.messages import (
    BUFFER_BYTES_MAX,
    FAILED,
    Message,
    Messages,
    Selecting,
    Sink,
    drained,
    ended_by,
)
from schema.live.sources import Source
from schema.live.work import AWAY, Work, pause
from service.errors import RecountError

RENDER_EVENTS: Final = 50
WRITES_AT_ONCE: Final = 1_000

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Subscriber:
    """One operation of one client: a place in the log and a sink.

    Of the position right after `cursor` it had `skip` messages already.
    """

    sink: Sink
    feed: Feed
    wanted: Wanted
    cursor: int
    sent: int = 0
    skip: int = 0
    following: bool = False
    closed: bool = False
    task: asyncio.Task[None] | None = None

    @property
    def reached(self) -> int:
        """The position up to which the sink was given all that is for it, also where that is nothing."""
        return max(self.cursor, self.feed.sent) if self.following else self.cursor

    def cancel(self) -> None:
        """Send nothing more; the client completed, or is gone."""
        if self.closed:
            return
        self.closed = True
        self.feed.leave(self)
        if self.task is not None:
            self.task.cancel()


class Feed:
    """The subscribers whose answers are the same: one read and one encoding serve them all.

    `cursor` is the position up to which its followers have been, or are just being, sent everything, `sent`
    the one up to which they have been.
    `forget` is called when nobody is left.
    """

    def __init__(
        self,
        selecting: Selecting,
        source: Source,
        follower: Follower,
        work: Work,
        forget: Callable[[Feed], object],
    ) -> None:
        self.cursor = self.sent = follower.position
        self._caller = selecting.caller
        self._traces = selecting.services.traces
        self._messages = Messages(selecting, source, work)
        self._follower = follower
        self._work = work
        self._forget = forget
        self._members: set[Subscriber] = set()
        self._following: Index[Subscriber] = Index()
        self._task = work.spawn(self._run())

    def add(self, sink: Sink, wanted: Wanted, cursor: int, skip: int) -> Subscriber:
        """Take a subscriber who has everything up to a cursor, and `skip` messages of the next position."""
        subscriber = Subscriber(sink, self, wanted, cursor, cursor, skip)
        self._work.subscribers += 1
        self._members.add(subscriber)
        if cursor >= self.cursor:
            self._join(subscriber)
        else:
            subscriber.task = self._work.spawn(self._catch_up(subscriber))
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Let a subscriber go."""
        self._unfollow(subscriber)
        self._members.discard(subscriber)
        self._work.subscribers -= 1
        if not self._members:
            self._forget(self)
            self._task.cancel()

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """End every subscription of this feed by errors."""
        for subscriber in list(self._members):
            subscriber.sink.fail(errors)
            subscriber.cancel()

    def part(self, products: frozenset[int]) -> None:
        """Send those away who follow, or may, what another cell has from now on: they go on there."""
        seen = self._caller.products
        if seen is not None and not seen & products:
            return
        for subscriber in list(self._members):
            if subscriber.wanted.product is None or subscriber.wanted.product in products:
                subscriber.sink.moved()
                subscriber.cancel()

    def _join(self, subscriber: Subscriber) -> None:
        subscriber.following = True
        self._following.add(subscriber.wanted, subscriber)

    def _unfollow(self, subscriber: Subscriber) -> None:
        if subscriber.following:
            subscriber.following = False
            self._following.remove(subscriber.wanted, subscriber)

    async def _run(self) -> None:
        """Send the followers every event, until nobody is left."""
        while True:
            try:
                await self._follower.risen_beyond(self.cursor)
                facts, upto = await self._follower.facts_after(self.cursor)
                # No await between here and the cursor: who joins after it gets what comes after it.
                meetings = [
                    (fact, met)
                    for fact in facts
                    if self._caller.sees(fact["product_id"]) and (met := self._following.meet(fact))
                ]
                self.cursor = upto
                for start in range(0, len(meetings), RENDER_EVENTS):
                    await self._send(meetings[start : start + RENDER_EVENTS])
                self.sent = upto
            except AWAY as error:
                await pause(error)
            except RecountError as error:
                self.fail(ended_by(error))
            except Exception as error:
                # A fault of ours must not leave subscribers waiting for what will never come.
                _log.exception("live_feed_failed", error=type(error).__name__)
                self.fail(FAILED)

    async def _send(self, meetings: Sequence[tuple[Fact, list[Subscriber]]]) -> None:
        began = 0 if self._traces is None else time.time_ns()
        made = await self._messages.at([fact for fact, _ in meetings])
        writes = 0
        for fact, met in meetings:
            position = fact["position"]
            messages = made[position]
            for subscriber in met if messages else ():
                if subscriber.following and position > subscriber.cursor:
                    self._offer(subscriber, position, messages)
                    writes += 1
                    if writes % WRITES_AT_ONCE == 0:
                        await asyncio.sleep(0)  # ten thousand writes are no reason to let others wait
        if self._traces is not None:
            told = {fact["position"]: len(met) for fact, met in meetings if made[fact["position"]]}
            self._work.spawn(self._traces.sent(told, began, time.time_ns()))

    def _offer(self, subscriber: Subscriber, position: int, messages: tuple[Message, ...]) -> None:
        if subscriber.sink.pending_bytes() > BUFFER_BYTES_MAX:
            self._unfollow(subscriber)
            subscriber.cursor = position - 1
            subscriber.task = self._work.spawn(self._catch_up(subscriber))
            return
        self._write(subscriber, position, messages)

    def _write(self, subscriber: Subscriber, position: int, messages: tuple[Message, ...]) -> None:
        # Of the first position only: whatever comes after a cursor with an ordinal begins there.
        for message in messages[subscriber.skip :] if subscriber.skip else messages:
            subscriber.sink.send(message)
        self._work.sent += len(messages)
        subscriber.skip = 0
        subscriber.cursor = subscriber.sent = position

    async def _catch_up(self, subscriber: Subscriber) -> None:
        """Send one subscriber what it has not had, at its pace, until it can join the others."""
        while not subscriber.closed:
            try:
                await drained(subscriber.sink, subscriber.sent)
                if subscriber.cursor >= self.cursor:
                    self._join(subscriber)
                    return
                facts, upto = await self._follower.facts_after(subscriber.cursor)
                await self._send_to(subscriber, facts)
                subscriber.cursor = max(upto, subscriber.cursor)
            except AWAY as error:
                await pause(error)
            except RecountError as error:
                subscriber.sink.fail(ended_by(error))
                subscriber.cancel()
            except Exception as error:
                _log.exception("live_catching_up_failed", error=type(error).__name__)
                subscriber.sink.fail(FAILED)
                subscriber.cancel()

    async def _send_to(self, subscriber: Subscriber, facts: Sequence[Fact]) -> None:
        wanted = [
            fact
            for fact in facts
            if self._caller.sees(fact["product_id"]) and subscriber.wanted.matches(fact)
        ]
        for start in range(0, len(wanted), RENDER_EVENTS):
            chunk = wanted[start : start + RENDER_EVENTS]
            made = await self._messages.at(chunk)
            for position in (fact["position"] for fact in chunk):
                await drained(subscriber.sink, subscriber.sent)
                self._write(subscriber, position, made[position])
