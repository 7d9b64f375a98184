"""Counts what is to be asked for: exact once all posts were listed, which say how much there is of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final

from service.backfill.compare import KINDS, Kind
from service.sleekplan.walk import PER_PAGE

CHILDREN: Final[tuple[Kind, ...]] = ("comments", "votes", "subscribers")
EVERYTHING: Final[frozenset[Kind]] = frozenset(KINDS)


def promised(kind: Kind, post: dict[str, Any]) -> int:
    """Return how many of a kind a post says that its item has; 0 where it says none.

    >>> promised("votes", {"total_up": "7", "total_down": 2})
    9
    """
    members = {
        "comments": ("total_comments",),
        "votes": ("total_up", "total_down"),
        "subscribers": ("total_subscriber",),
    }
    return sum(_count(post.get(member)) for member in members[kind])


def _count(value: object) -> int:
    if isinstance(value, str) and value.isdecimal() and len(value) <= 9:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def pages(rows: int) -> int:
    """Return how many requests a list of so many rows takes."""
    return ceil(rows / PER_PAGE)


@dataclass
class Estimate:
    """What a board holds by what its posts say, and how many requests their lists take."""

    items: int = 0
    rows: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(CHILDREN, 0))
    requests: int = 0

    def add(self, posts: Iterable[dict[str, Any]], kinds: frozenset[Kind]) -> None:
        """Count a page of posts in."""
        for post in posts:
            self.items += 1
            for kind in CHILDREN:
                if kind in kinds:
                    self.rows[kind] += promised(kind, post)
                    self.requests += pages(promised(kind, post))
