"""Rebuilding: the same tables, beside the old ones, gone on with after a kill, switched in one piece."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from projections.catalogue import BUILT_IN, Projection, all_projections, together
from projections.checkpoints import lock
from projections.follow.projector import Projector
from projections.read_model import Reader, tables
from projections.rebuild import replay
from projections.rebuild.build import Build, lanes_of, steps_of
from projections.rebuild.rebuild import Rebuilder, rebuild, stale
from projections.rebuild.verify import verify
from projections.status import status
from service.errors import LostLease, RebuildRuns, RebuildStopped, UnknownProjection
from tests.given.projecting import PRODUCT, a_history, dump, payload, record


@pytest.fixture
async def followed(pool: asyncpg.Pool) -> asyncpg.Pool:
    """A log of some hundred events, followed live in small batches."""
    await record(pool, a_history(250))
    await Projector(pool, events_a_step_max=40).catch_up()
    return pool


async def test_rebuild_and_catch_up_leave_the_same_tables(followed: asyncpg.Pool) -> None:
    after_catch_up = await dump(followed)

    report = await rebuild(followed, events_a_step=60)

    assert await dump(followed) == after_catch_up
    assert report.events == await followed.fetchval("select max(position) from log.events")
    assert report.rate_per_second > 0


@pytest.mark.parametrize("events_a_step", [1, 17, 100_000])
async def test_a_rebuild_in_steps_of_any_size_leaves_the_same_tables(
    pool: asyncpg.Pool, events_a_step: int
) -> None:
    await record(pool, a_history(60))
    await Projector(pool).catch_up()
    before = await dump(pool)

    await rebuild(pool, events_a_step=events_a_step)

    assert await dump(pool) == before


async def test_reads_go_to_the_old_tables_until_the_switch_and_then_to_the_new(
    followed: asyncpg.Pool,
) -> None:
    old = (await tables(followed)).names["items"]
    seen: set[str] = set()
    task = asyncio.create_task(rebuild(followed, events_a_step=50))
    while not task.done():
        generation = await tables(followed)
        rows, _ = await Reader(followed).fetch("select count(*) as n from {items}")
        assert rows[0]["n"] > 0
        seen.add(generation.names["items"])
        await asyncio.sleep(0)
    await task

    assert old in seen
    assert (await tables(followed)).names["items"] not in {old}


async def test_a_reader_with_an_older_snapshot_still_reads_the_old_tables(followed: asyncpg.Pool) -> None:
    reader = Reader(followed)
    async with reader.snapshot() as snapshot:
        before = await snapshot.fetch("select count(*) as n from {items}")
        await rebuild(followed)

        assert await snapshot.fetch("select count(*) as n from {items}") == before
        assert "items" in (await tables(followed)).names

    rebuilder = Rebuilder(followed, grace_seconds=0)
    assert await rebuilder.drop_discarded()
    rows, _ = await reader.fetch("select count(*) as n from {items}")
    assert rows == before


async def test_a_table_still_being_read_is_dropped_later(followed: asyncpg.Pool, database_url: str) -> None:
    old = (await tables(followed)).names["items"]
    reading = await asyncpg.connect(database_url)
    # Its next statement would read by a new snapshot; what it has read is locked all the same.
    await reading.execute(f"begin; select count(*) from {old}")
    await rebuild(followed, ["users"])
    await rebuild(followed)

    dropped = await Rebuilder(followed, grace_seconds=0).drop_discarded()

    assert dropped
    assert old not in dropped
    await reading.close()
    assert old in await Rebuilder(followed, grace_seconds=0).drop_discarded()


class _Killed(BaseException):
    """Ends a rebuild the way a kill does: nothing of ours runs afterwards."""


@pytest.mark.parametrize("killed_at", [1, 2, 3, 4, 5, 6])
async def test_a_killed_rebuild_is_gone_on_with_and_ends_the_same(
    followed: asyncpg.Pool, killed_at: int
) -> None:
    before = await dump(followed)
    told: list[int] = []

    def kill(position: int, _: int) -> None:
        told.append(position)
        if len(told) == killed_at:
            raise _Killed

    with pytest.raises(_Killed):
        await rebuild(followed, events_a_step=60, progress=kill)
    assert await dump(followed) == before

    report = await rebuild(followed, events_a_step=60)

    assert await dump(followed) == before
    assert report.resumed_at == (told[-2] if killed_at > 1 else 0)


@pytest.mark.parametrize("killed_before", ["items", "events"])
async def test_a_rebuild_killed_between_projections_that_settle_makes_no_index_twice(
    followed: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, killed_before: str
) -> None:
    rows, indexes = await dump(followed), await _indexes(followed)
    settle = Build._settle

    async def settle_or_die(build: Build, projection: Projection, needed: Any, *more: Any) -> None:
        for task in needed:
            await task
        if projection.name == killed_before:
            raise _Killed
        await settle(build, projection, needed, *more)

    with monkeypatch.context() as patched:
        patched.setattr(Build, "_settle", settle_or_die)
        with pytest.raises(_Killed):
            await rebuild(followed)

    await rebuild(followed)

    assert await dump(followed) == rows
    assert await _indexes(followed) == indexes


@pytest.mark.parametrize("killed_before", ["items", "comments", "inferences"])
async def test_a_rebuild_killed_between_projections_that_make_their_indexes_makes_none_twice(
    followed: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, killed_before: str
) -> None:
    rows, indexes = await dump(followed), await _indexes(followed)
    index = Build._index_one

    async def index_or_die(build: Build, projection: Projection, *more: Any) -> None:
        if projection.name == killed_before:
            raise _Killed
        await index(build, projection, *more)

    with monkeypatch.context() as patched:
        patched.setattr(Build, "_index_one", index_or_die)
        with pytest.raises(_Killed):
            await rebuild(followed)
    assert await dump(followed) == rows

    await rebuild(followed)

    assert await dump(followed) == rows
    assert await _indexes(followed) == indexes


async def _indexes(pool: asyncpg.Pool) -> list[str]:
    """How many indexes of which kind each table in use has."""
    in_use = [name.removeprefix("read_model.") for name in (await tables(pool)).names.values()]
    found = await pool.fetch("select indexdef from pg_indexes where tablename = any ($1::text[])", in_use)
    return sorted(
        re.sub(r"^(create (?:unique )?index) \S+|(?<=[a-z])_[0-9]+\b", r"\1", row[0], flags=re.I)
        for row in found
    )


async def test_a_rebuild_waits_for_its_turn_and_a_comparison_says_that_it_has_none(
    followed: asyncpg.Pool,
) -> None:
    async with Rebuilder(followed).lease.awaited(followed):
        waiting = asyncio.create_task(rebuild(followed))

        with pytest.raises(RebuildRuns, match="a rebuild or a comparison is running"):
            await verify(followed)

        assert not waiting.done()
    assert (await waiting).projections


async def test_asking_twice_for_the_same_rebuild_is_one_rebuild(followed: asyncpg.Pool) -> None:
    rebuilder = Rebuilder(followed)

    first = await rebuilder.request(["users"])
    second = await rebuilder.request(["users"])
    other = await rebuilder.request()

    assert first == second != other
    await rebuilder.turn()
    await rebuilder.turn()
    assert await followed.fetchval("select count(*) from read_model.rebuilds where state = 'DONE'") == 2


async def test_a_rebuild_does_not_end_with_one_before_it_that_cannot_be_done(followed: asyncpg.Pool) -> None:
    rebuilder = Rebuilder(followed)
    await rebuilder.request(["users"])
    await followed.execute("update read_model.rebuilds set projections = '{gone}'")

    report = await rebuild(followed, ["changelog"])

    assert report.projections == ("changelog",)
    states = await followed.fetch("select state from read_model.rebuilds order by rebuild")
    assert [row["state"] for row in states] == ["FAILED", "DONE"]


async def test_one_projection_is_rebuilt_with_those_whose_tables_it_reads(followed: asyncpg.Pool) -> None:
    before = await dump(followed)

    report = await rebuild(followed, ["items"])

    assert set(report.projections) == {"comments", "items", "votes"}
    assert await dump(followed) == before
    names = (await tables(followed)).names.values()
    assert len({name.rpartition("_")[2] for name in names}) == 2


async def test_an_unknown_projection_is_refused_with_the_known_ones(followed: asyncpg.Pool) -> None:
    with pytest.raises(UnknownProjection, match=r"'itmes'; there are: .*items"):
        await rebuild(followed, ["itmes"])


async def test_one_product_is_counted_again_in_place(pool: asyncpg.Pool) -> None:
    await record(pool, [*a_history(120), *a_history(80, seed=5, product_id=99)])
    await Projector(pool).catch_up()
    before = await dump(pool)
    names = (await tables(pool)).names
    await pool.execute(f"update {names['item_states']} set title = 'broken' where product_id = $1", PRODUCT)
    await pool.execute(f"delete from {names['user_versions']} where product_id = $1", PRODUCT)
    assert await dump(pool) != before

    report = await rebuild(pool, product_id=PRODUCT)

    assert await dump(pool) == before
    assert report.events == await pool.fetchval(
        "select count(*) from log.events where product_id = $1", PRODUCT
    )


async def test_counting_one_product_again_goes_through_no_other(pool: asyncpg.Pool) -> None:
    """Others' rows are not looked at: on a log of many products that took longer than the product itself."""
    await record(pool, [*a_history(120), *a_history(80, seed=5, product_id=99)])
    await Projector(pool).catch_up()
    names = (await tables(pool)).names
    await pool.execute(f"update {names['item_states']} set title = 'as it was' where product_id = 99")
    await pool.execute(f"update {names['users']} set name = 'as it was' where product_id = 99")
    before = await dump(pool)

    await rebuild(pool, product_id=PRODUCT)

    assert await dump(pool) == before


