"""What the tests of projections share: recording bodies, and the tables as they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from projections.catalogue import Projection, all_projections
from projections.read_model import tables
from service.events import decode
from service.log.event_store import EventStore, RestoredEvent
from service.simulator import simulate
from tests.given.bodies import an_event
from tests.given.folders import PAYLOADS

PRODUCT = 647288130
RECEIVED = datetime(2026, 7, 3, tzinfo=UTC)


async def record_at(pool: asyncpg.Pool, at: datetime) -> None:
    """Record the first event of a log as if that had been at `at`, and the projections were made just now."""
    event, store = an_event(), EventStore(pool)
    told = (event.product_id, event.action, event.entity, event.entity_id, at, False, at, "WEBHOOK")
    await store.restore([RestoredEvent(1, *told, event.digest, event.body, None, None, 0, None)])
    await store.close()
    await pool.execute("update read_model.checkpoints set moved_at = clock_timestamp()")


async def record(pool: asyncpg.Pool, bodies: Iterable[bytes | Mapping[str, Any]]) -> int:
    """Append bodies to the log in their order and return the head."""
    store = EventStore(pool)
    try:
        batch = []
        for number, body in enumerate(bodies):
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            try:
                batch.append(decode(content, RECEIVED + timedelta(milliseconds=number)))
            except ValueError:
                continue
            if len(batch) == 500:
                await store.append(batch)
                batch = []
        if batch:
            await store.append(batch)
        return await store.head()
    finally:
        await store.close()


def a_history(
    events: int = 400, *, seed: int = 4, chaos: bool = True, product_id: int = PRODUCT
) -> list[bytes]:
    """Simulated bodies: late ones, copies and noise among them."""
    from service.errors import NotAnEvent

    found = []
    history = simulate(
        seed=seed, events=events, users=40, items=20, rate=100.0, chaos=chaos, product_id=product_id
    )
    for body in history:
        try:
            decode(body, RECEIVED)
        except NotAnEvent:
            continue
        found.append(body)
    return found


def payload(name: str, **members: Any) -> dict[str, Any]:
    """One of the sample bodies, with members of its `data` changed, or its `timestamp` or `product_id`."""
    body: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    for outer in ("timestamp", "product_id"):
        if outer in members:
            body[outer] = members.pop(outer)
    body["data"].update(members)
    return body


async def dump(
    pool: asyncpg.Pool, projections: Iterable[Projection] | None = None, *, product_id: int | None = None
) -> dict[str, list[str]]:
    """Every row of every table in use, as sorted text."""
    generation = await tables(pool)
    found = {}
    for projection in projections or all_projections():
        for table in projection.tables:
            rows = await pool.fetch(f"select to_jsonb(t)::text as row from {generation.names[table]} t")
            lines = sorted(row["row"] for row in rows)
            found[table] = [
                line for line in lines if product_id is None or f'"product_id": {product_id}' in line
            ]
    return found
