"""What state a projection is in: one answer, made by real failures, told alike to whoever asks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from projections import catalogue
from projections.catalogue import Projection, fill
from projections.follow.projector import Projector
from projections.read_model import tables
from projections.rebuild.build import Build
from projections.rebuild.rebuild import Rebuilder, rebuild
from projections.rebuild.verify import verify
from projections.status import Standing, failings, lateness, status
from service.errors import CheckpointAheadOfLog, ProjectionFailed, RebuildStopped, VerifyStopped
from service.operate.gauges import Gauges
from service.web.metrics import Metrics
from tests.given.asking import Board, a_board
from tests.given.projecting import PRODUCT, a_history, dump, payload, record
from tests.given.waiting import eventually

ASKED = """{ projections { name state position head lagEvents lagSeconds ratePerSecond etaSeconds parked
                           rebuildProgress lastError } }"""
STATES = ("LIVE", "CATCHING_UP", "REBUILDING", "OUTDATED", "STUCK", "FAILED", "ABSENT")
OWN = Projection(
    "own",
    {
        "tables": "create table {heard} (product_id bigint not null, position bigint not null)",
        "apply.heard": "insert into {heard} select h.product_id, h.position from {hot} h",
    },
)


@pytest.fixture
async def board(pool: asyncpg.Pool) -> AsyncIterator[Board]:
    async with a_board(pool) as board:
        yield board


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Projection:
    """A projection of somebody's own beside ours."""
    monkeypatch.setattr(catalogue, "plugins", lambda: (OWN,))
    return OWN


@contextlib.asynccontextmanager
async def _running(work: Any) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        assert not task.done(), task.exception()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _status(pool: asyncpg.Pool, name: str) -> Standing:
    return next(found for found in await status(pool) if found.name == name)


async def _is(pool: asyncpg.Pool, name: str, state: str) -> bool:
    return (await _status(pool, name)).state == state


async def _grown_old(pool: asyncpg.Pool) -> None:
    """Let a minute have passed since anything was recorded or projected."""
    await pool.execute("alter table log.events disable trigger user")
    await pool.execute("update log.events set recorded_at = recorded_at - interval '1 minute'")
    await pool.execute("alter table log.events enable trigger user")
    await pool.execute("update read_model.checkpoints set moved_at = moved_at - interval '1 minute'")


async def test_graphql_and_the_gauges_say_what_the_database_says(board: Board, pool: asyncpg.Pool) -> None:
    await record(pool, a_history(20))
    await Projector(pool).catch_up()
    await record(pool, a_history(10, seed=9))
    await pool.execute(
        "update read_model.checkpoints set rate = 4, last_error = 'no' where projection = 'users'"
    )
    metrics = Metrics(operations=[])
    await Gauges(pool, metrics).sample()

    answer = await board.ask(ASKED)

    for told, found in zip(answer["projections"], await status(pool), strict=True):
        assert found.lag_seconds >= told.pop("lagSeconds") > 0
        assert told == {
            "name": found.name,
            "state": found.state,
            "position": found.position,
            "head": found.head,
            "lagEvents": found.lag_events,
            "ratePerSecond": found.rate_per_second,
            "etaSeconds": found.eta_seconds,
            "parked": found.parked,
            "rebuildProgress": found.progress,
            "lastError": found.last_error,
        }
        gauge = metrics.registry.get_sample_value
        assert gauge("recount_projection_position", {"projection": found.name}) == found.position
        assert gauge("recount_projection_lag_events", {"projection": found.name}) == found.lag_events
        assert {
            state: gauge("recount_projection_state", {"projection": found.name, "state": state})
            for state in STATES
        } == {state: float(state == found.state) for state in STATES}
    assert {found.state for found in await status(pool)} == {"CATCHING_UP", "FAILED"}


async def test_lag_is_told_in_events_and_seconds(pool: asyncpg.Pool) -> None:
    await record(pool, a_history(20))
    await Projector(pool).catch_up()
    assert {(s.state, s.lag_events, s.lag_seconds) for s in await status(pool)} == {("LIVE", 0, 0.0)}

    head = await record(pool, a_history(10, seed=9))

    late = await status(pool)
    assert {s.state for s in late} == {"CATCHING_UP"}
    assert {s.lag_events for s in late} == {head - late[0].position}
    assert all(s.lag_seconds > 0 for s in late)


