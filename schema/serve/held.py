"""Says how much clients may hold open, and counts what each address does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """How much clients may hold open, and how long they may be silent."""

    sockets_max: int = 20_000
    operations_socket_max: int = 100
    operations_address_max: int = 5_000
    init_seconds: float = 10.0
    ping_seconds: float = 25.0
    silence_seconds: float = 90.0
    close_seconds: float = 3.0


class PerAddress:
    """How many operations run from each address, over WebSockets and event streams together."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._counts)

    def full(self, address: str) -> bool:
        """Whether this address may start no more."""
        return self._counts[address] >= self.most

    def take(self, address: str) -> None:
        """Count one that starts."""
        self._counts[address] += 1

    def leave(self, address: str) -> None:
        """Count one that ended; an address without any is forgotten."""
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]
