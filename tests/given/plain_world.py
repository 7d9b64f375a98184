"""One database for all examples of a property test, a product each, and what is served of it."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import orjson
from hypothesis import HealthCheck, settings

from projections.follow.projector import Projector
from projections.read_model import Reader
from schema.answer.documents import Request
from schema.answer.execute import Operations
from schema.answer.limits import Limits
from schema.build import build_schema
from schema.context import EVERYTHING, Caller, Context
from service.events import decode
from service.log.event_store import EventStore
from service.scopes import SCOPES
from tests.given.asking import services_on
from tests.given.plain_model import Moment
from tests.given.plain_words import Event

NOW: Final = datetime(2026, 7, 1, tzinfo=UTC)


class World:
    """A log that is followed by hand, and what is answered about it."""

    def __init__(self, pool: asyncpg.Pool, turn: Any) -> None:
        self.pool, self.turn, self.product_id, self.now = pool, turn, 0, NOW
        self.store = EventStore(pool)
        self.services = replace(services_on(pool, Reader(pool), self.store), clock=lambda: self.now)
        self.operations = Operations(build_schema(), Limits(cost_max=10**6))

    async def close(self) -> None:
        """Give up what it holds: a thread, and a connection of the pool."""
        self.operations.close()
        await self.store.close()

    async def record(
        self,
        bodies: list[tuple[tuple[str, Any], Any]],
        received: list[datetime],
        products: list[int] | None = None,
    ) -> list[Event]:
        """Record bodies, each of the example's product or of the one that is said."""
        told = products or [self.product_id] * len(bodies)
        sent: dict[int, list[tuple[Any, datetime]]] = {}
        for ((action, data), timestamp), at, product in zip(bodies, received, told, strict=True):
            body = {"product_id": product, "action": action, "data": data, "timestamp": timestamp}
            (appended,) = await self.store.append([decode(json.dumps(body).encode(), at)])
            sent.setdefault(appended.position, []).append((body, at))
        found = await self.pool.fetch(
            "select position, product_id, action, entity, occurred_at, recorded_at, data, occurred_assumed"
            "  from log.events where product_id = any($1) order by position",
            [self.product_id, *told],
        )
        return [
            Event(
                **{**row, "data": json.loads(row["data"])},
                body=sent[row["position"]][0][0],
                # What was received at the same time is the same delivery, drained from a spool once more.
                deliveries=1 + sum(at != sent[row["position"]][0][1] for _, at in sent[row["position"]]),
            )
            for row in found
        ]

    async def follow(self, events: list[Event], batch_ends: list[bool]) -> None:
        """Project the events in batches that end where it is said, and at the last."""
        for event, ends in zip(events, batch_ends, strict=False):
            if ends:
                await self._advance(event.position)
        await self._advance(events[-1].position)

    async def _advance(self, to: int) -> None:
        while self.turn.position < to and await self.turn.advance(to - self.turn.position):
            pass

    async def ask(self, query: str, caller: Caller = EVERYTHING, /, **variables: Any) -> Any:
        """Return what a client is answered about this example's product, which must be no error."""
        request = Request(query, {"product": str(self.product_id), **variables})
        answer = await self.operations.execute(request, Context(self.services, caller))
        told = orjson.loads(answer.body)
        assert "errors" not in told, told["errors"]
        return told["data"]

    async def read_at(self, moment: Moment) -> datetime:
        """Return the moment that is read: of a position alone, the latest of a hundred events."""
        if moment.happened is not None or moment.recorded is not None or moment.position is None:
            return moment.happened or moment.recorded or self.now
        latest: datetime | None = await self.pool.fetchval(
            "select max(occurred_at) from (select occurred_at from log.events where position <= $1"
            " order by position desc limit 100) as latest",
            moment.position,
        )
        return latest or self.now


def sees(*products: int) -> Caller:
    """Return who may see these products and nothing else."""
    return Caller(SCOPES, frozenset(products))


@asynccontextmanager
async def a_world(pool: asyncpg.Pool) -> AsyncIterator[World]:
    async with Projector(pool).turn() as turn:
        assert turn is not None
        world = World(pool, turn)
        yield world
        await world.close()


def examples(most: int) -> settings:
    """So many random histories: those of a short form, of fewer than a hundred, are the same in each run."""
    return settings(
        max_examples=most,
        deadline=None,
        derandomize=most < 100,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


async def run_examples(holds: Any) -> None:
    """Run a Hypothesis test whose body is a coroutine: its examples in a thread, each body on this loop."""
    loop = asyncio.get_running_loop()
    inner = holds.hypothesis.inner_test

    @functools.wraps(inner)
    def on_this_loop(*args: Any, **kwargs: Any) -> None:
        asyncio.run_coroutine_threadsafe(inner(*args, **kwargs), loop).result()

    holds.hypothesis.inner_test = on_this_loop
    await asyncio.to_thread(holds)
