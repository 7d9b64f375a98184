"""Takes an operation from the text of its document to the bytes of its answer.

text → limits → parse → check (`documents`) → cost → select → plan, read (`reader`) → write → bytes
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import Counter
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import orjson
from graphql import ExecutionResult, FieldNode, OperationDefinitionNode, OperationType
from graphql.execution import Executor as _Executor

from schema.answer.cost import Costs
from schema.answer.documents import Asked, Document, Documents, Request
from schema.answer.limits import Limits, within
from schema.answer.reader import Read, read_roots
from schema.build import Schema
from schema.context import Context
from schema.errors import Refused, coded, told
from schema.plan.selection import Selection, select
from schema.recent import RecentlyUsed
from schema.resume import ResumePoint

Executor = _Executor[Any]

INTROSPECTIONS_KEPT: Final = 20


@dataclass(slots=True, frozen=True)
class Outcome:
    """What an operation came to, as bytes; `executed` is False when it was refused, and `status` says how."""

    body: bytes
    executed: bool = True
    status: int = 200
    fast: bool = False
    failed: bool = False


class Observed(Protocol):
    """Who counts operations: by their first root field, how long, on which path, how they ended."""

    def __call__(self, operation: str, seconds: float, *, fast: bool = False, failed: bool = False) -> None:
        """Count one."""


class Operations:
    """Answers the operations of one schema.

    Those of which everything is read by statements and written with certainty are `taken` past graphql-core,
    unless `fast` is off; what kept the others from it is counted in `left`.
    """

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
        self.schema = schema._schema
        self.planner = schema.planner
        self.limits = limits or Limits()
        self.debug = debug
        self.documents = Documents(self.schema, self.limits)
        self.taken = 0
        self.left: Counter[str] = Counter()
        self._fast = fast
        self._observed = observed
        self._executor_class = cast("type[_Executor[Any]]", schema.execution_context_class)
        self._timeout_seconds = timeout_seconds
        self.costs = Costs(self.schema)
        self._introspections: RecentlyUsed[tuple[object, ...], Outcome] = RecentlyUsed(INTROSPECTIONS_KEPT)

    def close(self) -> None:
        """Let go of the thread for long documents."""
        self.documents.close()

    async def execute(self, request: Request, context: Context, *, only_queries: bool = False) -> Outcome:
        """Answer a query or mutation; never raises for what a client sent.

        This is the one way from a document's text to an answer's bytes, for HTTP, WebSocket and SSE.
        """
        if self._observed is None:
            return await self._answer(request, context, only_queries)
        begun = time.perf_counter()
        answer = await self._answer(request, context, only_queries)
        failed = answer.failed or not answer.executed
        seconds = time.perf_counter() - begun
        self._observed(self._first_field(request), seconds, fast=answer.fast, failed=failed)
        return answer

    def _first_field(self, request: Request) -> str:
        document = self.documents.known(request.query)
        operation = document.operations.get(request.operation_name or "") if document is not None else None
        first = operation.selection_set.selections[0] if operation is not None else None
        return first.name.value if isinstance(first, FieldNode) else ""

    async def _answer(self, request: Request, context: Context, only_queries: bool) -> Outcome:
        try:
            document = await self.documents.prepare(request.query)
            operation = document.operation(request.operation_name)
            _check_kind(operation, only_queries)
            asked = self.asked(document, request)
            if _only_introspects(operation):
                return await self._introspect(document, request, context)
            async with asyncio.timeout(self._timeout_seconds):
                result, certain = await self.result(document, request, asked.selection, context)
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
            return self.refuse(Refused(coded(result.errors)))
        body = self.encode(result, context.read_at, asked.cost)
        return Outcome(body, fast=certain, failed=bool(result.errors))

    def asked(self, document: Document, request: Request) -> Asked:
        """Return what an operation costs and selects with these variables; raises Refused.

        It is kept beside the document by the text of the variables, refusals as well.
        """
        key = request.operation_name, within(request.variables, self.limits)
        known = document.asked.find(key)
        if known is None:
            known = document.asked.keep(key, self._ask(document, request))
        if isinstance(known, Refused):
            raise Refused(known.errors, known.status)
        return known

    def _ask(self, document: Document, request: Request) -> Asked | Refused:
        operation = document.operation(request.operation_name)
        variables = request.variables
        try:
            cost = self.costs.within(document.node, operation, variables, self.limits.cost_max)
            selection = select(self.schema, operation, document.fragments, variables)
        except Refused as refused:
            return refused.with_traceback(None)
        return Asked(cost, selection)

    async def result(
        self, document: Document, request: Request, selection: Selection, context: Context
    ) -> tuple[ExecutionResult, bool]:
        """Return what an operation answers, and whether it was written with certainty.

        Where it was not, graphql-core completes what was read, and asks whoever answers the rest.
        """
        planned = selection.planned
        found = await read_roots(self.planner, planned, context) if planned else {}
        if selection.whole and planned and self._fast:
            data = self._certain({root.key: found.get(root.key) for root in selection.roots})
            if data is not None:
                return ExecutionResult(data), True
        elif self._fast:
            self.left["selection"] += 1
        executor = self.executor(document, request, context)
        executor.root_value = {**selection.refused, **{key: _raw(read) for key, read in found.items()}}
        result = await _run(executor)
        for error in selection.refused.values():
            # It is kept and raised again each time, and would keep the frames of each.
            error.with_traceback(None)
        return result, False

    async def message(self, executor: Executor, read: Read, context: Context) -> ExecutionResult:
        """Return what a subscription's selection makes of what was read for one message."""
        key = read.plan.root.key
        data = self._certain({key: read}) if self._fast else None
        if data is not None:
            return ExecutionResult(data)
        return await executed(executor, {key: read.raw()}, context)

    def _certain(self, found: Mapping[str, Read | Exception | None]) -> dict[str, Any] | None:
        """Return the `data` of what was read, None of it for `__typename`; None where that is not certain."""
        try:
            data = {key: "Query" if read is None else _certain(read) for key, read in found.items()}
        except Exception as error:
            # Whatever it was, graphql-core meets it again and tells it properly.
            self.left[type(error).__name__] += 1
            return None
        self.taken += 1
        return data

    def executor(self, document: Document, request: Request, context: Context) -> Executor:
        """Return graphql-core's executor with variables coerced; raises Refused when they cannot be."""
        executor = self._executor_class.build(
            self.schema,
            document.node,
            context_value=context,
            raw_variable_values=dict(request.variables),
            operation_name=request.operation_name,
            operation_extensions=None,
        )
        if isinstance(executor, list):
            raise Refused(coded(executor))
        return executor

    async def _introspect(self, document: Document, request: Request, context: Context) -> Outcome:
        """Answer from the schema alone: in the thread, since it is long, and kept, since it never changes."""
        key = request.query, request.operation_name, within(request.variables, self.limits)
        known = self._introspections.find(key)
        if known is None:
            executor = self.executor(document, request, context)
            answered = await self.documents.in_thread(
                lambda: Outcome(self.encode(cast("ExecutionResult", executor.execute_operation())))
            )
            known = self._introspections.keep(key, answered)
        return known

    def encode(
        self, result: ExecutionResult, read_at: ResumePoint | None = None, cost: int | None = None
    ) -> bytes:
        """Return a result as JSON, with where in the log it was read and what it cost."""
        response: dict[str, Any] = {"data": result.data}
        if result.errors:
            response["errors"] = told(result.errors, debug=self.debug)
        extensions = dict(result.extensions or {})
        if read_at is not None:
            extensions["position"] = read_at.position
            extensions["cursor"] = str(read_at)
        if cost is not None:
            extensions["cost"] = {"requested": cost, "maximum": self.limits.cost_max}
        if extensions:
            response["extensions"] = extensions
        return orjson.dumps(response)

    def refuse(self, refused: Refused) -> Outcome:
        """Return the answer to a request that is not executed: errors, no data."""
        body = orjson.dumps({"errors": told(refused.errors, debug=self.debug)})
        return Outcome(body, executed=False, status=refused.status)


