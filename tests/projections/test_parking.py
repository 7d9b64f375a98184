"""A bad event stops no board: it is parked with its error, later ones of its entity wait for it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from projections.checkpoints import lock
from projections.follow.parking import park, parked_list, parked_retry, parked_show
from projections.follow.projector import Projector
from projections.read_model import tables
from projections.rebuild import replay
from projections.rebuild.rebuild import rebuild, turn_to_rebuild
from projections.rebuild.verify import verify
from projections.status import status
from service.errors import LostLease, ParkedUnknown, TablesOutdated, UnknownProjection
from tests.given.projecting import a_history, dump, payload, record
from tests.given.running import recount

NEVER = "check (title is distinct from 'poison')"


async def _poisoned(pool: asyncpg.Pool) -> str:
    """The items table; what is said of items is made to refuse a title, which no coercion expects."""
    async with Projector(pool).turn():
        pass
    names = (await tables(pool)).names
    await pool.execute(f"alter table {names['item_contents']} add constraint surprise {NEVER}")
    return names["items"]


def _bodies() -> list[object]:
    return [
        *a_history(60),
        payload("item.update", feedback_id="p", title="poison", timestamp=1781428001),
        *a_history(40, seed=21),
        payload("item.update", feedback_id="p", title="better", timestamp=1781428002),
        *a_history(40, seed=22),
    ]


async def test_one_bad_event_is_parked_and_everything_else_is_projected(pool: asyncpg.Pool) -> None:
    table = await _poisoned(pool)
    head = await record(pool, _bodies())  # type: ignore[arg-type]

    assert await Projector(pool).catch_up() == head

    (parked,) = await parked_list(pool)
    assert (parked.entity, parked.entity_id, parked.waiting) == ("item", "p", False)
    assert parked.error.startswith("CheckViolationError: new row for relation")
    assert "poison" not in parked.error
    assert await pool.fetchval(f"select count(*) from {table} where item_id = 'p'") == 0
    assert await pool.fetchval(f"select count(*) from {table}") > 10
    assert {s.state for s in await status(pool)} == {"LIVE"}
    assert {s.parked for s in await status(pool) if s.built_in} == {2}


async def test_later_events_of_a_parked_entity_wait_with_it(pool: asyncpg.Pool) -> None:
    await _poisoned(pool)
    await record(pool, _bodies())  # type: ignore[arg-type]

    await Projector(pool, events_a_step_max=9).catch_up()

    first, second = await parked_list(pool, waiting=True)
    assert (first.waiting, second.waiting) == (False, True)
    assert second.error == f"waits for position {first.position}"
    assert (await parked_show(pool, first.position)).waiting_events == 1


async def test_a_retry_after_a_fix_leaves_what_would_have_been_without_the_fault(pool: asyncpg.Pool) -> None:
    table = await _poisoned(pool)
    await record(pool, _bodies())  # type: ignore[arg-type]
    await Projector(pool).catch_up()
    (parked,) = await parked_list(pool)
    contents = (await tables(pool)).names["item_contents"]
    await pool.execute(f"alter table {contents} drop constraint surprise")

    retried = await parked_retry(pool, parked.position)

    assert retried.done
    assert len(retried.positions) == 2
    assert await pool.fetchval(f"select title from {table} where item_id = 'p'") == "better"
    assert await parked_list(pool, waiting=True) == []
    assert (await verify(pool)).equal


async def test_a_retry_and_a_rebuild_take_turns(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebuild that read the log while the event was parked would take it away again with its tables."""
    await _poisoned(pool)
    await record(pool, _bodies())  # type: ignore[arg-type]
    await Projector(pool).catch_up()
    (parked,) = await parked_list(pool)
    contents = (await tables(pool)).names["item_contents"]
    await pool.execute(f"alter table {contents} drop constraint surprise")
    async with turn_to_rebuild().kept(pool) as ours:
        assert ours
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(parked_retry(pool, parked.position), 0.5)

    async def lock_later(*args: Any) -> list[asyncpg.Record]:
        assert not await turn_to_rebuild().take(pool)
        later = payload("item.update", feedback_id="p", title="best", timestamp=1781428003)
        await record(pool, [later, *a_history(20, seed=23)])
        await Projector(pool).catch_up()
        return await lock(*args)

    monkeypatch.setattr(replay, "lock", lock_later)
    retried = await parked_retry(pool, parked.position)

    assert (retried.done, len(retried.positions)) == (True, 3)
    assert await parked_list(pool, waiting=True) == []
    assert (await verify(pool)).equal