async def test_rows_that_are_as_they_were_are_not_written_again(pool: asyncpg.Pool) -> None:
    await record(pool, a_history(120))
    await Projector(pool).catch_up()
    names = (await tables(pool)).names
    counts = names["item_counts"]
    await pool.execute(
        f"update {counts} set votes_up = 77 where position = (select min(position) from {counts})"
    )
    of_tables = {
        table: f"select ctid, xmin from {names[table]}" for each in BUILT_IN for table in each.tables
    }
    before = {table: set(map(str, await pool.fetch(sql))) for table, sql in of_tables.items()}

    await rebuild(pool, product_id=PRODUCT)

    after = {table: set(map(str, await pool.fetch(sql))) for table, sql in of_tables.items()}
    written = {table: len(after[table] - before[table]) for table in of_tables}
    assert {table: rows for table, rows in written.items() if rows} == {"item_counts": 1}


async def test_the_projector_goes_on_while_a_product_is_counted(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record(pool, [*a_history(120), *a_history(80, seed=5, product_id=99)])
    await Projector(pool).catch_up()

    async def lock_later(*args: Any) -> list[asyncpg.Record]:
        await record(pool, [*a_history(40, seed=6), *a_history(40, seed=7, product_id=99)])
        await Projector(pool).catch_up()
        return await lock(*args)

    monkeypatch.setattr(replay, "lock", lock_later)
    report = await rebuild(pool, product_id=PRODUCT)

    counted = await dump(pool)
    assert report.events == await pool.fetchval(
        "select count(*) from log.events where product_id = $1", PRODUCT
    )
    await rebuild(pool)
    assert await dump(pool) == counted


async def test_a_large_product_is_counted_again_beside_the_tables_in_use(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To put in the rows of a million events would keep the projector waiting for minutes."""
    await record(pool, [*a_history(120), *a_history(40, seed=5, product_id=99)])
    await Projector(pool).catch_up()
    before = await dump(pool)
    in_use = (await tables(pool)).names
    monkeypatch.setattr(replay, "PUT_IN_EVENTS_MAX", 60)

    await rebuild(pool, product_id=99)
    small = (await tables(pool)).names
    await rebuild(pool, product_id=PRODUCT)
    large = (await tables(pool)).names

    assert (small["items"] == in_use["items"], large["items"] == in_use["items"]) == (True, False)
    assert await dump(pool) == before


async def test_a_count_that_lost_its_turn_puts_nothing_in(
    followed: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever took over may have read what the log says since, and be done."""
    names = (await tables(followed)).names
    await followed.execute(f"update {names['item_states']} set title = 'as it was'")
    before = await dump(followed)

    async def lock_later(*args: Any) -> list[asyncpg.Record]:
        await followed.execute("update read_model.lease set expires = '-infinity' where task = 'rebuild'")
        assert await Rebuilder(followed).lease.take(followed)
        return await lock(*args)

    monkeypatch.setattr(replay, "lock", lock_later)
    with pytest.raises(LostLease):
        await rebuild(followed, product_id=PRODUCT)

    assert await dump(followed) == before


async def test_a_product_in_tables_of_another_version_has_them_rebuilt(followed: asyncpg.Pool) -> None:
    before = await dump(followed)
    await followed.execute(
        "update read_model.checkpoints set fingerprint = 'old', tables = array_remove(tables, 'item_texts') "
        "where projection = 'items'"
    )

    await rebuild(followed, product_id=PRODUCT)

    assert await stale(followed) == []
    assert await dump(followed) == before


async def test_one_item_is_counted_again_in_place(followed: asyncpg.Pool) -> None:
    before = await dump(followed)
    names = (await tables(followed)).names
    item_id = await followed.fetchval(f"select item_id from {names['items']} order by events desc limit 1")
    for table in ("item_states", "item_texts", "item_counts", "item_contents", "votes", "event_facts"):
        await followed.execute(f"delete from {names[table]} where item_id = $1", item_id)

    await rebuild(followed, product_id=PRODUCT, item_id=item_id)

    assert await dump(followed) == before


async def test_counting_one_part_again_leaves_alone_what_others_comments_told_without_their_item(
    pool: asyncpg.Pool,
) -> None:
    of_two = [
        payload(
            name,
            product_id=product,
            comment_id=comment,
            **({} if "delete" in name else {"feedback_id": item}),
        )
        for product in (PRODUCT, 99)
        for comment, item in ((1, 42), (2, 43))
        for name in ("comment.create", "comment.delete")
    ]
    items = [payload("item.create", product_id=product, feedback_id=42) for product in (PRODUCT, 99)]
    await record(pool, [*items, *of_two])
    await Projector(pool).catch_up()
    before = await dump(pool)

    await rebuild(pool, product_id=PRODUCT)
    await rebuild(pool, product_id=PRODUCT, item_id="42")

    assert await dump(pool) == before


async def test_the_projector_goes_on_while_a_rebuild_runs_and_after_the_switch(pool: asyncpg.Pool) -> None:
    await record(pool, a_history(150))
    following = Projector(pool, events_a_step_max=10)
    await following.catch_up()
    task = asyncio.create_task(rebuild(pool, events_a_step=20))
    for seed in (11, 12, 13):
        await record(pool, a_history(30, seed=seed))
        await following.catch_up()
    await task
    await record(pool, a_history(30, seed=14))
    await following.catch_up()
    after_both = await dump(pool)

    await rebuild(pool)

    assert await dump(pool) == after_both


def refuse_votes(patch: pytest.MonkeyPatch) -> None:
    """Have every rebuild from here on meet votes that cannot be counted in: those from position 100 on."""
    create = Build.create

    async def create_and_break(build: Build) -> None:
        await create(build)
        await build.counting.execute(
            f"alter table {build.names['votes']} add constraint broken check (position < 100)"
        )

    patch.setattr(Build, "create", create_and_break)


async def test_a_rebuild_stops_at_an_event_that_cannot_be_applied_and_says_so(
    followed: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await dump(followed)
    refuse_votes(monkeypatch)
    with pytest.raises(RebuildStopped, match="broken") as stopped:
        await rebuild(followed, events_a_step=70)

    assert stopped.value.position >= 100
    vote = await followed.fetchval(
        "select entity from log.events where position = $1", stopped.value.position
    )
    assert vote == "vote"
    assert await dump(followed) == before
    failed = await followed.fetchrow("select state, error from read_model.rebuilds")
    assert failed is not None
    assert failed["state"] == "FAILED"


async def test_a_rebuild_that_stopped_is_not_begun_again_but_by_a_version_that_rebuilds_otherwise(
    followed: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await followed.execute("update read_model.checkpoints set fingerprint = 'old' where projection = 'votes'")
    rebuilder = Rebuilder(followed)
    with monkeypatch.context() as broken:
        refuse_votes(broken)
        with pytest.raises(RebuildStopped):
            await rebuilder.turn()

    again = await rebuilder.turn()
    monkeypatch.setattr("projections.rebuild.rebuild.code_digest", lambda: "another version's")
    upgraded = await rebuilder.turn()

    assert again is None
    assert upgraded is not None
    assert await stale(followed) == []
    assert {one.state for one in await status(followed)} == {"LIVE"}


async def test_tables_of_other_statements_are_rebuilt_by_themselves(followed: asyncpg.Pool) -> None:
    before = await dump(followed)
    await followed.execute(
        "update read_model.checkpoints set fingerprint = 'old' where projection = 'comments'"
    )
    assert await stale(followed) == ["comments"]
    assert {s.name: s.state for s in await status(followed)}["comments"] == "OUTDATED"
    await record(followed, a_history(20, seed=8))

    await Projector(followed).catch_up()

    assert await stale(followed) == []
    assert {s.state for s in await status(followed)} == {"LIVE"}
    changed = await dump(followed)
    assert len(changed["comments"]) >= len(before["comments"])
    await rebuild(followed)
    assert await dump(followed) == changed


async def test_a_rebuild_shows_its_progress_in_the_status(followed: asyncpg.Pool) -> None:
    seen: list[Any] = []
    task = asyncio.create_task(rebuild(followed, events_a_step=20))
    while not task.done():
        seen += [s for s in await status(followed) if s.name == "items"]
        await asyncio.sleep(0)
    await task

    assert "REBUILDING" in {s.state for s in seen}
    assert any(s.progress for s in seen)


async def test_a_rebuild_leaves_no_table_behind_but_the_old_ones_for_a_while(followed: asyncpg.Pool) -> None:
    await rebuild(followed, events_a_step=100)
    await Rebuilder(followed, grace_seconds=0).drop_discarded()

    found = await followed.fetch(
        "select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where nspname = 'read_model' and relkind in ('r', 'v') and relname ~ '_[0-9]+$'"
    )
    assert {f"read_model.{row['relname']}" for row in found} == set((await tables(followed)).names.values())


async def test_a_projection_that_this_version_has_no_more_goes_with_the_next_rebuild(
    followed: asyncpg.Pool,
) -> None:
    await followed.execute("create table read_model.heard_of_1 (product_id bigint)")
    await followed.execute(
        "insert into read_model.checkpoints "
        "(projection, built_in, generation, position, fingerprint, tables) "
        "values ('heard', true, 1, 7, '', '{heard_of}')"
    )

    await rebuild(followed)
    await Rebuilder(followed, grace_seconds=0).drop_discarded()

    assert "heard_of" not in (await tables(followed)).names
    assert await followed.fetchval("select to_regclass('read_model.heard_of_1')") is None
    assert (await tables(followed)).position == await followed.fetchval(
        "select max(position) from log.events"
    )


async def test_autovacuum_leaves_the_new_tables_alone_until_they_are_settled(
    followed: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Build._index
    loaded: list[tuple[set[str], set[str]]] = []

    async def look_and_index(build: Build, *more: Any) -> None:
        made = {build.names[table] for projection in build.projections for table in projection.tables}
        loaded.append((await _left_alone(followed), made))
        await index(build, *more)

    monkeypatch.setattr(Build, "_index", look_and_index)
    await rebuild(followed)

    [(left_alone, new)] = loaded
    assert left_alone >= new
    assert not await _left_alone(followed)


async def _left_alone(pool: asyncpg.Pool) -> set[str]:
    found = await pool.fetch(
        "select relname from pg_class where reloptions @> array['autovacuum_enabled=off'] and relkind = 'r'"
    )
    return {f"read_model.{row['relname']}" for row in found}


def test_what_is_rebuilt_together_follows_from_the_statements() -> None:
    assert [p.name for p in together(["votes"], all_projections())] == ["votes"]
    assert [p.name for p in together(["users"], all_projections())] == ["users"]
    assert {p.name for p in together(["events"], BUILT_IN)} >= {"items", "users", "votes"}


def test_lanes_share_no_table_that_a_step_reads() -> None:
    first, second = lanes_of(BUILT_IN)

    assert {"items", "votes"} <= {p.name for p in first}
    assert "users" in {p.name for p in second}
    assert len(first) + len(second) == len(BUILT_IN)


def test_steps_follow_each_other_and_grow_from_small_ones_to_the_largest() -> None:
    steps = list(steps_of(100, 1_000, 160))

    assert [end - start for start, end in steps] == [10, 15, 23, 35, 53, 80, 120, 160, 160, 160, 84]
    assert (steps[0][0], steps[-1][1]) == (100, 1_000)
    assert all(before[1] == after[0] for before, after in pairwise(steps))
    assert list(steps_of(7, 9, 1)) == [(7, 8), (8, 9)]
    assert list(steps_of(9, 9, 100)) == []