async def test_no_lag_is_below_zero_when_the_clock_of_postgres_went_back(pool: asyncpg.Pool) -> None:
    await record(pool, a_history(20))
    async with pool.acquire() as connection, connection.transaction():
        # What the log has from before the clock was set back is of the future by now.
        await connection.execute("set local session_replication_role = replica")
        await connection.execute("update log.events set recorded_at = clock_timestamp() + interval '1 hour'")

    assert {s.lag_seconds for s in await status(pool)} == {0.0}


async def test_a_projection_that_does_not_move_while_the_log_waits_is_stuck(pool: asyncpg.Pool) -> None:
    await record(pool, a_history(20))
    await Projector(pool).catch_up()
    await record(pool, a_history(10, seed=9))
    assert {s.state for s in await status(pool)} == {"CATCHING_UP"}

    await _grown_old(pool)

    assert {s.state for s in await status(pool)} == {"STUCK"}
    await Projector(pool).catch_up()
    assert {s.state for s in await status(pool)} == {"LIVE"}


async def test_what_waits_for_its_rebuild_is_outdated(pool: asyncpg.Pool, own: Projection) -> None:
    await Projector(pool).catch_up()
    await pool.execute("update read_model.checkpoints set fingerprint = 'old' where projection = 'own'")

    assert {s.name: s.state for s in await status(pool)}["own"] == "OUTDATED"


async def test_one_that_was_uninstalled_is_absent_keeps_no_probe_waiting_and_goes_on_once_it_is_back(
    pool: asyncpg.Pool, own: Projection
) -> None:
    await record(pool, a_history(20))
    await Projector(pool).catch_up()
    await pool.execute("update read_model.checkpoints set last_error = 'no' where projection = 'own'")
    with pytest.MonkeyPatch.context() as uninstalled:
        uninstalled.setattr(catalogue, "plugins", lambda: ())
        await record(pool, a_history(10, seed=9))
        await Projector(pool).catch_up()
        await _grown_old(pool)
        found = await status(pool)

    absent = next(each for each in found if each.name == "own")
    assert (absent.state, absent.lag_events > 0) == ("ABSENT", True)
    assert (failings(found), lateness(found)) == (None, None)
    await Projector(pool).catch_up()
    assert {each.state for each in await status(pool)} == {"LIVE"}


async def test_before_anything_is_declared_there_is_nothing_to_say(pool: asyncpg.Pool) -> None:
    await pool.execute("drop schema read_model cascade")

    assert await status(pool) == []


async def test_parked_events_are_told_to_whoever_asks(board: Board, pool: asyncpg.Pool) -> None:
    await Projector(pool).catch_up()
    contents = (await tables(pool)).names["item_contents"]
    await pool.execute(f"alter table {contents} add constraint surprise check (title <> 'poison')")
    await record(pool, [payload("item.update", feedback_id="p", title="poison", timestamp=1781428001)])
    await Projector(pool).catch_up()
    metrics = Metrics(operations=[])
    await Gauges(pool, metrics).sample()

    answer = await board.ask(ASKED)

    assert {told["parked"] for told in answer["projections"]} == {1}
    assert metrics.registry.get_sample_value("recount_parked_events", {"projection": "items"}) == 1


# What fails while the log is followed


async def test_one_of_ones_own_that_fails_says_so_and_holds_no_other_up(
    board: Board, pool: asyncpg.Pool, own: Projection
) -> None:
    await record(pool, a_history(20))
    await Projector(pool).catch_up()
    table = (await tables(pool)).names["heard"]
    await pool.execute(f"alter table {table} rename to elsewhere")

    async with _running(Projector(pool).run()):
        head = await record(pool, a_history(30, seed=9))
        await eventually(lambda: _is(pool, "own", "FAILED"))
        await eventually(lambda: _is(pool, "items", "LIVE"))
        more = await record(pool, a_history(30, seed=10))
        await eventually(lambda: _is(pool, "items", "LIVE"))

        found = {told["name"]: told for told in (await board.ask(ASKED))["projections"]}
        assert found["own"]["state"] == "FAILED"
        assert found["own"]["lastError"] == f'UndefinedTableError: relation "{table}" does not exist'
        assert found["own"]["position"] < head < found["items"]["position"] == more
        assert found["items"]["lastError"] is None

        await pool.execute(f"alter table read_model.elsewhere rename to {table.removeprefix('read_model.')}")
        await eventually(lambda: _is(pool, "own", "LIVE"))
        assert (await _status(pool, "own")).last_error is None
    assert await pool.fetchval(f"select count(*) from {table}") == more


