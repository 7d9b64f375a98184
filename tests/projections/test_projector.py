"""Following the log: the rules that bodies show, one projector at a time, and how far it is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from projections.catalogue import BUILT_IN, fill
from projections.follow.projector import Projector
from projections.lease import Lease
from projections.read_model import Reader, tables
from projections.rebuild.build import Build
from projections.rebuild.rebuild import Rebuilder, rebuild, stale
from service.ending_tasks import ended
from service.errors import CountedByAnother, LostLease
from service.log.database import open_pool
from tests.given.projecting import PRODUCT, a_history, dump, payload, record
from tests.given.proxy import proxy_before
from tests.given.waiting import eventually

_ALL_AT = "select min(position) = $1 from read_model.checkpoints"


async def _row(pool: asyncpg.Pool, sql: str, *arguments: Any) -> asyncpg.Record:
    rows, _ = await Reader(pool).fetch(sql, *arguments)
    assert len(rows) == 1
    return rows[0]


async def test_totals_come_from_the_newest_post_wherever_it_came(pool: asyncpg.Pool) -> None:
    await record(pool, [payload("item.update"), payload("vote.create"), payload("subscription.create")])

    await Projector(pool).catch_up()

    item = await _row(pool, "select votes_up, subscribers, title from {items}")
    assert tuple(item) == (133, 58, "Dark mode")


async def test_a_late_create_does_not_resurrect_a_deleted_item(pool: asyncpg.Pool) -> None:
    late = payload("item.create", feedback_id=42, timestamp=1781428000, product_id=PRODUCT)
    await record(pool, [payload("item.delete"), late])

    await Projector(pool).catch_up()

    item = await _row(pool, "select deleted, title from {items}")
    assert item["deleted"]
    assert item["title"].startswith("Show/search")


async def test_a_vote_after_a_deletion_updates_totals_and_leaves_it_deleted(pool: asyncpg.Pool) -> None:
    await record(
        pool, [payload("item.update"), payload("item.delete"), payload("vote.create", timestamp=1781428999)]
    )

    await Projector(pool).catch_up()

    item = await _row(pool, "select deleted, votes_up, deleted_at from {items}")
    assert (item["deleted"], item["votes_up"]) == (True, 132)
    assert item["deleted_at"] == datetime.fromtimestamp(1781428455, UTC)


async def test_a_vote_leaves_the_text_of_its_item_where_it_is(pool: asyncpg.Pool) -> None:
    text = "select ctid, description, search from {item_texts}"
    await record(pool, [payload("item.update")])
    await Projector(pool).catch_up()
    before = await _row(pool, text)

    await record(
        pool,
        [
            payload("vote.create"),
            payload("item.update", feedback_id=42, timestamp=1799990000, status="planned"),
        ],
    )
    await Projector(pool).catch_up()

    assert before["description"]
    assert await _row(pool, text) == before


async def test_an_item_known_by_its_id_alone_is_a_stub(pool: asyncpg.Pool) -> None:
    await record(pool, [payload("vote.create.flat")])

    await Projector(pool).catch_up()

    item = await _row(pool, "select item_id, title, votes_up, status, known_down, events from {items}")
    assert tuple(item) == ("42", None, None, None, 1, 1)


async def test_an_empty_embedded_name_does_not_overwrite_a_known_one(pool: asyncpg.Pool) -> None:
    empty = payload("vote.create", timestamp=1799990000)
    empty["data"]["user"] |= {"data_name": "", "data_mail": 0, "data_img": ""}
    empty["timestamp"] = 1783015300
    await record(pool, [payload("vote.create"), empty])

    await Projector(pool).catch_up()

    user = await _row(pool, "select name, mail, img from {users} where user_id = '17'")
    assert tuple(user) == ("ana_w", "ana@example.com", "https://example.com/ana.png")


async def test_a_vote_without_a_voter_stays_nameless(pool: asyncpg.Pool) -> None:
    await record(pool, [payload("vote.create.post-only")])

    await Projector(pool).catch_up()

    vote = await _row(pool, "select voter, user_id, value, withdrawn from {votes}")
    assert tuple(vote) == ("p1", None, None, False)


async def test_a_vote_with_a_post_whose_author_has_no_id_is_projected(pool: asyncpg.Pool) -> None:
    vote = payload("vote.create.post-only", user_id=17)
    del vote["data"]["feedback_item"]["user"]["user_id"]
    await record(pool, [vote])

    await Projector(pool).catch_up()

    assert await pool.fetchval("select count(*) from read_model.parked") == 0
    assert tuple(await _row(pool, "select user_id, name from {users}")) == ("17", None)


async def test_a_total_that_moves_by_itself_is_inferred_without_a_voter(pool: asyncpg.Pool) -> None:
    first = payload("item.update", total_up=10, total_down=0)
    second = payload("item.update", total_up=7, total_down=0, timestamp=1781428999)
    await record(pool, [first, second])

    await Projector(pool).catch_up()

    drift = await _row(pool, "select kind, delta, ours, theirs, user_id, position from {inferences}")
    assert tuple(drift) == ("VOTE_WITHDRAWN", -3, 10, 7, None, 2)


async def test_votes_that_arrive_beside_a_merged_item_are_a_likely_merge(pool: asyncpg.Pool) -> None:
    target = payload("item.update", feedback_id=1, total_up=10, total_down=0)
    merged = payload("item.update", feedback_id=2, status="merged", timestamp=1781428900)
    grown = payload("item.update", feedback_id=1, total_up=25, total_down=0, timestamp=1781428999)
    await record(pool, [target, merged, grown])

    await Projector(pool).catch_up()

    jump = await _row(pool, "select kind, delta, likely_cause, item_id from {inferences}")
    assert tuple(jump) == ("LIKELY_MERGE", 15, "merge of item 2", "1")


async def test_an_edit_says_which_known_fields_it_changed(pool: asyncpg.Pool) -> None:
    edit = payload("item.update", title="Darker mode", status="done", timestamp=1781428999)
    await record(pool, [payload("item.update"), edit])

    await Projector(pool).catch_up()

    rows, _ = await Reader(pool).fetch("select type, changed_fields from {event_facts} order by position")
    assert [tuple(row) for row in rows] == [
        ("ITEM_EDITED", []),
        ("ITEM_STATUS_CHANGED", ["title", "status"]),
    ]


async def test_both_csat_answers_stay(pool: asyncpg.Pool) -> None:
    again = payload("satisfaction.create", satisfaction_id=56, vote=2, timestamp=1783016000)
    await record(pool, [payload("satisfaction.create"), again])

    await Projector(pool).catch_up()

    rows, _ = await Reader(pool).fetch(
        "select score, user_id, grp from {satisfaction_answers} order by position"
    )
    assert [tuple(row) for row in rows] == [(5, "17", "default"), (2, "17", "default")]


async def test_every_sample_payload_is_projected(pool: asyncpg.Pool) -> None:
    from tests.given.folders import PAYLOADS

    bodies = [path.read_bytes() for path in sorted(PAYLOADS.glob("*.json"))]
    head = await record(pool, bodies)

    assert await Projector(pool).catch_up() == head

    assert (await pool.fetchval("select count(*) from read_model.parked")) == 0
    entry = await _row(pool, "select title, published_at, item_id from {changelog_entries}")
    assert entry["published_at"] == datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


async def test_batches_of_one_and_of_all_leave_the_same_tables(pool: asyncpg.Pool) -> None:
    bodies = a_history(120)
    await record(pool, bodies)
    await Projector(pool, events_a_step_max=1).catch_up()
    one_by_one = await dump(pool)
    names = (await tables(pool)).names
    for projection in BUILT_IN:
        for table in projection.tables:
            await pool.execute(f"truncate {names[table]}")
    await pool.execute("update read_model.checkpoints set position = 0")

    await Projector(pool).catch_up()

    assert await dump(pool) == one_by_one


def _post(second: int, **totals: Any) -> dict[str, Any]:
    post = payload("item.update", timestamp=1781429000 + second)
    for name in ("total_up", "total_down", "total_sum", "total_comments", "total_subscriber"):
        post["data"].pop(name, None)
    post["data"].update(totals)
    return post


@pytest.mark.parametrize("events_a_step_max", [1, 2, 3, 100, 20_000])
@pytest.mark.parametrize("late", [False, True])
async def test_a_total_that_the_newest_post_did_not_tell_is_the_newest_one_told(
    pool: asyncpg.Pool, events_a_step_max: int, late: bool
) -> None:
    """However the posts fall into steps, and whether one of them comes after its time."""
    bodies = [
        _post(1, total_up=10, total_comments=3, total_subscriber=7),
        _post(2, total_up=11, total_comments=4),
        _post(3, total_comments=5),
        _post(4, total_up=12),
        _post(5),
    ]
    await record(pool, [*bodies[:2], *bodies[3:], bodies[2]] if late else bodies)

    await Projector(pool, events_a_step_max=events_a_step_max).catch_up()

    item = await _row(pool, "select votes_up, comments, subscribers from {items}")
    assert tuple(item) == (12, 5, 7)


async def test_a_turn_counts_so_many_events_or_up_to_the_head(pool: asyncpg.Pool) -> None:
    head = await record(pool, a_history(60))
    async with Projector(pool).turn() as turn:
        assert turn is not None
        assert await turn.advance(head - 20)
        assert turn.position == head - 20

        assert await turn.advance()

        assert turn.position == head
        assert not await turn.advance()


async def test_rows_come_with_the_position_that_they_were_read_at_even_where_there_are_none(
    pool: asyncpg.Pool,
) -> None:
    head = await record(pool, a_history(20))
    await Projector(pool).catch_up()
    reader = Reader(pool)

    rows, position = await reader.rows("select position from {event_facts} where position > $1;", head - 2)

    assert (sorted(row["position"] for row in rows), position) == ([head - 1, head], head)
    assert await reader.rows("select position from {event_facts} where position > $1", head) == ([], head)


async def test_rows_are_of_the_tables_in_use_after_these_were_exchanged(pool: asyncpg.Pool) -> None:
    head = await record(pool, a_history(20))
    await Projector(pool).catch_up()
    reader = Reader(pool)
    await reader.rows("select position from {event_facts}")
    await rebuild(pool)
    await pool.execute("delete from read_model.event_facts_1")

    rows, _ = await reader.rows("select position from {event_facts}")

    assert len(rows) == head


async def test_two_projectors_on_one_database_apply_nothing_twice(pool: asyncpg.Pool) -> None:
    head = await record(pool, a_history(300))
    racers = [Projector(pool, events_a_step_max=7) for _ in range(4)]

    await asyncio.gather(*(racer.catch_up() for racer in racers))

    facts = await _row(
        pool, "select count(*) as n, count(distinct position) as d, max(position) as m from {event_facts}"
    )
    assert tuple(facts) == (head, head, head)
    items = await _row(pool, "select sum(events) as n from {items}")
    told = await _row(pool, "select count(*) as n from {event_facts} where item_id is not null")
    assert items["n"] == told["n"]


async def test_a_projector_that_is_told_to_end_as_postgres_goes_away_ends(
    database_url: str, pool: asyncpg.Pool
) -> None:
    """What it cleans up fails then, which must not stand in for the word to end."""
    async with proxy_before(database_url) as (proxy, through):
        lost = await open_pool(through, min_size=0)
        following = asyncio.create_task(Projector(lost).run())
        begun = "select exists (select from read_model.checkpoints where epoch > 0)"
        await eventually(lambda: pool.fetchval(begun))

        proxy.refuses = True
        proxy.cut()
        async with asyncio.timeout(30):
            await ended(following)
        lost.terminate()


async def test_a_projector_that_lost_its_lease_commits_nothing_more(pool: asyncpg.Pool) -> None:
    await record(pool, a_history(60))
    async with Projector(pool, lease_seconds=0.01).turn() as stopped:
        assert stopped is not None
        await asyncio.sleep(0.05)  # the lease runs out: what the test is about
        async with Projector(pool).turn() as successor:
            assert successor is not None
            assert successor.lease.epoch == stopped.lease.epoch + 1
            await successor.advance()

            with pytest.raises(LostLease):
                await stopped.advance()


async def test_a_lease_from_before_the_clock_went_back_keeps_nobody_waiting(pool: asyncpg.Pool) -> None:
    async with Projector(pool).turn() as killed:
        assert killed is not None
        await pool.execute("update read_model.lease set expires = expires + interval '2 hours'")

        async with Projector(pool).turn() as next_one:
            assert next_one is not None
            assert next_one.lease.epoch == killed.lease.epoch + 1


async def test_while_one_holds_the_lease_another_waits(pool: asyncpg.Pool) -> None:
    async with Projector(pool).turn() as turn:
        assert turn is not None
        async with Projector(pool).turn() as other:
            assert other is None
    async with Projector(pool).turn() as other:
        assert other is not None


async def test_a_version_that_came_after_ours_counts_for_as_long_as_it_runs(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it leaves as it comes and switches. Ours kept its turn without using it, and rebuilt all again."""
    for module in ("follow.projector", "rebuild.rebuild"):
        monkeypatch.setattr(f"projections.{module}.GIVE_WAY_SECONDS", 0.02)
    rebuilder, its_rebuild, its_turn = (
        Rebuilder(pool, poll_seconds=0.02),
        Lease("rebuild", 60),
        Lease("projector", 60),
    )
    ours = [asyncio.create_task(work()) for work in (Projector(pool).run, rebuilder.run)]
    first = await record(pool, a_history(10))
    await eventually(lambda: pool.fetchval(_ALL_AT, first))

    assert await its_rebuild.take(pool)
    await pool.execute("update read_model.declared set version = 'another'")
    await pool.execute(
        "update read_model.checkpoints set fingerprint = 'another', generation = generation + 1"
    )
    head = await record(pool, a_history(10, seed=2))
    await eventually(lambda: its_turn.take(pool))
    with pytest.raises(CountedByAnother, match="start the service of this one"):
        await rebuilder.request()
    with pytest.raises(CountedByAnother):
        await Projector(pool).catch_up()
    assert await pool.fetchval("select count(*) from read_model.rebuilds") == 0

    for lease in (its_rebuild, its_turn):
        await lease.give_back(pool)
    await eventually(lambda: pool.fetchval(_ALL_AT, head))
    assert await stale(pool) == []
    for task in ours:
        await ended(task)


