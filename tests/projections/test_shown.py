"""The names that stay: whoever reads by them sees one whole generation, and a rebuild waits for nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

import projections.catalogue
import projections.declare
import projections.rebuild.rebuild
import projections.shown
from projections.catalogue import BUILT_IN, Projection
from projections.declare import declare
from projections.follow.projector import Projector
from projections.read_model import tables
from projections.rebuild.rebuild import Rebuilder, rebuild, stale
from schema.views import declare_views
from tests.given.projecting import a_history, record

COUNTED = (
    "select (select position from board.read_at) as position, "
    "(select count(*) from board.items) as items, (select sum(version) from board.items) as of_items, "
    "(select count(*) from board.events_personal) as events, "
    "(select max(position) from board.events_personal) as newest, "
    "(select count(*) from board.votes) as votes, (select count(*) from board.vote_history) as told"
)


@pytest.fixture
async def followed(pool: asyncpg.Pool) -> asyncpg.Pool:
    """A log of some hundred events, counted in, and the views of it."""
    async with pool.acquire() as connection:
        assert await declare_views(connection)
    await record(pool, a_history(150))
    await Projector(pool).catch_up()
    return pool


@dataclass
class Polling:
    """A client that asks all the time, and what it was told."""

    answers: list[Any] = field(default_factory=list)
    asked_again: asyncio.Event = field(default_factory=asyncio.Event)

    async def another(self) -> None:
        """Return once another question was asked and answered."""
        for _ in range(2):
            self.asked_again.clear()
            await self.asked_again.wait()


@asynccontextmanager
async def polling(
    url: str, isolation: str = "read committed", prepared: bool = False
) -> AsyncIterator[Polling]:
    """Ask without a pause while the block lasts; what goes wrong there is raised here."""
    told = Polling()
    ending = False

    async def ask() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(f"set default_transaction_isolation = '{isolation}'")
            statement = await connection.prepare(COUNTED) if prepared else None
            while not ending:
                told.answers.append(
                    await (statement.fetchrow() if statement else connection.fetchrow(COUNTED))
                )
                told.asked_again.set()
        finally:
            await connection.close()

    task = asyncio.create_task(ask())
    try:
        await told.another()
        yield told
        await told.another()
    finally:
        ending = True
        told.asked_again.set()
        await task


@pytest.mark.parametrize(
    ("isolation", "prepared"),
    [("read committed", False), ("read committed", True), ("repeatable read", False)],
)
async def test_whoever_polls_the_views_sees_nothing_of_rebuilds(
    followed: asyncpg.Pool, database_url: str, isolation: str, prepared: bool
) -> None:
    before = await followed.fetchrow(COUNTED)
    rebuilder = Rebuilder(followed, grace_seconds=0)

    async with polling(database_url, isolation, prepared) as told:
        for _ in range(3):
            await rebuild(followed)
            await told.another()
            await rebuilder.drop_discarded()

    assert set(told.answers) == {before}


async def test_what_is_told_meanwhile_is_shown_at_one_position(
    followed: asyncpg.Pool, database_url: str
) -> None:
    more = a_history(450)[150:]
    projector = Projector(followed)

    async with polling(database_url) as told:
        for first in range(0, 300, 100):
            running = asyncio.create_task(rebuild(followed, events_a_step=50))
            await record(followed, more[first : first + 100])
            await projector.catch_up()
            await running
        await projector.catch_up()

    assert [row["position"] for row in told.answers] == sorted(row["position"] for row in told.answers)
    assert {row["events"] - row["position"] for row in told.answers} == {0}
    assert len({row["position"] for row in told.answers}) > 2


async def test_the_switch_waits_for_no_query_and_this_goes_on_with_what_it_began(
    followed: asyncpg.Pool, database_url: str
) -> None:
    before: Any = await followed.fetchrow(COUNTED)
    old = (await tables(followed)).names["item_states"]
    rebuilder = Rebuilder(followed, grace_seconds=0)
    reading = await asyncpg.connect(database_url)
    try:
        transaction = reading.transaction(isolation="repeatable_read")
        await transaction.start()
        cursor = await reading.cursor("select item_id from board.items order by item_id")
        begun = await cursor.fetch(3)

        await rebuild(followed)
        await record(followed, a_history(250)[150:])
        await Projector(followed).catch_up()

        # Neither is anybody else held up, by what is dropped least of all.
        await rebuilder.drop_discarded()
        async with asyncio.timeout(20):
            after: Any = await followed.fetchrow(COUNTED)
        assert after["position"] > before["position"]
        # A view that it has not touched yet, of tables that are read no longer.
        assert await reading.fetchrow(COUNTED) == before
        assert len(begun) + len(await cursor.fetch(10_000)) == before["items"]
        await transaction.rollback()
    finally:
        await reading.close()

    dropped = await rebuilder.drop_discarded()
    assert old in dropped
    assert await followed.fetchrow(COUNTED) == after


async def test_nothing_of_a_rebuild_is_left_under_the_names(followed: asyncpg.Pool) -> None:
    for _ in range(2):
        await rebuild(followed)
        await Rebuilder(followed, grace_seconds=0).drop_discarded()

    children = await followed.fetch(
        "select parent from read_model.shown join pg_inherits on inhparent = parent "
        "group by parent having count(*) <> 1"
    )
    assert children == []


# Upgrades


def changed(name: str, *replaced: tuple[str, str]) -> tuple[Projection, ...]:
    """The projections, one of them with other statements."""
    [own] = [projection for projection in BUILT_IN if projection.name == name]
    statements = dict(own.statements)
    for old, new in replaced:
        assert any(old in text for text in statements.values())
        statements = {each: text.replace(old, new) for each, text in statements.items()}
    other = Projection(own.name, statements, built_in=True)
    return tuple(other if projection.name == name else projection for projection in BUILT_IN)


@pytest.fixture
def upgraded(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What has this process be another version, with these projections."""

    def upgrade(known: tuple[Projection, ...]) -> None:
        for module in (projections.catalogue, projections.shown):
            monkeypatch.setattr(module, "BUILT_IN", known)

    return upgrade