async def test_a_retry_that_lost_its_turn_changes_nothing(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _poisoned(pool)
    await record(pool, _bodies())  # type: ignore[arg-type]
    await Projector(pool).catch_up()
    found = await parked_list(pool, waiting=True)
    contents = (await tables(pool)).names["item_contents"]
    await pool.execute(f"alter table {contents} drop constraint surprise")
    before = await dump(pool)

    async def lock_later(*args: Any) -> list[asyncpg.Record]:
        await pool.execute("update read_model.lease set expires = '-infinity' where task = 'rebuild'")
        assert await turn_to_rebuild().take(pool)
        return await lock(*args)

    monkeypatch.setattr(replay, "lock", lock_later)
    with pytest.raises(LostLease):
        await parked_retry(pool, found[0].position)

    assert await parked_list(pool, waiting=True) == found
    assert await dump(pool) == before


async def test_a_retry_in_tables_of_another_version_waits_for_their_rebuild(pool: asyncpg.Pool) -> None:
    await _poisoned(pool)
    await record(pool, _bodies())  # type: ignore[arg-type]
    await Projector(pool).catch_up()
    (parked,) = await parked_list(pool)
    await pool.execute("update read_model.checkpoints set fingerprint = 'older' where projection = 'users'")

    with pytest.raises(TablesOutdated, match=r"the tables of users were .*ask again once it is done$"):
        await parked_retry(pool, parked.position)

    assert len(await parked_list(pool, waiting=True)) == 2


async def test_a_retry_without_a_fix_changes_nothing_and_says_why(pool: asyncpg.Pool) -> None:
    await _poisoned(pool)
    await record(pool, _bodies())  # type: ignore[arg-type]
    await Projector(pool).catch_up()
    (parked,) = await parked_list(pool)
    before = await dump(pool)

    retried = await parked_retry(pool, parked.position)

    assert not retried.done
    assert "CheckViolationError" in (retried.error or "")
    assert await dump(pool) == before
    assert len(await parked_list(pool, waiting=True)) == 2


async def test_all_are_retried_by_one_command_which_tells_those_that_still_fail(
    pool: asyncpg.Pool, database_url: str
) -> None:
    await _poisoned(pool)
    contents = (await tables(pool)).names["item_contents"]
    await pool.execute(
        f"alter table {contents} add constraint another check (title is distinct from 'venom')"
    )
    titles = {"p": "poison", "q": "venom", "r": "venom", "s": "fine"}
    await record(
        pool,
        [
            payload("item.update", feedback_id=id, title=title, timestamp=1781428001)
            for id, title in titles.items()
        ],
    )
    await Projector(pool).catch_up()
    await pool.execute(f"alter table {contents} drop constraint another")
    env = {"RECOUNT_DATABASE_URL": database_url}
    elsewhere = await recount("parked", "retry", "--all", "--projection", "itms", env=env)
    assert "there is no projection 'itms'; there are: *, votes, items" in elsewhere.stderr

    told = await recount("parked", "retry", "--all", "--projection", "items", "--json", env=env)

    assert told.returncode == 1
    assert [
        (each["position"], each["positions"], each["error"] is None) for each in json.loads(told.stdout)
    ] == [
        (1, [], False),
        (2, [2], True),
        (3, [3], True),
    ]
    assert [each.position for each in await parked_list(pool)] == [1]
    assert (await recount("parked", "retry", env=env)).stderr.endswith("name a position, or --all\n")


async def test_what_a_projection_parked_that_is_installed_no_more_stays_parked(pool: asyncpg.Pool) -> None:
    """It was taken for one of ours, and its event for counted in."""
    await record(pool, [payload("item.update", feedback_id="p", title="fine", timestamp=1781428001)])
    await Projector(pool).catch_up()
    async with pool.acquire() as connection:
        await park(connection, "mine", 1, asyncpg.CheckViolationError("it refused"))

    with pytest.raises(UnknownProjection, match="there is no projection 'mine'"):
        await parked_retry(pool, 1)

    assert [each.projection for each in await parked_list(pool)] == ["mine"]


async def test_a_rebuild_leaves_parked_events_where_they_are(pool: asyncpg.Pool) -> None:
    await _poisoned(pool)
    await record(pool, _bodies())  # type: ignore[arg-type]
    await Projector(pool).catch_up()
    before = await dump(pool)

    await rebuild(pool)

    assert await dump(pool) == before
    assert len(await parked_list(pool, waiting=True)) == 2


async def test_an_event_of_another_entity_does_not_wait(pool: asyncpg.Pool) -> None:
    table = await _poisoned(pool)
    await record(
        pool,
        [
            payload("item.update", feedback_id="p", title="poison", timestamp=1781428001),
            payload("item.update", feedback_id="q", title="fine", timestamp=1781428002),
        ],
    )

    await Projector(pool).catch_up()

    assert await pool.fetchval(f"select array_agg(item_id) from {table}") == ["q"]


async def test_asking_for_what_is_not_parked_is_an_error(pool: asyncpg.Pool) -> None:
    async with Projector(pool).turn():
        pass

    with pytest.raises(ParkedUnknown, match="no event is parked at position 3"):
        await parked_retry(pool, 3)
