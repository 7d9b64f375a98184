"""Says where among a subscription's messages a client stopped: a position, and how many of its messages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_CURSOR: Final = re.compile(r"([0-9]{1,18})(?::([0-9]{1,4}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """A place right behind a message: all of a position, or its first `ordinal` messages.

    >>> str(ResumePoint(41)), str(ResumePoint(41, 2))
    ('41', '41:2')
    """

    position: int
    ordinal: int = 0

    def __str__(self) -> str:
        return f"{self.position}:{self.ordinal}" if self.ordinal else str(self.position)


def parse_cursor(text: str) -> ResumePoint | None:
    """Return what `str` made of a cursor, None for other text.

    >>> parse_cursor("41:2"), parse_cursor("41"), parse_cursor("-1")
    (ResumePoint(position=41, ordinal=2), ResumePoint(position=41, ordinal=0), None)
    """
    found = _CURSOR.fullmatch(text)
    return None if found is None else ResumePoint(int(found[1]), int(found[2] or 0))
