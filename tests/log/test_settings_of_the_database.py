"""What a database or a role is set to changes nothing, with two instances at work.

The log, the projections and the reads rest on what `pin_session` sets; here somebody has set the opposite.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from projections.follow.projector import Projector
from projections.rebuild.verify import verify
from service.errors import DatabaseUnsuitable
from service.events import EventData, decode
from service.intake.appender import Appender, Receipt
from service.intake.spool import Spool
from service.log import database
from service.log.database import Pool, connect, migrate, open_pool
from service.log.event_store import EventStore
from service.log.hub import Hub
from service.log.quarantine import Quarantine
from tests.given.asking import Board, a_board, new_database
from tests.given.bodies import an_event
from tests.given.projecting import RECEIVED, a_history, dump
from tests.given.waiting import eventually

HOSTILE = {
    "default_transaction_isolation": ("repeatable read", "serializable"),
    "default_transaction_read_only": ("on",),
    "default_transaction_deferrable": ("on",),
    "synchronous_commit": ("off",),
    "statement_timeout": ("30ms",),
    "lock_timeout": ("1ms",),
    "transaction_timeout": ("30ms",),
    "idle_session_timeout": ("200ms",),
    "idle_in_transaction_session_timeout": ("1ms",),
    "tcp_user_timeout": ("1ms",),
    "tcp_keepalives_idle": ("7000",),
    "tcp_keepalives_interval": ("7000",),
    "tcp_keepalives_count": ("100",),
    "timezone": ("Pacific/Kiritimati",),
    "timezone_abbreviations": ("Australia",),
    "datestyle": ("SQL, DMY", "German"),
    "intervalstyle": ("sql_standard",),
    "extra_float_digits": ("-15",),
    "bytea_output": ("escape",),
    "lc_numeric": ("POSIX",),
    "lc_time": ("POSIX",),
    "standard_conforming_strings": ("off",),
    "backslash_quote": ("on",),
    "array_nulls": ("off",),
    "quote_all_identifiers": ("on",),
    "transform_null_equals": ("on",),
    "default_text_search_config": ("pg_catalog.german",),
    "client_min_messages": ("debug1",),
    "search_path": ("", "decoy, log, read_model, pg_catalog"),
    "default_tablespace": ("pg_global",),
    "default_table_access_method": ("strange",),
    "row_security": ("on",),
    "restrict_nonsystem_relation_kind": ("view",),
    "exit_on_error": ("on",),
    "plpgsql.extra_errors": ("all",),
    "gin_fuzzy_search_limit": ("1",),
    "session_replication_role": ("replica",),
}
# Only how fast it is depends on these.
SLOW = {
    "jit": "on",
    "plan_cache_mode": "force_custom_plan",
    "geqo": "off",
    "from_collapse_limit": "1",
    "join_collapse_limit": "1",
    "constraint_exclusion": "off",
    "enable_partitionwise_aggregate": "on",
    "enable_partitionwise_join": "on",
    "enable_async_append": "off",
    "enable_bitmapscan": "off",
    "enable_gathermerge": "off",
    "enable_hashagg": "off",
    "enable_hashjoin": "off",
    "enable_incremental_sort": "off",
    "enable_indexonlyscan": "off",
    "enable_indexscan": "off",
    "enable_material": "off",
    "enable_memoize": "off",
    "enable_mergejoin": "off",
    "enable_nestloop": "off",
    "enable_parallel_append": "off",
    "enable_parallel_hash": "off",
    "enable_partition_pruning": "off",
    "enable_presorted_aggregate": "off",
    "enable_seqscan": "off",
    "enable_sort": "off",
    "enable_tidscan": "off",
}
# All at once, then with the second values of those that have two: what is pinned hides no other that is not.
CASES = {
    "hostile": {name: values[0] for name, values in HOSTILE.items()},
    "hostile otherwise": {name: values[-1] for name, values in HOSTILE.items()},
    "slow": SLOW,
}
EVENTS_A_CASE = 120

READS = """
{
  items(first: 100, filter: {deleted: null}) {
    totalCount
    nodes {
      id title status { key } votes { net } scoring ratio createdAt updatedAt rank
      timeline(last: 3) { nodes { position occurredAt recordedAt changes { field before after } } }
      voteSeries(bucket: WEEK) { t up cumulative }
    }
  }
  search: items(filter: {search: "the"}) { totalCount }
  users(first: 200) { nodes { id name customerId activity { csatAvg } firstSeenAt } }
  events(last: 20) { nodes { position rawPayload occurredAt } }
}
"""


class Instance:
    """What one instance of the service takes deliveries with."""

    def __init__(self, pool: Pool, folder: Path) -> None:
        self.pool = pool
        self.store = EventStore(pool)
        self.spool = Spool(folder, 10**9)
        self.appender = Appender(
            self.store, Quarantine(pool, self.store), self.spool, batch_max=4, append_seconds_max=30
        )

    async def take(self, events: Sequence[EventData]) -> list[Receipt]:
        return await asyncio.gather(*(self.appender.append(event) for event in events))


class Database:
    """A database whose settings change, and what was delivered to it so far."""

    def __init__(self, url: str, owner: asyncpg.Connection) -> None:
        self.url, self.owner = url, owner
        self.delivered: set[bytes] = set()
        self.bodies = iter(a_history(events=2 * EVENTS_A_CASE * len(CASES)))

    async def set(self, **settings: str) -> None:
        """Set what new sessions begin with; passes over what this version of Postgres does not know."""
        for name, value in settings.items():
            parts = value.split(", ") if name == "search_path" else [value]
            quoted = ", ".join(f"'{part}'" for part in parts)
            with contextlib.suppress(asyncpg.UndefinedObjectError):
                await self._alter(f"set {name} to {quoted}")

    async def reset(self) -> None:
        await self._alter("reset all")

    async def _alter(self, change: str) -> None:
        name = await self.owner.fetchval("select quote_ident(current_database())")
        await self.owner.execute(f"alter database {name} {change}")

    def events(self) -> tuple[list[EventData], list[EventData], int]:
        """Return deliveries for two instances, half of them the same, and how many of all are new."""
        taken = [decode(next(self.bodies), RECEIVED) for _ in range(EVENTS_A_CASE)]
        new = {event.digest for event in taken} - self.delivered
        self.delivered |= new
        quarter = EVENTS_A_CASE // 4
        return taken[: 3 * quarter], taken[quarter:], len(new)


@pytest.fixture(scope="module")
async def shared(server_url: str, template: str) -> AsyncIterator[Database]:
    """One database for all cases: what is recorded and projected under one setting is read under the next."""
    async with new_database(server_url, template) as url:
        owner = await asyncpg.connect(url)
        # What whoever trusts the path meets first, and a way to store tables that is none of ours.
        await owner.execute(
            "create schema decoy; create table decoy.events (); create table decoy.checkpoints ();"
            "create function decoy.clock_timestamp() returns timestamptz return timestamptz 'epoch';"
            "create access method strange type table handler heap_tableam_handler"
        )
        try:
            yield Database(url, owner)
        finally:
            await owner.close()


@pytest.fixture
async def altered(database_url: str) -> AsyncIterator[Database]:
    """A database of the test's own."""
    owner = await asyncpg.connect(database_url)
    yield Database(database_url, owner)
    await owner.close()


