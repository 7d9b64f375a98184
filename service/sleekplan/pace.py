"""Holds requests to a rate: never above what is set, and below it for a while after a "too many requests"."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final, Protocol

from service.errors import SleekplanTooMany

RECOVERS_SECONDS: Final = 600.0
"""From none to all of the rate: a tenth of it a minute."""
PAUSE_SECONDS: Final = 5.0
PAUSE_SECONDS_MAX: Final = 300.0
TOLD_SECONDS_MAX: Final = 900.0
REFUSED_SECONDS_MAX: Final = 3_600.0
"""For how long one request is asked again before the sweep is stopped, to be resumed another time."""
_SLOWEST_SHARE: Final = 1 / 64


class Waits(Protocol):
    """Time that passes by itself, and a way to wait for it."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class _OwnWaits:
    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Pace:
    """When the next request may be sent; shared by all of this process who ask Sleekplan."""

    def __init__(self, rate: float, clock: Waits | None = None) -> None:
        self._most, self._clock = rate, clock or _OwnWaits()
        self._rate, self._since = rate, self._clock.now()
        self._next_at = 0.0
        self._refusals, self._refused_seconds = 0, 0.0
        self.waited_seconds = 0.0

    @property
    def rate(self) -> float:
        """How many requests a second are allowed now."""
        recovered = self._most * (self._clock.now() - self._since) / RECOVERS_SECONDS
        return min(self._most, self._rate + recovered)

    async def turn(self) -> None:
        """Return when the next request may be sent."""
        await self._wait_until(self._next_at)
        self._next_at = self._clock.now() + 1 / self.rate

    def went_well(self) -> None:
        """Note that an answer came that was no refusal."""
        self._refusals, self._refused_seconds = 0, 0.0

    def refused(self, path: str, told_seconds: float | None) -> None:
        """Note a 429: the next turn is after the pause that was told, else after one that doubles each time.

        The rate is halved, and recovers a tenth of what is set each minute. Raises SleekplanTooMany when the
        same request was refused for an hour.
        """
        self._rate, self._since = max(self.rate / 2, self._most * _SLOWEST_SHARE), self._clock.now()
        doubled = min(PAUSE_SECONDS * 2**self._refusals, PAUSE_SECONDS_MAX) * random.uniform(1, 1.25)
        pause = doubled if told_seconds is None else min(max(told_seconds, 0.0), TOLD_SECONDS_MAX)
        self._refusals = min(self._refusals + 1, 16)
        self._refused_seconds += max(pause, 1.0)
        if self._refused_seconds > REFUSED_SECONDS_MAX:
            raise SleekplanTooMany(path)
        self._next_at = max(self._next_at, self._clock.now() + pause)

    async def _wait_until(self, moment: float) -> None:
        left = moment - self._clock.now()
        if left > 0:
            self.waited_seconds += left
            await self._clock.sleep(left)
