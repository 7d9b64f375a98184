"""The reads that people wait for find their rows by index: what Postgres plans on a board of some size."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from tests.asking import PRODUCT, Board, a_board, a_pool, body, new_database, post

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
    fields: dict[str, Any] = {"title": f"Idea {number}", "status": "open", "created": "2026-05-01 00:00:00"}
    said = post(number, up=number * day % 97, **fields)
    return said if day == 1 else {"vote": 1, "user_id": day * 1000 + number, "feedback_item": said}


async def plan(board: Board, query: str) -> list[dict[str, Any]]:
    """Return the nodes of the plan of the statement that a query runs.

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
        text = await connection.fetchval(f"explain (format json) {filled}", *args)
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


# Greatest first, what is unknown last: the other way round sorts the product's items, and keeps the first 20.
@pytest.mark.parametrize("order", ["VOTES", "CREATED_AT", "UPDATED_AT", "TREND"])
async def test_a_sorted_page_comes_from_its_sorted_index(board: Board, order: str) -> None:
    query = f"{{ items(first: 20, productId: {PRODUCT}, orderBy: {{field: {order}}}) {{ nodes {{ id }} }} }}"

    found = await plan(board, query)

    scans = [
        node for node in found if node["Node Type"].startswith("Index") and "items" in node["Relation Name"]
    ]
    assert scans, [node["Node Type"] for node in found]
