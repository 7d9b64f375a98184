"""The long log that the benches make: what deliveries of the same bodies would have left."""

from __future__ import annotations

import asyncpg

from bench.long_log import FIRST_YEAR, LongLog, bodies_of
from projections.rebuild.rebuild import rebuild
from projections.rebuild.verify import verify
from service.events import decode
from service.log.event_store import Appended, EventStore

RECORDED = """
select position, product_id, action, entity, entity_id, occurred_at, occurred_assumed, digest,
       envelope, data, raw, erased_at
  from log.events
 order by position
"""


async def test_it_grows_to_the_length_that_is_asked_whatever_was_delivered_meanwhile(
    pool: asyncpg.Pool, database_url: str
) -> None:
    log = LongLog(database_url)
    await log.grow(400)
    await _deliver(pool, log.fresh(30))
    await log.grow(1_000)

    row = await pool.fetchrow(
        "select count(*), max(position), count(distinct extract(year from occurred_at)) from log.events"
    )
    assert row is not None
    assert tuple(row) == (1_000, 1_000, 2)


async def test_it_is_the_log_that_deliveries_leave(
    pool: asyncpg.Pool, database_url: str, empty_database_url: str
) -> None:
    await LongLog(empty_database_url).grow(300)
    copied = await asyncpg.connect(empty_database_url)
    bodies = list(bodies_of(FIRST_YEAR, 300))

    await _deliver(pool, bodies)

    assert await copied.fetch(RECORDED) == await pool.fetch(RECORDED)
    await copied.close()


async def test_what_it_holds_is_known_when_it_is_delivered_again(
    pool: asyncpg.Pool, database_url: str
) -> None:
    await LongLog(database_url).grow(200)

    outcomes = await _deliver(pool, list(bodies_of(FIRST_YEAR, 200)))

    assert outcomes == [Appended(position, True) for position in range(1, 201)]


async def test_counted_again_it_verifies(pool: asyncpg.Pool, database_url: str) -> None:
    log = LongLog(database_url)
    for length in (500, 1_500):
        await log.grow(length)
    await rebuild(pool)

    assert (await verify(pool)).equal


async def _deliver(pool: asyncpg.Pool, bodies: list[bytes]) -> list[Appended]:
    now = await pool.fetchval("select now()")
    store = EventStore(pool)
    try:
        return await store.append([decode(body, now) for body in bodies])
    finally:
        await store.close()