async def reads(board: Board, pool: Pool) -> tuple[Any, dict[str, list[str]]]:
    return await board.ask(READS), await dump(pool)


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
async def test_whatever_a_database_is_set_to_everything_is_recorded_and_read_alike(
    shared: Database, tmp_path: Path, settings: dict[str, str]
) -> None:
    before = await shared.owner.fetchval("select count(*) from log.events")
    await shared.set(**settings)
    async with AsyncExitStack() as stack:
        try:
            pools = [await open_pool(shared.url, min_size=2, max_size=4) for _ in range(2)]
            for pool in pools:
                stack.push_async_callback(pool.close)
            instances = [Instance(pool, tmp_path / str(number)) for number, pool in enumerate(pools)]
            for instance in instances:
                await stack.enter_async_context(instance.spool)
                await stack.enter_async_context(instance.appender)
            board = await stack.enter_async_context(a_board(pools[0]))
            first, second, new = shared.events()

            one, two = await asyncio.gather(instances[0].take(first), instances[1].take(second))
            await Projector(pools[1]).catch_up()
            seen = await reads(board, pools[0])
        finally:
            await shared.reset()

        assert {(receipt.quarantined, receipt.spooled) for receipt in one + two} == {(None, False)}
        assert await shared.owner.fetchval("select count(*) from log.quarantine") == 0
        positions = await shared.owner.fetch("select position from log.events order by position")
        assert [row["position"] for row in positions] == list(range(1, before + new + 1))
        plain = await stack.enter_async_context(asyncpg.create_pool(shared.url, min_size=1, max_size=2))
        async with a_board(plain) as same:
            assert await reads(same, plain) == seen


