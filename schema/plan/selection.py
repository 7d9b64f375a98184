"""What an operation selects below one field, with arguments coerced: all that a plan depends on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    InlineFragmentNode,
    SelectionNode,
    TypeNameMetaFieldDef,
    get_argument_values,
    get_directive_values,
    get_named_type,
    is_abstract_type,
    is_object_type,
)
from graphql.execution import Executor
from graphql.execution.values import VariableValues

from schema.declare.request import Args
from schema.ids import cursor_starts_null

TYPENAME: Final = "__typename"


@dataclass(frozen=True, slots=True)
class Selected:
    """One selected field: its place in the answer (`key`), its arguments, and what is selected below it.

    `below` maps the name of each object type that can stand there to what is selected of it: one entry,
    except below an interface or a union.
    """

    name: str
    key: str
    definition: GraphQLField
    args: Mapping[str, Any]
    below: Mapping[str, Sequence[Selected]]
    plans: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)
    """The plans made of this very selection and its arguments, kept by who keeps the selection."""

    def of(self, type_name: str) -> Sequence[Selected]:
        """Return what is selected of the type with this name."""
        return self.below.get(type_name, ())

    @property
    def only(self) -> tuple[str, Sequence[Selected]]:
        """The one type of object that can stand there, and what is selected of it."""
        ((type_name, children),) = self.below.items()
        return type_name, children

    def flat(self) -> Iterator[Selected]:
        """Return this field and all below it, in one order for every selection of the same form."""
        yield self
        for children in self.below.values():
            for child in children:
                yield from child.flat()

    def arguments(self) -> Sequence[Args]:
        """Return the arguments of this field and of all below it, in that order; collected once."""
        known: Sequence[Args] | None = self.plans.get("arguments")
        if known is None:
            known = self.plans["arguments"] = tuple(node.args for node in self.flat())
        return known

    def form(self) -> tuple[object, ...]:
        """Return what a plan may depend on: everything but the values that become parameters."""
        return (
            self.name,
            self.key,
            tuple((name, _form_of(value, name)) for name, value in self.args.items()),
            tuple((name, tuple(child.form() for child in children)) for name, children in self.below.items()),
        )


class SelectionReader:
    """Reads selections as the executor collects them, for one document with one set of coerced variables."""

    def __init__(
        self, schema: GraphQLSchema, fragments: Mapping[str, Any], variables: Mapping[str, Any]
    ) -> None:
        self._schema: Final = schema
        self._fragments = fragments
        # Where the values come from serves the texts of errors only.
        self._variables = VariableValues({}, dict(variables))

    @classmethod
    def of(cls, executor: Executor[Any]) -> SelectionReader:
        """Return the reader of what an executor runs."""
        return cls(executor.schema, executor.fragments, executor.variable_values.coerced)

    def field(self, definition: GraphQLField, key: str, nodes: list[FieldNode]) -> Selected:
        type_ = get_named_type(definition.type)
        below: dict[str, Sequence[Selected]] = {}
        if is_object_type(type_):
            below[type_.name] = self.fields(type_, nodes)
        elif is_abstract_type(type_):
            for possible in self._schema.get_possible_types(type_):
                below[possible.name] = self.fields(possible, nodes)
        args = get_argument_values(definition, nodes[0], self._variables) if definition.args else {}
        return Selected(nodes[0].name.value, key, definition, args, below)

    def chosen(self, names: Iterable[str]) -> tuple[object, ...]:
        """Return the values of variables, for who keeps what depends on them."""
        return tuple(self._variables.coerced.get(name) for name in names)

    def collect(self, type_: GraphQLObjectType, parents: Iterable[Any]) -> dict[str, list[FieldNode]]:
        """Return what is selected of a type below some nodes, by response key, introspection included."""
        by_key: dict[str, list[FieldNode]] = {}
        seen: set[str] = set()
        for parent in parents:
            if parent.selection_set is not None:
                self._collect(type_, parent.selection_set.selections, by_key, seen)
        return by_key

    def fields(self, type_: GraphQLObjectType, parents: Iterable[Any]) -> list[Selected]:
        """Return what is selected of a type below some nodes; only the root has more of introspection."""
        return [
            self.field(
                TypeNameMetaFieldDef
                if nodes[0].name.value == TYPENAME
                else type_.fields[nodes[0].name.value],
                key,
                nodes,
            )
            for key, nodes in self.collect(type_, parents).items()
        ]

    def _collect(
        self,
        type_: GraphQLObjectType,
        selections: Iterable[SelectionNode],
        by_key: dict[str, list[FieldNode]],
        seen: set[str],
    ) -> None:
        for node in selections:
            if node.directives and not self._included(node):
                continue
            if isinstance(node, FieldNode):
                key = node.alias.value if node.alias else node.name.value
                by_key.setdefault(key, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                if self._applies(type_, node.type_condition):
                    self._collect(type_, node.selection_set.selections, by_key, seen)
            elif isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if name in seen:
                    continue
                seen.add(name)
                fragment = self._fragments[name]
                definition = getattr(fragment, "definition", fragment)
                if self._applies(type_, definition.type_condition):
                    self._collect(type_, definition.selection_set.selections, by_key, seen)

    def _included(self, node: SelectionNode) -> bool:
        skip = get_directive_values(GraphQLSkipDirective, node, self._variables)
        if skip and skip["if"]:
            return False
        include = get_directive_values(GraphQLIncludeDirective, node, self._variables)
        return not include or bool(include["if"])

    def _applies(self, type_: GraphQLObjectType, condition: Any) -> bool:
        if condition is None or condition.name.value == type_.name:
            return True
        named = self._schema.get_type(condition.name.value)
        return named is not None and is_abstract_type(named) and self._schema.is_sub_type(named, type_)


PAGE_BOUNDS: Final = (2, 16, 128, 501)
"""How many rows the pages of a plan have at most, the one included that tells whether others follow."""


def bound_of(size: int) -> int:
    """Return the bound of a page of so many rows: plans are made for a bound, not for a size."""
    return next((bound for bound in PAGE_BOUNDS if size < bound), PAGE_BOUNDS[-1])


_VALUE: Final = object()


def _form_of(value: object, name: str = "") -> object:
    """Return an argument without its values; enums, booleans, nulls and the form of objects stay."""
    if name in {"after", "before"} and isinstance(value, str):
        return cursor_starts_null(value)
    if name in {"first", "last"} and type(value) is int:
        return bound_of(value)
    if value is None or isinstance(value, (bool, Enum)):
        return value
    if isinstance(value, Mapping):
        return tuple((key, _form_of(each)) for key, each in value.items())
    if isinstance(value, list):
        if value and isinstance(value[0], Mapping):
            return tuple(_form_of(each) for each in value)
        return _VALUE
    return _VALUE
