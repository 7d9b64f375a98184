"""Takes plain operations from their kept plan to the response's data, past graphql-core's walk."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import FragmentDefinitionNode, GraphQLSchema, OperationType
from graphql.execution.values import VariableValues, get_variable_values

from schema.answer.answer import Read, read_roots
from schema.context import Context
from schema.declare.source import spec_of
from schema.plan.kept import Planner
from schema.plan.selection import TYPENAME, Selected, SelectionReader

if TYPE_CHECKING:
    from schema.answer.execute import Document, Request

PREPARED_MAX: Final = 64
"""So many sets of variables are kept for one document."""


class NotPlanned(Exception):
    """An operation holds something that no statement answers: graphql-core does."""


@dataclass(slots=True)
class Kept:
    """What is kept beside a document: root fields by operation and variables, None if some are unplanned."""

    prepared: OrderedDict[tuple[str | None, bytes], list[Selected] | None] = field(
        default_factory=OrderedDict
    )


class FastPath:
    """Answers what it knows with certainty, and counts what it left to the reference executor, and why."""

    def __init__(self, schema: GraphQLSchema, planner: Planner) -> None:
        self._schema = schema
        self._planner = planner
        self.taken = 0
        self.left: Counter[str] = Counter()

    async def data(
        self, document: Document, request: Request, context: Context
    ) -> tuple[dict[str, Any] | None, Mapping[str, Read | Exception] | None]:
        """Return the response's `data`, or None where the reference executor is to make the answer.

        What was read by then comes with it, so that nothing is read again.
        """
        roots = self._prepared(document, request)
        if roots is None:
            self.left["selection"] += 1
            return None, None
        found = await read_roots(self._planner, [root for root in roots if root.name != TYPENAME], context)
        try:
            data = {
                root.key: "Query" if root.name == TYPENAME else _written(found[root.key]) for root in roots
            }
        except Exception as error:
            # Whatever it was, the reference executor meets it again and tells it properly.
            self.left[type(error).__name__] += 1
            return None, found
        self.taken += 1
        return data, found

    def of_message(self, key: str, read: Read) -> dict[str, Any] | None:
        """Return the `data` of a subscription's message; None where the reference executor is to make it."""
        try:
            data = {key: read.certain()}
        except Exception as error:
            self.left[type(error).__name__] += 1
            return None
        self.taken += 1
        return data

    def _prepared(self, document: Document, request: Request) -> list[Selected] | None:
        kept = document.kept.prepared
        try:
            key = (request.operation_name, orjson.dumps(request.variables) if request.variables else b"")
        except (TypeError, ValueError):
            return None
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
        try:
            roots: list[Selected] | None = self._prepare(document, request)
        except Exception:
            roots = None
        kept[key] = roots
        if len(kept) > PREPARED_MAX:
            kept.popitem(last=False)
        return roots

    def _prepare(self, document: Document, request: Request) -> list[Selected]:
        operation = document.operation(request.operation_name)
        query = self._schema.query_type
        if operation.operation is not OperationType.QUERY or query is None:
            raise NotPlanned("only queries")
        if operation.directives:
            raise NotPlanned("directives on an operation")
        variables = get_variable_values(
            self._schema, operation.variable_definitions or (), dict(request.variables)
        )
        if not isinstance(variables, VariableValues):
            raise NotPlanned("the variables are refused")
        fragments = {
            node.name.value: node
            for node in document.node.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        roots = SelectionReader(self._schema, fragments, variables.coerced).fields(query, [operation])
        planned = [root for root in roots if root.name != TYPENAME]
        if not planned or any(spec_of(root.definition) is None for root in planned):
            raise NotPlanned("a field that no statement answers")
        return roots


def _written(read: Read | Exception) -> Any:
    if isinstance(read, Exception):
        raise read
    return read.certain()
