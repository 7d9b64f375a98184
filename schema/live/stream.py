"""Sends what a subscription with a resolver of its own gives: each subscriber has an iterator."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable
from typing import Any

from graphql import ExecutionResult, GraphQLError
from graphql.execution import create_source_event_stream

from schema.answer.execute import executed
from schema.context import Context
from schema.errors import Refused, told
from schema.live.messages import Message, Selecting, Sink, drained
from schema.live.work import Work


async def stream(selecting: Selecting, context: Context, sink: Sink, work: Work) -> asyncio.Task[None]:
    """Begin to send what the resolver gives; raises Refused for what it refuses."""
    source = create_source_event_stream(selecting.executor)
    if inspect.isawaitable(source):
        source = await source
    if isinstance(source, ExecutionResult):
        raise Refused(source.errors or [])
    return work.spawn(_send(selecting, context, source, sink, work))


async def _send(
    selecting: Selecting, context: Context, values: AsyncIterable[Any], sink: Sink, work: Work
) -> None:
    operations, executor = selecting.operations, selecting.executor
    iterator = values.__aiter__()
    try:
        async for value in iterator:
            result = await executed(executor, value, context)
            await drained(sink, context.position or 0)
            sink.send(Message(None, operations.encode(result, context.read_at)))
            work.sent += 1
        sink.complete()
    except Refused as refused:
        sink.fail(told(refused.errors, debug=operations.debug))
    except Exception as error:
        name = next(iter(executor.operation.selection_set.selections))
        located = GraphQLError(str(error), [name], path=["subscription"], original_error=error)
        sink.fail(told([located], debug=operations.debug))
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
