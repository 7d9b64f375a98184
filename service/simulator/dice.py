"""Rolls that come out the same for a seed on every Python, platform and hash seed."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """One seeded stream of chance.

    Everything is made of `Random.random()`, the one method whose sequence Python promises to keep,
    and of `+ - * /` and square roots, which every platform rounds alike. `exp`, `log` and `pow`
    differ in the last bit between C libraries, and one bit is enough to fork a history.
    """

    __slots__ = ("roll",)

    def __init__(self, seed: int, stream: int = 0) -> None:
        self.roll = Random(abs(seed) * 64 + stream * 2 + (seed < 0)).random

    def below(self, limit: int) -> int:
        """Return a whole number from 0 to `limit - 1`."""
        return int(self.roll() * limit)

    def between(self, low: float, high: float) -> float:
        """Return a number from `low` up to `high`, each as likely."""
        return low + (high - low) * self.roll()

    def chance(self, share: float) -> bool:
        """Return True in `share` of all calls."""
        return self.roll() < share

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of `choices`, each as likely."""
        return choices[int(self.roll() * len(choices))]

    def pick_weighted(self, choices: Sequence[tuple[T, float]]) -> T:
        """Return one of `choices`, each as likely as its weight; the weights sum to one."""
        left = self.roll()
        for choice, weight in choices:
            left -= weight
            if left < 0:
                return choice
        return choices[-1][0]

    def long_tail(self, scale: float) -> float:
        """Return a positive number whose median is about `scale` and whose longest is near 25 times that."""
        roll = self.roll()
        return scale * roll / (1.04 - roll)

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """Return the values in an order of chance."""
        order = list(values)
        for last in range(len(order) - 1, 0, -1):
            other = int(self.roll() * (last + 1))
            order[last], order[other] = order[other], order[last]
        return order
