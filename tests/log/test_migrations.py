"""Migrations run once each, in order, whoever starts at once, and end in one and the same database."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from projections.declare import declare
from service.errors import DatabaseUnreachable, DatabaseUnsuitable, MigrationChanged, MigrationUnknown
from service.log import database
from service.log.database import connect, migrate, migrations, pending_migrations
from service.log.event_store import EventStore
from tests.given.bodies import an_event
from tests.given.waiting import eventually

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


# What a pg_dump holds for as long as it takes.
_READ_ALL = """
do $$
declare
    every regclass;
begin
    for every in
        select oid from pg_class
         where relnamespace in ('log'::regnamespace, 'read_model'::regnamespace) and relkind in ('r', 'p')
    loop
        execute format('lock table %s in access share mode', every);
    end loop;
end
$$
"""


async def test_a_start_waits_for_no_dump_and_a_migration_keeps_nobody_waiting_beside_one(
    database_url: str, pool: asyncpg.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "IN_USE_SECONDS", 0.01)
    shutil.copytree(Path(database.__file__).parent / "migrations", tmp_path, dirs_exist_ok=True)
    (tmp_path / "9999_later.sql").write_text("alter table log.events add column later int;")
    connection, dump = await connect(database_url), await connect(database_url)
    try:
        async with asyncio.timeout(30), dump.transaction():
            await dump.execute(_READ_ALL)

            await migrate(connection)
            await declare(connection, arriving=True)

            upgrade = asyncio.create_task(migrate(connection, tmp_path))
            await eventually(lambda: pool.fetchval("select count(*) > 0 from pg_locks where not granted"))
            store = EventStore(pool)
            for number in range(5):
                assert [one.position for one in await store.append([an_event(number)])] == [number + 1]
            await store.close()
            assert not upgrade.done()
        assert await upgrade == ["9999_later"]
    finally:
        await connection.close()
        await dump.close()


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


async def test_a_migration_as_it_read_when_it_made_the_same_is_taken(database_url: str) -> None:
    """Logs of before the first release: what that day's file made is what there is now."""
    connection = await connect(database_url)
    try:
        for name, checksum in {
            "0006_append_batch": "db924c8b5d8215aa0e20740d0894180f84e782519f71fd206c92991ef3a5e289",
            "0008_words_in_python": "b1c6c94a590bd71e6555ac38d20033222b0d7827ce685157d3309380c984bea9",
        }.items():
            await connection.execute(
                "update log.migrations set checksum = $2 where name = $1", name, checksum
            )

        assert await migrate(connection) == []
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


async def test_a_server_without_a_connection_left_is_not_told_to_be_at_another_address(
    server_url: str,
) -> None:
    name = f"recount_test_{secrets.token_hex(6)}"
    owner = await connect(server_url)
    await owner.execute(f"create role {name} login password 'plain' connection limit 0")
    parts = urlsplit(server_url)
    host = parts.netloc.rpartition("@")[2]
    try:
        with pytest.raises(DatabaseUnreachable, match=r"no connection left, 53300.; raise .*CONNECTIONS_MAX"):
            await connect(parts._replace(netloc=f"{name}:plain@{host}").geturl())
    finally:
        await owner.execute(f"drop role {name}")
        await owner.close()


async def test_a_database_of_another_encoding_is_refused_with_the_one_that_is_needed(server_url: str) -> None:
    name = f"recount_test_{secrets.token_hex(6)}"
    owner = await connect(server_url)
    await owner.execute(
        f"create database {name} encoding 'SQL_ASCII' locale_provider libc locale 'C' template template0"
    )
    try:
        connection = await connect(urlsplit(server_url)._replace(path=f"/{name}").geturl())

        with pytest.raises(DatabaseUnsuitable, match=r"SQL_ASCII.*encoding 'UTF8'"):
            await migrate(connection)

        assert await connection.fetchval("select to_regnamespace('log')") is None
        await connection.close()
    finally:
        await owner.execute(f"drop database {name} with (force)")
        await owner.close()
