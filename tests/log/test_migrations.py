"""Migrations run once each, in order, whoever starts at once, and end in one and the same database."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from service.errors import DatabaseUnreachable, MigrationChanged, MigrationUnknown
from service.log import database
from service.log.database import connect, migrate, migrations, pending_migrations

NAMES = [migration.name for migration in migrations()]

# Everything that two databases could differ in, one line each.
_DESCRIPTION = """
select format('column %s.%s %s %s %s default %s %s', c.relname, a.attnum, a.attname,
              format_type(a.atttypid, a.atttypmod),
              case when a.attnotnull then 'not null' end, pg_get_expr(d.adbin, d.adrelid),
              col_description(c.oid, a.attnum))
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
 where n.nspname in ('log', 'read_model')
union all
select format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(pg_constraint.oid))
  from pg_constraint join pg_namespace n on n.oid = connamespace
 where n.nspname in ('log', 'read_model')
union all
select indexdef from pg_indexes where schemaname in ('log', 'read_model')
union all
select format('trigger %s %s', tgrelid::regclass, pg_get_triggerdef(oid))
  from pg_trigger
 where not tgisinternal
union all
select pg_get_functiondef(p.oid) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
 where n.nspname in ('log', 'read_model')
union all
select format('head %s %s', partition_rows, partitioned_to) from log.head
 order by 1
"""


async def test_a_fresh_database_and_one_that_was_migrated_step_by_step_are_identical(
    empty_database_url: str, database_url: str, tmp_path: Path
) -> None:
    connection = await connect(empty_database_url)
    fresh = await connect(database_url)
    try:
        await fresh.execute("drop schema read_model cascade")
        for migration in migrations():
            shutil.copy(Path(database.__file__).parent / "migrations" / f"{migration.name}.sql", tmp_path)
            assert await migrate(connection, tmp_path) == [migration.name]

        assert await connection.fetch(_DESCRIPTION) == await fresh.fetch(_DESCRIPTION)
    finally:
        await connection.close()
        await fresh.close()


def test_each_migration_has_a_number_of_its_own() -> None:
    numbers = [int(migration.name[:4]) for migration in migrations()]

    assert numbers == list(range(1, len(numbers) + 1))


async def test_three_that_start_at_once_run_each_migration_once(empty_database_url: str) -> None:
    connections = [await connect(empty_database_url) for _ in range(3)]
    try:
        ran = await asyncio.gather(*(migrate(connection) for connection in connections))

        assert sorted(name for names in ran for name in names) == NAMES
        assert await migrate(connections[0]) == []
        assert await pending_migrations(connections[0]) == []
    finally:
        for connection in connections:
            await connection.close()


async def test_a_database_that_was_never_migrated_has_everything_pending(empty_database_url: str) -> None:
    connection = await connect(empty_database_url)
    try:
        assert await pending_migrations(connection) == NAMES
        assert await connection.fetchval("select to_regclass('log.migrations')") is None
    finally:
        await connection.close()


async def test_a_migration_that_was_changed_afterwards_is_refused(database_url: str, tmp_path: Path) -> None:
    shutil.copytree(Path(database.__file__).parent / "migrations", tmp_path, dirs_exist_ok=True)
    with (tmp_path / f"{NAMES[0]}.sql").open("a") as file:
        file.write("-- one more thought\n")
    connection = await connect(database_url)
    try:
        with pytest.raises(MigrationChanged, match=NAMES[0]):
            await migrate(connection, tmp_path)
    finally:
        await connection.close()


async def test_an_older_version_does_not_start_on_a_newer_database(database_url: str, tmp_path: Path) -> None:
    shutil.copy(Path(database.__file__).parent / "migrations" / f"{NAMES[0]}.sql", tmp_path)
    connection = await connect(database_url)
    try:
        with pytest.raises(MigrationUnknown, match=NAMES[1]):
            await migrate(connection, tmp_path)
    finally:
        await connection.close()


async def test_a_migration_that_fails_leaves_nothing_behind(empty_database_url: str, tmp_path: Path) -> None:
    (tmp_path / "0001_half.sql").write_text("create table log.half (a int); select 1/0;")
    connection = await connect(empty_database_url)
    try:
        with pytest.raises(Exception, match="division by zero"):
            await migrate(connection, tmp_path)

        assert await connection.fetchval("select to_regclass('log.half')") is None
        assert await connection.fetchval("select count(*) from log.migrations") == 0
    finally:
        await connection.close()


async def test_a_postgres_that_does_not_answer_is_told_without_its_address() -> None:
    with pytest.raises(
        DatabaseUnreachable, match=r"Postgres does not answer .Connection refused.; .* RECOUNT_DATABASE_URL"
    ) as told:
        await connect("postgresql://someone:hunter2@127.0.0.1:9/recount", timeout=2)

    assert [part for part in ("someone", "hunter2", "127.0.0.1", "/recount") if part in str(told.value)] == []
    assert told.value.__cause__ is None
