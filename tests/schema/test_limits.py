"""Documents that would cost too much are refused before they do, and what is refused costs little itself."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from graphql import get_introspection_query, parse, validate
from graphql.validation import OverlappingFieldsCanBeMergedRule

from schema.answer.cost import Costs
from schema.answer.documents import LONG_TOKENS, Request
from schema.answer.execute import Operations
from schema.answer.limits import Limits, check, scan
from schema.answer.validation import FieldsMergeRule
from schema.context import Context
from schema.errors import Refused
from tests.given.small_schema import schema

LIMITS = Limits()


@pytest.fixture(params=[True, False], ids=["fast", "reference"])
async def operations(request: pytest.FixtureRequest) -> AsyncIterator[Operations]:
    opened = Operations(schema, fast=request.param)
    yield opened
    opened.close()


def _doubling(depth: int) -> str:
    """Fragments that each spread the next one twice: few bytes that stand for 2^depth fields."""
    fragments = "".join(
        f"fragment F{n} on Item {{ votes {{ nodes {{ item {{ ...F{n + 1} ...F{n + 1} }} }} }} }}"
        for n in range(depth)
    )
    return f"{{ item {{ ...F0 }} }} {fragments} fragment F{depth} on Item {{ title }}"


def _circular_introspection(depth: int) -> str:
    return "{ __schema { types { " + "fields { type { " * depth + "name" + " } }" * depth + " } } }"


HOSTILE = {
    "fragments that double": _doubling(25),
    "fragments that double without nesting": "{ item { ...F0 } }"
    + "".join(f"fragment F{n} on Item {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
    + "fragment F60 on Item { title }",
    "a fragment that spreads itself": "{ item { ...F } } fragment F on Item { ...F }",
    "a circle of fragments, none used": "{ hello } "
    + "".join(f"fragment F{n} on Item {{ ...F{(n + 1) % 50} }}" for n in range(50)),
    "10,000 aliases": "{" + " ".join(f"a{n}: hello" for n in range(10_000)) + "}",
    "101 aliases": "{" + " ".join(f"a{n}: hello" for n in range(101)) + "}",
    "100,000 fields": "{" + "hello " * 100_000 + "}",
    "deep lists": "{ item {" + "votes { nodes { item { " * 10 + "title" + " } } }" * 10 + "} }",
    "brackets without end": "{" * 50_000,
    "a list value without end": "{ hello(name: " + "[" * 50_000,
    "quotes": '"' * 90_000,
    "escaped quotes": '"\\' * 45_000,
    "a block string without end": '"""' + '"a' * 40_000,
    "comments": "#\n" * 45_000,
    "directives": "{ hello " + "@skip(if: false) " * 500 + "}",
    "operations": " ".join(f"query Q{n} {{ hello }}" for n in range(400)),
    "fragments": "{ hello } " + " ".join(f"fragment F{n} on Item {{ title }}" for n in range(400)),
    "variables": "query(" + " ".join(f"$v{n}: Int" for n in range(1_500)) + ") { hello }",
    "circular introspection": _circular_introspection(6),
    "nested pages": "{ items(first: 500) { nodes { votes(first: 500) { nodes { value } } } } }",
    "nested pages by variable": "query($n: Int = 500) "
    "{ items(first: $n) { nodes { votes(first: $n) { totalCount nodes { value } } } } }",
    "unknown fields": "{" + " ".join(f"nothing{n}" for n in range(1_000)) + "}",
    "a long number": "{ longText(length: " + "9" * 90_000 + ") }",
    "a long name": "{ " + "a" * 90_000 + " }",
}

HARMLESS = {
    "introspection many times": "{"
    + " ".join(
        f"a{n}: __schema {{ types {{ fields {{ args {{ name }} type {{ name }} }} }} }}" for n in range(19)
    )
    + "}",
    "4,980 equal fields": "{ item {" + "title " * 4_980 + "} }",
    "300 equal connections": "{ item {" + "votes(first: 1) { nodes { value } } " * 300 + "} }",
    "three introspections": "{"
    + " ".join(f"a{n}: __schema {{ types {{ fields {{ name }} }} }}" for n in range(3))
    + "}",
}

CALLS_MAX = 100_000

