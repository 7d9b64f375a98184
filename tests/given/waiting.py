"""Waits for what another task or process does, without guessing how long that takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from service.log.hub import SIGNALS, Hub

_PAUSE_SECONDS_MIN: Final = 0.005
_PAUSE_SECONDS_MAX: Final = 0.1


async def eventually(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Let the loop turn until the condition holds.

    It is looked at less often the longer it takes: to ask a service again and again may be most of its work.
    """
    pause = _PAUSE_SECONDS_MIN
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _PAUSE_SECONDS_MAX)


async def polled(hub: Hub) -> None:
    """Wait until a hub has asked Postgres for each of its numbers."""
    await eventually(lambda: hub.polls >= len(SIGNALS))
