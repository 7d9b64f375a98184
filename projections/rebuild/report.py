"""What a rebuild tells while it runs and when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Watch = Callable[[int, int], None]
"""Told how far a rebuild or a comparison is: the position up to which events are counted in, and the last."""


@dataclass(frozen=True)
class RebuildReport:
    """What a rebuild did."""

    projections: tuple[str, ...]
    events: int
    seconds: float
    resumed_at: int = 0

    @property
    def rate_per_second(self) -> float:
        """Events a second, of those that this run counted in."""
        return (self.events - self.resumed_at) / max(self.seconds, 1e-9)