async def executed(executor: Executor, value: object, context: Context) -> ExecutionResult:
    """Return what graphql-core makes of one value of a subscription."""
    of_event = executor.build_per_event_executor(value)
    of_event.context_value = context
    return await _run(of_event)


async def _run(executor: Executor) -> ExecutionResult:
    result = executor.execute_operation()
    if inspect.isawaitable(result):
        result = await cast("Awaitable[ExecutionResult]", result)
    return cast("ExecutionResult", result)


def _certain(read: Read | Exception) -> Any:
    if isinstance(read, Exception):
        raise read
    return read.certain()


def _raw(read: Read | Exception) -> Any:
    return read if isinstance(read, Exception) else read.raw()


def _check_kind(operation: OperationDefinitionNode, only_queries: bool) -> None:
    if operation.operation is OperationType.SUBSCRIPTION:
        raise Refused.because(
            "a subscription needs a WebSocket (graphql-transport-ws) or `Accept: text/event-stream`",
            "SUBSCRIPTION_NOT_STREAMED",
        )
    if only_queries and operation.operation is not OperationType.QUERY:
        raise Refused.because("a mutation is sent by POST", "MUTATION_BY_GET", status=405)


def _only_introspects(operation: OperationDefinitionNode) -> bool:
    """Return whether an operation asks for nothing but the schema, seen from its root fields."""
    return all(
        isinstance(node, FieldNode) and node.name.value.startswith("__")
        for node in operation.selection_set.selections
    )
