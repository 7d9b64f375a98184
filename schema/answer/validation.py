"""Validates a document in time that grows with the document, not with its square."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLOutputType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    TypeNameMetaFieldDef,
    ValidationContext,
    ValidationRule,
    get_named_type,
    is_leaf_type,
    is_object_type,
    print_ast,
    specified_rules,
    type_from_ast,
    validate,
)
from graphql.language import DocumentNode
from graphql.validation import ASTValidationRule, OverlappingFieldsCanBeMergedRule
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.answer.limits import LIMIT_EXCEEDED, Limits
from schema.errors import INVALID, Refused

ENTRIES_MAX: Final = 100_000
"""The most fields that are merged for one operation, each as often as sets of fields hold it."""

_Entry = tuple[GraphQLNamedType | None, FieldNode]


class FieldsMergeRule(ValidationRule):
    """ "Field selection merging" of the specification, each set of fields looked at once.

    graphql-core compares every pair of fields with one name: 300 equal connections, 9.6 KB, take it a second.
    Here the fields of a name are compared with their first, and what they select is merged and compared once.
    """

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        """Check the operation with its fragments spread out, which `limits` has bounded before."""
        schema = self.context.schema
        root = schema.get_root_type(node.operation)
        merging = _Merging(self.context)
        fields = merging.collect([(root, node.selection_set)])
        merging.check_shapes(fields)
        merging.check_same_parents(fields)


RULES: Final[tuple[type[ASTValidationRule], ...]] = (
    *(rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule),
    FieldsMergeRule,
    MaybeNullValidationRule,
    OneOfInputValidationRule,
)


def refuse_invalid(schema: GraphQLSchema, document: DocumentNode, limits: Limits) -> None:
    """Raise Refused with the first few errors of a document, with names that may have been meant.

    Whoever comes this far may introspect: a suggestion tells them nothing that they may not read.
    """
    errors = validate(schema, document, RULES, max_errors=limits.validation_errors_max)
    if errors:
        for error in errors:
            error.extensions = {"code": INVALID, **(error.extensions or {})}
        raise Refused(errors)


class _Merging:
    """One operation's check: collects sets of fields and compares those that share a response name."""

    def __init__(self, context: ValidationContext) -> None:
        self._context = context
        self._schema = context.schema
        self._arguments: dict[int, str] = {}
        self._left = ENTRIES_MAX

    def collect(self, sets: Iterable[tuple[GraphQLNamedType | None, SelectionSetNode]]) -> list[_Entry]:
        """Return the fields of merged selection sets, each node and each fragment once."""
        entries: list[_Entry] = []
        spread: set[str] = set()
        pending = list(sets)
        pending.reverse()
        while pending:
            parent, selection_set = pending.pop()
            for node in selection_set.selections:
                if isinstance(node, FieldNode):
                    entries.append((parent, node))
                    continue
                inside = self._fragment(node, parent, spread)
                if inside is not None:
                    pending.append(inside)
        self._left -= len(entries)
        if self._left < 0:
            raise Refused.because("the document's fields are too entangled to be checked", LIMIT_EXCEEDED)
        return entries

    def _fragment(
        self, node: object, parent: GraphQLNamedType | None, spread: set[str]
    ) -> tuple[GraphQLNamedType | None, SelectionSetNode] | None:
        if isinstance(node, InlineFragmentNode):
            condition = node.type_condition
            return (type_from_ast(self._schema, condition) if condition else parent), node.selection_set
        assert isinstance(node, FragmentSpreadNode)
        definition: FragmentDefinitionNode | None = self._context.get_fragment(node.name.value)
        if definition is None or node.name.value in spread:
            return None
        spread.add(node.name.value)
        return type_from_ast(self._schema, definition.type_condition), definition.selection_set

    def check_shapes(self, fields: list[_Entry]) -> None:
        """Report fields of one response name whose values have different shapes, of whatever parents."""
        pending = [fields]
        while pending:
            for name, group in _by_response_name(pending.pop()):
                first = self._type(group[0])
                for entry in group[1:]:
                    if not _same_shape(first, self._type(entry)):
                        self._report(name, group[0], entry, "they return conflicting types")
                        break
                pending.extend(self._below(group))

    def check_same_parents(self, fields: list[_Entry]) -> None:
        """Report fields of one response name and possibly one object that ask for different things."""
        pending = [fields]
        while pending:
            for name, group in _by_response_name(pending.pop()):
                for together in _that_may_meet(group):
                    for entry in together[1:]:
                        if reason := self._difference(together[0], entry):
                            self._report(name, together[0], entry, reason)
                            break
                    pending.extend(self._below(together))

    def _below(self, group: list[_Entry]) -> Iterator[list[_Entry]]:
        sets = [
            (get_named_type(self._type(entry)), entry[1].selection_set)
            for entry in group
            if entry[1].selection_set is not None
        ]
        if sets:
            yield self.collect(sets)

    def _type(self, entry: _Entry) -> GraphQLOutputType | None:
        parent, node = entry
        if node.name.value == "__typename":
            return TypeNameMetaFieldDef.type
        field = self._schema.get_field(parent, node.name.value) if parent is not None else None  # type: ignore[arg-type]
        return field.type if field is not None else None

    def _difference(self, one: _Entry, other: _Entry) -> str | None:
        names = one[1].name.value, other[1].name.value
        if names[0] != names[1]:
            return f"'{names[0]}' and '{names[1]}' are different fields"
        if self._argument_text(one[1]) != self._argument_text(other[1]):
            return "they have differing arguments"
        return None

    def _argument_text(self, node: FieldNode) -> str:
        if not node.arguments:
            return ""
        text = self._arguments.get(id(node))
        if text is None:
            text = self._arguments[id(node)] = ",".join(sorted(print_ast(each) for each in node.arguments))
        return text

    def _report(self, name: str, one: _Entry, other: _Entry, reason: str) -> None:
        message = (
            f"Fields '{name}' conflict because {reason}. "
            "Use different aliases on the fields to fetch both if this was intentional."
        )
        self._context.report_error(GraphQLError(message, [one[1], other[1]]))