async def test_one_of_ours_that_fails_says_so_until_it_works_again(pool: asyncpg.Pool) -> None:
    await record(pool, a_history(20))
    await Projector(pool).catch_up()
    table = (await tables(pool)).names["event_facts"]
    await pool.execute(f"alter table {table} rename to elsewhere")
    head = await record(pool, a_history(30, seed=9))
    with pytest.raises(ProjectionFailed, match=f'the built-in projections.*"{table}" does not exist'):
        await Projector(pool).catch_up()

    async with _running(Projector(pool).run()):
        await eventually(lambda: _is(pool, "items", "FAILED"))
        assert {s.state for s in await status(pool)} == {"FAILED"}

        await pool.execute(f"alter table read_model.elsewhere rename to {table.removeprefix('read_model.')}")
        await eventually(lambda: _is(pool, "items", "LIVE"))
    assert {(s.state, s.position, s.last_error) for s in await status(pool)} == {("LIVE", head, None)}


async def test_a_checkpoint_ahead_of_the_log_is_told_until_a_rebuild(
    pool: asyncpg.Pool,
) -> None:
    head = await record(pool, a_history(20))
    await Projector(pool).catch_up()
    await pool.execute("update read_model.checkpoints set position = position + 5")
    with pytest.raises(CheckpointAheadOfLog, match=f"the log ends at {head}"):
        await Projector(pool).catch_up()

    async with _running(Projector(pool).run()):
        await eventually(lambda: _is(pool, "items", "FAILED"))
        failed = await _status(pool, "items")
        assert "was an older backup restored? Run: recount rebuild" in (failed.last_error or "")
        assert failed.lag_events == 0

        await rebuild(pool)
        await eventually(lambda: _is(pool, "items", "LIVE"))
    assert (await _status(pool, "items")).position == head


async def test_what_the_projector_before_failed_with_stands_until_a_step_goes_well(
    pool: asyncpg.Pool,
) -> None:
    await record(pool, a_history(20))
    await Projector(pool).catch_up()
    await pool.execute("update read_model.checkpoints set last_error = 'of another one'")

    async with Projector(pool).turn() as turn:
        assert turn is not None
        assert {s.last_error for s in await status(pool)} == {"of another one"}
        await turn.advance()

    assert {s.last_error for s in await status(pool)} == {None}


# What fails in a rebuild


@pytest.fixture
async def followed(pool: asyncpg.Pool) -> asyncpg.Pool:
    await record(pool, a_history(120))
    await Projector(pool).catch_up()
    return pool


