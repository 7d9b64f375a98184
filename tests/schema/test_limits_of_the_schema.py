"""The real schema under hostile documents: each is refused, or answered at little cost to the loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from graphql import get_introspection_query

from schema.answer.documents import Request
from schema.answer.execute import Operations
from schema.build import build_schema
from schema.context import Context
from schema.errors import Refused
from schema.ids import encode_id
from tests.given import folders
from tests.given.asking import PRODUCT, a_board
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


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ('{ statusBacklog(bucket: WEEK, window: {last: "P364D"}) { t } }', 1 + 53),
        ('{ statusBacklog(bucket: DAY, window: {last: "P364D"}) { t byStatus { items } } }', 1 + 365 * 12),
        ('{ eventSeries(bucket: MONTH, window: {last: "P360D"}) { t events } }', 1 + 13 * 2),
        ("{ eventSeries(bucket: MONTH) { t } }", 1 + 61),
        ("{ eventSeries(bucket: HOUR, window: {}) { t } }", 1 + 10_000),
        (
            "query ($w: Window!) { rankHistory(bucket: DAY, window: $w, top: 3) { points { t } } }",
            1 + 3 * (1 + 32),
        ),
        (
            "query ($from: DateTime, $b: Bucket = HOUR) {"
            ' eventSeries(bucket: $b, window: {from: $from, to: "2026-01-02T00:00:00Z"}) { t } }',
            1 + 25,
        ),
        (
            '{ items(first: 50) { nodes { voteSeries(bucket: WEEK, window: {last: "P91D"}) { up } } } }',
            2 + 50 * 15,
        ),
        ("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", 1 + 40),
        ('{ nodes(ids: "a") { id } }', 1 + 1),
        (
            "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on User { votes(first: 9) { nodes { id } } } } }",
            1 + 40 * (2 + 9),
        ),
    ],
)
async def test_a_list_costs_as_much_as_its_arguments_let_it_hold(
    text: str, cost: int, operations: Operations
) -> None:
    document = await operations.documents.prepare(text)
    variables = {
        "w": {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"},
        "from": "2026-01-01T00:00:00Z",
        "ids": ["a"] * 40,
    }

    assert operations.costs.within(document.node, document.operation(None), variables, 25_000) == cost


async def test_hours_of_many_items_over_years_are_too_costly(operations: Operations) -> None:
    document = await operations.documents.prepare(
        '{ items(first: 10) { nodes { voteSeries(bucket: HOUR, window: {last: "P365D"}) { up } } } }'
    )

    with pytest.raises(Refused, match=r"cost is 87622, at most 25000 is allowed; .*, shorten"):
        operations.costs.within(document.node, document.operation(None), {}, 25_000)


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


async def test_more_than_500_ids_and_a_filter_of_more_than_12_levels_are_refused(pool: asyncpg.Pool) -> None:
    def nested(levels: int) -> dict[str, Any]:
        return {"or": [nested(levels - 1)]} if levels > 1 else {"title": {"contains": "dark"}}

    by_ids = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    by_filter = "query ($filter: ItemFilter) { items(filter: $filter) { totalCount } }"
    async with a_board(pool) as board:
        found = await board.ask(by_ids, ids=[encode_id("Item", PRODUCT, str(id)) for id in range(500)])
        _, [many] = await board.answer(by_ids, ids=[encode_id("Item", PRODUCT, str(id)) for id in range(501)])
        none = await board.ask(by_filter, filter=nested(12))
        _, [deep] = await board.answer(by_filter, filter=nested(13))

    assert (found["nodes"], none["items"]) == ([None] * 500, {"totalCount": 0})
    assert "501 are too many at once; ask for 500 at most" in many.message
    assert "is nested deeper than 12; flatten it" in deep.message


async def test_a_filter_of_more_than_100_conditions_and_a_search_of_more_than_50_words_are_refused(
    pool: asyncpg.Pool,
) -> None:
    """They cost two points, whatever they hold; a long search was an internal error, or took all there is."""
    query = "query ($filter: ItemFilter) { items(filter: $filter) { totalCount } }"
    many = [{"title": {"contains": str(number)}} for number in range(100)]
    async with a_board(pool) as board:
        wide = await board.ask(query, filter={"or": many[1:]})
        _, [too_wide] = await board.answer(query, filter={"or": many})
        long = await board.ask(query, filter={"search": "x " * 50})
        refused = [
            await board.answer(query, filter={"search": text})
            for text in ("x " * 51, "漢" * 1001, " " * 1001)
        ]

    assert wide["items"] == long["items"] == {"totalCount": 0}
    assert "holds more than 100; list what one may be" in too_wide.message
    assert all("is too much to search for; name at most 50 words" in error.message for _, [error] in refused)
