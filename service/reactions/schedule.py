"""Reads at which times of the week something is told: `every = "monday 08:00 Europe/Zurich"`."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

DAYS: Final = tuple(day.lower() for day in calendar.day_name)

_EVERY: Final = re.compile(r"(\w+) (\d\d):(\d\d) (\S+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Times:
    """A time of each day, or of one day of the week (0 is Monday), in a zone."""

    weekday: int | None
    at: dt.time
    zone: ZoneInfo

    @classmethod
    def read(cls, text: str) -> Times:
        """Return the times that a text names. Raises ValueError.

        >>> times = Times.read("monday 08:00 Europe/Zurich")
        >>> times.next_after(dt.datetime(2026, 11, 28, tzinfo=dt.UTC)).isoformat()
        '2026-11-30T07:00:00+00:00'
        """
        found = _EVERY.fullmatch(text)
        if found is None or (found[1] != "day" and found[1] not in DAYS):
            raise ValueError('is no such times; write "monday 08:00 Europe/Zurich" or "day 08:00 UTC"')
        try:
            return cls(
                None if found[1] == "day" else DAYS.index(found[1]),
                dt.time(int(found[2]), int(found[3])),
                ZoneInfo(found[4]),
            )
        except (KeyError, ValueError, OSError):
            raise ValueError(f"names no time of day, or no zone: {text[:60]}") from None

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """Return the first of these times after a moment."""
        return next(found for found in self._around(moment, 0, 9) if found > moment)

    def last_until(self, moment: dt.datetime) -> dt.datetime:
        """Return the last of these times that is not after a moment."""
        return next(found for found in reversed(self._around(moment, -8, 2)) if found <= moment)

    def _around(self, moment: dt.datetime, first: int, last: int) -> list[dt.datetime]:
        today = moment.astimezone(self.zone).date()
        days = [today + dt.timedelta(days=ahead) for ahead in range(first, last)]
        return [
            dt.datetime.combine(day, self.at, self.zone).astimezone(dt.UTC)
            for day in days
            if self.weekday in (None, day.weekday())
        ]
