"""Series over a board say at each step what the board says of that moment, and are refused when too long."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.errors import BadArgument
from tests.given.asking import Board, a_board, a_pool, body, new_database, post

BEGIN = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
DAYS = 24
ITEMS = 14
PRODUCTS = (7, 8)


@pytest.fixture(scope="module")
async def board(server_url: str, template: str) -> AsyncIterator[Board]:
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await board.tell(*history(random.Random(5)))
        yield board


def history(dice: random.Random) -> list[dict[str, Any]]:
    """Return made-up events of two boards out of their order: votes both ways, moves and a few deletions."""
    told = []
    for product in PRODUCTS:
        for item in range(1, ITEMS + 1):
            up, status = 0, "open"
            gone = dice.randrange(DAYS) if item % 5 == 0 else DAYS
            for _ in range(dice.randrange(1, 30)):
                day = dice.randrange(DAYS)
                if day < gone:
                    at = BEGIN + dt.timedelta(days=day, minutes=dice.randrange(24 * 60))
                    up = max(0, up + dice.choice((-2, -1, 1, 1, 3)))
                    status = dice.choice((status, status, "planned", "done", "open"))
                    said = post(item, up=up, down=dice.choice((0, 0, 2)), status=status)
                    told.append(body("item.update", f"{at:%Y-%m-%d %H:%M}", said, product))
            if gone < DAYS:
                at = BEGIN + dt.timedelta(days=gone, hours=12)
                told.append(body("item.delete", f"{at:%Y-%m-%d %H:%M}", {"feedback_id": item}, product))
    dice.shuffle(told)
    return told


async def boards(board: Board) -> list[list[dict[str, Any]]]:
    """Return what stood on the boards at the end of each day, as the lists of those moments say."""
    found = []
    for day in range(1, DAYS + 1):
        end = BEGIN + dt.timedelta(days=day, microseconds=-1)
        answer = await board.ask(
            """query ($at: DateTime!) { items(first: 500, asOf: {time: $at}) {
                nodes { id productId status { key } votes { net } } } }""",
            at=end.isoformat(),
        )
        found.append(answer["items"]["nodes"])
    return found


WINDOW = (
    f'window: {{from: "2026-05-01T00:00:00Z", to: "{BEGIN + dt.timedelta(days=DAYS):%Y-%m-%dT%H:%M:%SZ}"}}'
)


@pytest.mark.parametrize("top", [1, 4, 500])
async def test_a_rank_history_says_what_the_board_of_each_day_says(board: Board, top: int) -> None:
    answer = await board.ask(
        f"{{ rankHistory(bucket: DAY, top: {top}, {WINDOW}) {{ item {{ id }} points {{ t rank value }} }} }}"
    )

    lines: dict[str, list[tuple[str, int, int]]] = {}
    for day, items in enumerate(await boards(board)):
        ranked = [item for item in items if item["votes"] is not None]
        for item in ranked:
            ahead = sum(
                other["productId"] == item["productId"] and other["votes"]["net"] > item["votes"]["net"]
                for other in ranked
            )
            t = f"{BEGIN + dt.timedelta(days=day):%Y-%m-%dT%H:%M:%SZ}"
            lines.setdefault(item["id"], []).append((t, ahead + 1, item["votes"]["net"]))
    last = max(line[-1][0] for line in lines.values())
    leaders = {name: line for name, line in lines.items() if line[-1][0] == last and line[-1][1] <= top}
    assert len(leaders) >= min(top, 20)
    assert {
        series["item"]["id"]: [(point["t"], point["rank"], point["value"]) for point in series["points"]]
        for series in answer["rankHistory"]
    } == leaders


async def test_a_backlog_says_what_the_board_of_each_day_says(board: Board) -> None:
    answer = await board.ask(
        f"{{ statusBacklog(bucket: DAY, {WINDOW}) {{ t byStatus {{ status {{ key }} items votes }} }} }}"
    )

    expected = []
    for items in await boards(board):
        count, votes = Counter[str](), Counter[str]()
        for item in items:
            if item["status"] is not None:
                count[item["status"]["key"]] += 1
                votes[item["status"]["key"]] += (item["votes"] or {"net": 0})["net"]
        expected.append({key: (count[key], votes[key]) for key in count})
    assert [
        {each["status"]["key"]: (each["items"], each["votes"]) for each in point["byStatus"]}
        for point in answer["statusBacklog"]
    ] == expected


async def test_an_hour_that_a_change_of_clocks_leaves_out_is_no_step(board: Board) -> None:
    answer = await board.ask(
        """{ statusBacklog(bucket: HOUR, timeZone: "Europe/Zurich", asOf: {time: "2027-04-01T00:00:00Z"},
            window: {from: "2027-03-27T23:00:00Z", to: "2027-03-28T04:00:00Z"}) { t byStatus { items } } }"""
    )

    hours = [point["t"] for point in answer["statusBacklog"]]
    assert hours == [f"2027-03-{day}:00:00Z" for day in ("27T23", "28T00", "28T01", "28T02", "28T03")]
    [counts] = {tuple(each["items"] for each in point["byStatus"]) for point in answer["statusBacklog"]}
    assert sum(counts) < len(PRODUCTS) * ITEMS


SERIES = {
    "rankHistory": "rankHistory(bucket: HOUR, window: {}, top: 3, asOf: {time: $at}) { points { t } }",
    "statusBacklog": "statusBacklog(bucket: HOUR, window: {}, asOf: {time: $at}) { t }",
    "satisfactionSeries": "satisfactionSeries(bucket: HOUR, window: {}, asOf: {time: $at}) { t }",
    "voteSeries": """item(sleekplanId: "1", productId: 7, asOf: {time: $at}) {
        voteSeries(bucket: HOUR) { t } }""",
    "subscriberSeries": """item(sleekplanId: "1", productId: 7, asOf: {time: $at}) {
        subscriberSeries(bucket: HOUR) { t } }""",
}


@pytest.mark.parametrize("name", SERIES)
async def test_a_series_of_more_than_ten_thousand_steps_is_refused(board: Board, name: str) -> None:
    query = f"query ($at: DateTime!) {{ {SERIES[name]} }}"

    refused = await board.refusal(query, at="2027-07-01T00:00:00Z")

    assert isinstance(refused, BadArgument)
    assert str(refused) == (
        "bucket: HOUR makes more than 10,000 steps of this window; "
        "ask for a shorter window, or for longer steps"
    )
    assert await board.ask(query, at="2026-05-03T00:00:00Z")