ADDED = ("    title             text,\n", "    title             text,\n    shine             int,\n")
GONE = ("    ratio        float8\n", "    ratio        numeric\n")
RENAMED = ("{item_texts}", "{item_words}")


async def test_an_upgrade_that_adds_a_column_is_not_seen_by_who_polls(
    followed: asyncpg.Pool, database_url: str, upgraded: Any
) -> None:
    before = await followed.fetchrow(COUNTED)

    async with polling(database_url) as told:
        upgraded(changed("items", ADDED))
        async with followed.acquire() as connection:
            await declare(connection)
            assert "items" in await stale(followed)
            assert not await declare_views(connection)
            await rebuild(followed)
            # Views of before, of the tables of now.
            await told.another()
            assert await declare_views(connection)
        await told.another()
        await Rebuilder(followed, grace_seconds=0).drop_discarded()

    assert set(told.answers) == {before}
    versions = await followed.fetchval("select count(distinct version) from read_model.shown")
    assert versions == len(BUILT_IN)


async def test_a_version_that_is_gone_back_to_is_rebuilt_and_shown_again(
    followed: asyncpg.Pool, upgraded: Any
) -> None:
    before = await followed.fetchrow(COUNTED)

    for version in (changed("items", ADDED), BUILT_IN, changed("items", ADDED), BUILT_IN):
        upgraded(version)
        async with followed.acquire() as connection:
            await declare(connection)
            await rebuild(followed)
            await Rebuilder(followed, grace_seconds=0).drop_discarded()
            assert await declare_views(connection)
        assert await followed.fetchrow(COUNTED) == before

    # Nor is more left of it each time.
    await Rebuilder(followed, grace_seconds=0).drop_discarded()
    parents = "select count(*) from pg_class where relname ~ '^each_[0-9a-f]{8}_item_texts$'"
    assert await followed.fetchval(parents) <= 2


@pytest.mark.parametrize("change", [GONE, RENAMED])
async def test_views_that_new_tables_do_not_fit_show_the_old_ones_until_they_are_made_anew(
    followed: asyncpg.Pool, database_url: str, upgraded: Any, change: tuple[str, str]
) -> None:
    before = await followed.fetchrow(COUNTED)
    old = (await tables(followed)).names["item_states"]
    reading = await asyncpg.connect(database_url)
    try:
        await reading.execute("begin; declare held cursor for select item_id from board.items")
        upgraded(changed("items", change))
        async with followed.acquire() as connection:
            await declare(connection)
            await rebuild(followed)
            await Rebuilder(followed, grace_seconds=0).drop_discarded()

            # Somebody reads: they cannot be made anew.
            assert not await declare_views(connection)
            assert await connection.fetchrow(COUNTED) == before
            mixed = (
                "select version from read_model.shown group by version "
                "having count(distinct substring(child::text from '[0-9]+$')) > 1"
            )
            assert await connection.fetch(mixed) == []
            await reading.execute("rollback")
            assert await declare_views(connection)
            assert await connection.fetchrow(COUNTED) == before
    finally:
        await reading.close()

    dropped = await Rebuilder(followed, grace_seconds=0).drop_discarded()
    assert old in dropped
    with contextlib.suppress(asyncpg.UndefinedTableError):
        assert await followed.fetchval(f"select count(*) from {old}") is None
