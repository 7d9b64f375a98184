"""Pages by votes of a past moment, for which only some items are looked up, are those of the whole list."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from projections import catalogue
from projections.read_model import Reader
from service.sql_files import load
from tests.asking import PRODUCT, Board, a_board, a_pool, body, new_database, post

ITEMS = 80
EVENTS = 600
WALKED = 16  # items, in pages of two
BEGINNING = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
FOREVER = dt.datetime.max.replace(tzinfo=dt.UTC)
FILTERS = ("{}", "{deleted: null}", '{status: {in: ["open"]}}', "{votesNet: {gte: 2}}")
AS_OF = load(catalogue.__file__, "as_of.sql")


def history(dice: random.Random) -> Iterator[dict[str, Any]]:
    """Yield posts with totals that rise, fall, tie, come late, come alone or not at all, and deletions."""
    for number in range(EVENTS):
        item = int(dice.triangular(1, min(ITEMS, 10 + number // 5), 1))
        minutes = number - (dice.randint(0, 300) if dice.random() < 0.15 else 0)
        at = f"{BEGINNING + dt.timedelta(minutes=minutes):%Y-%m-%d %H:%M}"
        told = post(
            item,
            up=dice.randint(0, 3 + item % 9),
            down=dice.randint(0, 2),
            title=f"Idea {item}",
            status=dice.choice(("open", "planned")),
            updated=f"{at}:00",
        )
        untold = dice.choices(((), ("total_up",), ("total_down",), ("total_up", "total_down")), (20, 1, 1, 2))
        for total in untold[0]:
            del told[total]
        action = "item.delete" if dice.random() < 0.04 else "item.update"
        if dice.random() < 0.05:
            yield body("vote.create", at, {"feedback_id": item, "user_id": number, "vote": 1})
        else:
            yield body(action, at, told)


@pytest.fixture(scope="module", params=(1, 2))
async def board(
    request: pytest.FixtureRequest, server_url: str, template: str
) -> AsyncIterator[tuple[Board, random.Random]]:
    dice = random.Random(request.param)
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        told = list(history(dice))
        for start in range(0, EVENTS, 150):
            await board.tell(*told[start : start + 150])
        yield board, dice


async def some_moments(board: Board, dice: random.Random) -> list[tuple[int, dt.datetime]]:
    return [
        (
            dice.choice((EVENTS, dice.randint(30, EVENTS))),
            dice.choice((FOREVER, BEGINNING + dt.timedelta(minutes=dice.randint(60, EVENTS)))),
        )
        for _ in range(4)
    ]


async def page_then(board: Board, as_of: dict[str, Any], filters: str, direction: str, **bounds: Any) -> Any:
    answer = await board.ask(
        f"""query ($asOf: AsOf, $first: Int, $after: String) {{
          items(productId: {PRODUCT}, asOf: $asOf, first: $first, after: $after, filter: {filters}
                orderBy: {{field: VOTES, direction: {direction}}}) {{
            nodes {{ sleekplanId votes {{ net }} }} pageInfo {{ hasNextPage endCursor }}
          }} }}""",
        asOf=as_of,
        **bounds,
    )
    return answer["items"]


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("direction", ["DESC", "ASC"])
async def test_small_pages_of_the_past_begin_the_whole_list(
    board: tuple[Board, random.Random], filters: str, direction: str
) -> None:
    asked, dice = board
    for position, time in await some_moments(asked, dice):
        as_of: dict[str, Any] = {"position": position}
        if time != FOREVER:
            as_of |= {"time": time.isoformat(), "clock": "OCCURRED"}
        # A page that the whole board fits on has no floor: each item is looked up.
        whole = (await page_then(asked, as_of, filters, direction, first=ITEMS + 20))["nodes"]
        found: list[Any] = []
        cursor, more = None, True
        while more and len(found) < WALKED:
            page = await page_then(asked, as_of, filters, direction, first=2, after=cursor)
            found += page["nodes"]
            cursor, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        assert found == (whole[: len(found)] if more else whole)


async def test_as_of_our_own_clock_a_small_page_begins_the_whole_list(
    board: tuple[Board, random.Random],
) -> None:
    asked, _ = board
    heard = await asked.services.pool.fetch("select distinct recorded_at from log.events order by 1")
    for (recorded_at,) in heard:
        as_of = {"time": recorded_at.isoformat(), "clock": "RECORDED"}
        whole = await page_then(asked, as_of, "{}", "DESC", first=ITEMS + 20)
        assert (await page_then(asked, as_of, "{}", "DESC", first=2))["nodes"] == whole["nodes"][:2]


async def test_small_pages_of_items_by_votes_give_the_whole_list(
    board: tuple[Board, random.Random],
) -> None:
    asked, dice = board
    reader = Reader(asked.services.pool)
    statement = AS_OF["items_by_votes"]
    for position, time in await some_moments(asked, dice):
        whole, _ = await reader.fetch(statement, PRODUCT, position, time, ITEMS + 20, None, None)
        found: list[tuple[Any, ...]] = []
        while len(found) < len(whole):
            last = (found[-1][1], found[-1][0]) if found else (None, None)
            page, _ = await reader.fetch(statement, PRODUCT, position, time, 2, *last)
            assert page
            found += map(tuple, page)
        assert found == [tuple(row) for row in whole]
        ranks = [(-(2**31) if net is None else net, item_id) for item_id, net in found]
        assert ranks == sorted(ranks, reverse=True)