def _break(monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    """Run a statement on the tables of each rebuild once they are made, `{name}` for their names."""
    create = Build.create

    async def create_and_break(build: Build) -> None:
        await create(build)
        await build.counting.execute(fill(statement, build.names))

    monkeypatch.setattr(Build, "create", create_and_break)


async def test_a_rebuild_that_stopped_is_told_until_one_is_done(
    followed: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        _break(broken, "alter table {event_facts} add constraint surprise check (position < 60)")
        with pytest.raises(RebuildStopped, match="surprise") as stopped:
            await rebuild(followed)
    position = stopped.value.position

    events = await _status(followed, "events")
    assert (events.state, events.last_error) == (
        "FAILED",
        f"the rebuild stopped at position {position}: CheckViolationError",
    )

    await rebuild(followed)
    events = await _status(followed, "events")
    assert (events.state, events.last_error) == ("LIVE", None)


async def test_a_product_that_is_counted_again_hides_no_rebuild_that_stopped(
    followed: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        _break(broken, "alter table {event_facts} add constraint surprise check (position < 60)")
        with pytest.raises(RebuildStopped, match="surprise"):
            await rebuild(followed)
    stopped = await _status(followed, "events")

    await rebuild(followed, product_id=PRODUCT)

    events = await _status(followed, "events")
    assert (events.state, events.last_error) == ("FAILED", stopped.last_error)
    await rebuild(followed)
    assert (await _status(followed, "events")).state == "LIVE"


async def test_a_rebuild_whose_statement_is_wrong_stops_and_lets_the_next_one_run(
    followed: asyncpg.Pool, own: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Projector(followed).catch_up()
    wrong = Projection(
        "own", {**OWN.statements, "apply.heard": "insert into {heard} select nothing from {hot} h"}
    )
    monkeypatch.setattr(catalogue, "plugins", lambda: (wrong,))
    with pytest.raises(RebuildStopped, match='column "nothing" does not exist'):
        await rebuild(followed, ["own"])

    assert (await _status(followed, "own")).state == "FAILED"
    await rebuild(followed, ["users"])
    assert (await _status(followed, "users")).state == "LIVE"


async def test_what_cannot_be_counted_again_is_named_by_whoever_verifies(
    followed: asyncpg.Pool, own: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Projector(followed).catch_up()
    wrong = Projection("own", {**OWN.statements, "apply.heard": "insrt into {heard} select 1 from {hot} h"})
    monkeypatch.setattr(catalogue, "plugins", lambda: (wrong,))

    with pytest.raises(VerifyStopped, match=r"^own cannot be counted again to compare .*Syntax"):
        await verify(followed)


async def test_a_rebuild_that_is_tried_again_tells_what_it_fails_with(
    followed: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await dump(followed)
    await followed.execute(
        "create function full_disk() returns trigger language plpgsql as "
        "$$ begin raise exception 'no space left' using errcode = '53100'; end $$"
    )
    _break(
        monkeypatch,
        "create trigger fills before insert on {event_facts} for each statement execute function full_disk()",
    )
    await Rebuilder(followed).request()

    with pytest.raises(asyncpg.DiskFullError):
        await Rebuilder(followed).turn()

    events = await _status(followed, "events")
    assert (events.state, events.last_error) == ("FAILED", "DiskFullError: no space left")
    await followed.execute("drop function full_disk() cascade")
    await Rebuilder(followed).turn()
    assert {(s.state, s.last_error) for s in await status(followed)} == {("LIVE", None)}
    assert await dump(followed) == before


async def test_what_stopped_by_itself_is_not_rebuilt_again_until_it_changes(
    followed: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await followed.execute(
        "update read_model.checkpoints set fingerprint = 'old' where projection = 'events'"
    )
    with monkeypatch.context() as broken:
        _break(broken, "alter table {event_facts} add constraint surprise check (position < 60)")
        with pytest.raises(RebuildStopped):
            await Rebuilder(followed).turn()

    assert await Rebuilder(followed).turn() is None
    assert (await _status(followed, "events")).state == "FAILED"

    await rebuild(followed, ["events"])
    assert (await _status(followed, "events")).state == "LIVE"


async def test_a_rebuild_of_what_nobody_knows_any_more_ends_and_lets_the_next_one_run(
    followed: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as installed:
        installed.setattr(catalogue, "plugins", lambda: (OWN,))
        await Projector(followed).catch_up()
        await Rebuilder(followed).request(["own"])
    other = await Rebuilder(followed).request(["users"])

    async with _running(Rebuilder(followed, poll_seconds=0.01).run()):
        await eventually(lambda: _ended(followed, other))

    error = (await _status(followed, "own")).last_error or ""
    assert error.startswith("the rebuild stopped at position 0: there is no projection 'own'; there are: ")


async def _ended(pool: asyncpg.Pool, number: int) -> bool:
    return bool(
        await pool.fetchval("select state = 'DONE' from read_model.rebuilds where rebuild = $1", number)
    )


async def test_a_rebuild_that_another_process_ended_is_reported(followed: asyncpg.Pool) -> None:
    number = await Rebuilder(followed).request(["users"])
    done = await Rebuilder(followed).work(number)

    found = await Rebuilder(followed).work(number)

    assert done is not None
    assert found is not None
    assert (found.projections, found.events) == (("users",), done.events)


async def test_a_replay_that_stops_says_where_and_lets_the_next_rebuild_run(followed: asyncpg.Pool) -> None:
    facts = (await tables(followed)).names["event_facts"]
    newest = await followed.fetchval(f"select max(position) from {facts}")
    # A row that is as it was is not written again.
    await followed.execute(f"delete from {facts} where position = {newest}")
    await followed.execute(f"alter table {facts} add constraint surprise check (position < {newest})")
    before = await dump(followed)

    with pytest.raises(RebuildStopped, match="surprise") as stopped:
        await rebuild(followed, product_id=PRODUCT)

    assert stopped.value.position == newest
    assert await dump(followed) == before
    assert (await _status(followed, "users")).state == "FAILED"
    await followed.execute(f"alter table {facts} drop constraint surprise")
    await rebuild(followed, product_id=PRODUCT)
    assert (await _status(followed, "users")).state == "LIVE"
