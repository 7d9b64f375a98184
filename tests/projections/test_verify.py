"""Verifying: counting again beside the tables in use, and saying where the two differ."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from projections.follow.projector import Projector
from projections.read_model import Reader, tables
from projections.rebuild.rebuild import rebuild
from projections.rebuild.verify import verify
from service.errors import ReadModelChanging, VerifyStopped
from tests.given.projecting import a_history, record


async def _tables_there(pool: asyncpg.Pool) -> set[str]:
    rows = await pool.fetch("select c.oid::regclass::text as name from pg_class c where relkind = 'r'")
    return {row["name"] for row in rows if row["name"].startswith("read_model.")}


async def test_tables_that_follow_the_log_are_equal_and_nothing_is_left_behind(pool: asyncpg.Pool) -> None:
    head = await record(pool, a_history(200))
    await Projector(pool, events_a_step_max=30).catch_up()
    before = await _tables_there(pool)

    report = await verify(pool, events_a_step=64)

    assert report.equal
    assert report.position == head
    assert all(table.digest == table.digest_anew for table in report.tables)
    assert await _tables_there(pool) == before


async def test_a_row_changed_by_hand_is_found_and_shown(pool: asyncpg.Pool) -> None:
    await record(pool, a_history(120))
    await Projector(pool).catch_up()
    items = (await tables(pool)).names["item_states"]
    await pool.execute(
        f"update {items} set votes_up = votes_up + 1000 where item_id = (select min(item_id) from {items})"
    )

    report = await verify(pool)

    (different,) = [table for table in report.tables if not table.equal]
    assert different.table == "item_states"
    assert {side for side, _ in different.differences} == {"in use", "anew"}
    assert not report.equal


async def test_a_missing_and_a_doubled_row_are_found(pool: asyncpg.Pool) -> None:
    await record(pool, a_history(120))
    await Projector(pool).catch_up()
    names = (await tables(pool)).names
    await pool.execute(f"delete from {names['event_facts']} where position = 7")
    await pool.execute(
        f"insert into {names['user_sightings']} select * from {names['user_sightings']} limit 0"
    )

    report = await verify(pool, ["events"])

    assert [table.table for table in report.tables if not table.equal] == ["event_facts"]
    (found,) = [table for table in report.tables if table.table == "event_facts"]
    assert [side for side, _ in found.differences] == ["anew"]
    assert (found.rows_anew - found.rows) == 1


async def test_the_projector_goes_on_while_verify_compares(pool: asyncpg.Pool) -> None:
    await record(pool, a_history(150))
    following = Projector(pool, events_a_step_max=20)
    await following.catch_up()

    verifying = asyncio.create_task(verify(pool, events_a_step=40))
    for seed in range(20, 24):
        await record(pool, a_history(25, seed=seed))
        await following.catch_up()

    assert (await verifying).equal


async def test_a_table_dropped_by_hand_is_said_to_be_a_rebuilds_to_mend_and_is(pool: asyncpg.Pool) -> None:
    await record(pool, a_history(60))
    await Projector(pool).catch_up()
    await pool.execute(f"drop table {(await tables(pool)).names['item_states']} cascade")

    with pytest.raises(VerifyStopped, match="recount rebuild"):
        await verify(pool)
    with pytest.raises(ReadModelChanging, match="recount rebuild"):
        await Reader(pool).fetch("select votes_up from {item_states}")

    await rebuild(pool)
    assert (await verify(pool)).equal
