"""Tells an ordinary quiet day from a webhook that no longer arrives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DAY_SECONDS: Final = 86_400
EVENTS_MISSED_MIN: Final = 10


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a product has said nothing, beside what is usual for it."""

    product_id: int
    last_at: float
    age_seconds: float
    usual_a_day: float

    def is_alarming(self, after_days: float) -> bool:
        """Return whether so much is missing that chance does not explain it.

        Two conditions: nothing for `after_days`, which lets weekends and holidays pass, and at least ten
        events that the month before the silence would have brought in that time, so that a board with an
        event a week is not reported each Tuesday.

        >>> Silence(1, 0.0, 3.1 * DAY_SECONDS, usual_a_day=40).is_alarming(after_days=3)
        True
        >>> Silence(1, 0.0, 3.1 * DAY_SECONDS, usual_a_day=0.1).is_alarming(after_days=3)
        False
        """
        days = self.age_seconds / DAY_SECONDS
        return days >= after_days and days * self.usual_a_day >= EVENTS_MISSED_MIN

    def __str__(self) -> str:
        days = self.age_seconds / DAY_SECONDS
        since = f"no event for {days:.1f} days" if days >= 1 else "the last event came within a day"
        usual = f"had {self.usual_a_day:.1f} a day" if self.usual_a_day else "had none"
        return f"product {self.product_id}: {since}; the month before {usual}"
