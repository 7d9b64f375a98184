"""What is cut is told, every moment is checked, and what is unknown passes `ne` and `not` alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from service.errors import BadArgument, PositionAhead
from tests.given.asking import Board, a_board, a_pool, body, new_database, post

ITEMS = 512


@pytest.fixture(scope="module")
async def board(server_url: str, template: str) -> AsyncIterator[Board]:
    """512 items, of which one has no type."""
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        told = []
        for number in range(1, ITEMS + 1):
            said = post(number, up=number, type="idea" if number % 2 else "bug")
            if number == 1:
                del said["type"]
            told.append(body("item.create", "2026-05-01 12:00", said))
        await board.tell(*told)
        yield board


async def test_a_difference_says_how_many_it_would_show(board: Board) -> None:
    answer = await board.ask(
        """{ boardDiff(from: {position: 0}) { added { id } addedCount removed { id } removedCount
            changed { changes { field } } changedCount } }"""
    )

    diff = answer["boardDiff"]
    assert (len(diff["added"]), diff["addedCount"]) == (500, ITEMS)
    assert (diff["removed"], diff["removedCount"], diff["changed"], diff["changedCount"]) == ([], 0, [], 0)


@pytest.mark.parametrize(
    "query",
    [
        "{ items(asOf: {position: %d}) { totalCount } }",
        "{ boardDiff(from: {position: %d}) { addedCount } }",
        "{ boardDiff(from: {position: 1}, to: {position: %d}) { addedCount } }",
        "{ boardDiff(from: {position: %d}, to: {position: 1}) { addedCount } }",
        '{ item(sleekplanId: "1") { voters(asOf: {position: %d}) { totalCount } } }',
    ],
)
async def test_a_position_beyond_the_head_is_refused_wherever_it_is_given(board: Board, query: str) -> None:
    refused = await board.refusal(query % (ITEMS + 1))

    assert isinstance(refused, PositionAhead)
    assert await board.ask(query % ITEMS)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("{ movers(window: {}) { gained } }", "has no beginning to gain from"),
        ('{ movers(window: {to: "2026-06-01T00:00:00Z"}) { gained } }', "has no beginning to gain from"),
        (
            '{ statusBacklog(bucket: DAY, window: {last: "P9D"}, asOf: {time: "0001-01-01T00:00Z"}) { t } }',
            "window: what it spans reaches beyond any calendar",
        ),
        ('{ item(sleekplanId: "1") { votesSince { net } } }', "votesSince: nothing was named"),
        (
            '{ item(sleekplanId: "1") { votesSince(time: "2026-06-01T00:00Z", statusEntered: "") { up } } }',
            "votesSince: time and statusEntered were both given",
        ),
    ],
)
async def test_a_stretch_of_time_that_cannot_be_counted_is_refused_in_words(
    board: Board, query: str, said: str
) -> None:
    refused = await board.refusal(query)

    assert isinstance(refused, BadArgument)
    assert said in str(refused)


@pytest.mark.parametrize(
    ("comparison", "count"),
    [
        ('{eq: "idea"}', 255),
        ('{in: ["idea"]}', 255),
        ('{notIn: ["idea"]}', 256),
        ('{notIn: ["idea", "bug"]}', 0),
        ("{notIn: []}", 511),
        ('{ne: "idea"}', 257),
    ],
)
async def test_what_is_unknown_passes_ne_and_not_alone(board: Board, comparison: str, count: int) -> None:
    answer = await board.ask(f"{{ items(filter: {{type: {comparison}}}) {{ totalCount }} }}")
    turned = await board.ask(f"{{ items(filter: {{not: {{type: {comparison}}}}}) {{ totalCount }} }}")

    assert answer["items"]["totalCount"] == count
    assert turned["items"]["totalCount"] == ITEMS - count


@pytest.mark.parametrize(
    "field",
    ["items(first: 1) { nodes { id @skip(if: $wanted) } }", "products { name @include(if: $wanted) }"],
)
async def test_a_null_that_a_default_let_through_is_told_as_the_requests_fault(
    board: Board, field: str
) -> None:
    _, [error] = await board.answer(f"query ($wanted: Boolean = true) {{ {field} }}", wanted=None)

    assert error.extensions == {"code": "BAD_USER_INPUT"}
    assert error.path == [field.partition("(")[0].partition(" ")[0]]
