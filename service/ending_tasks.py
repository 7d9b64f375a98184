"""Ends a task that runs in the background."""

from __future__ import annotations

import asyncio
from typing import Any


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; raises what it failed with.

    `suppress(CancelledError)` around `await task` would swallow a cancellation of the caller as well, who
    would go on although told to stop.
    """
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
