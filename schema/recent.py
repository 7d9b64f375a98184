"""Keeps what was used last."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class RecentlyUsed(OrderedDict[K, V]):
    """Values by key; of more than `most` the least recently used is forgotten."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def find(self, key: K) -> V | None:
        """Return what is kept, used again by this; None for nothing."""
        value = self.get(key)
        if value is not None:
            self.move_to_end(key)
        return value

    def keep(self, key: K, value: V) -> V:
        """Keep a value, and return it."""
        self[key] = value
        if len(self) > self._most:
            self.popitem(last=False)
        return value