PAIRS = "{ item { " + "votes(first: 1) { nodes { value item { title } } } " * 15 + "} }"


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_document_is_refused(name: str, operations: Operations) -> None:
    answer = await operations.execute(Request(HOSTILE[name]), _context())

    assert not answer.executed
    assert len(answer.body) < 5_000


@pytest.mark.parametrize("name", HOSTILE)
async def test_refusing_costs_the_loop_little(name: str, operations: Operations) -> None:
    """Counted in calls of Python functions in the loop's thread, which no busy machine changes.

    50 ms are about 500,000 of them without the counting. Long documents are looked at in a thread, which
    leaves the loop running.
    """
    with _counted_calls() as calls:
        await operations.execute(Request(HOSTILE[name]), _context())

    assert calls() < CALLS_MAX


@pytest.mark.parametrize("name", HARMLESS)
async def test_what_only_looks_hostile_is_answered_at_as_little_cost(
    name: str, operations: Operations
) -> None:
    with _counted_calls() as calls:
        answer = await operations.execute(Request(HARMLESS[name]), _context())

    assert answer.executed
    assert calls() < CALLS_MAX


async def test_a_document_full_of_equal_connections_is_checked_in_linear_time(operations: Operations) -> None:
    """graphql-core's rule compares pairs: 300 equal connections take it a second."""

    async def work(times: int) -> int:
        text = "{ item { " + "votes(first: 1) { nodes { value } } " * times + "} }"
        with _counted_calls() as calls:
            operations.documents._parse(text)
        return calls()

    once, thrice = await work(100), await work(300)

    assert thrice < 4 * once


@pytest.mark.parametrize(
    "text",
    [
        '{ hello a: hello hello(name: "x") }',
        "{ item { title } item { title } }",
        "{ a: item { title } a: item { tags } }",
        "{ a: item { title } a: items { totalCount } }",
        "{ item { votes(first: 1) { totalCount } votes(first: 2) { totalCount } } }",
        "{ item { ...A ...B } } fragment A on Item { x: title } fragment B on Item { x: tags }",
        "{ node { ... on Item { title } ... on User { title } } }",
        "{ node { ... on Item { x: title } ... on User { x: name } } }",
        "{ node { ... on Item { x: title } ... on User { x: title } } }",
        "{ node { ... on Item { votes { totalCount } } ... on Item { votes { nodes { value } } } } }",
        "{ item { votes { nodes { item { a: title } } } } item { votes { nodes { item { a: tags } } } } }",
        "query($a: Int) { item { votes(first: $a) { totalCount } votes(first: $a) { nodes { value } } } }",
        "query($a: Int, $b: Int) { item { x: votes(first: $a) { ...F } x: votes(first: $b) { ...F } } }"
        " fragment F on VoteConnection { totalCount }",
        '{ item { votes(first: 1, after: "x") { totalCount } votes(after: "x", first: 1) { totalCount } } }',
        PAIRS,
    ],
)
def test_the_linear_rule_judges_as_the_specified_one(text: str) -> None:
    document = parse(text)

    ours = validate(schema._schema, document, [FieldsMergeRule])
    theirs = validate(schema._schema, document, [OverlappingFieldsCanBeMergedRule])

    assert bool(ours) == bool(theirs)


@pytest.mark.parametrize(
    "text",
    [
        get_introspection_query(),
        get_introspection_query(input_value_deprecation=True, specified_by_url=True, one_of=True),
        "{ items(first: 100) { nodes { title tags votes(first: 10) { totalCount nodes { value } } } } }",
        "query A { hello } query B { hello }",
        PAIRS,
        '{ hello(name: """ "quoted" \\""" """) hello2: hello(name: "a\\"b{{{{{{{{{{") }',
    ],
)
async def test_what_people_ask_is_let_through(text: str, operations: Operations) -> None:
    document = await operations.documents.prepare(text)

    operations.asked(document, Request(text, operation_name=next(iter(document.operations)) or None))


def test_tokens_are_counted_as_the_parser_counts_them() -> None:
    text = (
        'query Q($a: [Int!]! = [1, -2.5e3]) { a: hello(name: "}") @skip(if: true) ...F # {{{\n } """ " } """'
    )

    with pytest.raises(Refused, match="tokens"):
        scan(text, Limits(tokens_max=scan(text, LIMITS) - 1))
    assert scan(text, LIMITS) == 37


