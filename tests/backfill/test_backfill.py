"""A back-fill brings all that stands on a board, whichever way its API answers, and nothing twice."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from projections.follow.projector import Projector
from projections.read_model import Reader
from service.backfill.sweeps import abandon_sweep, list_sweeps
from service.errors import ProductElsewhere, SleekplanKeyRefused, SweepNotRecorded, SweepRuns, SweepUnknown
from service.events import decode
from service.log.event_store import EventStore
from service.simulator import Traffic
from tests.backfill.conftest import Backfill, OneLog
from tests.given.board_state import on_board, projected
from tests.given.departed import depart
from tests.given.fake_board import TINY, VARIANTS, a_fake, a_moving_fake
from tests.given.projecting import RECEIVED

PRODUCT = TINY.product_id
MORE: dict[str, dict[str, Any]] = {
    "filter=all is refused": {"votes": "refused"},
    "filter=all brings subscribers too": {"votes": "with_subscribers"},
    "filter=all brings those for it alone": {"votes": "only_up"},
    "votes without users": {"voterless": True},
    "merged posts are not listed": {"hidden": True},
}
EVERY = {**VARIANTS, **MORE}
ZONED = "dates of another zone"
"""Where webhooks told the same dates otherwise, a comparison would find them changed."""


async def counted(pool: asyncpg.Pool, product_id: int = PRODUCT) -> Counter[tuple[str, ...]]:
    """What sweeps recorded of a product, but for when it was seen, and by which of them."""
    rows = await pool.fetch(
        "select action, (data - '{product_id,vote_position}'::text[])::text as data,"
        "       case when occurred_assumed then '' else occurred_at::text end as at, origin"
        "  from log.events where product_id = $1 and origin <> 'WEBHOOK'",
        product_id,
    )
    return Counter(tuple(row) for row in rows)


async def inferences(pool: asyncpg.Pool) -> set[tuple[Any, ...]]:
    rows, _ = await Reader(pool).fetch("select (to_jsonb(i) - 'explained_by')::text from {inferences} i")
    return {tuple(row) for row in rows}


@pytest.mark.parametrize("name", [*EVERY, ZONED])
async def test_the_state_is_the_boards_and_a_second_back_fill_records_nothing(
    name: str, one_log: OneLog
) -> None:
    pool, back_fill, product = one_log
    fake = a_fake(TINY, **(EVERY | {ZONED: {"zone_minutes": -210}})[name])
    async with fake.serving() as address:
        first = await back_fill(fake, address, product_id=product)
        head = await Projector(pool).catch_up()
        state = await projected(pool, product)
        again = await back_fill(fake, address, product_id=product)

    assert (first.state, first.problem) == ("COMPLETE", None)
    for kind, stands in on_board(fake).items():
        assert state[kind] == stands, kind
    assert (again.state, again.recorded.total()) == ("COMPLETE", 0)
    assert head == await pool.fetchval("select count(*) from log.events")
    assert await pool.fetchval("select count(*) from log.events where origin <> 'BACKFILL'") == 0
    assert await pool.fetchval("select count(*) from log.quarantine") == 0
    assert fake.broken == []


async def test_it_may_be_the_first_that_a_database_hears_of(back_fill: Backfill, pool: asyncpg.Pool) -> None:
    await pool.execute("drop schema read_model cascade")
    fake = a_fake(TINY)
    async with fake.serving() as address:
        report = await back_fill(fake, address, kinds=frozenset({"posts"}))

    assert report.state == "COMPLETE"
    assert report.recorded["item.create"] == len(fake.traffic.scene.board.items)


FAULTS = {
    "an append": (
        "alter function log.append_batch rename to append_batch_of_old",
        "UndefinedFunctionError: function log.append_batch(log.delivery[], interval) does not exist",
    ),
    "noting a page": (
        "alter table log.sweep_scopes rename column next_page to page_of_old",
        'UndefinedColumnError: column "next_page" of relation "sweep_scopes" does not exist',
    ),
}
"""What makes a statement of ours wrong for good, and what Postgres says to it."""


@pytest.mark.parametrize("what", FAULTS)
async def test_a_statement_that_postgres_will_never_take_ends_it_in_words(
    what: str, back_fill: Backfill, pool: asyncpg.Pool
) -> None:
    fake = a_fake(TINY)
    fault, told = FAULTS[what]

    async def break_it(number: int) -> None:
        if number == 2:
            await pool.execute(fault)

    fake.before_request = break_it
    async with fake.serving() as address, asyncio.timeout(60):
        report = await back_fill(fake, address)

    assert report.state == "PARTIAL"
    assert report.problem == str(SweepNotRecorded(told))
    [kept] = await list_sweeps(pool, 10)
    assert (kept["state"], kept["problem"]) == ("PARTIAL", report.problem)


async def test_a_product_that_leaves_for_another_cell_meanwhile_ends_it_in_words(
    back_fill: Backfill, pool: asyncpg.Pool
) -> None:
    fake = a_fake(TINY)

    async def leave(number: int) -> None:
        if number == 2:
            await depart(pool, "b", TINY.product_id, left=False)

    fake.before_request = leave
    async with fake.serving() as address:
        report = await back_fill(fake, address)

    assert (report.state, report.problem) == ("PARTIAL", str(ProductElsewhere({TINY.product_id: "b"})))
    [kept] = await list_sweeps(pool, 10)
    assert (kept["state"], kept["problem"]) == ("PARTIAL", report.problem)


@pytest.mark.parametrize("told", ["before", "meanwhile", "after"])
async def test_webhooks_before_meanwhile_and_after_end_in_the_boards_state(
    told: str, back_fill: Backfill, pool: asyncpg.Pool
) -> None:
    fake = a_moving_fake(TINY)
    bodies = list(Traffic(TINY).history())[-40:]
    store = EventStore(pool)

    async def deliver(number: int) -> None:
        if bodies and (told != "meanwhile" or number > 2):
            await store.append([decode(bodies.pop(0), RECEIVED, "WEBHOOK")])

    if told == "before":
        while bodies:
            await deliver(0)
    if told == "meanwhile":
        fake.before_request = deliver
    async with fake.serving() as address:
        await back_fill(fake, address)
    while bodies:
        await deliver(9)
    await store.close()
    await Projector(pool).catch_up()

    state, stands = await projected(pool, PRODUCT), on_board(fake)
    for kind in ("items", "comments", "users", "updates"):
        assert state[kind] == stands[kind], kind
    assert {vote[:3] for vote in state["votes"]} >= {vote[:3] for vote in stands["votes"]}


async def test_what_moves_while_it_is_walked_is_seen_at_the_end(
    back_fill: Backfill, pool: asyncpg.Pool
) -> None:
    fake = a_moving_fake(TINY, per_page="ignored")
    now = [TINY.ending]

    async def move(number: int) -> None:
        if 4 <= number <= 30:
            now[0] += timedelta(hours=7)
            fake.move(now[0])

    fake.before_request = move
    async with fake.serving() as address:
        report = await back_fill(fake, address)
        fake.before_request = None
        await back_fill(fake, address)
    await Projector(pool).catch_up()

    assert report.state == "COMPLETE"
    state, stands = await projected(pool, PRODUCT), on_board(fake)
    for kind, standing in stands.items():
        assert state[kind] >= standing, kind


async def test_each_thing_stands_at_its_own_date_with_only_what_cannot_have_changed(
    back_fill: Backfill, pool: asyncpg.Pool
) -> None:
    fake = a_fake(TINY)
    async with fake.serving() as address:
        await back_fill(fake, address)

    rows = await pool.fetch(
        "select action, occurred_at, occurred_assumed, envelope -> 'observed' as observed, data"
        "  from log.events"
    )
    for row in rows:
        observed, data = json.loads(row["observed"]), json.loads(row["data"])
        assert observed["origin"] == "BACKFILL"
        assert (observed["clock"] == "seen") == row["occurred_assumed"]
        if row["action"] in ("item.create", "comment.create", "vote.create", "user.create"):
            assert row["occurred_at"] == datetime.fromisoformat(data["created"]).replace(tzinfo=UTC)
        if row["action"] == "item.create":
            assert not {"status", "total_up", "total_comments"} & set(data)
            assert set(data["user"]) == {"user_id"}
        if row["action"] == "user.snapshot":
            assert not {"data_system", "data"} & set(data)
        if row["action"].endswith(".snapshot"):
            assert row["occurred_at"] == datetime.fromisoformat(observed["seen_at"])


async def test_dates_that_cannot_be_read_are_none(back_fill: Backfill, pool: asyncpg.Pool) -> None:
    fake = a_fake(TINY, undated=True)
    async with fake.serving() as address:
        report = await back_fill(fake, address)
        again = await back_fill(fake, address, kinds=frozenset({"posts", "users", "comments"}))

    assert report.state == "COMPLETE"
    assert await pool.fetchval("select bool_and(occurred_assumed) from log.events")
    assert again.recorded.total() == 0


async def test_a_list_that_fails_is_missing_and_the_rest_goes_on(
    back_fill: Backfill, pool: asyncpg.Pool
) -> None:
    fake = a_fake(TINY, fault="500", fault_at=0, fault_path="updates")
    async with fake.serving() as address:
        report = await back_fill(fake, address)
        assert report.state == "PARTIAL"
        [missing] = [scope for scope in report.scopes if scope.state == "FAILED"]
        assert missing.scope == "updates"
        assert missing.problem == "Sleekplan's answer to GET /updates (500) is an error"
        fake.variant = a_fake(TINY).variant
        mended = await back_fill(fake, address)

    assert (mended.state, mended.resumed, mended.sweep) == ("COMPLETE", True, report.sweep)
    assert set(mended.recorded) == {"changelog.create", "changelog.snapshot"}


@pytest.mark.parametrize("told", [0, 200])
async def test_nothing_is_concluded_from_what_is_fetched(
    told: int, back_fill: Backfill, pool: asyncpg.Pool
) -> None:
    fake = a_fake(TINY)
    store = EventStore(pool)
    bodies = list(Traffic(TINY).history())[-told or 400 :]
    await store.append([decode(body, RECEIVED, "WEBHOOK") for body in bodies], timeout=30)
    await store.close()
    await Projector(pool).catch_up()
    before = await inferences(pool)
    async with fake.serving() as address:
        await back_fill(fake, address)
    await Projector(pool).catch_up()

    assert await inferences(pool) == before


async def test_what_was_seen_is_no_act_of_anybody(back_fill: Backfill, pool: asyncpg.Pool) -> None:
    fake = a_fake(TINY)
    async with fake.serving() as address:
        await back_fill(fake, address)
    await Projector(pool).catch_up()

    rows, _ = await Reader(pool).fetch(
        "select count(*) filter (where type = 'SNAPSHOT') as seen,"
        "       count(*) filter (where type = 'OTHER') as other"
        "  from {event_facts}"
    )
    assert rows[0]["seen"] > 0
    assert rows[0]["other"] == 0
    active, _ = await Reader(pool).fetch("select max(last_active_at) as latest from {users}")
    assert active[0]["latest"] <= TINY.ending


async def test_an_abandoned_sweep_is_not_gone_on_with(back_fill: Backfill, pool: asyncpg.Pool) -> None:
    fake = a_fake(TINY, fault="500", fault_at=0, fault_path="updates")
    async with fake.serving() as address:
        left = await back_fill(fake, address)
        assert str(await abandon_sweep(pool, left.sweep[:8])) == left.sweep
        fake.variant = a_fake(TINY).variant
        anew = await back_fill(fake, address)

    assert (anew.resumed, anew.state) == (False, "COMPLETE")
    assert [each["state"] for each in await list_sweeps(pool, 9)] == ["COMPLETE", "ABANDONED"]
    assert await abandon_sweep(pool, anew.sweep) is None
    with pytest.raises(SweepUnknown):
        await abandon_sweep(pool, "nothing")


async def test_what_the_key_may_not_read_is_missing_and_the_rest_goes_on(back_fill: Backfill) -> None:
    fake = a_fake(TINY, rights="403_users")
    async with fake.serving() as address:
        report = await back_fill(fake, address)

    assert report.state == "PARTIAL"
    assert [scope.scope for scope in report.scopes if scope.state == "FORBIDDEN"] == ["users"]
    assert report.recorded["item.create"] == len(fake.traffic.scene.board.items)
    assert [path for path, _ in fake.asked].count("/v1/users") == 1


async def test_five_lists_in_a_row_that_fail_stop_it(back_fill: Backfill) -> None:
    fake = a_fake(TINY, fault="500", fault_at=0, fault_path="post/")
    async with fake.serving() as address:
        report = await back_fill(fake, address, kinds=frozenset({"comments", "votes"}))

    assert (report.state, report.problem) == ("PARTIAL", "5 lists in a row could not be read")


async def test_a_key_that_is_revoked_meanwhile_is_not_asked_with_again(
    back_fill: Backfill, pool: asyncpg.Pool
) -> None:
    fake = a_fake(TINY, refused_from=6)
    async with fake.serving() as address:
        with pytest.raises(SleekplanKeyRefused):
            await back_fill(fake, address)

    assert len(fake.asked) == 6
    assert fake.broken == []
    [sweep] = await list_sweeps(pool, 1)
    assert (sweep["state"], "refuses the API key" in sweep["problem"]) == ("PARTIAL", True)


async def test_a_second_sweep_of_a_board_is_told_of_the_first(back_fill: Backfill) -> None:
    fake = a_fake(TINY)
    refused: list[BaseException] = []

    async def begin_another(number: int) -> None:
        if number == 2:
            try:
                await back_fill(fake, address)
            except SweepRuns as error:
                refused.append(error)

    fake.before_request = begin_another
    async with fake.serving() as address:
        assert (await back_fill(fake, address)).state == "COMPLETE"

    assert len(refused) == 1


async def test_the_key_stands_nowhere(back_fill: Backfill, pool: asyncpg.Pool, lines: io.StringIO) -> None:
    fake = a_fake(TINY, limit_every=9, fault="500", fault_at=0, fault_path="updates")
    async with fake.serving() as address:
        report = await back_fill(fake, address)

    said = lines.getvalue() + repr(report)
    tables = await pool.fetch(
        "select c.oid::regclass::text as name from pg_class c"
        " where c.relnamespace in ('log'::regnamespace, 'read_model'::regnamespace)"
        "   and c.relkind in ('r', 'p')"
    )
    for table in tables:
        said += str(await pool.fetchval(f"select string_agg(t::text, ' ') from {table['name']} t"))
    assert "updates" in said
    assert fake.key not in said
