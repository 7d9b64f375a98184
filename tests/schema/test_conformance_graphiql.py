"""GraphiQL before the real schema and log, in a browser that reaches nothing but this machine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from tests.given.browser import open_page
from tests.given.folders import ROOT
from tests.given.live_board import Board, an_update, live_board

pytestmark = pytest.mark.browser

FOLDER = ROOT / "service" / "web" / "graphiql"
EXAMPLES = json.loads((FOLDER / "examples.json").read_text())
RUN = "document.querySelector('.graphiql-execute-button').click()"


@pytest.fixture
async def board(database_url: str) -> AsyncIterator[Board]:
    async with live_board(database_url, graphiql=FOLDER) as opened:
        await opened.append(an_update(1, 5, title="Dark mode", status="open"))
        await opened.projected()
        yield opened


def _shows(text: str) -> str:
    return f"document.querySelector('.result-window').innerText.includes('{text}')"


@pytest.mark.parametrize(
    ("operation", "shown"),
    [
        ("query Titles { items { nodes { title } } }", "Dark"),
        ("subscription Follow { events(after: 0) { position type } }", "ITEM_EDITED"),
    ],
)
async def test_a_query_and_a_subscription_run_without_any_network(
    board: Board, operation: str, shown: str
) -> None:
    async with open_page(f"{board.service.url}?{urlencode({'query': operation})}") as page:
        await page.becomes_true("document.querySelector('.graphiql-query-editor').innerText.includes('{')")
        await page.evaluate(RUN)
        await page.becomes_true(_shows(shown))

        site = board.service.url.removesuffix("/graphql")
        assert page.problems == []
        assert [url for url in page.requested if not url.startswith((site, "data:", "blob:"))] == []


async def test_an_example_tab_runs(board: Board) -> None:
    async with open_page(board.service.url) as page:
        await page.becomes_true(f"document.querySelectorAll('.graphiql-tab').length === {len(EXAMPLES)}")
        await page.becomes_true("document.querySelector('.graphiql-query-editor').innerText.includes('{')")
        await page.evaluate(RUN)
        await page.becomes_true(_shows('"data"'))

        assert not await page.evaluate(_shows('"errors"'))
        assert page.problems == []
