"""What a sweep has to say of itself at its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from service.backfill.absence import Withheld
from service.backfill.sweeps import ScopesCounted


@dataclass
class SweepReport:
    """How a sweep went."""

    sweep: str
    state: str = "PARTIAL"
    problem: str | None = None
    resumed: bool = False
    requests: int = 0
    recorded: Counter[str] = field(default_factory=Counter)
    scopes: list[ScopesCounted] = field(default_factory=list)
    waiting_seconds: float = 0.0
    dates_ahead: int = 0
    loops: list[str] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    """What was gone in numbers that are not believed, and not recorded."""
    spared: int = 0
    """Votes that are not listed any more because their people are gone; they stay."""