async def test_a_read_sees_one_position_while_the_projector_moves(pool: asyncpg.Pool) -> None:
    head = await record(pool, a_history(150))
    reader, positions = Reader(pool), set()

    async def read() -> None:
        while True:
            async with reader.snapshot() as snapshot:
                facts = await snapshot.fetch("select coalesce(max(position), 0) as p from {event_facts}")
                await asyncio.sleep(0)
                items = await snapshot.fetch("select coalesce(sum(events), 0) as n from {items}")
                told = await snapshot.fetch(
                    "select count(*) as n from {event_facts} where item_id is not null"
                )
            assert facts[0]["p"] == snapshot.position
            assert items[0]["n"] == told[0]["n"]
            positions.add(snapshot.position)

    async with Projector(pool).turn():
        pass
    reading = asyncio.create_task(read())
    await eventually(lambda: positions or reading.done())  # else all is projected before it has a connection
    await Projector(pool, events_a_step_max=5).catch_up()
    await eventually(lambda: head in positions or reading.done())
    await ended(reading)


@pytest.mark.parametrize("refused", [False, True])
async def test_a_service_that_begins_far_behind_rebuilds_and_follows_what_no_rebuild_takes(
    refused: bool, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Build.create

    async def create_and_break(build: Build) -> None:
        await create(build)
        broken = "alter table {event_facts} add constraint surprise check (position < 60)"
        await build.counting.execute(fill(broken, build.names))

    if refused:
        monkeypatch.setattr(Build, "create", create_and_break)
    monkeypatch.setattr("projections.follow.projector.FOLLOWED_EVENTS_MAX", 100)
    head = await record(pool, a_history(120))
    following = asyncio.create_task(Projector(pool).run())

    async def counted() -> bool:
        return bool(await pool.fetchval("select min(position) = $1 from read_model.checkpoints", head))

    await eventually(counted)
    await ended(following)

    assert [tuple(row) for row in await pool.fetch("select state, position from read_model.rebuilds")] == [
        ("FAILED", 60) if refused else ("DONE", head)
    ]
