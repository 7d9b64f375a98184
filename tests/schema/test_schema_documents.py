"""What the documentation and GraphiQL's tabs say is valid, and the same as what is tested."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from graphql import parse, validate

from schema.build import build_schema
from tests.given.folders import QUESTIONS, ROOT

SCHEMA = build_schema()._schema
COOKBOOK = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
EXAMPLES = json.loads((ROOT / "service" / "web" / "graphiql" / "examples.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted(QUESTIONS.glob("*.graphql")), ids=lambda path: path.stem)
def test_the_cookbook_has_each_question_as_it_is_tested(path: Path) -> None:
    operation = path.read_text(encoding="utf-8").partition("\n")[2].strip()

    assert f"```graphql\n{operation}\n```" in COOKBOOK


def test_every_operation_of_the_documentation_is_valid() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        for operation in re.findall(r"```graphql\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            assert validate(SCHEMA, parse(operation)) == [], f"{page.name}: {operation}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["title"])
def test_each_example_tab_is_valid(example: dict[str, str]) -> None:
    assert validate(SCHEMA, parse(example["query"])) == []


def test_there_are_eight_example_tabs_at_least() -> None:
    assert len(EXAMPLES) >= 8
