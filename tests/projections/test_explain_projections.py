"""Hot queries use their indexes: read from the plans that Postgres makes on some thousand events."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from projections.catalogue import BUILT_IN
from projections.follow.projector import Projector
from projections.read_model import Generation, ReadAt, Reader, tables
from projections.rebuild.replay import Aside
from projections.steps import LiveSteps, between
from service.log.database import open_pool
from service.log.event_store import EventStore
from tests.given.asking import Board, Following, services_on
from tests.given.projecting import PRODUCT, payload, record

# Not item_sightings: it is as long as the product has items, so reading it whole may be the shortest way.
VERSIONS = (
    "item_counts|item_contents|item_lifecycles|vote_versions|subscription_versions|comment_versions"
    "|user_versions|user_sightings|changelog_versions|satisfaction_versions|event_facts"
)
# What is read of the past of one thing: of an item, and what is below it, and of the rest by its id.
PAST = {
    "item": """item(productId: PRODUCT, sleekplanId: 1005, asOf: MOMENT) {
        title status { key } votes { net } version deleted }""",
    "votes": """item(productId: PRODUCT, sleekplanId: 1005, asOf: MOMENT) {
        castVotes { nodes { value withdrawn } } knownVotes { net } voters { nodes { name } } }""",
    "subscriptions": """item(productId: PRODUCT, sleekplanId: 1005, asOf: MOMENT) {
        subscriptions { nodes { active } } }""",
    "comments": """item(productId: PRODUCT, sleekplanId: 1005, asOf: MOMENT) {
        comments { nodes { text deleted author { name } } } }""",
    "history": """item(productId: PRODUCT, sleekplanId: 1005, asOf: MOMENT) {
        statusHistory { enteredAt } revisions { at } timeline { nodes { position } } }""",
    "user": """user(productId: PRODUCT, sleekplanId: 3005, asOf: MOMENT) {
        name mail firstSeenAt lastActiveAt deleted }""",
    "entry": """changelogEntry(productId: PRODUCT, sleekplanId: 101, asOf: MOMENT) {
        title publishedAt deleted }""",
}
SMALL_PRODUCT = 99
MOMENTS = {
    "position": "{position: 2000}",
    "time": '{time: "2026-05-01T00:00:00Z"}',
    "recorded": '{time: "WHEN", clock: RECORDED}',
}


@pytest.fixture(scope="module")
async def board(server_url: str, template: str) -> AsyncIterator[tuple[asyncpg.Pool, Generation]]:
    """A followed board with statistics, shared by the plans below."""
    from service.simulator import simulate
    from tests.conftest import _new_database

    async with _new_database(server_url, template) as url:
        pool = await open_pool(url, min_size=1, max_size=4)
        await record(pool, simulate(seed=3, events=4000, users=300, items=120, rate=400.0))
        await Projector(pool).catch_up()
        generation = await tables(pool)
        for table in generation.names.values():
            await pool.execute(f"analyze {table}")
        yield pool, generation
        await pool.close()


async def _plan(pool: asyncpg.Pool, sql: str, arguments: tuple[Any, ...]) -> str:
    values = ["null" if a is None else f"'{a}'" if isinstance(a, str) else str(a) for a in arguments]
    for number in range(len(values), 0, -1):
        sql = re.sub(rf"\${number}\b", values[number - 1], sql)
    rows = await pool.fetch(f"explain {sql}")
    return "\n".join(row[0] for row in rows)


async def _read(board: tuple[asyncpg.Pool, Generation], question: str) -> str:
    """Return how Postgres found what a question asks for."""
    noted: list[tuple[str, tuple[Any, ...]]] = []

    class Noting(Reader):
        async def value(self, sql: str, *args: Any) -> tuple[Any, ReadAt]:
            noted.append((sql, args))
            return await super().value(sql, *args)

    pool, generation = board
    reader, store = Noting(pool), EventStore(pool)
    answer = await Board(services_on(pool, reader, store), Following(pool)).ask(question)
    await store.close()
    assert None not in answer.values()
    [(sql, arguments)] = noted
    rows = await pool.fetch(f"explain (analyze, timing off) {generation.fill(sql)}", *arguments)
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", PAST)
async def test_a_read_of_the_past_scans_no_table_of_versions(
    board: tuple[asyncpg.Pool, Generation], name: str, moment: str
) -> None:
    at = await board[0].fetchval("select recorded_at from log.events where position = 2000")
    as_of = MOMENTS[moment].replace("WHEN", at.isoformat())
    question = PAST[name].replace("PRODUCT", str(PRODUCT)).replace("MOMENT", as_of)

    plan = await _read(board, f"{{ {question} }}")

    assert re.findall(rf"Seq Scan on (?:{VERSIONS})_\d+", plan) == [], plan


async def test_a_page_of_the_past_by_votes_looks_up_likely_items_only(
    board: tuple[asyncpg.Pool, Generation],
) -> None:
    pool, generation = board

    plan = await _read(
        board, "{ items(first: 3, asOf: {position: 2000}, orderBy: {field: VOTES}) { nodes { id } } }"
    )

    items = await pool.fetchval(generation.fill("select count(*) from {items} where first_position <= 2000"))
    assert re.search(r"Index Only Scan Backward using item_counts_\d+_item_id_product_id_position_", plan), (
        plan
    )
    for table in ("item_counts", "item_lifecycles"):
        looked_up = sum(
            int(loops) for loops in re.findall(rf" on {table}_\d+ .*\(actual .* loops=(\d+)\)", plan)
        )
        assert looked_up < items, plan
    assert re.findall(rf"Seq Scan on (?:{VERSIONS})_\d+", plan) == [], plan


async def test_settling_a_small_step_looks_up_what_it_touched(board: tuple[asyncpg.Pool, Generation]) -> None:
    pool, generation = board
    head = await pool.fetchval("select max(position) from log.events")
    for projection in BUILT_IN:
        for statement in projection.settles:
            sql = generation.fill(statement)
            plan = await _plan(pool, sql, (head - 5, head))

            scanned = re.findall(rf"Seq Scan on (?:{VERSIONS})_\d+ (?!c_|o_)", plan)
            big = [table for table in scanned if "changelog" not in table and "satisfaction" not in table]
            assert big == [], f"{projection.name}: {plan}"


async def test_a_step_makes_no_plan_twice(board: tuple[asyncpg.Pool, Generation]) -> None:
    pool, generation = board
    async with pool.acquire() as connection:
        steps = LiveSteps(connection, BUILT_IN, generation.names)
        await steps.open()
        async with connection.transaction():
            await steps.apply(0, 0)
            before = await connection.fetchval("select count(*) from pg_prepared_statements")
            await steps.apply(0, 0)
            assert await connection.fetchval("select count(*) from pg_prepared_statements") == before


async def test_what_a_step_tells_of_a_person_is_settled_without_their_past(pool: asyncpg.Pool) -> None:
    edits = [
        payload("user.update", timestamp=1_700_000_000 + n, data_full_name=f"Ida {n}") for n in range(400)
    ]
    head = await record(pool, edits)
    await Projector(pool).catch_up()
    generation = await tables(pool)
    await pool.execute(generation.fill("analyze {user_versions}"))
    settle = next(p for p in BUILT_IN if p.name == "users").statements["settle.current"]

    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "set local enable_hashjoin = off; set local enable_mergejoin = off"
        )  # as a short step
        rows = await connection.fetch(
            f"explain (analyze, timing off, costs off) {generation.fill(between(settle, head - 1, head))}"
        )
    plan = "\n".join(row[0] for row in rows)

    read = [float(rows) for rows in re.findall(r"on user_versions_\d+.* \(actual rows=([\d.]+)", plan)]
    assert read, plan
    assert max(read) <= 1, plan


async def test_the_rows_of_a_product_are_found_by_an_index_where_it_is_put_in(
    board: tuple[asyncpg.Pool, Generation],
) -> None:
    """To read the tables whole took longer than a small product by a long log, and the projector waited."""
    pool, generation = board
    found: dict[str, str | None] = {}
    async with pool.acquire() as connection, connection.transaction():
        aside = Aside(connection, BUILT_IN, SMALL_PRODUCT)
        await aside.count_up_to(10)
        await connection.execute("set local enable_seqscan = off; set local enable_hashjoin = off")
        for table in (table for projection in BUILT_IN for table in projection.tables):
            which = (await aside.rows_in(generation.names, table)).replace("$1", str(SMALL_PRODUCT))
            plan = await connection.fetch(f"explain delete from {generation.names[table]} where {which}")
            found[table] = await _first_column_looked_up(connection, table, [row[0] for row in plan])

    assert {table for table, column in found.items() if column is None} == set()
    assert {found["item_counts"], found["user_sightings"], found["votes"]} == {
        "item_id",
        "user_id",
        "product_id",
    }


async def _first_column_looked_up(
    connection: asyncpg.pool.PoolConnectionProxy[Any], table: str, plan: list[str]
) -> str | None:
    """The column that an index of a table starts with, if the plan looks for a value of it there."""
    for line, condition in pairwise(plan):
        if scan := re.search(rf"Index Scan (?:using (\w+) on {table}_|on ({table}\w+))", line):
            first = await connection.fetchval(
                "select attname from pg_attribute where attrelid = $1::text::regclass and attnum = 1",
                f"read_model.{scan[1] or scan[2]}",
            )
            return first if f"({first} = " in condition else None
    return None
