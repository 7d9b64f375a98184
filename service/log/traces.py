"""Tells a collector of OpenTelemetry's the way of each delivery: taken, projected, sent to who follows.

A trace is named after the digest of its delivery, which every part of the way finds in the log: so they make
one trace though they run in other tasks, or in other instances, and nothing is carried from one to the next.
Nothing of what was delivered is told but its position, product and action.

Loaded only where RECOUNT_TRACES_URL is set: its packages are an extra.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

from service.events import EventData
from service.log.database import POSTGRES_FAILURES, Connection, Pool, PooledConnection
from service.sql_files import load

PROJECTED_MAX: Final = 1_000
"""Of one step, the newest that are told: whoever is far behind is no trace of anything."""
EXPORT_SECONDS_MAX: Final = 5.0

_sql = load(__file__, "traces.sql")


class Traces:
    """Where spans go: gathered, and sent by a thread of their own. What cannot be sent is dropped."""

    def __init__(self, url: str, pool: Pool) -> None:
        self._pool = pool
        self._ids = _Ids()
        named = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "recount")})
        self._provider = TracerProvider(resource=named, id_generator=self._ids, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=url, timeout=EXPORT_SECONDS_MAX)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("recount")

    async def close(self) -> None:
        """Send what was gathered."""
        await asyncio.to_thread(self._provider.shutdown)

    def taken(self, event: EventData, began: float, outcome: str, position: int | None, again: bool) -> None:
        """Tell of an answered delivery, the root of its trace unless it came again; by perf_counter."""
        facts: dict[str, str | int] = {
            "recount.outcome": outcome,
            "recount.action": event.action,
            "recount.product": event.product_id,
        }
        if position is not None:
            facts["recount.position"] = position
        ended = time.time_ns()
        since = ended - int((time.perf_counter() - began) * 1e9)
        self._tell("delivery", event.digest, (since, ended), facts, SpanKind.SERVER, root=not again)

    async def projected(
        self, connection: Connection | PooledConnection, first: int, last: int, began: int
    ) -> None:
        """Tell that the deliveries behind a position up to another are counted in. `began` is of time_ns."""
        ended = time.time_ns()
        for row in await connection.fetch(_sql["projected"], first, last, PROJECTED_MAX):
            facts = {"recount.position": row["position"]}
            self._tell("projection", row["digest"], (began, ended), facts)

    async def sent(self, subscribers: Mapping[int, int], began: int, ended: int) -> None:
        """Tell that frames of these positions were written to so many subscribers each."""
        with contextlib.suppress(*POSTGRES_FAILURES):
            for row in await self._pool.fetch(_sql["sent"], list(subscribers)):
                position = row["position"]
                facts = {"recount.position": position, "recount.subscribers": subscribers[position]}
                self._tell("frame", row["digest"], (began, ended), facts, SpanKind.PRODUCER)

    def _tell(
        self,
        name: str,
        digest: bytes,
        lasted: tuple[int, int],
        facts: Mapping[str, str | int],
        kind: SpanKind = SpanKind.INTERNAL,
        *,
        root: bool = False,
    ) -> None:
        trace_id, root_id = int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:24], "big")
        context = Context()
        if root:
            self._ids.root = trace_id, root_id
        else:
            above = SpanContext(trace_id, root_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
            context = set_span_in_context(NonRecordingSpan(above), context)
        began, ended = lasted
        self._tracer.start_span(name, context, kind, facts, start_time=began).end(ended)
        self._ids.root = None


class _Ids(RandomIdGenerator):
    """Random ids, but for the root of a delivery's trace."""

    root: tuple[int, int] | None = None

    def generate_trace_id(self) -> int:
        return self.root[0] if self.root else super().generate_trace_id()

    def generate_span_id(self) -> int:
        return self.root[1] if self.root else super().generate_span_id()
