"""What a rebuild tells while it runs and when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a rebuild is: events counted in, of how many, how fast, and how long it will take."""

    rebuild: int
    position: int
    head: int
    rate_per_second: float
    stage: str = "loading"

    @property
    def eta_seconds(self) -> float | None:
        """Seconds left, as far as the rate tells."""
        return (self.head - self.position) / self.rate_per_second if self.rate_per_second > 0 else None


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
