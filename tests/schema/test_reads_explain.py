"""The reads that people wait for find their rows by index: what Postgres plans on a board of some size."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from tests.given.asking import PRODUCT, Board, a_board, a_pool, body, new_database, post

ITEMS = 400


@pytest.fixture(scope="module")
async def board(server_url: str, template: str) -> AsyncIterator[Board]:
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        for day in range(1, 6):
            await board.tell(
                *(
                    body(
                        "item.create" if day == 1 else "vote.create",
                        f"2026-05-0{day} {number % 24:02}:{number % 60:02}",
                        told(number, day),
                    )
                    for number in range(1, ITEMS + 1)
                )
            )
        async with pool.acquire() as connection:
            await connection.execute("vacuum analyze")
        yield board


def told(number: int, day: int) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "title": f"Idea {number}",
        "status": "open",
        "created": f"2026-04-{1 + number % 28:02} {number % 24:02}:00:00",
        "trend": number % 89,
    }
    said = post(number, up=number * day % 97, **fields)
    return said if day == 1 else {"vote": 1, "user_id": day * 1000 + number, "feedback_item": said}


async def plan(board: Board, query: str, *, kept: bool = False, run: bool = False) -> list[dict[str, Any]]:
    """Return the nodes of the plan of the statement that a query runs; of a `kept` one, made for all values.

    Where it is `run`, they tell how often each was.

    Small tables are read whole because that is cheaper, so reading them whole is made to look dear: what is
    read whole then has no index that would serve.
    """
    noted: list[tuple[str, tuple[Any, ...]]] = []
    pool: asyncpg.Pool = board.services.pool
    reader = board.services.reader
    value = reader.value

    async def noting(sql: str, *args: Any) -> Any:
        noted.append((sql, args))
        return await value(sql, *args)

    reader.value = noting  # type: ignore[method-assign]
    try:
        await board.ask(query)
    finally:
        reader.value = value  # type: ignore[method-assign]
    [(sql, args)] = noted
    async with reader.snapshot() as snapshot:
        filled = snapshot.generation.fill(sql)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("set local enable_seqscan = off")
        if kept:
            await connection.execute("set local plan_cache_mode = force_generic_plan")
            await connection.execute(f"prepare kept as {filled}")
            nothing = ", ".join("null" for _ in args)
            text = await connection.fetchval(f"explain (format json) execute kept({nothing})")
            await connection.execute("deallocate kept")
        else:
            text = await connection.fetchval(f"explain (format json, analyze {run}) {filled}", *args)
    return list(nodes(json.loads(text)[0]["Plan"]))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


HOT = {
    "a board by votes": f"{{ items(first: 20, productId: {PRODUCT}) {{ nodes {{ id votes {{ net }} }} }} }}",
    "a board by votes, of all products": "{ items(first: 20) { nodes { id title votes { net } } } }",
    "an item": f'{{ item(productId: {PRODUCT}, sleekplanId: "7") {{ id title votes {{ net }} }} }}',
    "an item's votes": f"""{{ item(productId: {PRODUCT}, sleekplanId: "7") {{
        castVotes(first: 10) {{ nodes {{ id value user {{ name }} }} }} }} }}""",
    "an item's history": f"""{{ item(productId: {PRODUCT}, sleekplanId: "7") {{
        timeline {{ nodes {{ position }} }} statusHistory {{ to {{ key }} }} revisions {{ at }} }} }}""",
    "the newest events": "{ events(last: 20) { nodes { position summary } } }",
    "an item as of a position": f"""{{ item(
        productId: {PRODUCT}, sleekplanId: "7", asOf: {{position: 900}}) {{
        id votes {{ net }} deleted }} }}""",
    "an item as of a time": f"""{{ item(
        productId: {PRODUCT}, sleekplanId: "7", asOf: {{time: "2026-05-03T00:00:00Z"}}
        ) {{ id title votes {{ net }} }} }}""",
    "a board as of a position": f"""{{ items(first: 20, productId: {PRODUCT}, asOf: {{position: 900}}) {{
        nodes {{ id }} }} }}""",
    "a search": '{ items(first: 20, filter: {search: "idea"}) { nodes { id } } }',
    "a thing by its id": '{ node(id: "IkkiLDcsIjci") { id ... on Item { title } } }',
}


@pytest.mark.parametrize("name", HOT)
async def test_a_hot_read_reads_no_table_whole(board: Board, name: str) -> None:
    whole = [
        node["Relation Name"]
        for node in await plan(board, HOT[name])
        if node["Node Type"] == "Seq Scan" and node.get("Relation Name") != "checkpoints"
    ]

    assert whole == []


SORTED = {
    "VOTES": "votes_net",
    "CREATED_AT": "created_at",
    "UPDATED_AT": "updated_at",
    "TREND": "trend",
    "TIME_IN_STATUS": "status_since",
}


@pytest.mark.parametrize("page", ["first", "last"])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize("order", SORTED)
async def test_a_sorted_page_comes_from_its_sorted_index(
    board: Board, order: str, direction: str, page: str
) -> None:
    sorting = f"orderBy: {{field: {order}, direction: {direction}}}"
    query = f"{{ items({page}: 20, productId: {PRODUCT}, {sorting}) {{ nodes {{ id }} }} }}"

    found = await plan(board, query)

    indexes = {node["Index Name"] for node in found if node.get("Index Name", "").startswith("item_")}
    assert indexes == {f"item_states_1_product_id_{SORTED[order]}_item_id_idx"}
    # What is sorted whole is the page, put together of what is known and what is not, and what is not known.
    # Against the order of the index, PostgreSQL 15 finds it cheaper to sort what is known as well.
    version = await board.services.pool.fetchval("select current_setting('server_version_num')::int")
    against = direction == "ASC" and version < 160000
    for node in found:
        if node["Node Type"] == "Sort":
            [part] = node["Plans"]
            looked_for = part.get("Recheck Cond") or part.get("Index Cond", "")
            assert part["Node Type"] in {"Append", "Subquery Scan"} or "IS NULL" in looked_for or against


async def test_answers_are_gone_through_once_for_all_steps_of_a_series(board: Board) -> None:
    """For each step, a year of days of some thousand answers took longer than an operation may."""
    answers = [{"id": number, "user_id": number % 7, "rating": 1 + number % 5} for number in range(1, 31)]
    await board.tell(
        *(body("satisfaction.create", f"2026-05-05 {each['id'] % 24:02}:59", each) for each in answers)
    )
    asked = 'bucket: HOUR, window: {}, asOf: {time: "2026-05-06T00:00:00Z"}'

    found = await plan(board, f"{{ satisfactionSeries({asked}) {{ n }} }}", run=True)

    assert {
        node["Actual Loops"] for node in found if node.get("Relation Name") == "satisfaction_answers_1"
    } == {1}
    assert [node for node in found if node.get("Join Filter")] == [], "each with each step"


async def test_a_plan_for_the_past_knows_that_most_items_are_not_deleted(board: Board) -> None:
    """Of a null after an outer join Postgres expects one in 200, and looks up thousands one by one."""
    args = 'orderBy: {field: CREATED_AT, direction: DESC}, asOf: {time: "2026-05-03T12:00:00Z"}'
    found = await plan(board, f"{{ items({args}) {{ totalCount }} }}")

    assert [node["Filter"] for node in found if "IS NULL" in node.get("Filter", "")] == []


async def test_a_page_that_asks_for_no_text_looks_up_none(board: Board) -> None:
    page = f"items(first: 20, productId: {PRODUCT}) {{ nodes {{ title votes {{ net }} :text }} }}"

    def tables(found: list[dict[str, Any]]) -> set[str]:
        return {node["Relation Name"] for node in found if "Relation Name" in node} & {
            "item_states_1",
            "item_texts_1",
        }

    without = await plan(board, f"{{ {page.replace(':text', '')} }}")
    asked = await plan(board, f"{{ {page.replace(':text', 'description')} }}")

    assert tables(without) == {"item_states_1"}
    assert tables(asked) == {"item_states_1", "item_texts_1"}


async def test_a_timeline_comes_from_its_sorted_index(board: Board) -> None:
    timeline = "timeline(first: 3) { nodes { position } }"
    found = await plan(board, f'{{ item(productId: {PRODUCT}, sleekplanId: "7") {{ {timeline} }} }}')

    indexes = {node["Index Name"] for node in found if node.get("Index Name", "").startswith("event_facts_")}
    assert indexes == {"event_facts_1_item_id_product_id_occurred_at_position_idx"}
    sorted_tables = {
        part.get("Relation Name") for node in found if node["Node Type"] == "Sort" for part in node["Plans"]
    }
    assert not {name for name in sorted_tables if name and name.startswith("event_facts_")}


@pytest.mark.parametrize("page", ["first", "last"])
async def test_a_plan_that_is_kept_knows_how_many_rows_a_page_has(board: Board, page: str) -> None:
    """Of a mere parameter Postgres assumes a tenth of the table, and so plans again at every read."""
    found = await plan(board, f"{{ items({page}: 1, productId: {PRODUCT}) {{ nodes {{ id }} }} }}", kept=True)

    limits = [node["Plan Rows"] for node in found if node["Node Type"] == "Limit"]
    assert limits
    assert max(limits) <= 2


async def test_pages_either_way_pass_by_the_unknown_once_and_at_the_end(board: Board) -> None:
    unknown = [f"90{number}" for number in range(1, 6)]
    await board.tell(
        *(
            body("item.update", "2026-06-01 00:00", {"feedback_id": int(item), "title": "Of old"})
            for item in unknown
        )
    )
    every = "nodes { sleekplanId votes { net } } pageInfo { startCursor endCursor }"
    for direction, sign in (("ASC", 1), ("DESC", -1)):
        order = f"productId: {PRODUCT}, orderBy: {{field: VOTES, direction: {direction}}}"
        forwards: list[dict[str, Any]] = []
        backwards: list[dict[str, Any]] = []
        for name, start, found in (("first", "after", forwards), ("last", "before", backwards)):
            cursor, page = "", None
            while page is None or page["nodes"]:
                page = (await board.ask(f"{{ items({name}: 90, {order}{cursor}) {{ {every} }} }}"))["items"]
                found[:] = [*found, *page["nodes"]] if name == "first" else [*page["nodes"], *found]
                end = "endCursor" if name == "first" else "startCursor"
                cursor = f', {start}: "{page["pageInfo"][end]}"'

        expected = sorted(
            forwards,
            key=lambda item: (
                item["votes"] is None,
                sign * (item["votes"] or {"net": 0})["net"],
                item["sleekplanId"],
            ),
        )
        assert len(forwards) == ITEMS + len(unknown)
        assert forwards == backwards == expected
        assert [item["sleekplanId"] for item in forwards[-5:]] == unknown


@pytest.mark.parametrize("as_of", ["", ", asOf: {position: 900}"])
async def test_a_search_in_one_product_looks_at_the_comments_of_no_other(board: Board, as_of: str) -> None:
    search = 'filter: {search: "idea or -later"}'
    query = f"{{ items(productId: {PRODUCT}, {search}{as_of}) {{ nodes {{ id }} }} }}"

    found = [
        node for node in await plan(board, query) if node.get("Relation Name", "").startswith("comments")
    ]

    conditions = [
        " ".join(node.get(name, "") for name in ("Index Cond", "Recheck Cond", "Filter")) for node in found
    ]
    assert conditions
    assert [each for each in conditions if "product_id = " not in each] == []
