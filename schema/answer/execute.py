"""Takes an operation from the text of its document to the bytes of its answer."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import OrderedDict
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSyntaxError,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    parse,
)
from graphql.execution import Executor as _Executor

from schema.answer import limits as limits_of
from schema.answer.answer import Read, read_roots
from schema.answer.cost import COST_EXCEEDED, Costs
from schema.answer.fast_path import FastPath, Kept
from schema.answer.limits import LIMIT_EXCEEDED, Limits
from schema.answer.validation import refuse_invalid
from schema.build import Schema
from schema.context import Context
from schema.declare.source import spec_of
from schema.errors import SYNTAX, Refused, refusal, told
from schema.plan.selection import Selected, SelectionReader

if TYPE_CHECKING:
    Executor = _Executor[Any]

DOCUMENTS_KEPT: Final = 500
INTROSPECTIONS_KEPT: Final = 20
LONG_TOKENS: Final = 600
LONG_CHARACTERS: Final = 20_000
"""Longer documents are parsed and validated in a thread: the loop goes on meanwhile."""


@dataclass(slots=True)
class Document:
    """A document that passed every check that needs no variables."""

    text: str
    node: DocumentNode
    operations: dict[str, OperationDefinitionNode]
    costs: dict[tuple[object, ...], tuple[int, int]] = field(default_factory=dict)
    _selection_variables: dict[str | None, frozenset[str]] = field(default_factory=dict)
    kept: Kept = field(default_factory=Kept)

    def selection_variables(self, name: str | None) -> frozenset[str]:
        """Return the variables on which what a root field selects may depend, its own arguments left out."""
        known = self._selection_variables.get(name)
        if known is None:
            roots = self.operation(name).selection_set.selections
            nodes: list[Node] = [
                node for node in self.node.definitions if isinstance(node, FragmentDefinitionNode)
            ]
            for root in roots:
                nodes.extend(root.directives or ())
                if isinstance(root, FieldNode) and root.selection_set is not None:
                    nodes.append(root.selection_set)
                elif not isinstance(root, FieldNode):
                    nodes.append(root)
            known = self._selection_variables[name] = frozenset(_variables_in(nodes))
        return known

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


@dataclass(slots=True, frozen=True)
class Answer:
    """The answer as it is sent; `executed` is False when the request was refused, and `status` says how."""

    body: bytes
    executed: bool = True
    status: int = 200
    fast: bool = False
    failed: bool = False


class Observed(Protocol):
    """Who counts operations: by their first root field, how long, on which path, how they ended."""

    def __call__(self, operation: str, seconds: float, *, fast: bool = False, failed: bool = False) -> None:
        """Count one."""


@dataclass(slots=True, frozen=True)
class Request:
    """What a client sent, over whatever transport."""

    query: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    operation_name: str | None = None


class Operations:
    """Prepares and executes the operations of one schema; prepared documents are kept, least recent last."""

    def __init__(
        self,
        schema: Schema,
        limits: Limits | None = None,
        *,
        timeout_seconds: float = 10.0,
        debug: bool = False,
        fast: bool = True,
        observed: Observed | None = None,
    ) -> None:
        self._observed = observed
        self.schema = schema._schema
        self.planner = schema.planner
        self.fast = FastPath(self.schema, self.planner) if fast else None
        self.limits = limits or Limits()
        self.debug = debug
        self._executor_class = cast("type[_Executor[Any]]", schema.execution_context_class)
        self._timeout_seconds = timeout_seconds
        self._costs = Costs(self.schema)
        self._documents: OrderedDict[str, Document | Refused] = OrderedDict()
        self._introspections: OrderedDict[tuple[object, ...], Answer] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="graphql")

    def close(self) -> None:
        """Let go of the thread for long documents."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def prepare(self, text: str) -> Document:
        """Return a document parsed, within limits and valid; raises Refused.

        What was found is kept by the text, refusals as well: the second time costs a look-up.
        """
        known = self._documents.get(text)
        if known is None:
            known = await self._examine(text)
            self._documents[text] = known
            if len(self._documents) > DOCUMENTS_KEPT:
                self._documents.popitem(last=False)
        else:
            self._documents.move_to_end(text)
        if isinstance(known, Refused):
            raise Refused(known.errors, known.status)
        return known

    async def _examine(self, text: str) -> Document | Refused:
        try:
            tokens = limits_of.scan(text, self.limits)
            if tokens <= LONG_TOKENS and len(text) <= LONG_CHARACTERS:
                return self._parse(text)
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._parse, text)
        except Refused as refused:
            # Without the frames, which would keep the document of each refusal alive.
            return refused.with_traceback(None)

    def _parse(self, text: str) -> Document:
        try:
            node = parse(text, max_tokens=self.limits.tokens_max)
        except GraphQLSyntaxError as error:
            error.extensions = {"code": SYNTAX}
            raise Refused([error.with_traceback(None)]) from None
        except RecursionError:
            raise Refused.because("the document is nested too deeply", LIMIT_EXCEEDED) from None
        limits_of.check(node, self.limits)
        refuse_invalid(self.schema, node, self.limits, debug=self.debug)
        operations = {
            definition.name.value if definition.name else "": definition
            for definition in node.definitions
            if isinstance(definition, OperationDefinitionNode)
        }
        return Document(text, node, operations)

    def cost(self, document: Document, request: Request) -> int:
        """Return the points of an operation with these variables; raises Refused when either are too many."""
        limits_of.check_variables(request.variables, self.limits)
        operation = document.operation(request.operation_name)
        # As `Int` coerces them: 500.0 is 500.
        numbers = {
            name: int(value)
            for name, value in request.variables.items()
            if isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        }
        key = (request.operation_name, *sorted(numbers.items()))
        known = document.costs.get(key)
        if known is None:
            if len(document.costs) > 100:
                document.costs.clear()
            known = document.costs[key] = self._costs.of(document.node, operation, numbers)
        cost, introspection = known
        if cost > self.limits.cost_max:
            raise Refused([self._too_costly(cost, self.limits.cost_max, "cost")])
        if introspection > self._costs.introspection_max:
            raise Refused(
                [self._too_costly(introspection, self._costs.introspection_max, "introspection cost")]
            )
        return cost

    def _too_costly(self, cost: int, most: int, what: str) -> GraphQLError:
        shown = cost if cost < 10**15 else "more than 10^15"
        return refusal(
            f"the operation's {what} is {shown}, at most {most} is allowed; lower `first` or select less",
            COST_EXCEEDED,
            cost={"requested": min(cost, 10**15), "maximum": most},
        )

    async def execute(self, request: Request, context: Context, *, only_queries: bool = False) -> Answer:
        """Answer a query or mutation; never raises for what a client sent.

        This is the one way from a document's text to an answer's bytes, for HTTP, WebSocket and SSE.
        """
        if self._observed is None:
            return await self._execute(request, context, only_queries)
        begun = time.perf_counter()
        answer = await self._execute(request, context, only_queries)
        failed = answer.failed or not answer.executed
        self._observed(
            self._first_field(request), time.perf_counter() - begun, fast=answer.fast, failed=failed
        )
        return answer

    def _first_field(self, request: Request) -> str:
        document = self._documents.get(request.query)
        operation = (
            document.operations.get(request.operation_name or "") if isinstance(document, Document) else None
        )
        first = operation.selection_set.selections[0] if operation is not None else None
        return first.name.value if isinstance(first, FieldNode) else ""

    async def _execute(self, request: Request, context: Context, only_queries: bool) -> Answer:
        try:
            document = await self.prepare(request.query)
            operation = document.operation(request.operation_name)
            if operation.operation is OperationType.SUBSCRIPTION:
                raise Refused.because(
                    "a subscription needs a WebSocket (graphql-transport-ws) or `Accept: text/event-stream`",
                    "SUBSCRIPTION_NOT_STREAMED",
                )
            if only_queries and operation.operation is not OperationType.QUERY:
                raise Refused.because("a mutation is sent by POST", "MUTATION_BY_GET", status=405)
            cost = self.cost(document, request)
            if _only_introspects(operation):
                return await self._introspect(document, request, context)
            async with asyncio.timeout(self._timeout_seconds):
                data, read = None, None
                if self.fast is not None:
                    data, read = await self.fast.data(document, request, context)
                if data is not None:
                    return Answer(self.encode(ExecutionResult(data), context.position, cost), fast=True)
                result = await self.run(document, request, context, read)
        except Refused as refused:
            return self.refuse(refused)
        except TimeoutError:
            return self.refuse(
                Refused.because(
                    f"the operation took longer than {self._timeout_seconds:g} seconds; ask for less",
                    "TIMEOUT",
                    status=504,
                )
            )
        if result.data is None and result.errors and all(error.path is None for error in result.errors):
            return self.refuse(Refused(_coded(result.errors)))
        return Answer(self.encode(result, context.position, cost), failed=bool(result.errors))

    async def message(self, executor: Executor, read: Read, context: Context) -> ExecutionResult:
        """Return what a subscription's selection makes of what was read for one message."""
        key = read.plan.root.key
        data = self.fast.of_message(key, read) if self.fast is not None else None
        if data is not None:
            return ExecutionResult(data)
        return await executed(executor, {key: read.raw()}, context)

    async def run(
        self,
        document: Document,
        request: Request,
        context: Context,
        read: Mapping[str, Read | Exception] | None = None,
    ) -> ExecutionResult:
        """Return what graphql-core makes of an operation, given what was read for it before, if anything was.

        What its root fields read is read here, and handed to their resolver by response key.
        """
        executor = self.executor(document, request, context)
        if executor.operation.operation is OperationType.QUERY:
            if read is None:
                read = await self._read(executor, context)
            executor.root_value = {
                key: each if isinstance(each, Exception) else each.raw() for key, each in read.items()
            }
        result = executor.execute_operation()
        if inspect.isawaitable(result):
            result = await cast("Awaitable[ExecutionResult]", result)
        return cast("ExecutionResult", result)

    async def _read(self, executor: Executor, context: Context) -> dict[str, Read | Exception]:
        reader, query = SelectionReader.of(executor), executor.schema.query_type
        assert query is not None
        roots: list[Selected] = []
        refused: dict[str, Read | Exception] = {}
        for key, nodes in reader.collect(query, [executor.operation]).items():
            definition = query.fields.get(nodes[0].name.value)
            if definition is None or spec_of(definition) is None:
                continue  # introspection, or a resolver of its own
            try:
                roots.append(reader.field(definition, key, nodes))
            except GraphQLError as error:
                refused[key] = error
        return refused | (await read_roots(self.planner, roots, context) if roots else {})

    def executor(self, document: Document, request: Request, context: Context) -> Executor:
        """Return graphql-core's executor with variables coerced; raises Refused when they cannot be."""
        executor = self._executor_class.build(
            self.schema,
            document.node,
            context_value=context,
            raw_variable_values=dict(request.variables),
            operation_name=request.operation_name,
            hide_suggestions=not self.debug,
            operation_extensions=None,
        )
        if isinstance(executor, list):
            raise Refused(_coded(executor))
        return executor

    async def _introspect(self, document: Document, request: Request, context: Context) -> Answer:
        """Answer from the schema alone: in the thread, since it is long, and kept, since it never changes."""
        variables = orjson.dumps(request.variables, option=orjson.OPT_SORT_KEYS)
        key = (request.query, request.operation_name, variables)
        known = self._introspections.get(key)
        if known is None:
            executor = self.executor(document, request, context)
            known = await asyncio.get_running_loop().run_in_executor(
                self._thread,
                lambda: Answer(self.encode(cast("ExecutionResult", executor.execute_operation()))),
            )
            self._introspections[key] = known
            if len(self._introspections) > INTROSPECTIONS_KEPT:
                self._introspections.popitem(last=False)
        else:
            self._introspections.move_to_end(key)
        return known

    def encode(self, result: ExecutionResult, position: int | None = None, cost: int | None = None) -> bytes:
        """Return a result as JSON, with the position that it was read at and what it cost."""
        response: dict[str, Any] = {"data": result.data}
        if result.errors:
            response["errors"] = told(result.errors, debug=self.debug)
        extensions = dict(result.extensions or {})
        if position is not None:
            extensions["position"] = position
        if cost is not None:
            extensions["cost"] = {"requested": cost, "maximum": self.limits.cost_max}
        if extensions:
            response["extensions"] = extensions
        return orjson.dumps(response)

    def refuse(self, refused: Refused) -> Answer:
        """Return the answer to a request that is not executed: errors, no data."""
        body = orjson.dumps({"errors": told(refused.errors, debug=self.debug)})
        return Answer(body, executed=False, status=refused.status)


async def executed(executor: Executor, value: object, context: Context) -> ExecutionResult:
    """Return what graphql-core makes of one value of a subscription."""
    of_event = executor.build_per_event_executor(value)
    of_event.context_value = context
    result = of_event.execute_operation(False)
    if inspect.isawaitable(result):
        result = await cast("Awaitable[ExecutionResult]", result)
    return cast("ExecutionResult", result)


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


def _coded(errors: list[GraphQLError]) -> list[GraphQLError]:
    for error in errors:
        error.extensions = {"code": "BAD_USER_INPUT", **(error.extensions or {})}
    return errors


def _only_introspects(operation: OperationDefinitionNode) -> bool:
    """Return whether an operation asks for nothing but the schema, seen from its root fields."""
    for node in operation.selection_set.selections:
        if isinstance(node, FragmentSpreadNode | InlineFragmentNode):
            return False
        if isinstance(node, FieldNode) and not node.name.value.startswith("__"):
            return False
    return True