async def test_what_was_projected_under_all_of_them_is_what_the_log_gives(shared: Database) -> None:
    async with asyncpg.create_pool(shared.url, min_size=1, max_size=4) as plain:
        await Projector(plain).catch_up()

        assert (await verify(plain)).equal


def test_each_setting_that_is_pinned_has_its_opposite_here() -> None:
    pins = database._sql["pin_session"]
    pinned = re.findall(r"^set (\w+) =", pins, re.MULTILINE) + re.findall(r"\('([\w.]+)',", pins)

    assert sorted(pinned) == sorted(HOSTILE | SLOW)


async def test_a_use_that_sets_something_leaves_the_pins_to_the_next(altered: Database) -> None:
    await altered.set(default_transaction_isolation="serializable")
    pool = await open_pool(altered.url, min_size=1, max_size=1)
    show = "select current_setting($1)"

    async with pool.acquire() as connection:
        await connection.execute(
            "set default_transaction_isolation to 'repeatable read'; set work_mem to '77MB'"
        )

    assert await pool.fetchval(show, "default_transaction_isolation") == "read committed"
    assert await pool.fetchval(show, "work_mem") == await altered.owner.fetchval(show, "work_mem")
    await pool.close()


async def test_the_hub_listens_on_where_idle_sessions_are_ended(altered: Database) -> None:
    await altered.set(idle_session_timeout="100ms")
    old = """select count(*) from pg_stat_activity
              where datname = current_database() and application_name = 'recount hub'
                and backend_start < clock_timestamp() - interval '0.5 seconds'"""
    async with Hub(altered.url):
        await eventually(lambda: altered.owner.fetchval(old))


async def test_a_role_that_cannot_put_triggers_back_is_told_at_the_start(altered: Database) -> None:
    role = f"{await altered.owner.fetchval('select current_database()')}_plain"
    await altered.owner.execute(f"create role {role} login password 'plain'")
    await altered.owner.execute(f"alter role {role} set session_replication_role to 'replica'")
    try:
        connection = await connect(re.sub("//[^/@]*@", f"//{role}:plain@", altered.url))

        with pytest.raises(DatabaseUnsuitable, match="session_replication_role = replica"):
            await migrate(connection)

        await connection.close()
    finally:
        await altered.owner.execute(f"drop role {role}")


async def test_a_position_that_is_taken_is_no_fault_of_the_body(altered: Database, tmp_path: Path) -> None:
    """Unpinned: under repeatable read an append does not see what was recorded before its turn came."""
    await altered.set(default_transaction_isolation="repeatable read")
    async with asyncpg.create_pool(altered.url, min_size=1, max_size=4) as unpinned:
        instance = Instance(unpinned, tmp_path)
        async with instance.spool, instance.appender:
            async with altered.owner.transaction(isolation="read_committed"):
                await altered.owner.execute("select 1 from log.head for update")
                taking = asyncio.create_task(instance.take([an_event(1)]))
                await eventually(lambda: unpinned.fetchval("select count(*) from pg_locks where not granted"))
                await altered.owner.fetch(
                    "select log.append($1::log.delivery[], '10 minutes')", [an_event(2)]
                )
            receipts = await taking
            await eventually(lambda: not instance.spool.pending)

    assert receipts == [Receipt(spooled=True)]
    assert await altered.owner.fetchval("select count(*) from log.quarantine") == 0
    recorded = await altered.owner.fetch("select position, entity_id from log.events order by position")
    assert [tuple(row) for row in recorded] == [(1, "2"), (2, "1")]
