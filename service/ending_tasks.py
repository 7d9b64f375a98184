"""Ends tasks that run in the background."""

from __future__ import annotations

import asyncio
from typing import Any, Final

# Longer than what a task does at its end may take, as to give a lease back over a Postgres that is silent.
AGAIN_SECONDS: Final = 30.0


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; raises what it failed with.

    `suppress(CancelledError)` around `await task` would swallow a cancellation of the caller as well, who
    would go on although told to stop. Libraries swallow one that comes in the moment in which a time limit of
    theirs is over, and the task goes on: it is cancelled again.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN_SECONDS)
    if not task.cancelled():
        task.result()


async def rest(seconds: float) -> None:
    """Sleep between two rounds of what goes on for ever; raises CancelledError where it was told to end.

    A failure while something was cleaned up, over a connection that is lost say, may have replaced that, and
    whoever takes such failures and goes on would never end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    await asyncio.sleep(seconds)
