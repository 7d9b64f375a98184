"""A response key means what its own place selects, however often the same rows are selected elsewhere."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from schema.answer.documents import Request
from schema.answer.execute import Operations
from schema.build import build_schema
from schema.context import Context
from tests.given.asking import Board, a_board, a_pool, new_database
from tests.schema.test_questions import HISTORY, ITEM_1


@pytest.fixture(scope="module")
async def board(server_url: str, template: str) -> AsyncIterator[Board]:
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await board.tell(*HISTORY)
        yield board


async def data(board: Board, text: str, *, fast: bool) -> Any:
    operations = Operations(build_schema(), fast=fast)
    answer = json.loads((await operations.execute(Request(text), Context(board.services))).body)
    assert "errors" not in answer, answer["errors"]
    assert operations.taken == fast
    return answer["data"]


ONE, OTHER = "castVotes(first: 1) { nodes { at castAt } }", "castVotes(first: 2) { totalCount }"

SELECTIONS = {
    "nodes twice": "{ items { a: nodes { x: ONE } b: nodes { x: OTHER } } }",
    "edges twice": "{ items { a: edges { node { x: ONE } } b: edges { cursor node { x: OTHER } } } }",
    "an edge's node twice": "{ items { edges { a: node { x: ONE } b: node { x: OTHER } } } }",
    "nodes and edges": "{ items { nodes { x: ONE } edges { node { x: OTHER } } } }",
    "nodes of a nested list": """
        { users { nodes { votes { a: nodes { item { x: ONE } } b: nodes { item { x: OTHER } } } } } }""",
    "in fragments": """
        { items { a: nodes { ...A } b: nodes { ...B } } }
        fragment A on Item { x: ONE }
        fragment B on Item { x: OTHER }""",
    "below an interface": f"""
        {{ a: nodes(ids: ["{ITEM_1}"]) {{ ... on Item {{ x: ONE }} }}
           b: nodes(ids: ["{ITEM_1}"]) {{ ... on Item {{ x: OTHER }} }} }}""",
    "below a difference": """
        { boardDiff(from: {position: 1}, to: {position: 23}) {
            a: added { x: ONE }
            b: added { x: OTHER } } }""",
    "below an event": """
        { events { nodes { a: item { x: ONE } b: item(asOf: {position: 9}) { x: OTHER } } } }""",
}


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "reference"])
@pytest.mark.parametrize("name", SELECTIONS)
async def test_a_key_used_in_two_places_means_in_each_what_is_selected_there(
    board: Board, name: str, fast: bool
) -> None:
    text = SELECTIONS[name].replace("x: ONE", f"x: {ONE}")

    found = await data(board, text.replace("x: OTHER", f"x: {OTHER}"), fast=fast)
    apart = await data(board, text.replace("x: OTHER", f"y: {OTHER}"), fast=fast)

    assert json.dumps(found) == json.dumps(apart).replace('"y":', '"x":')
    assert '"castAt":' in json.dumps(found)
    assert '"totalCount":' in json.dumps(found)


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "reference"])
async def test_the_same_field_with_the_same_key_and_other_fields_below_it_is_not_mixed_up(
    board: Board, fast: bool
) -> None:
    found = await data(
        board,
        """{ items { a: nodes { x: author { name } y: votes { up } }
                     b: nodes { x: author { id } y: author { name } } } }""",
        fast=fast,
    )

    assert found["items"]["a"]
    for a, b in zip(found["items"]["a"], found["items"]["b"], strict=True):
        assert a["x"] is None or a["x"].keys() == {"name"}
        assert b["x"] is None or b["x"].keys() == {"id"}
        assert a["x"] == b["y"]
        assert a["y"] is None or a["y"].keys() == {"up"}


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "reference"])
async def test_rows_selected_more_often_than_postgres_makes_an_array_of_are_answered(
    board: Board, fast: bool
) -> None:
    nodes = " ".join(f"n{number}: nodes {{ sleekplanId }}" for number in range(95))
    others = "edges { cursor node { sleekplanId } } pageInfo { endCursor }"

    items = (await data(board, f"{{ items(first: 2) {{ {nodes} {others} }} }}", fast=fast))["items"]

    ids = [node["sleekplanId"] for node in items["n0"]]
    assert len(ids) == 2
    assert all([node["sleekplanId"] for node in items[f"n{number}"]] == ids for number in range(95))
    assert [edge["node"]["sleekplanId"] for edge in items["edges"]] == ids
    assert items["pageInfo"]["endCursor"] == items["edges"][-1]["cursor"]