def _by_response_name(fields: list[_Entry]) -> Iterable[tuple[str, list[_Entry]]]:
    groups: dict[str, list[_Entry]] = {}
    for entry in fields:
        node = entry[1]
        groups.setdefault(node.alias.value if node.alias else node.name.value, []).append(entry)
    return groups.items()


def _that_may_meet(group: list[_Entry]) -> list[list[_Entry]]:
    """Split fields by object type: two object types never meet in one object, an abstract one meets all."""
    if len(group) == 1:
        return [group]
    concrete: dict[str, list[_Entry]] = {}
    abstract = [entry for entry in group if not is_object_type(entry[0])]
    for entry in group:
        if is_object_type(entry[0]):
            concrete.setdefault(entry[0].name, []).append(entry)
    if not concrete:
        return [abstract]
    return [[*entries, *abstract] for entries in concrete.values()]


def _same_shape(one: GraphQLOutputType | None, other: GraphQLOutputType | None) -> bool:
    """Return whether two types answer in one shape; what validation does not know is reported elsewhere."""
    if one is None or other is None:
        return True
    if isinstance(one, GraphQLNonNull) or isinstance(other, GraphQLNonNull):
        both = isinstance(one, GraphQLNonNull) and isinstance(other, GraphQLNonNull)
        return both and _same_shape(one.of_type, other.of_type)  # type: ignore[union-attr]
    if isinstance(one, GraphQLList) or isinstance(other, GraphQLList):
        both = isinstance(one, GraphQLList) and isinstance(other, GraphQLList)
        return both and _same_shape(one.of_type, other.of_type)  # type: ignore[union-attr]
    if is_leaf_type(one) or is_leaf_type(other):
        return one is other
    return True
