"""Pages by votes of a past moment, for which only some items are looked up, are those of the whole list."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from projections.read_model import tables
from tests.given.asking import PRODUCT, Board, a_board, a_pool, body, new_database, post
from tests.given.random_operations import Made
from tests.schema.test_fast_path import TwoWays

ITEMS = 70
EVENTS = 600  # of each product
OTHER = PRODUCT + 1
WHOLE = 2 * ITEMS + 20  # more than both boards: such a page has no floor, so each item is looked up
WALKED = 16  # items, in pages of two
BEGINNING = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
BATCH = 150
FILTERS = ("{}", "{deleted: null}", '{status: {in: ["open"]}}', "{votesNet: {gte: 2}}")


def history(dice: random.Random, product: int) -> Iterator[dict[str, Any]]:
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
            yield body("vote.create", at, {"feedback_id": item, "user_id": number, "vote": 1}, product)
        else:
            yield body(action, at, told, product)


@pytest.fixture(scope="module", params=(1, 2))
async def board(
    request: pytest.FixtureRequest, server_url: str, template: str
) -> AsyncIterator[tuple[Board, random.Random]]:
    """Two products whose events came in turn, in batches that were recorded one after the other."""
    dice = random.Random(request.param)
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        both = zip(history(dice, PRODUCT), history(dice, OTHER), strict=True)
        told = [each for pair in both for each in pair]
        for start in range(0, len(told), BATCH):
            await board.tell(*told[start : start + BATCH])
        yield board, dice


async def some_moments(board: Board, dice: random.Random) -> dict[str, dict[str, Any]]:
    """Return a moment of each kind, somewhere in the middle of what was told."""
    batches = await board.services.pool.fetch("select distinct recorded_at from log.events order by 1")
    position = dice.randint(EVENTS // 2, 2 * EVENTS)
    time = (BEGINNING + dt.timedelta(minutes=dice.randint(EVENTS // 4, EVENTS))).isoformat()
    recorded = dice.choice(batches)["recorded_at"].isoformat()
    return {
        "position": {"position": position},
        "time": {"time": time},
        "recorded": {"time": recorded, "clock": "RECORDED"},
        "both": {"position": position, "time": time},
        "both, recorded": {"position": position, "time": recorded, "clock": "RECORDED"},
    }


def question(product: int | None, filters: str, direction: str) -> str:
    named = "" if product is None else f"productId: {product}, "
    return f"""query ($asOf: AsOf, $first: Int, $after: String) {{
      items({named}asOf: $asOf, first: $first, after: $after, filter: {filters}
            orderBy: {{field: VOTES, direction: {direction}}}) {{
        nodes {{ id sleekplanId rank status {{ key }} votes {{ net }} }} pageInfo {{ hasNextPage endCursor }}
      }} }}"""


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("product", [PRODUCT, None], ids=["a product", "all products"])
async def test_small_pages_of_the_past_begin_the_whole_list(
    board: tuple[Board, random.Random], product: int | None, filters: str
) -> None:
    asked, dice = board
    for kind, as_of in (await some_moments(asked, dice)).items():
        text = question(product, filters, "DESC")
        whole = (await asked.ask(text, asOf=as_of, first=WHOLE))["items"]["nodes"]
        assert whole, kind
        found: list[Any] = []
        cursor, more = None, True
        while more and len(found) < WALKED:
            page = (await asked.ask(text, asOf=as_of, first=2, after=cursor))["items"]
            found += page["nodes"]
            cursor, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        assert found == (whole[: len(found)] if more else whole), kind


async def test_the_last_pages_of_the_past_hold_the_items_without_votes(
    board: tuple[Board, random.Random],
) -> None:
    asked, dice = board
    text, as_of = question(None, "{}", "DESC"), (await some_moments(asked, dice))["both"]
    whole = (await asked.ask(text, asOf=as_of, first=WHOLE))["items"]["nodes"]
    found: list[Any] = []
    cursor, more = None, True
    while more:
        page = (await asked.ask(text, asOf=as_of, first=9, after=cursor))["items"]
        found += page["nodes"]
        cursor, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert found == whole


async def test_the_fewest_votes_and_pages_from_the_end_are_those_of_the_whole_list(
    board: tuple[Board, random.Random],
) -> None:
    asked, dice = board
    backward = question(None, "{}", "DESC").replace("first: $first", "last: $first")
    for as_of in (await some_moments(asked, dice)).values():
        for direction, text in (("ASC", question(None, "{}", "ASC")), ("DESC", backward)):
            whole = await asked.ask(question(None, "{}", direction), asOf=as_of, first=WHOLE)
            few = (await asked.ask(text, asOf=as_of, first=3))["items"]["nodes"]
            assert few == (
                whole["items"]["nodes"][:3] if direction == "ASC" else whole["items"]["nodes"][-3:]
            )


async def test_the_fast_path_answers_pages_of_the_past_as_the_plain_one(
    board: tuple[Board, random.Random],
) -> None:
    asked, dice = board
    ways = TwoWays(asked.services)
    for as_of in (await some_moments(asked, dice)).values():
        for product in (PRODUCT, None):
            made = Made(question(product, "{}", "DESC"), {"asOf": as_of, "first": 3})
            fast, reference = await ways.ask(made)
            assert fast == reference
            assert b'"errors"' not in fast
    assert ways.taken


async def test_tables_that_an_older_version_counted_give_the_same_pages(
    server_url: str, template: str
) -> None:
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await board.tell(*history(random.Random(3), PRODUCT))
        text, as_of = question(None, "{}", "DESC"), {"position": EVENTS // 2}
        before = await board.ask(text, asOf=as_of, first=2)
        await pool.execute((await tables(pool)).fill("alter view {items} rename column votes_most to unsaid"))

        assert await board.ask(text, asOf=as_of, first=2) == before
