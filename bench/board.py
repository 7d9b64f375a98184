"""Makes the board that the benches run on: simulated traffic, decoded and appended as deliveries are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Final

from service.events import decode
from service.log.database import connect, migrate, open_pool
from service.log.event_store import EventStore
from service.simulator import simulate

PRODUCT: Final = 647288130
SEED: Final = 7
_BATCH: Final = 1_000


def bodies(events: int, *, items: int, users: int, seed: int = SEED) -> Iterator[bytes]:
    """Yield webhook bodies of some 840 bytes, two thirds of them votes, in the order of their timestamps."""
    return simulate(seed=seed, events=events, items=items, users=users, product_id=PRODUCT)


async def fill_log(dsn: str, events: int, *, items: int, users: int, seed: int = SEED) -> None:
    """Migrate an empty database and record so many events in its log."""
    connection = await connect(dsn)
    try:
        await migrate(connection)
    finally:
        await connection.close()
    pool = await open_pool(dsn, min_size=1, max_size=2, application_name="bench")
    try:
        store = EventStore(pool)
        try:
            await _append_all(store, bodies(events, items=items, users=users, seed=seed))
        finally:
            await store.close()
    finally:
        await pool.close()


async def _append_all(store: EventStore, deliveries: Iterator[bytes]) -> None:
    now = dt.datetime.now(dt.UTC)
    while batch := [decode(body, now) for body in islice(deliveries, _BATCH)]:
        await store.append(batch, timeout=60)


def deliveries(known: list[bytes]) -> Iterator[bytes]:
    """Yield bodies without end, no two alike, from a few thousand: copies would be recorded only once."""
    for number, body in enumerate(cycle(known)):
        yield b'%s,"delivery":%d}' % (body[:-1], number)
