"""Lets a small schema's subscriptions have resolvers: Recount's own follow the log, and none has one."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable
from contextlib import aclosing
from typing import Any

from graphql import ExecutionResult, GraphQLError
from graphql.execution import create_source_event_stream

from schema.answer.documents import Document, Request
from schema.answer.execute import Executor, executed
from schema.context import Context
from schema.errors import Refused, told
from schema.live.messages import Message, drained
from schema.live.subscribe import Cancellable, Live


class StreamingLive(Live):
    """Sends what an iterator gives."""

    async def subscribe(
        self, document: Document, request: Request, context: Context, sink: Any, **_: Any
    ) -> Cancellable:
        """Begin to send what the resolver gives; raises Refused for what it refuses."""
        executor = self._operations.executor(document, request, context)
        source = create_source_event_stream(executor)
        if inspect.isawaitable(source):
            source = await source
        if isinstance(source, ExecutionResult):
            raise Refused(source.errors or [])
        return self.work.spawn(self._send(executor, context, source, sink))

    async def _send(
        self, executor: Executor, context: Context, values: AsyncIterable[Any], sink: Any
    ) -> None:
        iterator: Any = values.__aiter__()
        async with aclosing(iterator):
            try:
                async for value in iterator:
                    result = await executed(executor, value, context)
                    await drained(sink, 0)
                    sink.send(Message(None, self._operations.encode(result)))
                sink.complete()
            except Exception as error:
                name = next(iter(executor.operation.selection_set.selections))
                located = GraphQLError(str(error), [name], path=["subscription"], original_error=error)
                sink.fail(told([located]))
