"""Prepares documents: from a text within limits to one that is parsed, valid and known from then on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    GraphQLSyntaxError,
    Node,
    OperationDefinitionNode,
    VariableNode,
    parse,
)

from schema.answer.limits import LIMIT_EXCEEDED, Limits, check, scan
from schema.answer.validation import refuse_invalid
from schema.errors import SYNTAX, Refused
from schema.plan.selection import Selection
from schema.recent import RecentlyUsed

DOCUMENTS_KEPT: Final = 500
ASKED_KEPT: Final = 64
"""So many sets of variables are kept for one document."""
LONG_TOKENS: Final = 600
LONG_CHARACTERS: Final = 20_000
"""Longer documents are parsed and validated in a thread: the loop goes on meanwhile."""

_T = TypeVar("_T")


@dataclass(slots=True, frozen=True)
class Request:
    """What a client sent, over whatever transport."""

    query: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    operation_name: str | None = None


@dataclass(slots=True, frozen=True)
class Asked:
    """An operation with one set of variables: what it costs and what it selects."""

    cost: int
    selection: Selection


@dataclass(slots=True)
class Document:
    """A document that passed every check that needs no variables, and what is kept beside it."""

    text: str
    node: DocumentNode
    operations: dict[str, OperationDefinitionNode]
    fragments: dict[str, FragmentDefinitionNode]
    asked: RecentlyUsed[tuple[str | None, bytes], Asked | Refused] = field(
        default_factory=lambda: RecentlyUsed(ASKED_KEPT)
    )
    _selection_variables: dict[str | None, frozenset[str]] = field(default_factory=dict)

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Return the operation to run; raises Refused when the name does not say which."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        if name is None:
            names = ", ".join(self.operations)
            raise Refused.because(
                f"the document has several operations, name one in `operationName`: {names}",
                "OPERATION_NOT_NAMED",
            )
        operation = self.operations.get(name)
        if operation is None:
            raise Refused.because(f"the document has no operation named {name!r}", "OPERATION_UNKNOWN")
        return operation

    def selection_variables(self, name: str | None) -> frozenset[str]:
        """Return the variables on which what a root field selects may depend, its own arguments left out."""
        known = self._selection_variables.get(name)
        if known is None:
            nodes: list[Node] = [*self.fragments.values()]
            for root in self.operation(name).selection_set.selections:
                nodes.extend(root.directives or ())
                if isinstance(root, FieldNode) and root.selection_set is not None:
                    nodes.append(root.selection_set)
                elif not isinstance(root, FieldNode):
                    nodes.append(root)
            known = self._selection_variables[name] = frozenset(_variables_in(nodes))
        return known


class Documents:
    """The documents of one schema, known by their texts, refusals included; the least recent is forgotten."""

    def __init__(self, schema: GraphQLSchema, limits: Limits) -> None:
        self._schema, self._limits = schema, limits
        self._known: RecentlyUsed[str, Document | Refused] = RecentlyUsed(DOCUMENTS_KEPT)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="graphql")

    def close(self) -> None:
        """Let go of the thread for long documents."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def known(self, text: str) -> Document | None:
        """Return a document that was prepared and not refused."""
        found = self._known.get(text)
        return found if isinstance(found, Document) else None

    async def prepare(self, text: str) -> Document:
        """Return a document parsed, within limits and valid; raises Refused.

        What was found is kept by the text, refusals as well: the second time costs a look-up.
        """
        known = self._known.find(text)
        if known is None:
            known = self._known.keep(text, await self._examine(text))
        if isinstance(known, Refused):
            raise Refused(known.errors, known.status)
        return known

    async def _examine(self, text: str) -> Document | Refused:
        try:
            tokens = scan(text, self._limits)
            if tokens <= LONG_TOKENS and len(text) <= LONG_CHARACTERS:
                return self._parse(text)
            return await self.in_thread(self._parse, text)
        except Refused as refused:
            # Without the frames, which would keep the document of each refusal alive.
            return refused.with_traceback(None)

    async def in_thread(self, work: Callable[..., _T], *args: object) -> _T:
        """Return what long work makes, done beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

    def _parse(self, text: str) -> Document:
        try:
            node = parse(text, max_tokens=self._limits.tokens_max)
        except GraphQLSyntaxError as error:
            error.extensions = {"code": SYNTAX}
            raise Refused([error.with_traceback(None)]) from None
        except RecursionError:
            raise Refused.because("the document is nested too deeply", LIMIT_EXCEEDED) from None
        check(node, self._limits)
        refuse_invalid(self._schema, node, self._limits)
        document = Document(text, node, {}, {})
        for definition in node.definitions:
            if isinstance(definition, OperationDefinitionNode):
                document.operations[definition.name.value if definition.name else ""] = definition
            elif isinstance(definition, FragmentDefinitionNode):
                document.fragments[definition.name.value] = definition
        return document


def _variables_in(nodes: Iterable[Node]) -> Iterator[str]:
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if isinstance(node, VariableNode):
            yield node.name.value
            continue
        for key in node.keys:
            value = getattr(node, key, None)
            if isinstance(value, Node):
                pending.append(value)
            elif isinstance(value, list | tuple):
                pending.extend(each for each in value if isinstance(each, Node))
