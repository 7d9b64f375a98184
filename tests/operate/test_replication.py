"""What the doctor says of replicas: whether a commit waits for one, and whether it streams."""

from __future__ import annotations

import asyncpg

from service.config import load_settings
from service.operate.doctor import check_database
from service.operate.finding import Finding, State
from tests.given.replica import a_primary, a_replica
from tests.given.waiting import eventually


async def _replication(dsn: str) -> list[Finding]:
    return [found for found in await check_database(load_settings({}), dsn) if found.check == "replication"]


async def test_a_server_without_replicas_has_nothing_to_say_of_them(database_url: str) -> None:
    assert await _replication(database_url) == []


async def test_replicas_that_no_commit_waits_for_are_noted_and_one_that_it_waits_for_is_fine() -> None:
    async with a_primary() as primary, a_replica(primary, "second"):
        connection = await asyncpg.connect(primary.dsn)
        await eventually(lambda: connection.fetchval("select count(*) = 1 from pg_stat_replication"))

        [found] = await _replication(primary.dsn)
        assert found.state is State.NOTE
        assert "no commit waits for one" in found.text
        assert "synchronous_standby_names" in found.mend

        await connection.execute("alter system set synchronous_standby_names = 'second'")
        await connection.execute("select pg_reload_conf()")
        await eventually(
            lambda: connection.fetchval("select bool_or(sync_state = 'sync') from pg_stat_replication")
        )
        [found] = await _replication(primary.dsn)
        assert found.state is State.FINE
        await connection.close()


async def test_a_synchronous_replica_that_is_gone_is_a_problem() -> None:
    async with a_primary() as primary:
        connection = await asyncpg.connect(primary.dsn)
        await connection.execute("alter system set synchronous_standby_names = 'gone'")
        await connection.execute("select pg_reload_conf()")
        await eventually(
            lambda: connection.fetchval("select current_setting('synchronous_standby_names') = 'gone'")
        )

        [found] = await _replication(primary.dsn)

        assert found.state is State.PROBLEM
        assert "none streams" in found.text
        # Nothing of the shutdown may wait for it.
        await connection.execute("alter system reset synchronous_standby_names")
        await connection.execute("select pg_reload_conf()")
        await connection.close()


async def test_a_server_that_takes_no_writes_is_a_problem_with_what_ends_it() -> None:
    async def told(dsn: str) -> list[str]:
        found = await check_database(load_settings({}), dsn)
        return [each.mend for each in found if each.state is State.PROBLEM and "no writes" in each.text]

    async with a_primary() as primary, a_replica(primary) as replica:
        assert await told(primary.dsn) == []
        [promote] = await told(replica.dsn)
        assert "pg_promote()" in promote

        connection = await asyncpg.connect(replica.dsn)
        await connection.execute("select pg_wal_replay_pause()")
        await eventually(lambda: connection.fetchval("select pg_get_wal_replay_pause_state() = 'paused'"))
        [resume] = await told(replica.dsn)
        assert "pg_wal_replay_resume()" in resume
        await connection.close()
