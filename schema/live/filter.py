"""Finds the subscribers that an event is for without asking each of them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, TypeVar

import orjson

from schema.ids import ids_of
from schema.objects.event import columns_named
from schema.plan.conditions import Size
from schema.scalars import before
from service.errors import BadArgument

Fact = Mapping[str, Any]
"""A row of event_facts: position, product_id, type, action, entity, item_id, user_id and so on."""

COLUMNS: Final = ("item_id", "user_id", "type", "product_id")
"""What an index may go by, the most selective first."""

Check = Callable[[Fact], bool]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events one filter lets through.

    `keys` is a column of COLUMNS with the values that an event must have there (None: no such demand);
    `matches` decides, given an event with one of these values. Equal `key`s want the same events. All are of
    `product`, where it is named.
    """

    key: Hashable
    matches: Check
    column: str | None = None
    values: frozenset[Any] = frozenset()
    product: int | None = None

    def of_origins(self, origins: frozenset[str]) -> Wanted:
        """Return what is wanted, of events that came in these ways only."""
        matches = self.matches
        return Wanted(
            (origins, self.key),
            lambda fact: fact["origin"] in origins and matches(fact),
            self.column,
            self.values,
            self.product,
        )


class Index(Generic[_T]):
    """Members by what they want: an event meets only those filed under one of its own values."""

    def __init__(self) -> None:
        self._members: dict[Hashable, tuple[Wanted, set[_T]]] = {}
        self._filed: dict[str, dict[Any, dict[Hashable, Wanted]]] = {column: {} for column in COLUMNS}
        self._unfiled: dict[Hashable, Wanted] = {}

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


EVERYTHING: Final = Wanted("everything", lambda _: True)


def event_filter(given: Mapping[str, Any] | None) -> Wanted:
    """Return what an EventFilter lets through, decided as the SQL of `events(filter:)` decides it.

    But for windows of the `last` so long, which count back from when each event was recorded: it passes or
    not by itself, for ever. What is unknown satisfies no comparison, and `not` lets through what does not
    hold, unknown included: two truth values do for SQL's three. Raises BadArgument and BadId.
    """
    if not given:
        return EVERYTHING
    matches = _all(given, 0, Size())
    key = orjson.dumps(given, default=_plain, option=orjson.OPT_SORT_KEYS)
    column, values = _demanded(given)
    return Wanted(key, matches, column, values)


def _demanded(given: Mapping[str, Any]) -> tuple[str | None, frozenset[Any]]:
    """Return a column, if there is one, and the values of which every event that matches has one there."""
    for column, name in (("item_id", "itemId"), ("user_id", "userId")):
        if given.get(name) is not None:
            return column, frozenset((_parts(given[name], name)[1],))
    if given.get("types") is not None:
        return "type", _names(given["types"])
    for each in given.get("and") or ():
        column_of_one, values = _demanded(each)
        if column_of_one is not None:
            return column_of_one, values
    either = [_demanded(each) for each in given.get("or") or ()]
    columns = {column_of_one for column_of_one, _ in either}
    if len(columns) == 1 and None not in columns:
        return columns.pop(), frozenset().union(*(values for _, values in either))
    return None, frozenset()


def _all(given: Mapping[str, Any], depth: int, size: Size) -> Check:
    size.add(given, depth)
    return _every([_check(name, value, depth, size) for name, value in given.items() if value is not None])


def _every(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]
    return lambda fact: all(check(fact) for check in checks)


def _check(name: str, value: Any, depth: int, size: Size) -> Check:
    match name:
        case "and":
            return _every([_all(each, depth + 1, size) for each in value])
        case "or" if value and all(each.keys() == {"itemId"} and each["itemId"] for each in value):
            items = frozenset(_parts(each["itemId"], "itemId") for each in value)
            return lambda fact: (fact["product_id"], fact["item_id"]) in items
        case "or":
            checks = [_all(each, depth + 1, size) for each in value]
            return lambda fact: any(check(fact) for check in checks)
        case "not":
            check = _all(value, depth + 1, size)
            return lambda fact: not check(fact)
        case "types":
            return _one_of("type", _names(value))
        case "actions":
            return _one_of("action", frozenset(value))
        case "origins":
            return _one_of("origin", _names(value))
        case "itemId" | "userId":
            product, key = _parts(value, name)
            column = "item_id" if name == "itemId" else "user_id"
            return lambda fact: fact[column] == key and fact["product_id"] == product
        case "entity" | "position":
            return _every([_compare(name, each, to) for each, to in value.items() if to is not None])
        case "occurred":
            return _within("occurred_at", value)
        case "recorded":
            return _within("recorded_at", value)
        case "changedFields":
            fields = frozenset(columns_named(value))
            return lambda fact: not fields.isdisjoint(fact["changed_fields"] or ())
    raise BadArgument("filter", name, "cannot be followed live")


def _one_of(column: str, values: frozenset[Any]) -> Check:
    return lambda fact: fact[column] in values


def _parts(text: str, name: str) -> tuple[int, str]:
    return ids_of(text, "Item" if name == "itemId" else "User")


def _names(values: Iterable[Any]) -> frozenset[str]:
    return frozenset(str(each.value) for each in values)


_SYMBOLS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda value, given: value in given,
    "notIn": lambda value, given: value not in given,
    "contains": lambda value, given: given.lower() in value.lower(),
    "startsWith": lambda value, given: value.lower().startswith(given.lower()),
}


def _compare(column: str, name: str, given: Any) -> Check:
    match name:
        case "isNull":
            return lambda fact: (fact[column] is None) == given
        case "ne":
            return lambda fact: fact[column] != given
    holds = _SYMBOLS[name]
    return lambda fact: fact[column] is not None and holds(fact[column], given)


def _within(column: str, window: Mapping[str, Any]) -> Check:
    start, end, last = (window.get(name) for name in ("from", "to", "last"))
    if last is not None:
        if start is not None or end is not None:
            raise BadArgument(column, "last", "cannot be combined with from or to; give one form")
        # Not from now: whoever resumes later would miss what a follower got.
        return lambda fact: fact[column] >= before(fact["recorded_at"], last)
    return lambda fact: (start is None or fact[column] >= start) and (end is None or fact[column] < end)


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    return str(value)
