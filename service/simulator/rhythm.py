"""Says when things happen: growth over the months, working weeks and days, and rushes after a release."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from service.simulator.dice import Dice

HOUR_SECONDS = 3_600
DAY_SECONDS = 86_400
MONTH_SECONDS = 2_629_800  # a twelfth of 365.25 days

_HOURS_OF_DAY = (
    *(0.16, 0.12, 0.10, 0.10, 0.14, 0.24, 0.46, 0.86, 1.36, 1.62, 1.66, 1.50),
    *(1.26, 1.46, 1.62, 1.60, 1.50, 1.32, 1.10, 0.92, 0.74, 0.54, 0.36, 0.24),
)
_DAYS_OF_WEEK = (1.16, 1.22, 1.16, 1.08, 0.92, 0.34, 0.30)
_RUSH_HOURS = 96
_RELEASE_EVERY_DAYS = 9


class Rhythm:
    """The hours from `start` to `ending` (Unix seconds), each with the share of all events it gets."""

    def __init__(self, dice: Dice, start: int, ending: int) -> None:
        self.start, self.ending = start, ending
        self.releases = _releases(dice, start, ending)
        hours = max(1, (ending - start) // HOUR_SECONDS)
        weights = [_usual(start + hour * HOUR_SECONDS) for hour in range(hours)]
        for hour in range(hours):
            weights[hour] *= (0.45 + 1.1 * hour / hours) * (0.7 + 0.6 * dice.roll())
        for release in self.releases:
            first = (release - start) // HOUR_SECONDS
            for hour in range(first, min(hours, first + _RUSH_HOURS)):
                weights[hour] *= 1 + 1.5 / (1 + (hour - first) / 16)
        self._reached = list(accumulate(weights))
        self._seconds_an_hour = (ending - start) / hours

    def moments(self, count: int, dice: Dice) -> Iterator[int]:
        """Yield `count` moments in Unix seconds, never falling, that fill the hours by their shares."""
        reached, total = self._reached, self._reached[-1]
        hour, before = 0, 0.0
        roll, seconds, start, last = dice.roll, self._seconds_an_hour, self.start, len(self._reached) - 1
        for number in range(count):
            target = (number + roll()) * total / count
            while target > reached[hour] and hour < last:
                before = reached[hour]
                hour += 1
            within = (target - before) / (reached[hour] - before)
            yield int(start + (hour + min(within, 0.9999)) * seconds)

    def share_before(self, moment: int) -> float:
        """Return which part of all events comes before a moment, 0 to 1."""
        hour = int((moment - self.start) / self._seconds_an_hour)
        return self._reached[min(hour, len(self._reached)) - 1] / self._reached[-1] if hour > 0 else 0.0


def _usual(moment: int) -> float:
    """Return how busy an hour is by the clock (UTC) and the day of the week alone."""
    day = (moment // DAY_SECONDS + 3) % 7  # 1 January 1970 was a Thursday
    return _HOURS_OF_DAY[moment // HOUR_SECONDS % 24] * _DAYS_OF_WEEK[day]


def _releases(dice: Dice, start: int, ending: int) -> list[int]:
    """Return when changelog entries come out: every nine days or so, between Monday and Thursday, at work."""
    found: list[int] = []
    moment = start + int(dice.between(12, 20) * DAY_SECONDS)
    while moment < ending - DAY_SECONDS:
        day = moment // DAY_SECONDS
        day -= max(0, (day + 3) % 7 - 3)
        found.append(day * DAY_SECONDS + int(dice.between(9, 15) * HOUR_SECONDS))
        moment += int(dice.between(0.5, 1.5) * _RELEASE_EVERY_DAYS * DAY_SECONDS)
    return found
