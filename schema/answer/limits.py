"""Refuses documents that would cost too much to look at, before anything looks at them closely.

Every check is linear in the document: what a fragment holds is counted once, however often and however
nested it is spread. Only then may validation and execution walk what the document expands to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from schema.errors import SYNTAX, Refused, refusal

LIMIT_EXCEEDED: Final = "LIMIT_EXCEEDED"

# A token of the language. What is no token matches nothing and is left for the parser to report. A string
# without its end is taken as far as it goes: were it no match, each quote in it would be tried anew.
_TOKEN: Final = re.compile(
    r'#[^\n\r]*|"""(?:[^"\\]|\\(?:""")?|"(?!""))*+(?:""")?|"(?:[^"\\\n\r]|\\.)*+"?'
    r"|\.\.\.|[A-Za-z_]\w*+|-?\d[\w.+-]*+|[!$&()\[\]{}:=@|]"
)
_OPENING: Final = frozenset("([{")
_CLOSING: Final = frozenset(")]}")


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one document may hold; `fields_max` counts with every fragment spread out."""

    document_bytes_max: int = 100_000
    tokens_max: int = 5_000
    depth_max: int = 20
    brackets_depth_max: int = 60
    fields_max: int = 5_000
    root_fields_max: int = 20
    aliases_max: int = 100
    directives_max: int = 50
    fragments_max: int = 100
    operations_max: int = 20
    variables_bytes_max: int = 100_000
    validation_errors_max: int = 5
    cost_max: int = 25_000


def scan(text: str, limits: Limits) -> int:
    """Return the number of tokens in a document's text; raises Refused when it is too long or too deep.

    Costs a twentieth of parsing, and comes before it, since the parser is recursive and slow.
    """
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > limits.document_bytes_max:
        raise _too_much("the document", size, "bytes", limits.document_bytes_max)
    tokens = depth = 0
    for match in _TOKEN.finditer(text):
        first = text[match.start()]
        tokens += first != "#"
        if tokens > limits.tokens_max:
            raise _too_much("the document", tokens, "tokens or more", limits.tokens_max)
        if first in _OPENING:
            depth += 1
            if depth > limits.brackets_depth_max:
                raise _too_much("the document", depth, "levels of brackets", limits.brackets_depth_max)
        elif first in _CLOSING:
            depth -= 1
    return tokens


@dataclass(slots=True)
class _Measure:
    """What one definition holds: itself at first, then with its fragments spread out."""

    fields: int = 0
    root_fields: int = 0
    depth: int = 0
    aliases: int = 0
    directives: int = 0


def check(document: DocumentNode, limits: Limits) -> None:
    """Raise Refused when a parsed document is over a limit, or when its fragments form a circle."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    fragments = {
        node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
    }
    _refuse_over("the document", len(operations), "operations", limits.operations_max)
    _refuse_over("the document", len(fragments), "fragments", limits.fragments_max)
    survey = _Survey(fragments)
    for operation in operations:
        measure = survey.of(operation)
        name = f"the operation {operation.name.value}" if operation.name else "the operation"
        _refuse_over(name, measure.depth, "levels of fields", limits.depth_max)
        _refuse_over(name, measure.fields, "fields with its fragments spread out", limits.fields_max)
        _refuse_over(name, measure.root_fields, "root fields", limits.root_fields_max)
    for name in fragments:
        survey.of_fragment(name)  # unused ones, too: their circles would hang whoever follows them
    _refuse_over("the document", survey.aliases, "aliases", limits.aliases_max)
    _refuse_over("the document", survey.directives, "directives", limits.directives_max)


class _Survey:
    """Measures definitions, each fragment once."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, _Measure] = {}
        self._open: set[str] = set()
        self.aliases = self.directives = 0

    def of_fragment(self, name: str) -> _Measure:
        """Measure a fragment; one that does not exist holds nothing and is left for validation to report."""
        known = self._known.get(name)
        if known is not None:
            return known
        node = self._fragments.get(name)
        if node is None:
            return _Measure()
        if name in self._open:
            raise Refused([refusal(f"the fragment {name} spreads itself", LIMIT_EXCEEDED, fragment=name)])
        self._open.add(name)
        measure = self._known[name] = self.of(node)
        self._open.discard(name)
        return measure

    def of(self, definition: OperationDefinitionNode | FragmentDefinitionNode) -> _Measure:
        """Measure a definition: its own nodes in one pass, its spreads by what their fragments hold."""
        measure = _Measure()
        spreads: Counter[tuple[str, int]] = Counter()
        self.directives += len(definition.directives or ())
        for node, depth in _walk(definition.selection_set):
            self.directives += len(node.directives or ())
            if isinstance(node, FragmentSpreadNode):
                spreads[node.name.value, depth] += 1
            elif isinstance(node, FieldNode):
                measure.fields += 1
                measure.root_fields += depth == 1
                measure.depth = max(measure.depth, depth)
                self.aliases += node.alias is not None
        for (name, depth), times in spreads.items():
            within = self.of_fragment(name)
            measure.fields += times * within.fields
            measure.depth = max(measure.depth, depth - 1 + within.depth)
            if depth == 1:
                measure.root_fields += times * within.root_fields
        return measure


def _walk(
    selection_set: SelectionSetNode,
) -> Iterator[tuple[FieldNode | InlineFragmentNode | FragmentSpreadNode, int]]:
    """Every selection below, with the depth of fields: an inline fragment stands on the level it is on."""
    pending = [(selection_set, 1)]
    while pending:
        current, depth = pending.pop()
        if not current.selections:
            raise Refused([_nothing_selected(current)])
        for node in current.selections:
            yield node, depth  # type: ignore[misc]
            within: SelectionSetNode | None = getattr(node, "selection_set", None)
            if within is not None:
                pending.append((within, depth + isinstance(node, FieldNode)))


def _nothing_selected(selection_set: SelectionSetNode) -> GraphQLError:
    """Return the syntax error of `{}`, which graphql-core parses and the specification does not."""
    place = selection_set.loc
    assert place is not None
    error = GraphQLSyntaxError(place.source, place.end - 1, "Expected Name, found '}'.")
    error.extensions = {"code": SYNTAX}
    return error


def within(variables: Mapping[str, object], limits: Limits) -> bytes:
    """Return variables as text, by which they are known; raises Refused when they are too long."""
    if not variables:
        return b""
    text = orjson.dumps(variables)
    _refuse_over("the set of variables", len(text), "bytes", limits.variables_bytes_max)
    return text


def _refuse_over(what: str, number: int, unit: str, most: int) -> None:
    if number > most:
        raise _too_much(what, number, unit, most)


def _too_much(what: str, number: int, unit: str, most: int) -> Refused:
    shown = number if number < 10**15 else "more than 10^15"
    message = f"{what} has {shown} {unit}, at most {most} are allowed; ask for less, or in several requests"
    error: GraphQLError = refusal(message, LIMIT_EXCEEDED, limit=most)
    return Refused([error])
