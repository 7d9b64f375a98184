"""Makes the long log of one board, years of it, as deliveries would have left it.

Each year is simulated by itself, with the same items and people: known items are told of anew, by other
events. The first one is short, so it has fewer items. One process simulates; one reads the bodies as the
service does and copies them into Postgres, in the order of their positions. What tells copies apart is
entered after that, in the order of its index.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg
import orjson

from bench.board import PRODUCT
from bench.harness import ROOT
from bench.processes import clean_environment
from bench.throwaway import settled
from service.events import decode
from service.log.database import connect, migrate
from service.simulator import simulate

SETTINGS: Final = {"max_wal_size": "8GB"}
"""Of the Postgres that holds it: no checkpoint in the middle of a rebuild."""

ITEMS: Final = 10_000
USERS: Final = 33_000
VOTES_SHARE: Final = 0.70

FIRST_YEAR: Final = 2020
_IMPORTED: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_BLOCK_BYTES: Final = 1 << 20
_COPIED_AT_ONCE: Final = 20_000
_COLUMNS: Final = [
    *("position", "product_id", "action", "entity", "entity_id", "occurred_at", "occurred_assumed"),
    *("recorded_at", "origin", "digest", "envelope", "data"),
]
_KNOWN: Final = """
insert into log.deliveries (product_id, digest, received_at, first_received_at, position)
select product_id, digest, '-infinity', recorded_at, position
  from log.events
 where position > $1
 order by product_id, digest
"""


class LongLog:
    """A log that is made longer, a year at a time."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._year = FIRST_YEAR

    def fresh(self, events: int) -> list[bytes]:
        """Return bodies of the month after the newest year, which the log does not hold."""
        return list(
            simulate(
                seed=-self._year,
                events=events,
                items=200,
                users=500,
                months=1,
                ending=dt.datetime(self._year, 2, 1, tzinfo=dt.UTC),
                product_id=PRODUCT,
            )
        )

    async def grow(self, length: int) -> None:
        """Add a year, so long that the log has this length then; leave it vacuumed and analysed."""
        connection = await connect(self.dsn)
        try:
            await migrate(connection)
            await connection.execute("set synchronous_commit = off")
            head = await connection.fetchval("select coalesce(max(position), 0) from log.events")
            await connection.execute("select log.have_partitions($1)", length)
            async with _simulated(self._year, length - head) as blocks:
                await _copy(connection, head, blocks)
            await connection.execute("set work_mem = '256MB'")
            await connection.execute(_KNOWN, head)
            found = await connection.fetchval("select max(position) from log.events")
        finally:
            await connection.close()
        if found != length:
            raise RuntimeError(f"the log has {found} events, not {length}")
        self._year += 1
        await settled(self.dsn)


@asynccontextmanager
async def _simulated(year: int, events: int) -> AsyncIterator[asyncio.StreamReader]:
    """Simulate a year in a process of its own; give its bodies, a line each."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bench.long_log", str(year), str(events)),
        stdout=asyncio.subprocess.PIPE,
        limit=_BLOCK_BYTES,
        cwd=ROOT,
        env=clean_environment(),
    )
    assert process.stdout
    try:
        yield process.stdout
    except BaseException:
        with suppress(ProcessLookupError):  # it may be what ended
            process.kill()
        raise
    finally:
        code = await process.wait()
    if code:
        raise RuntimeError(f"the simulation of {year} ended with {code}")


async def _copy(connection: asyncpg.Connection[Any], head: int, blocks: asyncio.StreamReader) -> None:
    records: list[tuple[Any, ...]] = []
    position, rest = head, b""
    while block := await blocks.read(_BLOCK_BYTES):
        *bodies, rest = (rest + block).split(b"\n")
        for body in bodies:
            position += 1
            records.append(_record(position, body))
        if len(records) >= _COPIED_AT_ONCE:
            await _copy_some(connection, records)
            records.clear()
    await _copy_some(connection, records)


async def _copy_some(connection: asyncpg.Connection[Any], records: list[tuple[Any, ...]]) -> None:
    await connection.copy_records_to_table("events", schema_name="log", columns=_COLUMNS, records=records)


def _record(position: int, body: bytes) -> tuple[Any, ...]:
    at = _IMPORTED + dt.timedelta(milliseconds=position)
    event = decode(body, at, "IMPORT")
    envelope = orjson.loads(event.body)
    data = envelope.pop("data")
    return (
        position,
        event.product_id,
        event.action,
        event.entity,
        event.entity_id,
        event.occurred_at,
        event.occurred_assumed,
        at,
        event.origin,
        event.digest,
        orjson.dumps(envelope).decode(),
        orjson.dumps(data).decode(),
    )


def bodies_of(year: int, events: int) -> Iterator[bytes]:
    """Yield the bodies of a year."""
    return simulate(
        seed=year,
        events=events,
        items=ITEMS,
        users=USERS,
        months=12,
        ending=dt.datetime(year + 1, 1, 1, tzinfo=dt.UTC),
        votes_share=VOTES_SHARE,
        product_id=PRODUCT,
    )


if __name__ == "__main__":
    for line in bodies_of(int(sys.argv[1]), int(sys.argv[2])):
        sys.stdout.buffer.write(b"%b\n" % line)
