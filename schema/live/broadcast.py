"""Sends subscribers what happens: reads each event once, and encodes each answer once for all who share it.

The log is the truth and a notification a hint: a subscriber is a position in the log. Those who keep up
share a feed; who falls behind leaves it, reads on from their own position at their own pace, and joins again.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncIterable, Coroutine, Hashable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

import orjson
import structlog
from graphql import ExecutionResult, GraphQLError
from graphql.execution import create_source_event_stream

from schema.answer.documents import Document, Request
from schema.answer.execute import Operations, executed
from schema.context import Caller, Context, Services
from schema.errors import Refused, told
from schema.live.cursor import Cursor
from schema.live.filter import Fact, Index, Wanted
from schema.live.sources import Shared, Source, source_of
from service.errors import BadArgument, LogWentBack, PositionBeyondHead, ReadModelChanging, RecountError
from service.log.database import POSTGRES_FAILURES
from service.sql_files import load

if TYPE_CHECKING:
    from schema.answer.execute import Executor

PAGE_EVENTS: Final = 1_000
RING_EVENTS: Final = 10_000
RENDER_EVENTS: Final = 50
KEPT_MESSAGES: Final = 1_000
KEPT_BYTES: Final = 4 * 1024 * 1024
BUFFER_BYTES_MAX: Final = 64 * 1024
STALL_SECONDS: Final = 30.0
LOOK_AGAIN_SECONDS: Final = 0.2
LOOK_AGAIN_SECONDS_MIN: Final = 0.01
WRITES_AT_ONCE: Final = 1_000

_T = TypeVar("_T")

_AWAY: Final = (*POSTGRES_FAILURES, ReadModelChanging)

_FAILED: Final[list[dict[str, Any]]] = [{"message": "the subscription failed; the service's log tells more"}]

_log = structlog.get_logger(__name__)
_sql = load(__file__, "live.sql")


class Message:
    """One answer of a subscription, encoded once for all who get it; `cursor` is where to go on after it."""

    __slots__ = ("body", "cursor", "sse", "ws", "ws_id")

    def __init__(self, cursor: Cursor | None, body: bytes) -> None:
        self.cursor = cursor
        self.body = body
        self.ws_id: bytes | None = None
        self.ws = b""
        self.sse = b""


class Sink(Protocol):
    """Where a subscriber's messages go: a WebSocket's operation, or an event stream.

    `send` never waits; `pending_bytes` says what the socket has not taken yet, and whoever sends looks at it.
    """

    def send(self, message: Message) -> None:
        """Write a message."""

    def pending_bytes(self) -> int:
        """Return how much was written and not taken."""

    def complete(self) -> None:
        """Say that there will be no more."""

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """Say that the operation ended by errors."""

    def stalled(self, position: int) -> None:
        """Close: nothing was read for long; `position` is the last one sent."""


class Running(Protocol):
    """A subscription that runs."""

    def cancel(self) -> None:
        """Send nothing more."""


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

    def cancel(self) -> None:
        """Send nothing more; the client completed, or is gone."""
        if self.closed:
            return
        self.closed = True
        self.feed.leave(self)
        if self.task is not None:
            self.task.cancel()


class Broadcast:
    """The subscribers of one shared state: the newest value is sent to each that does not have it."""

    def __init__(self, live: Live, key: Hashable, caller: Caller, executor: Executor, shared: Shared) -> None:
        self._live = live
        self._key = key
        self._caller = caller
        self._executor = executor
        self._shared = shared
        self._newest: Message | None = None
        self._had: dict[Sink, Message | None] = {}
        self._task = live.spawn(self._run())

    def join(self, sink: Sink) -> Listener:
        """Add a sink, and send what is known."""
        self._had[sink] = None
        self._tell()
        return Listener(self, sink)

    def leave(self, sink: Sink) -> None:
        """Let a sink go; the last one ends the reading."""
        self._had.pop(sink, None)
        if not self._had:
            self._live.forget_broadcast(self._key)
            self._task.cancel()

    async def _run(self) -> None:
        state = b""
        while True:
            context = Context(self._live.services, self._caller)
            try:
                read = await self._shared.read(context)
                result = await self._live.operations.message(self._executor, read, context)
            except _AWAY as error:
                _log.warning("live_waits_for_postgres", reason=type(error).__name__)
            except Exception as error:
                _log.exception("live_broadcast_failed", error=type(error).__name__)
                for sink in self._had:
                    sink.fail(_FAILED)
                self._had.clear()
                self._live.forget_broadcast(self._key)
                return
            else:
                found = self._live.operations.encode(result)
                if found != state:
                    state = found
                    position = context.position or 0
                    body = self._live.operations.encode(result, position)
                    self._newest = Message(Cursor(position) if position else None, body)
                self._tell()
            await asyncio.sleep(self._shared.every_seconds)

    def _tell(self) -> None:
        newest = self._newest
        for sink, had in list(self._had.items()):
            if newest is not None and had is not newest and sink.pending_bytes() <= BUFFER_BYTES_MAX:
                sink.send(newest)
                self._had[sink] = newest
                self._live.sent += 1


class Listener:
    """One sink of a broadcast."""

    def __init__(self, broadcast: Broadcast, sink: Sink) -> None:
        self._broadcast = broadcast
        self._sink = sink

    def cancel(self) -> None:
        """Send nothing more."""
        self._broadcast.leave(self._sink)


class Stream:
    """An operation whose answers come from an iterator of its own."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def cancel(self) -> None:
        """End it."""
        self._task.cancel()


