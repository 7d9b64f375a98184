"""Makes the messages of subscriptions: each read and encoded once for all who get it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from graphql import GraphQLError

from schema.answer.execute import Executor, Operations
from schema.context import Caller, Context, Services
from schema.errors import INTERNAL, told
from schema.live.filter import Fact
from schema.live.sources import Source
from schema.live.work import READ_SECONDS_MAX, Work, outlast
from schema.resume import ResumePoint, marked
from service.errors import RecountError

KEPT_MESSAGES: Final = 1_000
KEPT_BYTES: Final = 4 * 1024 * 1024
BUFFER_BYTES_MAX: Final = 64 * 1024
"""What a socket may not have taken yet, and still be sent more."""
LOOK_SECONDS: Final = 0.2
STALL_SECONDS: Final = 30.0

FAILED: Final[list[dict[str, Any]]] = [
    {
        "message": "the subscription failed; the service's log tells more",
        "extensions": {"code": INTERNAL},
    }
]


def ended_by(error: RecountError) -> list[dict[str, Any]]:
    """Return what a subscription that ends by an error says of it."""
    return told([GraphQLError(str(error), original_error=error)])


class Message:
    """One answer of a subscription, encoded once for all who get it; `cursor` is where to go on after it."""

    __slots__ = ("body", "cursor", "sse", "ws", "ws_id")

    def __init__(self, cursor: ResumePoint | None, body: bytes) -> None:
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

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """Say that the operation ended by errors."""

    def stalled(self, position: int) -> None:
        """Close: nothing was read for long; `position` is the last one sent."""

    def moved(self) -> None:
        """Close: some of it is told elsewhere from now on, where a client that comes again is led."""


async def drained(sink: Sink, position: int) -> None:
    """Wait until the socket has taken what was written; closes a sink that takes nothing for long."""
    loop = asyncio.get_running_loop()
    left, since = sink.pending_bytes(), loop.time()
    while left > BUFFER_BYTES_MAX // 4:
        await asyncio.sleep(LOOK_SECONDS)
        now_left = sink.pending_bytes()
        if now_left < left:
            since = loop.time()
        elif loop.time() - since > STALL_SECONDS:
            sink.stalled(position)
            raise asyncio.CancelledError
        left = now_left


@dataclass(frozen=True, slots=True)
class Selecting:
    """What is selected, and for whom: all that answers depend on beside what is read."""

    services: Services
    operations: Operations
    executor: Executor
    caller: Caller

    def context(self) -> Context:
        """Return a context to read and answer in."""
        return Context(self.services, self.caller)


class Messages:
    """The messages of one selection, each read and encoded once however many ask; the newest are kept."""

    def __init__(self, selecting: Selecting, source: Source, work: Work) -> None:
        self._selecting = selecting
        self._source = source
        self._work = work
        self._making = asyncio.Lock()
        self._kept: OrderedDict[int, tuple[Message, ...]] = OrderedDict()
        self._kept_bytes = 0

    async def at(self, facts: Sequence[Fact]) -> Mapping[int, tuple[Message, ...]]:
        """Return the messages of these events, by position; while Postgres is away, whoever asks waits."""
        return await outlast(lambda: self._at({fact["position"]: fact["recorded_at"] for fact in facts}))

    async def _at(self, recorded: Mapping[int, datetime]) -> Mapping[int, tuple[Message, ...]]:
        async with self._making:
            found = {position: self._kept[position] for position in recorded if position in self._kept}
            missing = {position: at for position, at in recorded.items() if position not in found}
            if missing:
                made = await self._make(missing)
                found.update(made)
                self._keep(made)
            return found

    async def _make(self, recorded: Mapping[int, datetime]) -> Mapping[int, tuple[Message, ...]]:
        operations, executor = self._selecting.operations, self._selecting.executor
        context = self._selecting.context()
        made: dict[int, list[Message]] = {position: [] for position in recorded}
        async with asyncio.timeout(READ_SECONDS_MAX):
            loaded = await self._source.load(context, list(recorded))
        for position, read in loaded:
            result = await operations.message(executor, read, context)
            messages = made[position]
            ordinal = len(messages) + 1 if self._source.gives_several else 0
            cursor = marked(position, recorded[position], ordinal)
            messages.append(Message(cursor, operations.encode(result, cursor)))
            self._work.rendered += 1
        return {position: tuple(messages) for position, messages in made.items()}

    def _keep(self, made: Mapping[int, tuple[Message, ...]]) -> None:
        self._kept.update(made)
        self._kept_bytes += sum(len(message.body) for messages in made.values() for message in messages)
        while self._kept and (len(self._kept) > KEPT_MESSAGES or self._kept_bytes > KEPT_BYTES):
            _, messages = self._kept.popitem(last=False)
            self._kept_bytes -= sum(len(message.body) for message in messages)
