"""What the doctor says of a log that somebody changed by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from service.config import load_settings
from service.log.database import Connection, connect
from service.operate.finding import Finding, State
from service.operate.log_tables import check_log_tables

KEYS = """
select c.conrelid::regclass::text as table, c.conname as key
  from pg_constraint c join pg_class t on t.oid = c.conrelid
 where c.contype = 'p' and t.relnamespace = 'log'::regnamespace and not t.relispartition
"""


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    connection = await connect(database_url)
    yield connection
    await connection.close()


async def problems(connection: Connection) -> list[Finding]:
    found = [each async for each in check_log_tables(load_settings({}), connection)]
    assert all(each.state is State.PROBLEM and each.mend for each in found)
    return found


async def test_each_table_of_a_new_log_has_a_key_and_is_told_of_without(connection: Connection) -> None:
    assert await problems(connection) == []
    keys = await connection.fetch(KEYS)
    assert {"log.events", "log.deliveries", "log.quarantine", "log.keys"} <= {row["table"] for row in keys}
    for row in keys:
        trial = connection.transaction()
        await trial.start()
        await connection.execute(f"alter table {row['table']} drop constraint {row['key']} cascade")

        told = [each.text for each in await problems(connection)]

        assert any(text.startswith(f"{row['table']} has no primary key") for text in told)
        await trial.rollback()


async def test_what_mends_the_key_of_deliveries_mends_it_and_says_where_to_read_on(
    connection: Connection,
) -> None:
    await connection.execute("alter table log.deliveries drop constraint deliveries_pkey")
    [problem] = await problems(connection)
    assert "recorded again" in problem.text

    await connection.execute(problem.mend.partition(";")[0])

    assert await problems(connection) == []


async def test_an_index_that_postgres_does_not_trust_is_told_of(connection: Connection) -> None:
    await connection.execute(
        "update pg_index set indisvalid = false where indexrelid = 'log.deliveries_pkey'::regclass"
    )
    [problem] = await problems(connection)
    assert "log.deliveries_pkey" in problem.text

    await connection.execute(problem.mend)

    assert await problems(connection) == []
