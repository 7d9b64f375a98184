"""What the README says is what happens: its queries are asked and its answers compared."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import pytest

from tests.given.folders import ROOT
from tests.given.running import Running, recount, running

README = ROOT / "README.md"
QUESTIONS = re.findall(
    r"\*\*\d\. (.+?)\*\*\n\n```graphql\n(.+?)\n```\n\n```json\n(.+?)\n```", README.read_text(), re.DOTALL
)


@pytest.fixture(scope="module")
async def board(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A service that holds the board of the README, made by its two commands."""
    folder = tmp_path_factory.mktemp("readme")
    made = await recount("simulate", "--events", "3000", "--seed", "7", "--months", "6")
    (folder / "board.jsonl").write_text(made.stdout)
    async with running(folder / "data") as service:
        imported = await service.run("import", folder / "board.jsonl")
        assert imported.returncode == 0, imported.stderr
        yield service


def test_the_readme_is_short_with_five_questions_and_five_figures() -> None:
    text = README.read_text()

    assert len(text.splitlines()) < 200
    assert len(QUESTIONS) == 5
    assert len(re.findall(r"^\| .*`make bench-\w+` +\|$", text, re.MULTILINE)) == 5


@pytest.mark.parametrize(("query", "answer"), [question[1:] for question in QUESTIONS], ids=range(1, 6))
async def test_a_question_of_the_readme_is_answered_as_it_says(
    board: Running, query: str, answer: str
) -> None:
    assert await board.ask(query) == json.loads(answer)
