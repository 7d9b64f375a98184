"""Says where in the log something was read: a position, how many of its messages, and of which log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2s
from typing import Final

from service.errors import BadArgument

_CURSOR: Final = re.compile(r"([0-9]{1,18})(?::([0-9]{1,4}))?(?:-([0-9a-f]{8}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """A place right behind a message: all of a position, or its first `ordinal` messages.

    `mark` tells the event there from any other that may stand there: in another log, or in this one after a
    restore or a failover that lost its end. Without it only the number is known.

    >>> str(ResumePoint(41)), str(ResumePoint(41, 2)), str(ResumePoint(41, 2, "9f3ac01d"))
    ('41', '41:2', '41:2-9f3ac01d')
    """

    position: int
    ordinal: int = 0
    mark: str | None = None

    def __str__(self) -> str:
        ordinal = f":{self.ordinal}" if self.ordinal else ""
        return f"{self.position}{ordinal}-{self.mark}" if self.mark else f"{self.position}{ordinal}"


def marked(position: int, recorded_at: datetime | None, ordinal: int = 0) -> ResumePoint:
    """Return a place with the mark of its event; none where there is no event, as before the first.

    The log is known by its events: when each was recorded, to the microsecond and never before the last one,
    comes with it into a dump, a replica, an export. So two logs that have the mark of a position in common
    have all before it in common, and from where they part no mark of one is found in the other.
    """
    if recorded_at is None:
        return ResumePoint(position, ordinal)
    told = f"{position} {recorded_at.isoformat()}".encode()
    return ResumePoint(position, ordinal, blake2s(told, digest_size=4).hexdigest())


def parse_cursor(text: str) -> ResumePoint | None:
    """Return what `str` made of a place, None for other text.

    >>> parse_cursor("41:2"), parse_cursor("41-9f3ac01d").mark, parse_cursor("-1")
    (ResumePoint(position=41, ordinal=2, mark=None), '9f3ac01d', None)
    """
    found = _CURSOR.fullmatch(text)
    return None if found is None else ResumePoint(int(found[1]), int(found[2] or 0), found[3])


def cursor_given(argument: str, text: str) -> ResumePoint:
    """Return the place that an argument names; raises BadArgument for text that is none."""
    found = parse_cursor(text)
    if found is None:
        raise BadArgument(argument, text[:40], "is no cursor; give `extensions.cursor`")
    return found
