"""The real schema under hostile documents: each is refused, or answered at little cost to the loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from graphql import get_introspection_query

from schema.answer.documents import Request
from schema.answer.execute import Operations
from schema.build import build_schema
from schema.context import Context
from tests.given import folders
from tests.schema.test_limits import CALLS_MAX, _counted_calls

QUESTIONS = sorted((folders.QUESTIONS).glob("*.graphql"))


def _nested(depth: int) -> str:
    return (
        "{ items { nodes { "
        + "author { votes { nodes { item { " * depth
        + "title"
        + " } } } }" * depth
        + " } } }"
    )


_CONNECTIONS = " ".join(f"c{n}: votes(first: 100) {{ nodes {{ value user {{ name }} }} }}" for n in range(90))

HOSTILE = {
    "lists in lists": _nested(4),
    "lists in lists in lists": _nested(30),
    "the largest pages in each other": "{ items(first: 500) { nodes { votes(first: 500) { nodes "
    "{ user { comments(first: 500) { nodes { text } } } } } } } }",
    "90 connections by alias": f"{{ items {{ nodes {{ {_CONNECTIONS} }} }} }}",
    "300 equal connections": "{ items(first: 1) { nodes { "
    + "votes(first: 1) { nodes { value } } " * 300
    + "} } }",
    "every type's fields' types' fields": "{ __schema { types { "
    + "fields { type { " * 5
    + "name"
    + " } }" * 5
    + " } } }",
    "fragments over every connection": "{ items { nodes { ...A ...A ...A } } }"
    " fragment A on Item { votes { nodes { item { ...B ...B ...B } } } }"
    " fragment B on Item { comments { nodes { item { ...C ...C ...C } } } }"
    " fragment C on Item { votes { nodes { item { title votes { net: nodes { value } } } } } }",
    "a deep filter": "{ items(filter: " + "{not: " * 50 + "{}" + "}" * 50 + ") { totalCount } }",
    "a wide filter": "{ items(filter: {or: [" + '{title: {eq: "x"}}' * 900 + "]}) { totalCount } }",
}


@pytest.fixture(params=[True, False], ids=["fast", "reference"])
async def operations(request: pytest.FixtureRequest) -> AsyncIterator[Operations]:
    opened = Operations(build_schema(), fast=request.param)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_document_costs_the_loop_little(name: str, operations: Operations) -> None:
    with _counted_calls() as calls:
        answer = await operations.execute(Request(HOSTILE[name]), Context(None))  # type: ignore[arg-type]

    assert calls() < CALLS_MAX
    assert not answer.executed or b'"errors"' in answer.body, "there is no database here: none may reach it"


async def test_variables_are_refused_by_their_length_before_they_are_read(operations: Operations) -> None:
    text = "query ($keys: [String!]) { items(filter: {status: {in: $keys}}) { totalCount } }"
    keys = ["x"] * 50_000

    with _counted_calls() as calls:
        answer = await operations.execute(
            Request(text, {"keys": keys}),
            Context(None),  # type: ignore[arg-type]
        )

    assert b"the set of variables has 200010 bytes, at most 100000 are allowed" in answer.body
    assert calls() < CALLS_MAX


@pytest.mark.parametrize("file", QUESTIONS, ids=lambda file: file.stem)
async def test_what_people_ask_is_far_from_every_limit(file: Path, operations: Operations) -> None:
    text = file.read_text()
    document = await operations.documents.prepare(text)

    for name in document.operations:
        assert operations.costs.within(document.node, document.operations[name], {}, 25_000)


async def test_the_standard_introspection_is_answered(operations: Operations) -> None:
    text = get_introspection_query(input_value_deprecation=True, specified_by_url=True, one_of=True)

    answer = await operations.execute(Request(text), Context(None))  # type: ignore[arg-type]

    assert answer.executed


@pytest.mark.parametrize(
    ("text", "variables", "meant"),
    [
        ("{ items(orderBy: {field: VOTE, direction: DESC}) { totalCount } }", {}, "the enum value 'VOTES'"),
        (
            "query ($by: ItemOrderBy) { items(orderBy: $by) { totalCount } }",
            {"by": {"fild": "VOTES"}},
            "'field'",
        ),
        (
            "query ($only: ItemFilter) { items(filter: $only) { totalCount } }",
            {"only": {"titel": {}}},
            "'title'",
        ),
    ],
    ids=["an enum's value", "an input's field", "a filter's field"],
)
async def test_what_is_misspelt_in_arguments_is_answered_with_what_may_be_meant(
    text: str, variables: dict[str, object], meant: str, operations: Operations
) -> None:
    answer = await operations.execute(Request(text, variables), Context(None))  # type: ignore[arg-type]

    assert f"Did you mean {meant}".encode() in answer.body
