"""Reads what an operation selects, with arguments coerced: all that plans depend on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    TypeNameMetaFieldDef,
    get_argument_values,
    get_directive_values,
    get_named_type,
    is_abstract_type,
    is_object_type,
    located_error,
)
from graphql.execution.values import VariableValues, get_variable_values

from schema.declare.request import Args
from schema.declare.source import spec_of
from schema.errors import Refused, coded
from schema.ids import cursor_starts_null

TYPENAME: Final = "__typename"
VARIABLE_ERRORS_MAX: Final = 50


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


@dataclass(frozen=True, slots=True)
class Selection:
    """What an operation selects at its root, as far as statements answer it.

    `refused` are root fields whose arguments are none; `whole` says that nothing is left for graphql-core;
    `nodes` are where errors are located.
    """

    roots: Sequence[Selected]
    refused: Mapping[str, GraphQLError]
    whole: bool
    nodes: Mapping[str, Sequence[FieldNode]]

    @property
    def planned(self) -> Sequence[Selected]:
        """The root fields that statements answer."""
        return [root for root in self.roots if root.name != TYPENAME]


def select(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    given: Mapping[str, Any],
) -> Selection:
    """Return what an operation selects with these variables; raises Refused for ones that are none."""
    variables = get_variable_values(
        schema,
        operation.variable_definitions or (),
        dict(given),
        max_errors=VARIABLE_ERRORS_MAX,
    )
    if not isinstance(variables, VariableValues):
        raise Refused(coded(variables))
    type_ = schema.get_root_type(operation.operation)
    assert type_ is not None
    reader = _Reader(schema, fragments, variables)
    roots: list[Selected] = []
    refused: dict[str, GraphQLError] = {}
    whole = True
    try:
        by_key = reader.collect(type_, [operation])
    except GraphQLError as error:
        raise Refused(coded([error])) from None
    for key, nodes in by_key.items():
        definition = reader.definition(type_, nodes[0])
        if definition is None:
            whole = False  # introspection
            continue
        resolved = definition is not TypeNameMetaFieldDef and spec_of(definition) is None
        try:
            root = reader.field(definition, key, nodes)
        except GraphQLError as error:
            [refused[key]] = coded([located_error(error, nodes, [key])])
            if resolved:  # A mutation would do its work, and tell of the error then.
                raise Refused([refused[key]]) from None
            continue
        if resolved:
            whole = False
        else:
            roots.append(root)
    return Selection(roots, refused, whole and not refused, by_key)


class _Reader:
    """Reads selections as the executor collects them, for one document with one set of coerced variables."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: VariableValues,
    ) -> None:
        self._schema, self._fragments, self._variables = schema, fragments, variables

    def definition(self, type_: GraphQLObjectType, node: FieldNode) -> GraphQLField | None:
        """Return the definition of a field; None for the root's introspection."""
        name = node.name.value
        return TypeNameMetaFieldDef if name == TYPENAME else type_.fields.get(name)

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

    def collect(self, type_: GraphQLObjectType, parents: Iterable[Any]) -> dict[str, list[FieldNode]]:
        """Return what is selected of a type below some nodes, by response key, introspection included."""
        by_key: dict[str, list[FieldNode]] = {}
        seen: set[str] = set()
        for parent in parents:
            if parent.selection_set is not None:
                self._collect(type_, parent.selection_set.selections, by_key, seen)
        return by_key

    def fields(self, type_: GraphQLObjectType, parents: Iterable[Any]) -> list[Selected]:
        """Return what is selected of a type below some nodes."""
        found = []
        for key, nodes in self.collect(type_, parents).items():
            definition = self.definition(type_, nodes[0])
            assert definition is not None, "what is not valid is never read"
            found.append(self.field(definition, key, nodes))
        return found

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
                definition = self._fragments[name]
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
