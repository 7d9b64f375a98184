"""Says how large and how lively a simulated board is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import sqrt

from service.errors import InvalidKnob
from service.simulator.rhythm import DAY_SECONDS, MONTH_SECONDS

DEFAULT_ENDING = datetime(2026, 11, 1, tzinfo=UTC)
"""Where a history ends when nobody says: a fixed moment, so that a seed means the same bytes on every day."""

_PAIRS_USED_MOST = 0.12  # votes as a share of users times items; beyond, pairs that have not voted get rare

_BOUNDS: dict[str, tuple[float, float]] = {
    "events": (0, 1_000_000_000),
    "months": (1, 1_200),
    "users": (1, 100_000_000),
    "items": (1, 100_000_000),
    "rate": (0, 10_000_000),
    "votes_share": (0, 0.95),
    "withdrawn_share": (0, 1),
    "product_id": (1, 2**63 - 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """The same knobs and the same seed give the same bytes.

    `events` is the length of the history; without it, `rate` events a day over the months. `users`
    and `items` are how many there are at its end; a short history has fewer, and where the votes
    would not fit there are more, in the same proportion. `votes_share` is the part of all events
    that are votes; `withdrawn_share` how many totals change in silence for each vote.
    """

    seed: int
    events: int | None = None
    months: int = 18
    users: int = 900
    items: int = 400
    rate: float = 91.3
    votes_share: float = 0.675
    withdrawn_share: float = 0.008
    ending: datetime = DEFAULT_ENDING
    product_id: int = 647288130

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise InvalidKnob(name, value, f"from {least} to {most}")
        if self.ending.tzinfo is None:
            raise InvalidKnob("ending", self.ending, "a moment with a time zone")

    @property
    def length(self) -> int:
        """How many events the history has."""
        if self.events is not None:
            return self.events
        return round(self.rate * self.months * MONTH_SECONDS / DAY_SECONDS)

    def people_and_items(self) -> tuple[int, int]:
        """Return how many users and items the history ends with."""
        users = min(self.users, max(12, self.length // 10))
        items = min(self.items, max(8, self.length // 30))
        crowding = self.length * self.votes_share / (users * items * _PAIRS_USED_MOST)
        more = sqrt(crowding) if crowding > 1 else 1.0
        return int(users * more), int(items * more)
