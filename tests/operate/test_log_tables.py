"""What the doctor says of a log that somebody changed by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.config import load_settings
from service.log.database import Connection, Pool, connect, taken_back
from service.log.event_store import EventStore
from service.operate.finding import Finding, State
from service.operate.log_tables import check_log_tables
from tests.given.bodies import an_event

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
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
        async with taken_back(connection):
            await connection.execute(f"alter table {row['table']} drop constraint {row['key']} cascade")

            told = [each.text for each in await problems(connection)]

            assert any(text.startswith(f"{row['table']} has no primary key") for text in told)


def recipe(beginning: str) -> str:
    """The SQL of docs/operations.md that begins so."""
    blocks = OPERATIONS.read_text().split("```text\n")[1:]
    [found] = [block.partition("```")[0] for block in blocks if block.startswith(beginning)]
    return found


@pytest.mark.parametrize(
    "harm", ["truncate log.deliveries", "alter table log.deliveries drop constraint deliveries_pkey"]
)
async def test_deliveries_that_are_known_no_more_are_told_of_and_known_after_the_recipe(
    connection: Connection, pool: Pool, harm: str
) -> None:
    store = EventStore(pool)
    untimed = an_event(2, timestamp=None, received_at=datetime.now(UTC))
    await store.append([an_event(1), untimed])
    await connection.execute(harm)
    assert ["log.deliveries" in each.text for each in await problems(connection)] == [True]
    await store.append([an_event(1)])

    await connection.execute(recipe("begin;\nlock table log.events"))

    assert await problems(connection) == []
    assert [each.position for each in await store.append([an_event(1), untimed])] == [1, 2]
    await store.close()


async def test_the_row_that_appends_lock_is_missed_and_put_back_by_the_recipe(connection: Connection) -> None:
    row = await connection.fetchrow("delete from log.head returning *")
    [problem] = await problems(connection)
    assert problem.text.startswith("log.head has no row")

    await connection.execute(recipe("insert into log.head"))

    assert await connection.fetchrow("select * from log.head") == row
    assert await problems(connection) == []


async def test_an_index_that_postgres_does_not_trust_is_told_of(connection: Connection) -> None:
    await connection.execute(
        "update pg_index set indisvalid = false where indexrelid = 'log.deliveries_pkey'::regclass"
    )
    [problem] = await problems(connection)
    assert "log.deliveries_pkey" in problem.text

    await connection.execute(problem.mend)

    assert await problems(connection) == []
