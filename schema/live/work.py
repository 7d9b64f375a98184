"""Runs what subscriptions need in the background, and waits where Postgres is away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog

from service.errors import NotYetProjected, ReadModelChanging
from service.lines import Seldom
from service.log.database import POSTGRES_FAILURES

AWAY: Final = (*POSTGRES_FAILURES, ReadModelChanging, NotYetProjected)
"""What passes by itself: whoever meets it tries again."""

READ_SECONDS_MAX: Final = 10.0
"""After this a read of ours is given up and tried again: its server may be one that will never answer."""

_T = TypeVar("_T")

_away: Final = Seldom()
_log = structlog.get_logger(__name__)


class Work:
    """The tasks of all subscriptions of the process, and what came of them."""

    def __init__(self) -> None:
        self.subscribers = 0
        self.sent = 0
        self.rendered = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run in the background until done or closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End every task."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def outlast(read: Callable[[], Awaitable[_T]]) -> _T:
    """Return what is read, tried for as long as Postgres is away: who asks waits, and misses nothing."""
    while True:
        try:
            return await read()
        except AWAY as error:
            await pause(error)


async def pause(error: Exception) -> None:
    """Wait a little because of this error; not all at once, or all would come again at once."""
    say_away(error)
    await asyncio.sleep(random.uniform(0.2, 1.0))


def say_away(error: Exception) -> None:
    """Leave in the log that Postgres is waited for."""
    if times := _away.times():
        _log.warning("live_waits_for_postgres", times=times, reason=type(error).__name__)
