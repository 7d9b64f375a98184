"""What happened within one second is told by the rules, not by arrival: by `updated`, then by position."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.given.asking import Board, a_board, a_pool, body, new_database, post


@pytest.fixture(scope="module")
async def board(server_url: str, template: str) -> AsyncIterator[Board]:
    """One item whose last three edits fell into one second and arrived in reverse."""

    def said(status: str, up: int, updated: str) -> dict[str, object]:
        return post(1, up=up, status=status, title=f"Now {status}", updated=updated)

    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 12:00", said("open", 1, "2026-05-01 12:00:00")),
            body("item.update", "2026-05-02 12:00", said("closed", 40, "2026-05-02 11:59:59")),
            body("item.update", "2026-05-02 12:00", said("done", 20, "2026-05-02 11:59:58")),
            body("item.update", "2026-05-02 12:00", said("planned", 10, "2026-05-02 11:59:57")),
        )
        yield board


async def test_the_status_goes_through_them_as_it_stands_at_the_end(board: Board) -> None:
    answer = await board.ask(
        '{ item(sleekplanId: "1") { status { key } statusHistory { from { key } to { key } lasted } } }'
    )

    steps = [
        (step["from"] and step["from"]["key"], step["to"]["key"]) for step in answer["item"]["statusHistory"]
    ]
    assert steps == [(None, "open"), ("open", "planned"), ("planned", "done"), ("done", "closed")]
    assert answer["item"]["status"]["key"] == steps[-1][1]


async def test_revisions_and_jumps_lead_from_one_to_the_next(board: Board) -> None:
    answer = await board.ask(
        """{ item(sleekplanId: "1") { title votes { up }
            revisions(fields: ["title"]) { changes { field before after } votesBefore { up } }
            voteJumps(minDelta: 5) { delta } } }"""
    )

    item = answer["item"]
    titles = [
        (change["before"], change["after"])
        for revision in item["revisions"]
        for change in revision["changes"]
        if change["field"] == "title"
    ]
    assert titles == [
        ("Now open", "Now planned"),
        ("Now planned", "Now done"),
        ("Now done", "Now closed"),
    ]
    assert item["title"] == titles[-1][1]
    assert [jump["delta"] for jump in item["voteJumps"]] == [9, 10, 20]


async def test_a_cycle_ends_in_the_second_in_which_it_began(board: Board) -> None:
    answer = await board.ask(
        """{ cycleTime(from: ROADMAP, to: DONE, window: {
            from: "2026-01-01T00:00:00Z", to: "2027-01-01T00:00:00Z"}) { n stillOpen } }"""
    )

    assert [(group["n"], group["stillOpen"]) for group in answer["cycleTime"]] == [(1, 0)]