class Live:
    """Follows the log for all subscriptions of the process; without any it costs nothing."""

    def __init__(self, services: Services, operations: Operations) -> None:
        self.services = services
        self.operations = operations
        self.position = 0
        self._ring: list[Fact] = []
        self._ring_positions: list[int] = []
        self._ring_floor = 0
        self._last: Fact | None = None
        """The newest event that was read, by which a log that went back is told from one that grew."""
        self._feeds: dict[Hashable, Feed] = {}
        self._broadcasts: dict[Hashable, Broadcast] = {}
        self._risen: asyncio.Future[None] | None = None
        self._follower: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[tuple[int, int]] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._starting = 0
        self._closed = False
        self.subscribers = 0
        self.sent = 0
        self.rendered = 0

    async def close(self) -> None:
        """End every feed; from here on nothing is started."""
        self._closed = True
        tasks = [task for task in (self._follower, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._feeds.clear()

    async def subscribe(
        self,
        document: Document,
        request: Request,
        context: Context,
        sink: Sink,
        *,
        after: Cursor | None = None,
    ) -> Running:
        """Start a subscription; `after`, when given, is where the client's last connection ended.

        Raises Refused for what cannot be started. Returns once it is certain that nothing after its
        first position will be missed.
        """
        if self._closed:
            raise Refused.because("the service stops; connect again", "STOPPING", status=503)
        self._starting += 1
        try:
            return await self._subscribe(document, request, context, sink, after)
        except RecountError as error:
            raise Refused([GraphQLError(str(error), original_error=error)]) from error
        finally:
            self._starting -= 1
            self._rest()

    async def _subscribe(
        self, document: Document, request: Request, context: Context, sink: Sink, after: Cursor | None
    ) -> Running:
        selection = self.operations.asked(document, request).selection
        executor = self.operations.executor(document, request, context)
        source = source_of(self.operations.planner, selection, context)
        if isinstance(source, Shared):
            key = self._key(document, request, context.caller, "shared")
            if key not in self._broadcasts:
                self._broadcasts[key] = Broadcast(self, key, context.caller, executor, source)
            return self._broadcasts[key].join(sink)
        if source is None:
            return Stream(self.spawn(self._stream(executor, context, await _own_stream(executor), sink)))
        if after is not None:
            source.after = after
        if source.after is not None and source.after.ordinal and not source.gives_several:
            raise BadArgument("after", str(source.after), "is the cursor of another subscription")
        cursor = await self._first_position(source.after)
        skip = source.after.ordinal if source.after is not None else 0
        feed = self._feed(document, request, context.caller, executor, source)
        subscriber = Subscriber(sink, feed, source.wanted, cursor, cursor, skip)
        self.subscribers += 1
        feed.members.add(subscriber)
        if cursor >= feed.cursor:
            feed.join(subscriber)
        else:
            subscriber.task = self.spawn(feed.catch_up(subscriber))
        return subscriber

    def spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run in the background until done or closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _first_position(self, after: Cursor | None) -> int:
        """Return the position all of which was had, asked of Postgres where a hint could be behind."""
        if self._follower is None:
            await self._begin()
        if after is None:
            _, projected = await self._now()
            return max(projected, self.position)
        if after.position > self.position:
            head, _ = await self._now()
            if after.position > head:
                raise PositionBeyondHead(after.position, head)
        return after.position - 1 if after.ordinal else after.position

    async def _now(self) -> tuple[int, int]:
        """Return the head and the projected position; all who ask at once share one read.

        None gets a read that began before they asked: it might not know the position that they come from.
        """
        if self._reading is None:
            self._reading = self.spawn(self._read_now())
        return await asyncio.shield(self._reading)

    async def _read_now(self) -> tuple[int, int]:
        """Ask Postgres, for as long as it is away: whoever subscribes meanwhile waits, and misses nothing."""
        await asyncio.sleep(0)
        self._reading = None
        while True:
            try:
                async with self.services.reader.snapshot() as snapshot:
                    (row,) = await snapshot.fetch(_sql["head"])
                    return max(row["position"], snapshot.position), snapshot.position
            except _AWAY as error:
                await _pause(error)

    async def _begin(self) -> None:
        _, projected = await self._now()
        last = await self._fact_at(projected)
        if self._follower is None:
            self._start_at(projected, last)
            self._follower = asyncio.create_task(self._follow(), name="live")

    async def _fact_at(self, position: int) -> Fact | None:
        while True:
            try:
                facts, _ = await self.page(position - 1)
            except _AWAY as error:
                await _pause(error)
            else:
                return facts[0] if facts and facts[0]["position"] == position else None

    def _start_at(self, position: int, last: Fact | None) -> None:
        self.position = self._ring_floor = position
        self._last = last
        self._ring.clear()
        self._ring_positions.clear()

    def _feed(
        self, document: Document, request: Request, caller: Caller, executor: Executor, source: Source
    ) -> Feed:
        key = self._key(document, request, caller, source.key)
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = Feed(self, key, caller, executor, source)
            feed.task = self.spawn(feed.run())
        return feed

    @staticmethod
    def _key(document: Document, request: Request, caller: Caller, source_key: Hashable) -> Hashable:
        """Return what the answers depend on; variables of the root field's own arguments are no part."""
        names = document.selection_variables(request.operation_name)
        variables = {name: request.variables[name] for name in sorted(names) if name in request.variables}
        return document.text, request.operation_name, orjson.dumps(variables), caller, source_key

    def forget_broadcast(self, key: Hashable) -> None:
        """Drop a broadcast that nobody listens to."""
        self._broadcasts.pop(key, None)

    def forget(self, feed: Feed) -> None:
        """Drop a feed that nobody follows; without any, stop following the log."""
        if self._feeds.get(feed.key) is feed:
            del self._feeds[feed.key]
        self._rest()

    def _rest(self) -> None:
        if not self._feeds and not self._starting and self._follower is not None:
            self._follower.cancel()
            self._follower = None
            self._ring.clear()
            self._ring_positions.clear()

    async def _follow(self) -> None:
        """Read what has been projected, once for all feeds, and wake them."""
        pause = LOOK_AGAIN_SECONDS_MIN
        while True:
            try:
                await self.services.hub.wait_beyond("projected", self.position, None)
                facts, upto = await self._next()
            except _AWAY as error:
                await _pause(error)
                continue
            if upto <= self.position:
                await asyncio.sleep(pause)  # the hint was ahead of what this connection can see
                pause = min(2 * pause, LOOK_AGAIN_SECONDS)
                continue
            pause = LOOK_AGAIN_SECONDS_MIN
            self._keep(facts)
            self.position = upto
            risen, self._risen = self._risen, None
            if risen is not None:
                risen.set_result(None)

    async def _next(self) -> tuple[Sequence[Fact], int]:
        """Read the next page, and on the way whether what was sent last still stands where it stood."""
        last = self._last
        facts, upto = await self.page(self.position if last is None else last["position"] - 1)
        stands = last is None or (bool(facts) and _is_same(facts[0], last))
        if (not stands or upto < self.position) and await self._gone(last):
            return [], self.position
        return [fact for fact in facts if fact["position"] > self.position], upto

    async def _gone(self, last: Fact | None) -> bool:
        """End all subscriptions and start anew where the log lost what they had; return whether it has.

        Only the log itself can tell. After a crash the projections may be behind for a while, and all wait.
        """
        async with self.services.reader.snapshot() as snapshot:
            (row,) = await snapshot.fetch(_sql["head"])
            head, position = row["position"], snapshot.position
            found = await snapshot.fetch(_sql["stands"], last["position"]) if last is not None else []
        stands = head >= self.position if last is None else bool(found) and _is_same(found[0], last)
        if stands:
            return False
        error = LogWentBack(self.position, head)
        _log.warning("log_went_back", sent_up_to=self.position, head=head)
        self._start_at(min(head, position), None)
        for feed in list(self._feeds.values()):
            feed.fail(told([GraphQLError(str(error), original_error=error)]))
        return True

    def _keep(self, facts: Sequence[Fact]) -> None:
        self._last = facts[-1] if facts else self._last
        self._ring.extend(facts)
        self._ring_positions.extend(fact["position"] for fact in facts)
        surplus = len(self._ring) - RING_EVENTS
        if surplus > PAGE_EVENTS:
            self._ring_floor = self._ring_positions[surplus - 1]
            del self._ring[:surplus], self._ring_positions[:surplus]

    async def risen_beyond(self, position: int) -> None:
        """Wait until events beyond a position have been read."""
        while self.position <= position:
            if self._risen is None:
                self._risen = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._risen])

    async def page(self, after: int) -> tuple[Sequence[Fact], int]:
        """Read a page of events from Postgres, and return it with the position up to which it is complete."""
        rows, projected = await self.services.reader.rows(_sql["facts_after"], after, PAGE_EVENTS)
        facts = sorted(cast("list[Fact]", rows), key=itemgetter("position"))
        return facts, facts[-1]["position"] if len(facts) == PAGE_EVENTS else projected

    async def facts_after(self, after: int) -> tuple[Sequence[Fact], int]:
        """Return the next events, from memory where they are recent, with where they end."""
        if after < self._ring_floor:
            return await self.page(after)
        start = bisect_right(self._ring_positions, after)
        facts = self._ring[start : start + PAGE_EVENTS]
        more = start + PAGE_EVENTS < len(self._ring)
        return facts, facts[-1]["position"] if more else max(self.position, after)

    async def _stream(
        self, executor: Executor, context: Context, values: AsyncIterable[Any], sink: Sink
    ) -> None:
        iterator = values.__aiter__()
        try:
            async for value in iterator:
                result = await executed(executor, value, context)
                await self.drained(sink, context.position or 0)
                sink.send(Message(None, self.operations.encode(result, context.position)))
                self.sent += 1
            sink.complete()
        except Refused as refused:
            sink.fail(told(refused.errors, debug=self.operations.debug))
        except Exception as error:
            name = next(iter(executor.operation.selection_set.selections))
            located = GraphQLError(str(error), [name], path=["subscription"], original_error=error)
            sink.fail(told([located], debug=self.operations.debug))
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()

    async def drained(self, sink: Sink, position: int) -> None:
        """Wait until the socket has taken what was written; closes a sink that takes nothing for long."""
        loop = asyncio.get_running_loop()
        left, since = sink.pending_bytes(), loop.time()
        while left > BUFFER_BYTES_MAX // 4:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            now_left = sink.pending_bytes()
            if now_left < left:
                since = loop.time()
            elif loop.time() - since > STALL_SECONDS:
                sink.stalled(position)
                raise asyncio.CancelledError
            left = now_left


