"""Each of GraphiQL's example tabs says something on a board like the demo's, on whatever day it is opened."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.events import decode
from service.simulator import Knobs, Traffic
from tests.given.asking import a_pool, new_database
from tests.given.folders import ROOT
from tests.given.live_board import Board, live_board

EXAMPLES = json.loads((ROOT / "service" / "web" / "graphiql" / "examples.json").read_text(encoding="utf-8"))
QUERIES = [example for example in EXAMPLES if example["query"].startswith("query")]
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
async def board(server_url: str, template: str) -> AsyncIterator[Board]:
    """A small demo that ends now."""
    async with new_database(server_url, template) as url, a_pool(url), live_board(url) as opened:
        knobs = Knobs(seed=20_260, ending=NOW, events=6_000)
        bodies = [decode(body, NOW, "IMPORT") for body in Traffic(knobs).history()]
        for first in range(0, len(bodies), 1_000):
            told = await opened.store.append(bodies[first : first + 1_000])
        await opened.projected(told[-1].position)
        yield opened


def of_today(value: Any) -> Any:
    """A variable as GraphiQL's page fills it in."""
    if not isinstance(value, dict):
        return value
    return (NOW - timedelta(days=value["daysAgo"])).strftime("%Y-%m-%dT09:00:00Z")


def has_something(value: Any) -> bool:
    if isinstance(value, dict):
        return any(has_something(each) for each in value.values())
    return bool(value)


@pytest.mark.parametrize("example", QUERIES, ids=lambda example: example["title"])
async def test_it_answers_on_the_demo(board: Board, example: dict[str, Any]) -> None:
    variables = {name: of_today(value) for name, value in example.get("variables", {}).items()}

    told = await board.ask(example["query"], **variables)

    for root in told.values():
        lists = (
            [root] if isinstance(root, list) else [each for each in root.values() if isinstance(each, list)]
        )
        assert any(has_something(each) for each in lists)


async def test_the_one_that_follows_begins_with_what_happens_next(board: Board) -> None:
    [example] = [example for example in EXAMPLES if example["query"].startswith("subscription")]

    async with board.socket() as client:
        await client.subscribe(example["query"], **example["variables"])
        position = await board.append({"action": "item.update", "feedback_id": 1, "title": "Just now"})
        [told] = await client.take(1)

    assert told["data"]["events"]["position"] == position
    assert {each["query"].partition("Live")[1] for each in EXAMPLES} == {""}
