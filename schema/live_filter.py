"""Finds the subscribers that an event is for without asking each of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

Fact = Mapping[str, Any]
"""A row of event_facts: position, product_id, type, action, entity, item_id, user_id and so on."""

COLUMNS: Final = ("item_id", "user_id", "type", "product_id")
"""What an index may go by, the most selective first."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events one filter lets through.

    `keys` is a column of COLUMNS with the values that an event must have there (None: no such demand);
    `matches` decides, given an event with one of these values. Equal `key`s want the same events.
    """

    key: Hashable
    matches: Callable[[Fact], bool]
    column: str | None = None
    values: frozenset[Any] = frozenset()


class Index(Generic[_T]):
    """Members by what they want: an event meets only those filed under one of its own values."""

    def __init__(self) -> None:
        self._members: dict[Hashable, tuple[Wanted, set[_T]]] = {}
        self._filed: dict[str, dict[Any, dict[Hashable, Wanted]]] = {column: {} for column in COLUMNS}
        self._unfiled: dict[Hashable, Wanted] = {}

    def __bool__(self) -> bool:
        return bool(self._members)

    def add(self, wanted: Wanted, member: _T) -> None:
        """File a member; those with an equal filter are asked as one."""
        known = self._members.get(wanted.key)
        if known is not None:
            known[1].add(member)
            return
        self._members[wanted.key] = wanted, {member}
        for place in self._places(wanted):
            place[wanted.key] = wanted

    def remove(self, wanted: Wanted, member: _T) -> None:
        """Forget a member, and its filter when it was the last."""
        known = self._members.get(wanted.key)
        if known is None:
            return
        known[1].discard(member)
        if known[1]:
            return
        del self._members[wanted.key]
        for place in self._places(wanted):
            place.pop(wanted.key, None)
        if wanted.column is not None:
            filed = self._filed[wanted.column]
            for value in wanted.values:
                if not filed.get(value, True):
                    del filed[value]

    def everybody(self) -> list[_T]:
        """Return all members."""
        return [member for _, members in self._members.values() for member in members]

    def _places(self, wanted: Wanted) -> Iterable[dict[Hashable, Wanted]]:
        if wanted.column is None:
            return [self._unfiled]
        filed = self._filed[wanted.column]
        return [filed.setdefault(value, {}) for value in wanted.values]

    def meet(self, fact: Fact) -> list[_T]:
        """Return the members whose filter lets this event through."""
        met: list[_T] = []
        for wanted in self._unfiled.values():
            if wanted.matches(fact):
                met.extend(self._members[wanted.key][1])
        for column in COLUMNS:
            filed = self._filed[column]
            if not filed:
                continue
            for wanted in filed.get(fact[column], _NONE).values():
                if wanted.matches(fact):
                    met.extend(self._members[wanted.key][1])
        return met


_NONE: Final[dict[Hashable, Wanted]] = {}
