"""Reads what Sleekplan's API answers: the envelope in each of its spellings, and what is one at all.

Nothing that an answer says is repeated in an error: it may be a person's data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from service.errors import SleekplanFailed

Row = dict[str, Any]

_MEMBERS: Final = ("items", "comments", "votes", "subscribers", "updates", "users", "posts")
_NOTHING: Final = re.compile(r"\b(0|no|zero)\b.*\bfound\b|\bnothing\b|\bis empty\b", re.IGNORECASE)


class FoundRows(NamedTuple):
    """The rows of a page, each with its key where it is held by one; `more` is None where nothing says."""

    rows: list[tuple[str | None, Row]]
    more: bool | None


def says_nothing_found(content: object) -> bool:
    """Whether an error is how an empty list is answered: "0 items found".

    >>> says_nothing_found({"status": "error", "message": "0 items found"})
    True
    >>> says_nothing_found({"status": "error", "message": "post not found"})
    False
    """
    message = content.get("message") if isinstance(content, dict) else None
    return isinstance(message, str) and _NOTHING.search(message) is not None


def rows_of(path: str, content: object) -> FoundRows:
    """Return the rows of an answer: under `items`, `comments` or `votes` of its `data`, or `data` itself.

    They may be a list, or an object by their id. Whatever else is an error, never an empty list. Raises
    SleekplanFailed.
    """
    if says_nothing_found(content):
        return FoundRows([], False)
    if not isinstance(content, dict) or "data" not in content:
        raise SleekplanFailed(path, 200, "is no object with a member data")
    data, more = content["data"], None
    if isinstance(data, dict):
        more = _flag(data.get("has_more"))
        member = next((name for name in _MEMBERS if isinstance(data.get(name), dict | list)), None)
        if member is not None:
            data = data[member]
        elif more is not None or any(name in data for name in _MEMBERS):
            data = next((data[name] for name in _MEMBERS if name in data), [])
    if data is None:
        return FoundRows([], more)
    if isinstance(data, list):
        found: list[tuple[str | None, Any]] = [(None, row) for row in data]
    elif isinstance(data, dict):
        found = [(key, row) for key, row in data.items()]
    else:
        raise SleekplanFailed(path, 200, "has neither a list nor an object where its rows should be")
    if not all(isinstance(row, dict) for _, row in found):
        raise SleekplanFailed(path, 200, "has rows that are no objects")
    return FoundRows(found, more)


def one_of(path: str, content: object) -> Row:
    """Return the one object that an answer is about: its `data`, or what is under `item` or `post` there."""
    data = content.get("data") if isinstance(content, dict) else None
    if isinstance(data, dict):
        for name in ("item", "post"):
            if isinstance(data.get(name), dict):
                return dict(data[name])
        return data
    raise SleekplanFailed(path, 200, "is no object with a member data that is one")


def _flag(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.lower())
    return bool(value) if isinstance(value, bool | int) else None


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how many seconds `Retry-After` asks to wait, which says so or names a date; None without one."""
    said = headers.get("Retry-After", "").strip()
    if said.isdecimal() and len(said) <= 9:
        return float(said)
    date = _date(said)
    return None if date is None else (date - now).total_seconds()


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """Return the moment that an answer's `Date` names; None without one that can be read."""
    return _date(headers.get("Date", ""))


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
