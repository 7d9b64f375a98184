"""Turns what is given for a filter into SQL conditions; values are always parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from schema.declare.blocks import put
from schema.declare.filters import Between, Compare, Filter, Flag, Given, Ids, Search, Test
from schema.declare.request import Values
from schema.ids import ids_of
from schema.plan.statement import Scope, Statement, dig, window_ends
from service.errors import BadArgument

Path = tuple[Any, ...]
DEPTH_MAX: Final = 12
CONDITIONS_MAX: Final = 100
SEARCH_WORDS_MAX: Final = 50
SEARCH_CHARACTERS_MAX: Final = 1_000

_SYMBOLS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def conditions(
    statement: Statement, filter_: Filter, given: Mapping[str, Any], place: int, scope: Scope
) -> list[str]:
    """Return the conditions of a filter, all of which must hold."""
    found = _Conditions(statement, filter_, place, scope).all(given, ("filter",))
    return [*found, *filter_.left_out(given)]


def words_of(statement: Statement, place: int, path: Path) -> str:
    """Return a search's words, at this path of the arguments; too many are refused once they are given."""
    return statement.argument(place, "text", lambda args: _searched(dig(args, path)))


def _searched(text: str) -> str:
    """Return what is searched for; each word is looked for by itself. Raises BadArgument for too many."""
    if len(text) > SEARCH_CHARACTERS_MAX or len(text.split()) > SEARCH_WORDS_MAX:
        most = f"{SEARCH_WORDS_MAX} words of {SEARCH_CHARACTERS_MAX:,} characters together"
        raise BadArgument("search", text, f"… is too much to search for; name at most {most}")
    return text


class Size:
    """How much of a filter was met. What each event or row is held against holds up all others meanwhile."""

    def __init__(self) -> None:
        self._conditions = 0

    def add(self, given: Mapping[str, Any], depth: int) -> None:
        """Count what stands together, at a depth from 0 on. Raises BadArgument for too much or too deep."""
        if depth >= DEPTH_MAX:
            raise BadArgument("filter", "and/or/not", f"is nested deeper than {DEPTH_MAX}; flatten it")
        self._conditions += max(len(given), 1)
        if self._conditions > CONDITIONS_MAX:
            name_lists = "list what one may be (in, hasAny), or ask in parts"
            raise BadArgument("filter", "and/or/not", f"holds more than {CONDITIONS_MAX}; {name_lists}")


class _Conditions:
    def __init__(self, statement: Statement, filter_: Filter, place: int, scope: Scope) -> None:
        self._statement, self._tests, self._place, self._scope = statement, filter_.tests, place, scope
        self._size = Size()

    def all(self, given: Mapping[str, Any], path: Path) -> list[str]:
        self._size.add(given, sum(isinstance(step, str) for step in path) - 1)
        found: list[str] = []
        for key, value in given.items():
            if value is None:
                continue
            at = (*path, key)
            if key == "and":
                found += [_every(self.all(each, (*at, i))) for i, each in enumerate(value)]
            elif key == "or":
                found.append(_any([_every(self.all(each, (*at, i))) for i, each in enumerate(value)]))
            elif key == "not":
                found.append(f"({_every(self.all(value, at))}) is not true")
            else:
                found += self._test(self._tests[key], value, at)
        return found

    def _test(self, test: Test, value: Any, path: Path) -> list[str]:
        match test:
            case Compare():
                return [
                    self._compare(test, operator, each, (*path, operator))
                    for operator, each in value.items()
                    if each is not None
                ]
            case Flag():
                return [test.when_true if value else test.when_false]
            case Between():
                return [self._between(test.condition, value, path)]
            case Ids():
                return self._ids(test, value, path)
            case Given():
                return [self._given(test, path)]
            case Search():
                text = test.now if self._scope.moment.now else test.then
                return [self._fill(text, words=words_of(self._statement, self._place, path))]

    def _fill(self, text: str, **names: str) -> str:
        return self._statement.fill(text, Scope(self._scope.moment, names))

    def _value(self, cast: str, path: Path, convert: Callable[[Any], object] = lambda given: given) -> str:
        return self._statement.argument(self._place, cast, lambda args: convert(dig(args, path)))

    def _compare(self, test: Compare, operator: str, value: Any, path: Path) -> str:
        expr = test.expr
        match operator:
            case "isNull":
                return f"{expr} is {'null' if value else 'not null'}"
            case "in":
                return f"{expr} = any({self._value(test.cast + '[]', path)})"
            case "notIn":
                # Of an empty list all are true, of the unknown too.
                return f"({expr} is not null and {expr} <> all({self._value(test.cast + '[]', path)}))"
            case "has":
                return f"{expr} @> array[{self._value('text', path)}]"
            case "hasAny":
                return f"{expr} && {self._value(test.cast, path)}"
            case "hasAll":
                return f"{expr} @> {self._value(test.cast, path)}"
            case "isEmpty":
                return f"cardinality({expr}) {'=' if value else '>'} 0"
            case "contains":
                return f"{expr} ilike {self._value('text', path, lambda text: f'%{_literal(text)}%')}"
            case "startsWith":
                return f"{expr} ilike {self._value('text', path, lambda text: f'{_literal(text)}%')}"
            case "within":
                return self._between(put(":expr >= :from and :expr < :until", expr=expr), value, path)
            case "eq":
                return f"{expr} = {self._value(test.cast, path)}"
            case "ne":
                return f"{expr} is distinct from {self._value(test.cast, path)}"
        return f"{expr} {_SYMBOLS[operator]} {self._value(test.cast, path)}"

    def _between(self, condition: str, given: Mapping[str, Any], path: Path) -> str:
        start, end = window_ends(self._statement, self._place, path, given, self._scope.moment)
        return self._fill(condition, **{"from": start, "until": end})

    def _ids(self, test: Ids, value: Any, path: Path) -> list[str]:
        is_input = isinstance(value, Mapping)
        found = []
        for operator, each in value.items() if is_input else [("eq", value)]:
            if each is None:
                continue
            inner = (*path, operator) if is_input else path
            if operator == "isNull":
                found.append(f"{test.column} is {'null' if each else 'not null'}")
                continue

            def parts(given: Any, part: int) -> list[object]:
                given = given if isinstance(given, list) else [given]
                return [ids_of(each, test.type_name)[part] for each in given]

            products = self._value("bigint[]", inner, lambda given: parts(given, 0))
            ids = self._value("text[]", inner, lambda given: parts(given, 1))
            if operator == "eq":
                found.append(f"{test.product} = ({products})[1] and {test.column} = ({ids})[1]")
            else:
                found.append(
                    f"({test.product}, {test.column}) in (select wanted.product_id, wanted.id"
                    f" from unnest({products}, {ids}) as wanted(product_id, id))"
                )
        return found

    def _given(self, test: Given, path: Path) -> str:
        place, with_request = self._place, test.with_request
        if with_request is None:
            return self._fill(test.condition, value=self._value(test.cast, path, test.value))

        def value(request: Values) -> object:
            return with_request(dig(request.args[place], path), request)

        return self._fill(test.condition, value=self._statement.bind(test.cast, value))


def _literal(text: str) -> str:
    """Escape what `like` would read as a pattern."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _every(conditions: list[str]) -> str:
    return "(" + " and ".join(f"({each})" for each in conditions) + ")" if conditions else "true"


def _any(conditions: list[str]) -> str:
    return "(" + " or ".join(conditions) + ")" if conditions else "false"
