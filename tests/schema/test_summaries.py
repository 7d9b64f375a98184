"""What an event reads like: page, `history` and `tail` all show this sentence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from service.labels import Label
from tests.given.asking import Board, a_board, body, person, post


@pytest.fixture
async def board(pool: asyncpg.Pool) -> AsyncIterator[Board]:
    async with a_board(pool) as board:
        yield board


def ballot(at: str, **said: Any) -> dict[str, Any]:
    return body("vote.create", at, {"feedback_item": post(1, title="Dark theme"), **said})


async def test_a_vote_reads_as_what_it_was_for_against_or_without_a_word_which(board: Board) -> None:
    await board.tell(
        body("item.create", "2026-06-01 09:00", post(1, title="Dark theme")),
        ballot("2026-06-01 10:00", vote=1, user=person(1, "ann")),
        ballot("2026-06-01 11:00", vote=-1, user=person(2, "bob")),
        ballot("2026-06-01 12:00", user=person(3, "cleo")),
        ballot("2026-06-01 13:00", vote=-1, user=person(1, "ann")),
        ballot("2026-06-01 14:00", vote=1, user=person(2, "bob")),
        ballot("2026-06-01 15:00", vote=0, user=person(2, "bob")),
        ballot("2026-06-01 16:00", vote=-1),
    )

    told = await board.ask("{ events(filter: {position: {gte: 2}}) { nodes { summary } } }")

    assert [event["summary"] for event in told["events"]["nodes"]] == [
        "ann voted for “Dark theme”",
        "bob voted against “Dark theme”",
        "cleo voted on “Dark theme”",
        "ann turned their vote round, against “Dark theme”",
        "bob turned their vote round, for “Dark theme”",
        "bob took back their vote on “Dark theme”",
        "Somebody voted against “Dark theme”",
    ]


async def test_a_status_is_not_called_by_what_is_the_label_of_a_type(board: Board) -> None:
    board.services.labels["blue"] = Label("blue", "Bug", None, "type")
    await board.tell(
        body("item.create", "2026-06-01 09:00", post(1, title="Dark theme", status="open")),
        body("item.update", "2026-06-01 10:00", post(1, title="Dark theme", status="blue")),
    )

    told = await board.ask("{ events(filter: {position: {gte: 2}}) { nodes { summary } } }")

    assert told["events"]["nodes"] == [{"summary": "“Dark theme” moved to blue"}]


async def test_an_edit_names_what_it_changed_as_people_call_it(board: Board) -> None:
    ann = person(1, "ann")
    await board.tell(
        body("user.create", "2026-06-01 09:00", ann | {"data_img": "https://example.com/1.png", "weight": 1}),
        body("item.create", "2026-06-01 09:00", post(1, title="Dark theme", user=ann)),
        body(
            "user.update",
            "2026-06-01 10:00",
            ann | {"data_img": "https://example.com/2.png", "weight": 2, "data_mail": "ann.new@example.com"},
        ),
        body("item.update", "2026-06-01 11:00", post(1, title="Dark mode", user=person(2, "bob"))),
    )

    told = await board.ask("{ events(filter: {position: {gte: 3}}) { nodes { summary changedFields } } }")

    assert told["events"]["nodes"] == [
        {
            "summary": "ann changed: mail address, picture, weight",
            "changedFields": ["mail", "imageUrl", "weight"],
        },
        {"summary": "“Dark mode” was edited: title, author", "changedFields": ["title", "author"]},
    ]
