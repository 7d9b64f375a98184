"""A search as of a moment looks through the texts of then, whatever they say now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
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


async def test_the_pages_of_a_search_go_on_in_the_order_of_the_first_while_events_arrive(
    pool: asyncpg.Pool,
) -> None:
    query = """query ($after: String, $asOf: AsOf, $size: Int!) {
      items(filter: {search: "rabbit"}, first: $size, after: $after, asOf: $asOf) {
        nodes { sleekplanId } pageInfo { endCursor hasNextPage }
      }
    }"""
    async with a_board(pool) as board:
        for item in range(1, 9):
            title = "rabbit" if item % 3 == 0 else "hare"
            text = "rabbit" if item % 2 else ""
            said_of_it = post(item, title=title, description=text)
            await board.tell(body("item.create", "2026-05-01 10:00", said_of_it))
            said = {"comment_id": item, "feedback_id": item, "comment": "rabbit " * (9 - item)}
            await board.tell(body("comment.create", "2026-05-02 10:00", said))
        whole = _ids(await board.ask(query, size=50))

        found, info = list[str](), {"endCursor": None, "hasNextPage": True}
        while info["hasNextPage"]:
            page = (await board.ask(query, size=2, after=info["endCursor"]))["items"]
            found, info = found + _ids({"items": page}), page["pageInfo"]
            await board.tell(body("item.create", "2026-05-03 10:00", post(90 + len(found), title="rabbit")))

        assert found == whole
        assert len(whole) == 8
        assert _ids(await board.ask(query, size=50, asOf={"position": 16})) == whole


async def test_an_item_that_only_comments_name_stands_where_they_match_now_and_then(
    pool: asyncpg.Pool,
) -> None:
    query = """query ($asOf: AsOf) {
      items(filter: {search: "lamp"}, asOf: $asOf) { nodes { sleekplanId } }
    }"""
    async with a_board(pool) as board:
        await board.tell(body("item.create", "2026-05-01 10:00", post(1, title="Light")))
        for item, text in ((1, "a lamp"), (2, "lamp, lamp")):
            said = {"comment_id": item, "feedback_id": item, "comment": text}
            await board.tell(body("comment.create", "2026-05-02 10:00", said))

        assert _ids(await board.ask(query)) == ["2", "1"]
        assert _ids(await board.ask(query, asOf={"position": 3})) == ["2", "1"]


def _ids(answer: Any) -> list[str]:
    return [item["sleekplanId"] for item in answer["items"]["nodes"]]
