"""Writers that race for positions, on the log as designed and on broken designs of it."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import asyncpg

from service.events import EventData
from service.log.database import Connection, connect
from service.log.event_store import UNTIMED_WINDOW
from service.log.event_store import _sql as store_sql
from tests.given.bodies import an_event

# One way to append a batch.
Append = Callable[[Connection, list[EventData]], Awaitable[None]]

_READ: Final = "select position from {table} where position > $1 order by position limit 10000"


async def as_designed(connection: Connection, events: list[EventData]) -> None:
    """Call the log's own function."""
    await connection.fetch(store_sql["append"], events, UNTIMED_WINDOW)


# A plain sequence: each insert takes its number when it starts, and shows when it commits.
SEQUENCE_TABLE: Final = "create table log.by_sequence (position bigserial primary key, body text not null)"


async def by_sequence(connection: Connection, events: list[EventData]) -> None:
    """Broken: take numbers from a sequence."""
    bodies = [event.body for event in events]
    await connection.execute("insert into log.by_sequence (body) select * from unnest($1::text[])", bodies)


_ONE_STATEMENT: Final = """
with locked as materialized (select 1 from log.head for update),
newest as materialized (
    select coalesce((select e.position from log.events e order by e.position desc limit 1), 0) as position
      from locked
),
fresh as (
    select i.*, n.position + row_number() over (order by i.ordinal) as position
      from newest n,
           unnest($1::log.delivery[]) with ordinality
           as i (product_id, action, entity, entity_id, occurred_at, assumed, digest, body, raw, received_at,
                 origin, ordinal)
     where not exists (select 1
                         from log.deliveries d
                        where d.product_id = i.product_id and d.digest = i.digest)
),
recorded as (
    insert into log.events (position, product_id, action, entity, entity_id, occurred_at, occurred_assumed,
                            recorded_at, origin, digest, envelope, data, raw)
    select position, product_id, action, entity, entity_id, occurred_at, assumed, clock_timestamp(), origin,
           digest, '{}', '{}', raw
      from fresh
)
insert into log.deliveries (product_id, digest, received_at, first_received_at, position)
select product_id, digest, received_at + position * interval '1 microsecond', received_at, position from fresh
"""


async def in_one_statement(connection: Connection, events: list[EventData]) -> None:
    """Broken: lock, look and insert in one statement, whose snapshot is older than its lock."""
    await connection.execute(_ONE_STATEMENT, events)


@dataclass
class Race:
    """What came of a race."""

    rows: int = 0
    skipped: int = 0
    """Rows that a reader which followed never met."""
    twice: int = 0
    failed: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.rows} rows in {self.seconds:.1f} s: {self.skipped} skipped by the reader, "
            f"{self.twice} twice, {self.failed} batches failed"
        )


async def gap_race(
    dsn: str, append: Append, *, rows: int, table: str = "log.events", batch: int = 100, writers: int = 32
) -> Race:
    """Let writers append and commit after random delays, while a reader follows by position."""
    race = Race()
    began = time.monotonic()
    numbers = itertools.count(0, batch)
    done = asyncio.Event()
    seen = 0

    async def write(chance: random.Random) -> None:
        connection = await connect(dsn)
        try:
            while (first := next(numbers)) < rows:
                events = _events(range(first, min(first + batch, rows)))
                async with connection.transaction():
                    await append(connection, events)
                    if chance.random() < 0.2:
                        await asyncio.sleep(chance.uniform(0, 0.004))
        finally:
            await connection.close()

    async def read() -> None:
        nonlocal seen
        connection = await connect(dsn)
        last = 0
        try:
            while True:
                over = done.is_set()
                found = await connection.fetch(_READ.format(table=table), last)
                seen += len(found)
                if found:
                    last = found[-1]["position"]
                elif over:
                    return
                else:
                    await asyncio.sleep(0)
        finally:
            await connection.close()

    reading = asyncio.create_task(read())
    await asyncio.gather(*(write(random.Random(number)) for number in range(writers)))
    done.set()
    await reading
    connection = await connect(dsn)
    race.rows = await connection.fetchval(f"select count(*) from {table}")
    await connection.close()
    race.skipped = race.rows - seen
    race.seconds = time.monotonic() - began
    return race


_WAITING: Final = """
select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
"""


async def duplicate_race(
    dsn: str, append: Append, *, batches: int, batch: int = 30, writers: int = 8
) -> Race:
    """Let each writer append the same deliveries, in overlapping batches, all at once.

    All have asked for their first before any of them is let go on, so that at least there they meet.
    """
    race = Race()
    began = time.monotonic()
    rows = batches * batch // 2

    async def write(chance: random.Random) -> None:
        connection = await connect(dsn)
        try:
            for number in range(batches):
                first = max(number * batch // 2 - chance.randrange(batch), 0)
                events = _events(range(first, min(first + batch, rows)))
                try:
                    await append(connection, events)
                except asyncpg.UniqueViolationError:
                    race.failed += 1
        finally:
            await connection.close()

    connection, holding = await connect(dsn), await connect(dsn)
    async with holding.transaction():
        await holding.execute("select from log.head for update")
        writing = [asyncio.create_task(write(random.Random(number))) for number in range(writers)]
        while await connection.fetchval(_WAITING) < writers:
            assert not any(each.done() for each in writing)
    await holding.close()
    await asyncio.gather(*writing)
    row = await connection.fetchrow(
        "select count(*) as rows, count(distinct digest) as different from log.events"
    )
    await connection.close()
    assert row is not None
    race.rows, race.twice = row["rows"], row["rows"] - row["different"]
    race.seconds = time.monotonic() - began
    return race


@dataclass
class Rates:
    """Appends a second, before and while an old snapshot is open."""

    alone: float
    under_snapshot: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        later = " ".join(f"{rate:.0f}" for rate in self.under_snapshot)
        return f"{self.alone:.0f} appends/s alone; under an old snapshot, part by part: {later}"


UPDATED_HEAD: Final = "update log.head set partition_rows = partition_rows"


async def old_snapshot(dsn: str, *, appends: int, parts: int = 4, updating_head: bool = False) -> Rates:
    """Measure appends of one event, then go on while a transaction keeps the snapshot of a pg_dump open.

    `updating_head` is the broken design: the head row is updated by every append.
    """
    writer = await connect(dsn)
    # Open and idle for as long as the measurement takes, like a slow pg_dump.
    dump = await connect(dsn)
    await dump.execute("set idle_in_transaction_session_timeout = 0")
    numbers = itertools.count()

    async def rate() -> float:
        began = time.monotonic()
        for _ in range(appends):
            events = _events([next(numbers)])
            if updating_head:
                async with writer.transaction():
                    await writer.execute(UPDATED_HEAD)
                    await as_designed(writer, events)
            else:
                await as_designed(writer, events)
        return appends / (time.monotonic() - began)

    try:
        await rate()
        rates = Rates(await rate())
        async with dump.transaction(isolation="repeatable_read", readonly=True):
            await dump.fetchval("select count(*) from log.events")
            rates.under_snapshot = [await rate() for _ in range(parts)]
        return rates
    finally:
        await writer.close()
        await dump.close()


_EVENT: Final = an_event(1)


def _events(numbers: Sequence[int]) -> list[EventData]:
    return [
        _EVENT._replace(
            entity_id=str(number),
            digest=number.to_bytes(32, "big"),
            body=f'{{"data":{{"feedback_id":{number}}}}}',
        )
        for number in numbers
    ]
