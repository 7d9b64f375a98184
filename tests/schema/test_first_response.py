"""How quickly items are first responded to does not change with what becomes of people and comments later."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.given.asking import Board, a_board, body, person, post

ASKED = "{ firstResponse(groupBy: NONE) { n p50 stillOpen } }"


@pytest.fixture
async def board(pool: asyncpg.Pool) -> Any:
    async with a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 10:00", post(1, created="2026-05-01 10:00:00", status="open")),
            body("item.create", "2026-05-01 10:00", post(2, created="2026-05-01 10:00:00", status="open")),
        )
        yield board


def comment(at: str, by: dict[str, Any]) -> dict[str, Any]:
    return body("comment.create", at, {"comment_id": 9, "feedback_id": 1, "created": f"{at}:00", "user": by})


async def test_a_comment_of_somebody_who_left_the_team_later_was_a_response(board: Board) -> None:
    await board.tell(
        comment("2026-05-02 10:00", person(2, "tess", admin=1)),
        body("vote.create", "2026-06-01 10:00", {"feedback_id": 2, "user": person(2, "tess"), "vote": 1}),
    )

    answer = await board.ask(ASKED)

    assert answer["firstResponse"] == [{"n": 1, "p50": "P1D", "stillOpen": 1}]


async def test_a_comment_of_somebody_who_joined_the_team_later_was_none(board: Board) -> None:
    await board.tell(
        comment("2026-05-02 10:00", person(2, "tess")),
        body("user.update", "2026-06-01 10:00", {"user_id": 2, "admin_id": 1}),
    )

    answer = await board.ask(ASKED)

    assert answer["firstResponse"] == [{"n": 0, "p50": None, "stillOpen": 2}]


async def test_whoever_is_told_to_be_of_the_team_after_the_comment_alone_was_of_it_then(board: Board) -> None:
    await board.tell(
        comment("2026-05-02 10:00", {"user_id": 2}),
        body("user.update", "2026-06-01 10:00", {"user_id": 2, "admin_id": 1}),
    )

    answer = await board.ask(ASKED)

    assert answer["firstResponse"] == [{"n": 1, "p50": "P1D", "stillOpen": 1}]


async def test_a_comment_that_went_along_with_a_merge_was_a_response_to_its_own_item(board: Board) -> None:
    await board.tell(
        comment("2026-05-02 10:00", person(2, "tess", admin=1)),
        body("item.update", "2026-06-01 10:00", post(1, status="merged", merge_id=2)),
        body("comment.snapshot", "2026-06-02 10:00", {"comment_id": 9, "feedback_id": 2}),
    )

    answer = await board.ask(ASKED)

    assert answer["firstResponse"] == [{"n": 1, "p50": "P1D", "stillOpen": 1}]


async def test_what_was_first_seen_in_a_later_stage_waits_for_no_response(board: Board) -> None:
    seen = post(3, created="2026-04-01 10:00:00", status="planned")
    await board.tell(
        body("vote.create", "2026-06-01 10:00", {"feedback_item": seen}),
        body("item.update", "2026-06-02 10:00", post(2, status="planned")),
    )

    answer = await board.ask(ASKED)

    assert answer["firstResponse"] == [{"n": 1, "p50": "P32D", "stillOpen": 1}]
