"""Export and import: the same log again, line by line."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import cast

import asyncpg
import orjson
import pytest

from service.errors import ImportLineUnreadable, LogNotEmpty
from service.log.database import open_pool
from service.log.event_store import EventStore
from service.operate import interchange
from service.operate.interchange import BATCH_LINES, BLOCK_BYTES, Imported, export, import_lines
from service.simulator import simulate
from tests.given.bodies import NO_EVENTS, NOT_FOR_JSONB, ODD_BUT_FINE, a_body, an_event

NOW = datetime(2026, 7, 1, tzinfo=UTC)
# The line breaks of these bodies are parts of their JSON, so they cannot stand in a file of lines.
LINES = {name: body for name, body in (NOT_FOR_JSONB | ODD_BUT_FINE).items() if b"\n" not in body}

# Everything that makes the log this log, but for when it was written down on this machine.
_LOG = """
select (select md5(string_agg(e::text, '' order by e.position)) from log.events e) as events,
       (select md5(string_agg(r::text, '' order by r.position)) from log.redeliveries r) as redeliveries,
       (select md5(string_agg(d.product_id || encode(d.digest, 'hex') || d.received_at || d.position, ''
                              order by d.position)) from log.deliveries d) as deliveries
"""

_WAITING = (
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)


@pytest.fixture
async def other(empty_database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Another database, with an empty log."""
    from service.log.database import connect, migrate

    connection = await connect(empty_database_url)
    await migrate(connection)
    await connection.close()
    pool = await open_pool(empty_database_url)
    yield pool
    await pool.close()


async def _export(pool: asyncpg.Pool, product_id: int | None = None) -> bytes:
    return b"".join([line async for line in export(pool, product_id=product_id)])


async def _import(pool: asyncpg.Pool, content: bytes, *, anew: bool = False) -> Imported:
    return await import_lines(io.BytesIO(content), pool, now=NOW, anew=anew)


async def _log(pool: asyncpg.Pool) -> asyncpg.Record:
    return (await pool.fetch(_LOG))[0]


async def _fill(pool: asyncpg.Pool) -> None:
    """A log with all there is: a board's history, duplicates, odd bodies, bodies without a time."""
    history = simulate(seed=3, events=2_300, months=3, items=40, users=60, chaos=True)
    assert (await _import(pool, b"\n".join([*history, *LINES.values()]))).recorded > 2_000
    store = EventStore(pool)
    await store.append([an_event(7), an_event(7), an_event(8, timestamp=None)])
    await store.close()


async def test_an_export_imports_into_an_empty_log_as_the_same_log(
    pool: asyncpg.Pool, other: asyncpg.Pool
) -> None:
    await _fill(pool)
    exported = await _export(pool)

    imported = await _import(other, exported)

    assert imported == Imported(recorded=await EventStore(pool).head())
    assert await _log(other) == await _log(pool)
    assert await _export(other) == exported


