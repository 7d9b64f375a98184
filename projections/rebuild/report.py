"""What a rebuild tells while it runs and when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a rebuild is: events counted in, of how many, and how fast."""

    rebuild: int
    position: int
    head: int
    rate_per_second: float
    stage: str = "loading"


@dataclass(frozen=True)
class RebuildReport:
    """What a rebuild did."""

    rebuild: int
    projections: tuple[str, ...]
    generation: int
    events: int
    seconds: float
    resumed_at: int
    switch_seconds: float

    @property
    def rate_per_second(self) -> float:
        """Events a second, of those that this run counted in."""
        return (self.events - self.resumed_at) / max(self.seconds, 1e-9)


Watch = Callable[[Progress], None]
