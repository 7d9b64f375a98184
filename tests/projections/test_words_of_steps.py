"""A statement is left out of a step by words, which both sides must mean alike, or by what it asks for."""

from __future__ import annotations

import re

import asyncpg

import projections
from projections.catalogue import BUILT_IN, STAGING
from projections.steps import run, words_of
from service.sql_files import load

ENTITIES = {
    "item",
    "vote",
    "comment",
    "subscription",
    "user",
    "changelog",
    "changelog_subscriber",
    "satisfaction",
}


def test_every_word_that_a_statement_waits_for_is_one_that_a_step_can_have_and_none_is_for_nobody() -> None:
    said = load(projections.__file__, "words.sql")
    phrases = set(re.findall(r"(?:then|else) '([a-z ]+)'", "\n".join(said.values())))
    asked = {
        word
        for projection in BUILT_IN
        for statement in projection.statements.values()
        for line in re.findall(r"^-- only with: *(.+)$", statement, re.MULTILINE)
        for word in words_of(line)
    }

    assert set(said) == set(STAGING)
    actions = {f"{entity}.{verb}" for entity in ENTITIES for verb in ("create", "update")}
    assert asked - ENTITIES - actions == phrases


async def test_a_statement_over_a_whole_log_is_not_run_where_it_asks_for_what_is_not_there(
    pool: asyncpg.Pool,
) -> None:
    statement = """-- only if: exists (select from heard where position > $1 and position <= $2)
        insert into heard select $2::bigint + 1 where $1::bigint < $2::bigint"""

    async with pool.acquire() as connection:
        await connection.execute("create temporary table heard (position bigint)")
        await connection.execute("insert into heard values (7)")
        await run(connection, statement, 0, 5)
        await run(connection, statement, 0, 8)
        found = await connection.fetch("select position from heard order by position")

    assert [row["position"] for row in found] == [7, 9]