def test_fragments_count_for_every_place_that_they_are_spread_in() -> None:
    document = parse("{ a: item { ...F } b: item { ...F } } fragment F on Item { title tags }")

    check(document, Limits(fields_max=6, depth_max=2))

    with pytest.raises(Refused, match="6 fields"):
        check(document, Limits(fields_max=5))
    with pytest.raises(Refused, match="2 levels"):
        check(document, Limits(depth_max=1))


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("{ hello }", 1),
        ("{ item { title tags } }", 3),
        ("{ items(first: 10) { totalCount nodes { title } } }", 1 + 1 + 1 + 10),
        ("{ items { nodes { title } } }", 1 + 1 + 50),
        ("{ items(first: 10) { nodes { votes(first: 3) { nodes { value } } } } }", 1 + 1 + 10 * (1 + 1 + 3)),
        ("{ items(first: 2) { ...F } } fragment F on ItemConnection { nodes { ... on Item { title } } }", 4),
        ("query($n: Int) { items(first: $n) { nodes { title } } }", 2 + 7),
        ("query($n: Int = 4) { items(first: $n) { nodes { title } } }", 2 + 7),
    ],
)
def test_a_cost_is_a_point_a_value_times_the_pages(text: str, cost: int) -> None:
    document = parse(text)

    assert Costs(schema._schema).of(document, document.definitions[0], {"n": 7})[0] == cost  # type: ignore[arg-type]


async def test_too_costly_is_refused_with_the_numbers(operations: Operations) -> None:
    answer = await operations.execute(Request(HOSTILE["nested pages"]), _context())

    assert not answer.executed
    assert b'"cost":{"requested":251002,"maximum":25000}' in answer.body


@pytest.mark.parametrize("number", [500, 500.0])
async def test_a_number_costs_what_execution_sees_in_it(operations: Operations, number: float) -> None:
    """`Int` takes 500.0 as well."""
    text = "query($n: Int!) { items(first: $n) { nodes { votes(first: $n) { nodes { value } } } } }"

    answer = await operations.execute(Request(text, {"n": number}), _context())

    assert not answer.executed
    assert b"COST_EXCEEDED" in answer.body


async def test_what_a_document_was_refused_for_is_remembered(operations: Operations) -> None:
    text = "{" + " ".join(f"nothing{n}" for n in range(150)) + "}"
    with pytest.raises(Refused) as first:
        await operations.documents.prepare(text)

    with _counted_calls() as calls, pytest.raises(Refused) as second:
        await operations.documents.prepare(text)

    assert second.value.errors is first.value.errors
    assert calls() < 60


async def test_errors_of_validation_are_few_and_name_what_may_be_meant(operations: Operations) -> None:
    with pytest.raises(Refused) as refused:
        await operations.documents.prepare("{" + "helo " + " ".join(f"helo{n}" for n in range(15)) + "}")

    assert len(refused.value.errors) <= LIMITS.validation_errors_max + 1
    assert "Did you mean 'hello'?" in refused.value.errors[0].message


async def test_long_documents_are_prepared_beside_the_loop(operations: Operations) -> None:
    threads: list[str] = []
    parse_there = operations.documents._parse

    def parse_and_note(text: str) -> object:
        threads.append(threading.current_thread().name)
        return parse_there(text)

    operations.documents._parse = parse_and_note  # type: ignore[method-assign,assignment]

    await operations.documents.prepare("{ hello }")
    await operations.documents.prepare("{ item {" + " title" * LONG_TOKENS + "} }")

    assert threads[0] == threading.current_thread().name
    assert threads[1].startswith("graphql")


def _context() -> Context:
    return Context(services=None)  # type: ignore[arg-type]


class _counted_calls:
    """Counts the calls of Python functions in this thread while it is open."""

    def __enter__(self) -> Callable[[], int]:
        self._calls = 0
        sys.setprofile(self._count)
        return lambda: self._calls

    def _count(self, _frame: object, event: str, _argument: object) -> None:
        self._calls += event == "call"

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
