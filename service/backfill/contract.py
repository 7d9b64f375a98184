"""Notes the shape of answers: names and types of members, and nothing of their values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

DEPTH_MAX: Final = 4
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]{0,40}")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


class Contract:
    """The members that were seen of each list, and of which kinds their values were."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, set[str]]] = {}

    def note(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        """Add what some rows of a list look like."""
        seen = self._seen.setdefault(name, {})
        for row in rows:
            self._note(seen, "", row, DEPTH_MAX)

    def _note(self, seen: dict[str, set[str]], path: str, value: dict[str, Any], depth: int) -> None:
        for name, member in value.items():
            # Where objects are keyed by data, and in what customers add, names are values as well.
            known = _NAME.fullmatch(name) and path not in (".data", ".meta", ".user.data")
            place = f"{path}.{name if known else '*'}"
            seen.setdefault(place, set()).add(_kind(member))
            if isinstance(member, dict) and depth > 1:
                self._note(seen, place, member, depth - 1)

    def report(self) -> dict[str, dict[str, list[str]]]:
        """Return, by list and member, the kinds that were seen."""
        return {
            name: {place[1:]: sorted(kinds) for place, kinds in sorted(seen.items())}
            for name, seen in self._seen.items()
        }


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "number"
        case float():
            return "decimal"
        case "":
            return "empty text"
        case str() if value.removeprefix("-").isdecimal():
            return "number in quotes"
        case str() if _MOMENT.fullmatch(value):
            return "moment"
        case str():
            return "text"
        case list():
            return (
                f"list of {' and '.join(sorted({_kind(each) for each in value}))}" if value else "empty list"
            )
        case _:
            return "object"
