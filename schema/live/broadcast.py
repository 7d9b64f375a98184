"""Tells a shared state to all who follow it: the newest value, to each that does not have it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from schema.live.messages import BUFFER_BYTES_MAX, FAILED, Message, Selecting, Sink
from schema.live.sources import Shared
from schema.live.work import AWAY, READ_SECONDS_MAX, Work, say_away

_log = structlog.get_logger(__name__)


class Broadcast:
    """The subscribers of one shared state; `forget` is called when the last one is gone."""

    def __init__(
        self, selecting: Selecting, shared: Shared, work: Work, forget: Callable[[], object]
    ) -> None:
        self._selecting = selecting
        self._shared = shared
        self._work = work
        self._forget = forget
        self._newest: Message | None = None
        self._had: dict[Sink, Message | None] = {}
        self._task = work.spawn(self._run())

    def join(self, sink: Sink) -> Listener:
        """Add a sink, and send what is known."""
        self._had[sink] = None
        self._tell()
        return Listener(self, sink)

    def leave(self, sink: Sink) -> None:
        """Let a sink go; the last one ends the reading."""
        self._had.pop(sink, None)
        if not self._had:
            self._forget()
            self._task.cancel()

    async def _run(self) -> None:
        state = b""
        operations = self._selecting.operations
        while True:
            context = self._selecting.context()
            try:
                async with asyncio.timeout(READ_SECONDS_MAX):
                    read = await self._shared.read(context)
                result = await operations.message(self._selecting.executor, read, context)
            except AWAY as error:
                say_away(error)
            except Exception as error:
                _log.exception("live_broadcast_failed", error=type(error).__name__)
                for sink in self._had:
                    sink.fail(FAILED)
                self._had.clear()
                self._forget()
                return
            else:
                found = operations.encode(result)
                if found != state:
                    state = found
                    self._newest = Message(context.read_at, operations.encode(result, context.read_at))
                self._tell()
            await asyncio.sleep(self._shared.every_seconds)

    def _tell(self) -> None:
        newest = self._newest
        for sink, had in list(self._had.items()):
            if newest is not None and had is not newest and sink.pending_bytes() <= BUFFER_BYTES_MAX:
                sink.send(newest)
                self._had[sink] = newest
                self._work.sent += 1


class Listener:
    """One sink of a broadcast."""

    def __init__(self, broadcast: Broadcast, sink: Sink) -> None:
        self._broadcast = broadcast
        self._sink = sink

    def cancel(self) -> None:
        """Send nothing more."""
        self._broadcast.leave(self._sink)
