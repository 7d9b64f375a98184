"""The recipe of docs/operations.md: dump the schema `log`, restore it, count again, verify."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import asyncpg
import pytest

from projections.follow.projector import Projector
from projections.rebuild.after_erasure import count_again
from projections.rebuild.verify import verify
from service.log.database import connect, migrate, open_pool
from service.operate.erasure import Erasure
from service.operate.interchange import export, import_lines
from service.simulator import simulate
from tests.given.postgres_tools import dump, run

PRODUCT = 647288130


@pytest.fixture
async def board(pool: asyncpg.Pool) -> asyncpg.Pool:
    """A log with a board's history, projected."""
    lines = b"\n".join(simulate(seed=11, events=1_500, months=3, items=30, users=50, chaos=True))
    await import_lines(BytesIO(lines), pool, now=datetime.now(UTC))
    await Projector(pool).catch_up()
    return pool


@pytest.fixture
async def restored(
    board: asyncpg.Pool, database_url: str, empty_database_url: str, tmp_path: Path
) -> AsyncIterator[asyncpg.Pool]:
    """Another database, restored from a dump of the log alone."""
    file = tmp_path / "recount.dump"
    await run("pg_dump", "--format=custom", "--schema=log", f"--file={file}", database_url)
    await run("pg_restore", str(file), "--exit-on-error", "--no-owner", "--dbname", empty_database_url)
    pool = await open_pool(empty_database_url)
    yield pool
    await pool.close()


async def test_a_restored_dump_of_the_log_counts_to_the_same_board(
    board: asyncpg.Pool, restored: asyncpg.Pool, empty_database_url: str
) -> None:
    connection = await connect(empty_database_url)
    assert await migrate(connection) == []
    await connection.close()

    await Projector(restored).catch_up()

    assert [line async for line in export(restored)] == [line async for line in export(board)]
    before, after = await verify(board), await verify(restored)
    assert (before.equal, after.equal) == (True, True)
    assert [(table.table, table.digest) for table in after.tables] == [
        (table.table, table.digest) for table in before.tables
    ]


async def test_a_restored_log_goes_on_where_the_old_one_stood_and_still_refuses_changes(
    board: asyncpg.Pool, restored: asyncpg.Pool
) -> None:
    head = await board.fetchval("select max(position) from log.events")
    body = b'{"product_id": 7, "action": "item.create", "data": {"feedback_id": 1}, "timestamp": 1781438400}'

    imported = await import_lines(BytesIO(body), restored, now=datetime.now(UTC))

    assert imported.recorded == 1
    assert await restored.fetchval("select max(position) from log.events") == head + 1
    with pytest.raises(asyncpg.RestrictViolationError):
        await restored.execute("delete from log.events")
    with pytest.raises(asyncpg.RestrictViolationError):
        await restored.execute("truncate log.events cascade")


async def test_whom_the_dump_still_knows_the_ledger_erases_again(
    board: asyncpg.Pool, restored: asyncpg.Pool, empty_database_url: str, tmp_path: Path
) -> None:
    row = await board.fetchrow(
        "select data ->> 'user_id' as id, data ->> 'data_mail' as mail from log.events "
        "where action = 'user.create' and length(data ->> 'data_mail') > 3 limit 1"
    )
    assert row is not None

    async def erasure(pool: asyncpg.Pool) -> Erasure:
        await Projector(pool).catch_up()
        return Erasure(pool, lambda product_id: count_again(pool, product_id), data_dir=tmp_path)

    await (await erasure(board)).erase(PRODUCT, row["id"], texts=True, reason="asked for it")

    again = await (await erasure(restored)).reapply()

    assert len(again) == 1
    assert row["mail"].lower() not in (await dump(empty_database_url)).lower()
    assert (await verify(restored)).equal
