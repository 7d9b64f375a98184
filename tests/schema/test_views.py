"""The schema `board`: what GraphQL has, for whoever may read it, with a comment on everything."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest
from graphql import GraphQLObjectType
from sqlalchemy import NullPool, inspect
from sqlalchemy.ext.asyncio import create_async_engine

from schema.build import build_schema
from schema.declare.source import spec_of
from schema.views import VIEWS, declaration, declare_views
from service.log.database import connect
from service.operate.grants import reader_grants
from tests.given.asking import a_board, a_pool, body, new_database, person, post
from tests.given.folders import ROOT
from tests.given.postgres_tools import run

OTHER: Final = 8

TOLD: Final = [
    body("item.create", "2026-05-01 10:00", post(1, title="Dark mode", status="open", user=person(1, "ana"))),
    body(
        "comment.create",
        "2026-05-02 10:00",
        {"comment_id": 1, "feedback_id": 1, "comment": "For all.", "parent": 2, "user": person(2, "ben")},
    ),
    body(
        "comment.create",
        "2026-05-03 10:00",
        {
            "comment_id": 2,
            "feedback_id": 1,
            "comment": "zephyr",
            "public": False,
            "user": person(9, "tess", admin=4),
        },
    ),
    body(
        "user.update",
        "2026-05-04 10:00",
        {"user": person(1, "ana") | {"full_name": "Ana Example", "custom": {"plan": "gold"}}},
    ),
    body(
        "item.create",
        "2026-05-01 11:00",
        post(5, title="Fax", status="open", user=person(3, "eve")),
        product=OTHER,
    ),
]
"""One of all notes is private; the last is of another product."""


@pytest.fixture(scope="module")
async def url(server_url: str, template: str) -> AsyncIterator[str]:
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await board.tell(*TOLD)
        async with pool.acquire() as connection:
            assert await declare_views(connection)
        yield url


@pytest.fixture
async def administrator(url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await connect(url)
    yield connection
    await connection.close()


@pytest.fixture
async def role(administrator: asyncpg.Connection[Any]) -> AsyncIterator[str]:
    name = f"recount_reads_{secrets.token_hex(4)}"
    yield name
    await administrator.execute(f'drop owned by "{name}"; drop role "{name}"')


@pytest.fixture
async def reader(url: str, role: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection to become the role, once it is granted something."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def _become(connection: asyncpg.Connection[Any], role: str, schema: str = "board") -> None:
    await connection.execute(f'set session authorization "{role}"; set search_path = {schema}')


# What it says


async def test_every_view_column_and_function_says_what_it_is(administrator: asyncpg.Connection[Any]) -> None:
    silent = await administrator.fetch(
        """
        select c.relname, a.attname
          from pg_class c
          join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
         where c.relnamespace = 'board'::regnamespace and c.relkind = 'v'
           and (obj_description(c.oid, 'pg_class') is null
                or coalesce(col_description(c.oid, a.attnum), '') = '')
        union all
        select p.proname, '' from pg_proc p
         where p.pronamespace = 'board'::regnamespace and obj_description(p.oid, 'pg_proc') is null
        """
    )

    assert silent == []


LEFT_OUT: Final = {
    "Item": "id url typeLabel rank castVotes voters comments subscriptions timeline statusHistory revisions "
    "provenance voteSeries subscriberSeries votesSince voteJumps inferences mergedFrom",
    "User": "id votes comments timeline satisfaction activity",
    "Vote": "id",
    "Comment": "id",
    "ItemSubscription": "id",
    "ChangelogEntry": "id impact",
    "SatisfactionAnswer": "id",
    "Event": "id summary observation changes",
    "Revision": "changes event by",
    "StatusPeriod": "causedBy",
}
"""Fields that no column is made of: lists, what takes arguments, what Python makes, and opaque ids."""


@pytest.mark.parametrize("type_name", LEFT_OUT)
def test_each_field_is_a_column_or_is_left_out_for_a_reason(type_name: str) -> None:
    columns = {each.name for view in VIEWS if view.type_name == type_name for each in view.columns()}
    plain = {name.replace("_", "") for name in columns}

    type_ = build_schema()._schema.type_map[type_name]
    assert isinstance(type_, GraphQLObjectType)
    missing = [
        name
        for name, definition in type_.fields.items()
        if spec_of(definition) is not None
        and not any(each.startswith(name.lower()) for each in plain)
        and name not in ("sleekplanId", "group", "from", "to")
    ]

    assert sorted(missing) == sorted(LEFT_OUT[type_name].split())


def test_the_documentation_names_every_view() -> None:
    text = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")

    assert [view.name for view in VIEWS if f"`{view.name}`" not in text] == []


def test_nothing_depends_on_functions_that_a_version_drops() -> None:
    assert re.findall(r"read_model\.(?!shown_|checkpoints)\w+", declaration()) == []


async def test_declaring_again_changes_nothing(administrator: asyncpg.Connection[Any]) -> None:
    before = await administrator.fetchval("select max(xmin::text::bigint) from pg_class where relkind = 'v'")

    assert await declare_views(administrator)

    assert before == await administrator.fetchval(
        "select max(xmin::text::bigint) from pg_class where relkind = 'v'"
    )


async def test_columns_that_are_there_keep_their_places(administrator: asyncpg.Connection[Any]) -> None:
    transaction = administrator.transaction()
    await transaction.start()
    await administrator.execute(
        "drop view board.users; "
        "create view board.users as select user_id, product_id, 5::int as shoe from board.users_personal; "
        "update read_model.declared set views = ''"
    )

    assert await declare_views(administrator)

    columns = [
        row["attname"]
        for row in await administrator.fetch(
            "select attname from pg_attribute "
            "where attrelid = 'board.users'::regclass and attnum > 0 order by attnum"
        )
    ]
    assert columns[:4] == ["user_id", "product_id", "shoe", "name"]
    assert await administrator.fetchval("select count(shoe) from board.users") == 0
    await transaction.rollback()


# Who sees what


async def test_a_role_reads_the_views_and_nothing_else(
    administrator: asyncpg.Connection[Any], reader: asyncpg.Connection[Any], role: str
) -> None:
    await administrator.execute(reader_grants(role, personal=False, product_id=None))
    await _become(reader, role)

    assert [row["text"] for row in await reader.fetch("select text from comments")] == ["For all."]
    assert await reader.fetchval("select count(*) from events where entity = 'comment'") == 1
    assert await reader.fetchval("select name from users where user_id = '1'") == "ana"
    assert await reader.fetchval("select count(*) from items_as_of(now())") == 2
    assert await reader.fetchval("select count(*) from items_at(1)") == 1
    for refused in (
        "select * from users_personal",
        "select * from comments_personal",
        "select * from events_personal",
        "select * from read_model.checkpoints",
        "select * from log.events",
        "create table x ()",
        "delete from items",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await reader.execute(refused)


async def test_nothing_personal_is_in_the_views_for_all(administrator: asyncpg.Connection[Any]) -> None:
    for view in VIEWS:
        if not view.name.endswith("_personal"):
            text = str(
                await administrator.fetchval(f"select string_agg(v::text, ' ') from board.{view.name} v")
            )
            for word in ("zephyr", "example.com", "Ana Example", "gold"):
                assert word not in text, view.name


async def test_what_answers_a_private_note_does_not_name_it(administrator: asyncpg.Connection[Any]) -> None:
    named = "select parent_id from board.{} where comment_id = '1'"

    assert await administrator.fetchval(named.format("comments")) is None
    assert await administrator.fetchval(named.format("comments_personal")) == "2"


async def test_what_is_personal_is_for_who_was_granted_it_and_taken_again(
    administrator: asyncpg.Connection[Any], reader: asyncpg.Connection[Any], role: str
) -> None:
    await administrator.execute(reader_grants(role, personal=True, product_id=None))
    await _become(reader, role)

    assert await reader.fetchval("select mail from users_personal where user_id = '1'") == "ana@example.com"
    assert await reader.fetchval("select text from comments_personal where public is false") == "zephyr"
    assert await reader.fetchval(
        "select raw_payload ->> 'action' from events_personal where position = 1"
    ) == ("item.create")
    await administrator.execute(reader_grants(role, personal=False, product_id=None))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reader.execute("select mail from users_personal")


async def test_a_role_of_one_product_sees_no_other(
    administrator: asyncpg.Connection[Any], reader: asyncpg.Connection[Any], role: str
) -> None:
    grants = reader_grants(role, personal=False, product_id=OTHER)
    await administrator.execute(grants)
    await administrator.execute(grants)
    await _become(reader, role, f"board_{OTHER}")

    assert [row["title"] for row in await reader.fetch("select title from items")] == ["Fax"]
    assert await reader.fetchval("select count(*) from users") == 1
    assert await reader.fetchval("select count(*) from events") == 1
    assert await reader.fetchval("select title from items_as_of(now(), 'RECORDED')") == "Fax"
    assert await reader.fetchval("select count(*) from items_at(3)") == 0
    assert await reader.fetchval("select position from read_at") == len(TOLD)
    assert await reader.fetchval(f"select col_description('board_{OTHER}.items'::regclass, 3) is not null")
    for refused in (
        "select * from board.items",
        "select * from board.items_at(1)",
        "select * from users_personal",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await reader.execute(refused)
    await administrator.execute(f"drop schema board_{OTHER} cascade")


async def test_items_at_a_position_that_is_not_counted_in_are_refused(
    administrator: asyncpg.Connection[Any],
) -> None:
    head = len(TOLD)

    assert await administrator.fetchval("select count(*) from board.items_at($1)", head) == 2
    with pytest.raises(asyncpg.PostgresError, match=rf"{head + 1} is ahead of what is counted in \({head}\)"):
        await administrator.fetch("select item_id from board.items_at($1)", head + 1)


# Who asks


async def test_psql_shows_the_comments(url: str) -> None:
    shown = (await run("psql", "--command", r"\d+ board.items", url)).stdout.decode()

    assert "status_since" in shown
    assert "When it entered its status, as far as events tell." in shown


async def test_sqlalchemy_reflects_views_with_their_comments(url: str) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url), poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:

            def reflect(sync: Any) -> tuple[set[str], list[dict[str, Any]], str]:
                seen = inspect(sync)
                return (
                    set(seen.get_view_names(schema="board")),
                    seen.get_columns("items", schema="board"),
                    seen.get_table_comment("items", schema="board")["text"],
                )

            names, columns, comment = await connection.run_sync(reflect)
    finally:
        await engine.dispose()

    assert names == {view.name for view in VIEWS}
    assert comment.startswith("Feedback items")
    assert {each["name"]: each["comment"] for each in columns}["votes_net"].endswith(
        "Votes for less votes against."
    )
    assert {each["name"]: str(each["type"]) for each in columns}["product_id"] == "BIGINT"