async def test_an_import_that_was_cut_off_goes_on_where_it_stopped(
    pool: asyncpg.Pool, other: asyncpg.Pool
) -> None:
    await _fill(pool)
    exported = await _export(pool)
    half = exported[: len(exported) // 2]
    with pytest.raises(ImportLineUnreadable):
        await _import(other, half)

    again = await _import(other, exported)

    assert again.duplicates > 0
    assert await _log(other) == await _log(pool)


async def test_an_export_goes_into_no_log_that_holds_other_events(
    pool: asyncpg.Pool, other: asyncpg.Pool
) -> None:
    await _import(pool, a_body(1) + b"\n" + a_body(2))
    await _import(other, a_body(3))

    with pytest.raises(LogNotEmpty, match=r"import it into an empty database .* recount import --anew"):
        await _import(other, await _export(pool))

    assert await EventStore(other).head() == 1


async def test_an_export_may_be_recorded_anew_at_the_end_of_another_log(
    pool: asyncpg.Pool, other: asyncpg.Pool
) -> None:
    await _import(pool, a_body(1) + b"\n" + a_body(2))
    await _import(other, a_body(2) + b"\n" + a_body(3))

    imported = await _import(other, await _export(pool), anew=True)

    assert imported == Imported(recorded=1, duplicates=1)
    assert await other.fetchval("select data ->> 'feedback_id' from log.events where position = 3") == "1"


async def test_bodies_behind_an_export_wait_until_it_is_restored(
    pool: asyncpg.Pool, other: asyncpg.Pool, empty_database_url: str
) -> None:
    await _import(pool, a_body(1) + b"\n" + a_body(2))
    holder = await asyncpg.connect(empty_database_url)
    await holder.execute("begin; select 1 from log.head for update")

    importing = asyncio.create_task(_import(other, await _export(pool) + a_body(3)))
    while not await other.fetchval(_WAITING):
        await asyncio.sleep(0)
    await holder.close()

    assert await importing == Imported(recorded=3)


async def test_one_product_can_be_exported_alone(pool: asyncpg.Pool) -> None:
    await _import(pool, b"\n".join([a_body(1), a_body(2, product_id=7), a_body(3)]))

    exported = await _export(pool, product_id=7)

    assert [orjson.loads(line)["position"] for line in exported.splitlines()] == [2]


async def test_bodies_are_recorded_as_imported_and_what_is_none_is_quarantined(pool: asyncpg.Pool) -> None:
    refused = [body for body in NO_EVENTS.values() if body.strip() and b"\n" not in body and len(body) < 300]

    imported = await _import(pool, b"\n\n".join([a_body(1), *refused, a_body(1)]))

    assert imported == Imported(1, 1, len(refused))
    assert await pool.fetchval("select string_agg(distinct origin, ',') from log.events") == "IMPORT"
    assert await pool.fetchval("select count(*) from log.quarantine where origin = 'IMPORT'") == len(refused)


async def test_a_file_is_read_block_by_block_and_its_lines_stay_whole_and_numbered(
    pool: asyncpg.Pool,
) -> None:
    first = b" " * (BLOCK_BYTES - 10) + a_body(1)
    empty = b"\n" * BLOCK_BYTES
    many = b"\n".join(a_body(number) for number in range(1, BATCH_LINES + 2))

    assert await _import(pool, first + empty + a_body(2)) == Imported(recorded=2)
    assert await _import(pool, many) == Imported(BATCH_LINES - 1, 2)
    with pytest.raises(ImportLineUnreadable, match=f"line {BLOCK_BYTES + 1} "):
        await _import(pool, first + empty + b'{"recount":2}')


async def test_a_line_of_a_later_version_is_refused(pool: asyncpg.Pool) -> None:
    with pytest.raises(ImportLineUnreadable, match=r"line 2 .* of version 2"):
        await _import(pool, a_body(1) + b'\n{"recount":2}')


async def test_an_import_that_is_interrupted_says_what_it_recorded_and_again_records_the_rest_alone(
    pool: asyncpg.Pool,
) -> None:
    bodies = list(simulate(seed=5, events=4_000, months=3, items=40, users=60))
    content = b"\n".join(bodies)
    assert len(content) > 2 * BLOCK_BYTES
    told: list[Imported] = []

    async def interrupted() -> None:
        importing = cast("asyncio.Task[None]", asyncio.current_task())

        def interrupt(_: int) -> None:
            importing.cancel()

        await import_lines(io.BytesIO(content), pool, now=NOW, advance=interrupt, cut_off=told.append)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(interrupted())
    before = await EventStore(pool).head()
    again = await _import(pool, content)

    assert told == [Imported(recorded=before)]
    assert 0 < before < len(bodies)
    assert again == Imported(recorded=len(bodies) - before, duplicates=before)


@pytest.fixture
def pipe() -> Iterator[tuple[io.BufferedReader, int]]:
    """A pipe to import from, and its other end."""
    given, given_to = os.pipe()
    with open(given, "rb") as lines:
        yield lines, given_to


async def test_an_import_that_waits_for_a_pipe_is_ended_by_an_interrupt(
    pool: asyncpg.Pool, pipe: tuple[io.BufferedReader, int]
) -> None:
    lines, given_to = pipe
    os.write(given_to, a_body(1) + b"\n")
    waits, look = asyncio.Event(), interchange._readable

    async def looked(file: int) -> None:
        waits.set()
        await look(file)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(interchange, "_readable", looked)
        importing = asyncio.create_task(import_lines(lines, pool, now=NOW))
        await waits.wait()
        importing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await importing

    os.close(given_to)


async def test_a_pipe_is_imported_whole_in_whatever_pieces_it_comes(
    pool: asyncpg.Pool, pipe: tuple[io.BufferedReader, int]
) -> None:
    lines, given_to = pipe
    bodies = list(simulate(seed=5, events=2_500, months=3, items=40, users=60))
    content = b"\n".join(bodies)
    assert len(content) > BLOCK_BYTES

    def write() -> None:
        with open(given_to, "wb", buffering=0) as writing:
            for start in range(0, len(content), 3_001):
                writing.write(content[start : start + 3_001])

    _, imported = await asyncio.gather(asyncio.to_thread(write), import_lines(lines, pool, now=NOW))

    assert imported == Imported(recorded=len(bodies))
