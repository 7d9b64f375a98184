"""A search as of a moment looks through the texts of then, whatever they say now."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.given.asking import Board, a_board, a_pool, body, new_database, post


@pytest.fixture(scope="module")
async def board(server_url: str, template: str) -> AsyncIterator[Board]:
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 10:00", post(1, title="Dark mode", description="For the night")),
            body("item.create", "2026-05-01 10:00", post(2, title="Fax", description="As before")),
            body("comment.create", "2026-05-02 10:00", remark("Like the dark of a cave")),
            body("item.update", "2026-05-03 10:00", post(1, title="Light mode", description="For the day")),
            body("comment.update", "2026-05-03 10:00", remark("Like the light of a lamp")),
        )
        yield board


def remark(text: str) -> dict[str, object]:
    return {"comment_id": 5, "feedback_item": {"feedback_id": 2}, "comment": text}


@pytest.mark.parametrize(
    ("words", "then", "now"),
    [
        ("dark", ["1", "2"], []),
        ("light", [], ["1", "2"]),
        ("night", ["1"], []),
        ("cave", ["2"], []),
        ("mode", ["1"], ["1"]),
        ("fax", ["2"], ["2"]),
    ],
)
async def test_what_was_said_then_is_found_then_and_what_is_said_now_is_found_now(
    board: Board, words: str, then: list[str], now: list[str]
) -> None:
    found = []
    for moment in ("2026-05-02T12:00:00Z", "2026-05-04T00:00:00Z"):
        answer = await board.ask(
            """query ($words: String!, $at: DateTime!) {
                items(filter: {search: $words}, asOf: {time: $at}) { nodes { sleekplanId } } }""",
            words=words,
            at=moment,
        )
        found.append(sorted(item["sleekplanId"] for item in answer["items"]["nodes"]))

    assert found == [then, now]
