"""Holds what a reaction has still to tell: the end of its subscription."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from schema.live.messages import Message

PATIENCE: Final = 16
"""So many times what a socket may hold waits here: whoever sends it looks only now and then."""


class Inbox:
    """The messages of one subscription, in order, until each is taken.

    As many wait as the feed allows; then it lets go of us, reads on from our place, and comes again. Where
    nothing is taken for long it ends, and whoever reads subscribes anew, from where it is.
    """

    def __init__(self) -> None:
        self.errors: list[dict[str, Any]] = []
        """Why the subscription ended, where it did by errors."""
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._ended = False
        self._news = asyncio.Event()

    @property
    def empty(self) -> bool:
        """Whether all that came is taken."""
        return not self._waiting

    async def first(self) -> Message | None:
        """Return the first message that is not taken, once there is one; None when no more will come."""
        while not self._waiting:
            if self._ended:
                return None
            self._news.clear()
            await self._news.wait()
        return self._waiting[0]

    def take(self) -> None:
        """Let go of the first message: it is told."""
        self._bytes -= len(self._waiting.popleft().body)

    # What a feed asks of a sink

    def send(self, message: Message) -> None:
        """Keep a message."""
        if not self._ended:
            self._waiting.append(message)
            self._bytes += len(message.body)
            self._news.set()

    def pending_bytes(self) -> int:
        """Return how much is not taken, as a socket would say it."""
        return self._bytes // PATIENCE

    def complete(self) -> None:
        """Take no more."""
        self._ended = True
        self._news.set()

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """Take no more, because of these."""
        self.errors = errors
        self.complete()

    def moved(self) -> None:
        """Take no more for now; it goes on with the products that stayed."""
        self.complete()

    def stalled(self, position: int) -> None:
        """Take no more for now."""
        self.complete()
