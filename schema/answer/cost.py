"""Estimates what an operation would cost to answer, from what it asks for: a point a value, times `first`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from math import ceil
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLOutputType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_introspection_query,
    get_named_type,
    parse,
    type_from_ast,
    value_from_ast_untyped,
)

from schema.errors import Refused
from schema.objects.calendar import STEPS_MAX
from schema.scalars import before, parse_duration, parse_moment

SIZE_ARGUMENTS: Final = ("first", "last", "top")
_COUNTED: Final = {*SIZE_ARGUMENTS, "bucket", "ids", "window"}
LIST_ASSUMED: Final = 10
PAGE_SIZE_DEFAULT: Final = 50
_DAY: Final = dt.timedelta(days=1)
SERIES_ASSUMED: Final = 5 * 365 * _DAY
_STEPS: Final = {"HOUR": _DAY / 24, "DAY": _DAY, "WEEK": 7 * _DAY, "MONTH": 365.25 / 12 * _DAY}
COST_EXCEEDED: Final = "COST_EXCEEDED"

# Lists of introspection by the length that they have in a schema like ours; `types` is counted.
_INTROSPECTION_LISTS: Final = {"args": 3, "fields": 10, "inputFields": 8, "possibleTypes": 5, "interfaces": 2}


class Costs:
    """Counts the points of operations on one schema.

    A field costs one point and what it holds; a list costs that as often as `first`, `last` or `top` says,
    on itself or on the connection around it, or `ids` are named, and ten times where nothing says. A series
    has a point for each step of its window, of five years where that has no beginning. Fields of
    introspection are counted apart: the whole standard query is the measure there.
    """

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        document = parse(get_introspection_query(input_value_deprecation=True, specified_by_url=True))
        operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        self.introspection_max = 2 * self.of(document, operation, {})[1]

    def of(
        self, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
    ) -> tuple[int, int]:
        """Return the points of an operation and, apart from them, of the introspection that it asks for."""
        fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        defaults = {
            node.variable.name.value: value_from_ast_untyped(node.default_value)
            for node in operation.variable_definitions or ()
            if node.default_value is not None
        }
        count = _Count(self._schema, fragments, {**defaults, **variables})
        root = self._schema.get_root_type(operation.operation)
        cost = count.of(operation.selection_set, root, LIST_ASSUMED)
        return cost, count.introspection

    def within(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
        most: int,
    ) -> int:
        """Return the points of an operation with these variables; raises Refused when they are too many."""
        cost, introspection = self.of(document, operation, variables)
        if cost > most:
            raise _too_costly(cost, most, "cost")
        if introspection > self.introspection_max:
            raise _too_costly(introspection, self.introspection_max, "introspection cost")
        return cost


class _Count:
    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: dict[str, Any],
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        self._known: dict[tuple[str, int], int] = {}
        self._types = len(schema.type_map)
        self.introspection = 0

    def of(self, selection_set: SelectionSetNode, parent: GraphQLNamedType | None, size: int) -> int:
        """Count a selection; `size` is how long a list directly in it may be."""
        cost = 0
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                cost += self._field(node, parent, size)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                within = type_from_ast(self._schema, condition) if condition else parent
                cost += self.of(node.selection_set, within, size)
            elif isinstance(node, FragmentSpreadNode):
                cost += self._spread(node.name.value, size)
        return cost

    def _spread(self, name: str, size: int) -> int:
        known = self._known.get((name, size))
        if known is None:
            fragment = self._fragments[name]
            within = type_from_ast(self._schema, fragment.type_condition)
            known = self._known[name, size] = self.of(fragment.selection_set, within, size)
        return known

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None, size: int) -> int:
        name = node.name.value
        if name.startswith("__") and name != "__typename":
            self.introspection += self._introspected(node)
            return 0
        field = self._schema.get_field(parent, name) if parent is not None else None  # type: ignore[arg-type]
        if field is None or node.selection_set is None:
            return 1
        given = {
            argument.name.value: value_from_ast_untyped(argument.value, self._variables)
            for argument in node.arguments or ()
            if argument.name.value in _COUNTED
        }
        own, inner = _size_asked(given, field), None
        if "bucket" in field.args:
            # Of the `top` so many courses, the points are the list within.
            own, inner = (_steps(given), None) if own is None else (own, _steps(given))
        if not _is_list(field.type):
            own, inner = 1, own
        times, inner = size if own is None else own, LIST_ASSUMED if inner is None else inner
        return 1 + times * self.of(node.selection_set, get_named_type(field.type), inner)

    def _introspected(self, node: FieldNode) -> int:
        if node.selection_set is None:
            return 1
        name = node.name.value
        times = self._types if name == "types" else _INTROSPECTION_LISTS.get(name, 1)
        return 1 + times * self._introspected_set(node.selection_set)

    def _introspected_set(self, selection_set: SelectionSetNode) -> int:
        cost = 0
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                cost += self._introspected(node)
            elif isinstance(node, InlineFragmentNode):
                cost += self._introspected_set(node.selection_set)
            elif isinstance(node, FragmentSpreadNode):
                key = (node.name.value, -1)
                if key not in self._known:
                    self._known[key] = self._introspected_set(self._fragments[node.name.value].selection_set)
                cost += self._known[key]
        return cost


def _too_costly(cost: int, most: int, what: str) -> Refused:
    shown = cost if cost < 10**15 else "more than 10^15"
    return Refused.because(
        f"the operation's {what} is {shown}, at most {most} is allowed; "
        "lower `first`, shorten `window`, name fewer `ids` or select less",
        COST_EXCEEDED,
        cost={"requested": min(cost, 10**15), "maximum": most},
    )


def _size_asked(given: Mapping[str, Any], field: GraphQLField) -> int | None:
    """The longest that `first`, `last`, `top` or `ids` allow, given or by default; None without any."""
    if "ids" in field.args:
        ids = given.get("ids")
        return len(ids) if isinstance(ids, list) else 1
    sizes = []
    for name in SIZE_ARGUMENTS:
        if name in field.args:
            value = given[name] if name in given else field.args[name].default_value
            # As `Int` coerces them: 500.0 is 500.
            if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
                sizes.append(max(int(value), 0))
    if sizes:
        return max(sizes)
    return PAGE_SIZE_DEFAULT if "first" in field.args else None


def _steps(given: Mapping[str, Any]) -> int:
    """How many steps the window of a series has at most; what cannot be read is refused elsewhere."""
    window, step = given.get("window"), _STEPS.get(str(given.get("bucket")), _STEPS["HOUR"])
    now = dt.datetime.now(dt.UTC)
    start, end = now - SERIES_ASSUMED, now
    if isinstance(window, dict):
        try:
            if isinstance(window.get("last"), str):
                start = before(now, parse_duration(window["last"]))
            elif isinstance(window.get("from"), str):
                start = parse_moment(window["from"])
                if isinstance(window.get("to"), str):
                    end = parse_moment(window["to"])
        except GraphQLError:
            pass
    # A window may begin and end within a step.
    return min(max(ceil((end - start) / step), 0) + 1, STEPS_MAX)


def _is_list(type_: GraphQLOutputType) -> bool:
    return isinstance(type_.of_type if isinstance(type_, GraphQLNonNull) else type_, GraphQLList)