class Feed:
    """The subscribers whose answers are the same: one read and one encoding serve them all.

    `cursor` is the position up to which its followers have been, or are just being, sent everything.
    """

    def __init__(self, live: Live, key: Hashable, caller: Caller, executor: Executor, source: Source) -> None:
        self.key = key
        self.cursor = live.position
        self.members: set[Subscriber] = set()
        self.task: asyncio.Task[None] | None = None
        self._live = live
        self._caller = caller
        self._executor = executor
        self._source = source
        self._followers: Index[Subscriber] = Index()
        self._rendering = asyncio.Lock()
        self._kept: OrderedDict[int, tuple[Message, ...]] = OrderedDict()
        self._kept_bytes = 0

    def join(self, subscriber: Subscriber) -> None:
        """Take a subscriber who has everything up to the cursor."""
        subscriber.following = True
        self._followers.add(subscriber.wanted, subscriber)

    def leave(self, subscriber: Subscriber) -> None:
        """Let a subscriber go."""
        self._unfollow(subscriber)
        self.members.discard(subscriber)
        self._live.subscribers -= 1
        if not self.members:
            self._live.forget(self)
            if self.task is not None:
                self.task.cancel()

    def _unfollow(self, subscriber: Subscriber) -> None:
        if subscriber.following:
            subscriber.following = False
            self._followers.remove(subscriber.wanted, subscriber)

    async def run(self) -> None:
        """Send the followers every event, until nobody is left."""
        while True:
            try:
                await self._live.risen_beyond(self.cursor)
                facts, upto = await self._live.facts_after(self.cursor)
                # No await between here and the cursor: who joins after it gets what comes after it.
                meetings = [
                    (fact["position"], met)
                    for fact in facts
                    if self._caller.sees(fact["product_id"]) and (met := self._followers.meet(fact))
                ]
                self.cursor = upto
                for start in range(0, len(meetings), RENDER_EVENTS):
                    await self._send(meetings[start : start + RENDER_EVENTS])
            except _AWAY as error:
                await _pause(error)
            except Exception as error:
                # A fault of ours must not leave subscribers waiting for what will never come.
                _log.exception("live_feed_failed", error=type(error).__name__)
                self.fail(_FAILED)

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """End every subscription of this feed by errors."""
        for subscriber in list(self.members):
            subscriber.sink.fail(errors)
            subscriber.cancel()

    async def _send(self, meetings: Sequence[tuple[int, list[Subscriber]]]) -> None:
        rendered = await self.render([position for position, _ in meetings])
        writes = 0
        for position, met in meetings:
            messages = rendered[position]
            for subscriber in met if messages else ():
                if subscriber.following and position > subscriber.cursor:
                    self._offer(subscriber, position, messages)
                    writes += 1
                    if writes % WRITES_AT_ONCE == 0:
                        await asyncio.sleep(0)  # ten thousand writes are no reason to let others wait

    def _offer(self, subscriber: Subscriber, position: int, messages: tuple[Message, ...]) -> None:
        if subscriber.sink.pending_bytes() > BUFFER_BYTES_MAX:
            self._unfollow(subscriber)
            subscriber.cursor = position - 1
            subscriber.task = self._live.spawn(self.catch_up(subscriber))
            return
        self._write(subscriber, position, messages)

    def _write(self, subscriber: Subscriber, position: int, messages: tuple[Message, ...]) -> None:
        # Of the first position only: whatever comes after a cursor with an ordinal begins there.
        for message in messages[subscriber.skip :] if subscriber.skip else messages:
            subscriber.sink.send(message)
        self._live.sent += len(messages)
        subscriber.skip = 0
        subscriber.cursor = subscriber.sent = position

    async def catch_up(self, subscriber: Subscriber) -> None:
        """Send one subscriber what it has not had, at its pace, until it can join the others."""
        while not subscriber.closed:
            try:
                await self._live.drained(subscriber.sink, subscriber.sent)
                if subscriber.cursor >= self.cursor:
                    self.join(subscriber)
                    return
                facts, upto = await self._live.facts_after(subscriber.cursor)
                await self._send_to(subscriber, facts)
                subscriber.cursor = max(upto, subscriber.cursor)
            except _AWAY as error:
                await _pause(error)

    async def _send_to(self, subscriber: Subscriber, facts: Sequence[Fact]) -> None:
        positions = [
            fact["position"]
            for fact in facts
            if self._caller.sees(fact["product_id"]) and subscriber.wanted.matches(fact)
        ]
        for start in range(0, len(positions), RENDER_EVENTS):
            chunk = positions[start : start + RENDER_EVENTS]
            rendered = await self.render(chunk)
            for position in chunk:
                await self._live.drained(subscriber.sink, subscriber.sent)
                self._write(subscriber, position, rendered[position])

    async def render(self, positions: Sequence[int]) -> Mapping[int, tuple[Message, ...]]:
        """Return the messages of these positions, each read and encoded once however many ask.

        Tries for as long as Postgres is away: subscribers wait, and miss nothing.
        """
        while True:
            try:
                async with self._rendering:
                    return await self._render(positions)
            except _AWAY as error:
                await _pause(error)

    async def _render(self, positions: Sequence[int]) -> Mapping[int, tuple[Message, ...]]:
        rendered = {position: self._kept[position] for position in positions if position in self._kept}
        missing = [position for position in positions if position not in rendered]
        if missing:
            fresh: dict[int, list[Message]] = {position: [] for position in missing}
            context = Context(self._live.services, self._caller)
            for position, read in await self._source.load(context, missing):
                result = await self._live.operations.message(self._executor, read, context)
                messages = fresh[position]
                cursor = Cursor(position, len(messages) + 1 if self._source.gives_several else 0)
                if cursor.ordinal:
                    result.extensions = {"cursor": str(cursor)}
                messages.append(Message(cursor, self._live.operations.encode(result, position)))
                self._live.rendered += 1
            for position, made in fresh.items():
                rendered[position] = self._kept[position] = tuple(made)
                self._kept_bytes += sum(len(message.body) for message in made)
            self._drop_surplus()
        return rendered

    def _drop_surplus(self) -> None:
        while self._kept and (len(self._kept) > KEPT_MESSAGES or self._kept_bytes > KEPT_BYTES):
            _, messages = self._kept.popitem(last=False)
            self._kept_bytes -= sum(len(message.body) for message in messages)


def _is_same(fact: Any, other: Fact) -> bool:
    """Whether an event is the same one, if both stand at one position."""
    return bool(fact["recorded_at"] == other["recorded_at"])


async def _own_stream(executor: Executor) -> AsyncIterable[Any]:
    """Return the iterator of a subscription that has a resolver of its own."""
    source = create_source_event_stream(executor)
    if inspect.isawaitable(source):
        source = await source
    if isinstance(source, ExecutionResult):
        raise Refused(source.errors or [])
    return source


async def _pause(error: Exception) -> None:
    _log.warning("live_waits_for_postgres", reason=type(error).__name__)
    await asyncio.sleep(random.uniform(0.2, 1.0))
