"""The fast path answers what the reference executor does, to the byte, and leaves what it does not know."""

from __future__ import annotations

import builtins
import json
import re
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from random import Random
from typing import Any, ClassVar

import orjson
import pytest
from graphql import GraphQLError

from projections.read_model import ReadAt, Reader
from schema.answer import reader, writer
from schema.answer.documents import DOCUMENTS_KEPT, Document, Documents, Request
from schema.answer.execute import Operations
from schema.answer.limits import Limits
from schema.answer.reader import Read, load
from schema.build import build_schema
from schema.context import EVERYTHING, Caller, Context, Services
from schema.declare.request import Env
from schema.errors import INTERNAL, Refused
from schema.ids import FirstPage, encode_cursor, encode_id
from schema.plan.kept import Planner
from schema.plan.planner import Plan
from schema.plan.selection import PAGE_BOUNDS
from schema.resume import ResumePoint
from service.errors import NotAnEvent, RecountError
from service.events import decode
from service.simulator import simulate
from tests.given.asking import NOW, PRODUCT, Board, a_board, a_pool, new_database
from tests.given.folders import QUESTIONS
from tests.given.plain_writer import plainly
from tests.given.random_operations import Made, RandomOperations
from tests.schema.test_questions import HISTORY, ITEM_1, ITEM_2

ANSWERS = {
    "time": "2026-06-01T09:00:00Z",
    "id": ITEM_1,
    "promised": "2026-06-01T09:00:00Z",
    "product": str(PRODUCT),
    "user": encode_id("User", PRODUCT, 2),
    "meeting": "2026-06-19T12:00:00Z",
}
EVENTS = 500
SHORT, LONG = 150, 20_000
_BROKEN = TypeError("whatever went wrong")
READER = Caller(frozenset({"read"}), frozenset({PRODUCT}))

CURSORS = [
    encode_cursor("Item by VOTES DESC", FirstPage(ResumePoint(5), NOW), ["1", str(PRODUCT), "1"]),
    encode_cursor("Item by VOTES DESC", None, [None, str(PRODUCT), "1"]),
    encode_cursor("Vote by CAST_AT DESC", None, ["2026-06-20 00:00:00+00", str(PRODUCT), "1", "1"]),
    encode_cursor("Event by POSITION ASC", None, ["3", "3"]),
    encode_cursor("Event by OCCURRED_AT ASC", None, ["2026-06-10 00:00:00+00", "3"]),
    "none",
]
WHAT_IS_ASKED_FOR: dict[str, list[Any]] = {
    "Int": [0, 1, 2, 3, 5],
    "Float": [0.5, 2],
    "Boolean": [True, False],
    "String": ["planned", "merged", "dark", "", "UTC", "title", "a\u0000b", '\u2028 "quoted" \\ 😀'],
    "ID": [str(PRODUCT), ITEM_1, ITEM_2, "1", "none", encode_id("User", PRODUCT, 1)],
    "DateTime": ["2026-06-01T09:00:00Z", "2026-06-20T00:00:00+02:00", "2026-06-10T00:00:00Z"],
    "Duration": ["P7D", "PT12H", "P1M"],
    "Position": [0, 3, 20, 30, "7", 25, 2**62],
    "JSON": [None, {"a": 1}],
    "first": [0, *[1, 2, 3] * 6, 501, -1],
    "last": [*[1, 2, 3] * 3, 600],
    "after": CURSORS,
    "before": CURSORS,
    "top": [1, 3],
    "productId": [*[str(PRODUCT), PRODUCT, "647288130"] * 4, "8", "none"],
    "sleekplanId": ["1", "2", "3", "999"],
    "minPosition": [0, 1, 5],
    "timeZone": ["UTC", "Europe/Zurich", "America/Lima", "Mars/Olympus"],
    "field": ["title", "status", "votes", "author", "title", "createdAt", "nonsense"],
    "fields": [*["title", "status", "effort"] * 3, "nonsense"],
    "window": ["P7D", "P1M"],
    "search": ["dark", "export csv", "the"],
    "ids": [*[ITEM_1, ITEM_2, encode_id("User", PRODUCT, 1), encode_id("Item", PRODUCT, 99)] * 3, "none"],
}


class Checked(Documents):
    """Documents that are parsed and checked once for all tests; what is kept beside them is of each."""

    _found: ClassVar[dict[str, Document | Refused]] = {}

    async def _examine(self, text: str) -> Document | Refused:
        found = self._found.get(text) or await super()._examine(text)
        if len(self._found) < DOCUMENTS_KEPT:
            self._found[text] = found
        if isinstance(found, Refused):
            return found
        return Document(found.text, found.node, found.operations, found.fragments)


class TwoWays:
    """The same operations on both paths, over the same rows.

    What graphql-core completes on the second is made of the shape without the writer; the first has to agree
    with it, and so has what the writer hands to graphql-core.
    """

    def __init__(self, services: Services) -> None:
        limits = Limits(cost_max=10**9)
        self.services = services
        self.fast = Operations(build_schema(), limits, timeout_seconds=600)
        self.reference = Operations(build_schema(), limits, timeout_seconds=600, fast=False)
        self.fast.documents = self.reference.documents = Checked(build_schema()._schema, limits)
        # Their own plans: what is written wrongly on purpose is kept with them.
        planner = Planner(build_schema().planner.entities)
        self.fast.planner = self.reference.planner = planner
        self.wrong: list[Plan] = []

    def raw(self, plan: Plan) -> Callable[[Any, Env], Any]:
        """Return what makes what graphql-core completes, without the writer, and compares what that makes."""

        def made(rows: Any, env: Env) -> Any:
            plain = _outcome(lambda: plainly(plan.root.shape, rows, env))
            if plain != _outcome(lambda: writer.raw(plan)(rows, env)):
                self.wrong.append(plan)
            if isinstance(plain, Exception):
                raise plain
            return plain

        return made

    @property
    def taken(self) -> int:
        return self.fast.taken

    async def ask(self, made: Made, caller: Caller = EVERYTHING) -> tuple[bytes, bytes]:
        """Return what the fast path and the reference answer."""
        bodies = []
        for operations in (self.fast, self.reference):
            answer = await operations.execute(
                Request(made.text, made.variables), Context(self.services, caller)
            )
            bodies.append(_without_error_ids(answer.body))
        return bodies[0], bodies[1]


def _outcome(made: Callable[[], Any]) -> Any:
    """Return what is made, or that it could not be."""
    try:
        return made()
    except RecountError as error:
        return error
    except Exception:
        return _BROKEN


def _without_error_ids(body: bytes) -> bytes:
    """Leave out the ids under which faults are logged: they are drawn anew each time."""
    return re.sub(rb"\b[0-9a-f]{12}\b", b"id", body)


@pytest.fixture(scope="module")
async def board(server_url: str, template: str) -> AsyncIterator[Board]:
    """The questions' board, another product's traffic with chaos beside it, and hostile texts."""
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await board.tell(*HISTORY)
        await board.tell(*({**HISTORY[0], "timestamp": "1781000000", "data": data} for data in HOSTILE_POSTS))
        bodies = simulate(seed=3, events=EVENTS, items=30, users=25, chaos=True)
        await board.tell(*(body for each in bodies if (body := _event(each)) is not None))
        yield board


HOSTILE_POSTS = [
    {
        "feedback_id": "901",
        "title": '\u2028\u2029 \x7f \u00a0 <script> " \\ / 😀 \ud7ff',
        "status": "\t\n\x1f",
    },
    {
        "feedback_id": "902",
        "trend": "99999999999999.75",
        "scoring": 1e-7,
        "ratio": 5,
        "total_up": "2147483647",
    },
    {"feedback_id": "903", "total_up": 2147483647, "total_down": 2147483647, "effort": 3},
    {"feedback_id": "904"},
]


def _event(delivery: bytes) -> Any:
    """Return the body of a delivery that can be read as an event; None for the noise of chaos."""
    try:
        decode(delivery, NOW)
    except NotAnEvent:
        return None
    return json.loads(delivery)


@pytest.fixture
def two_ways(board: Board, monkeypatch: pytest.MonkeyPatch) -> TwoWays:
    both = TwoWays(board.services)
    monkeypatch.setattr(reader, "raw", both.raw)
    return both


def operations_of(seed: int) -> RandomOperations:
    values = {name: [*each] for name, each in WHAT_IS_ASKED_FOR.items()}
    return RandomOperations(build_schema()._schema, Random(seed), values)


async def test_at_least_18_of_the_24_questions_take_the_fast_path_and_are_answered_the_same(
    two_ways: TwoWays,
) -> None:
    subscriptions = 0
    for path in sorted(QUESTIONS.glob("*.graphql")):
        text = path.read_text(encoding="utf-8")
        if re.search(r"^subscription", text, re.MULTILINE):
            operations = two_ways.fast
            subscriptions += (
                await messages_of(operations, Made(text, {}), Context(two_ways.services)) is not None
            )
            continue
        variables = {name: value for name, value in ANSWERS.items() if f"${name}:" in text}

        fast, reference = await two_ways.ask(Made(text, variables))

        assert fast == reference, path.name
        assert b'"errors"' not in fast, path.name

    assert two_ways.taken + subscriptions >= 18, two_ways.fast.left


QUERY_A = """{ items(first: 100, orderBy: {field: VOTES, direction: DESC}) { nodes {
    sleekplanId title type trend scoring effort commentCount subscriberCount createdAt updatedAt } } }"""
QUERY_B = """{ items(first: 100, orderBy: {field: VOTES, direction: DESC}) { nodes {
    sleekplanId castVotes(first: 10, orderBy: {field: CAST_AT, direction: DESC}) {
        nodes { productId value castAt withdrawn at } } } } }"""


@pytest.mark.parametrize("text", [QUERY_A, QUERY_B], ids="AB")
async def test_the_queries_of_the_bench_take_the_fast_path(two_ways: TwoWays, text: str) -> None:
    fast, reference = await two_ways.ask(Made(text, {}))

    assert fast == reference
    assert two_ways.taken == 1


async def test_random_operations_are_answered_the_same_to_the_byte(two_ways: TwoWays) -> None:
    await compare(two_ways, SHORT, seed=1)


@pytest.mark.torture
async def test_20_000_random_operations_are_answered_the_same_to_the_byte(two_ways: TwoWays) -> None:
    await compare(two_ways, LONG, seed=2)


async def test_edges_of_which_nothing_is_selected_are_empty_objects(two_ways: TwoWays) -> None:
    text = """{ events(first: 1) { edges { cursor @skip(if: true) } pageInfo { hasNextPage } }
        items(first: 1) { nodes { id @skip(if: true) } } }"""
    fast, reference = await two_ways.ask(Made(text, {}))

    assert fast == reference
    assert json.loads(fast)["data"] == {
        "events": {"edges": [{}], "pageInfo": {"hasNextPage": True}},
        "items": {"nodes": [{}]},
    }


async def compare(two_ways: TwoWays, operations: int, seed: int) -> None:
    random = operations_of(seed)
    for number in range(operations):
        made = random.query()
        caller = READER if number % 5 == 0 else EVERYTHING
        fast, reference = await two_ways.ask(made, caller)
        assert (fast, two_ways.wrong) == (reference, []), f"operation {number} of seed {seed}: {made}"
        assert INTERNAL.encode() not in fast, f"operation {number} of seed {seed}: {made}"
    # Few would prove little: most of what is not refused is answered by the written functions.
    assert two_ways.taken > operations / 4, two_ways.fast.left


class Doctored(Reader):
    """The reader, with values changed in what Postgres answers: each statement's answer always in one way."""

    def __init__(self, pool: Any, doctor: Callable[[str], str]) -> None:
        super().__init__(pool)
        self._doctor = doctor

    async def value(self, sql: str, *args: Any) -> tuple[Any, ReadAt]:
        text, at = await super().value(sql, *args)
        return self._doctor(text), at


STRANGE = [
    None,
    True,
    2**31,
    -(2**31) - 1,
    2**53 + 1,
    2**70,
    1.5,
    1e300,
    "NaN",
    "",
    "text",
    [],
    [None],
    {"a": 1},
]


def doctor(text: str, random: Random) -> str:
    """Return an answer with a few of its values exchanged for ones that their types do not expect."""
    answer = orjson.loads(text)
    places = list(_places(answer))
    for parent, index in random.sample(places, min(len(places), random.randint(1, 3))):
        parent[index] = random.choice(STRANGE)
    return json.dumps(answer)


def _places(value: Any) -> Iterator[tuple[list[Any], int]]:
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield value, index
            yield from _places(each)


@pytest.mark.parametrize("seed", [1])
async def test_nulls_large_integers_and_what_no_type_takes_are_told_as_the_reference_tells_them(
    two_ways: TwoWays, seed: int
) -> None:
    await compare_doctored(two_ways, SHORT, seed)


@pytest.mark.torture
async def test_20_000_answers_with_strange_values_are_told_as_the_reference_tells_them(
    two_ways: TwoWays,
) -> None:
    await compare_doctored(two_ways, LONG, seed=2)


async def compare_doctored(two_ways: TwoWays, operations: int, seed: int) -> None:
    random = operations_of(seed)
    services = two_ways.services
    for number in range(operations):
        made = random.query()
        two_ways.services = replace(
            services,
            reader=Doctored(services.pool, lambda text, number=number: doctor(text, Random(number))),  # type: ignore[misc]
        )
        fast, reference = await two_ways.ask(made)
        assert (fast, two_ways.wrong) == (reference, []), f"operation {number} of seed {seed}: {made}"


async def test_messages_of_random_subscriptions_are_the_same_to_the_byte(two_ways: TwoWays) -> None:
    random = operations_of(seed=4)
    for number in range(40):
        made = random.subscription("events" if number % 2 else "items")
        await compare_messages(two_ways, made)
    assert two_ways.taken > 100


async def compare_messages(two_ways: TwoWays, made: Made) -> None:
    context = Context(two_ways.services)
    try:
        read = await messages_of(two_ways.fast, made, context)
        executor = two_ways.fast.executor(
            await two_ways.fast.documents.prepare(made.text), Request(made.text, made.variables), context
        )
    except (Refused, RecountError, GraphQLError):
        return
    for position, each in read:
        bodies = [
            operations.encode(await operations.message(executor, each, context), ResumePoint(position))
            for operations in (two_ways.fast, two_ways.reference)
        ]
        assert bodies[0] == bodies[1], made
    assert not two_ways.wrong


async def messages_of(operations: Operations, made: Made, context: Context) -> list[tuple[int, Read]]:
    """Return what is read for the messages of a subscription, with their positions."""
    document = await operations.documents.prepare(made.text)
    [root] = operations.asked(document, Request(made.text, made.variables)).selection.planned
    return await load(operations.planner, root, context, range(1, 30))


# Controls: the comparison catches a writer that is wrong


@contextmanager
def miscompiled(monkeypatch: pytest.MonkeyPatch, change: Callable[[str], str]) -> Iterator[None]:
    """Let the writer write something else."""

    def compile_changed(source: str, *rest: Any) -> Any:
        return builtins.compile(change(source), *rest)

    with monkeypatch.context() as patched:
        patched.setattr(writer, "compile", compile_changed, raising=False)
        yield


@asynccontextmanager
async def _difference_expected() -> AsyncIterator[None]:
    with pytest.raises(AssertionError, match="of seed"):
        yield


async def test_a_writer_that_drops_a_check_is_caught(
    two_ways: TwoWays, monkeypatch: pytest.MonkeyPatch
) -> None:
    with miscompiled(monkeypatch, lambda source: source.replace("uncertain()", "None")):
        async with _difference_expected():
            await compare_doctored(two_ways, SHORT, seed=1)


async def test_a_writer_that_swaps_two_columns_is_caught(
    two_ways: TwoWays, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap = re.compile(r"(v\d+), (v\d+), (?=[v\d, ]* (in rows|= row))")
    with miscompiled(monkeypatch, lambda source: swap.sub(r"\2, \1, ", source)):
        async with _difference_expected():
            await compare(two_ways, SHORT, seed=1)


async def test_a_writer_that_forgets_a_row_is_caught(
    two_ways: TwoWays, monkeypatch: pytest.MonkeyPatch
) -> None:
    with miscompiled(monkeypatch, lambda source: source.replace("more = len(rows) > size", "more = True")):
        async with _difference_expected():
            await compare(two_ways, SHORT, seed=1)


# What is left to the reference


@pytest.mark.parametrize(
    "text",
    [
        "{ __schema { queryType { name } } items(first: 1) { totalCount } }",
        '{ node(id: "none") { id } }',
    ],
)
async def test_what_no_statement_answers_and_what_is_refused_is_left_and_counted(
    two_ways: TwoWays, text: str
) -> None:
    fast, reference = await two_ways.ask(Made(text, {}))

    assert fast == reference
    assert two_ways.taken == 0
    assert sum(two_ways.fast.left.values()) == 1


async def test_what_was_read_before_the_fast_path_gave_up_is_not_read_again(two_ways: TwoWays) -> None:
    asked = 0

    def spoil(text: str) -> str:
        nonlocal asked
        asked += 1
        answer = orjson.loads(text)
        answer[0][0][1] = False  # a title
        return json.dumps(answer)

    services = replace(two_ways.services, reader=Doctored(two_ways.services.pool, spoil))
    answer = await two_ways.fast.execute(Request(QUERY_A), Context(services))

    assert two_ways.taken == 0
    assert asked == 1
    assert answer.executed


async def test_a_metric_tells_the_path_and_the_field(board: Board) -> None:
    seen: list[tuple[str, bool, bool]] = []

    def observed(operation: str, seconds: float, *, fast: bool = False, failed: bool = False) -> None:
        seen.append((operation, fast, failed))

    operations = Operations(build_schema(), observed=observed)
    for text in (QUERY_A, "{ items(first: 501) { totalCount } }", "{ nonsense }"):
        await operations.execute(Request(text), Context(board.services))

    assert seen == [("items", True, False), ("items", False, True), ("", False, True)]


async def test_documents_and_what_is_kept_beside_them_are_bounded(two_ways: TwoWays) -> None:
    text = "query Many($n: Int) { items(first: $n) { totalCount } }"
    for number in range(200):
        await two_ways.fast.execute(Request(text, {"n": number}), Context(two_ways.services))

    document = await two_ways.fast.documents.prepare(text)
    assert len(document.asked) <= 64
    assert len(two_ways.fast.planner._plans) == len(PAGE_BOUNDS)


async def test_an_argument_refused_again_and_again_keeps_nothing_of_the_requests_before(
    two_ways: TwoWays,
) -> None:
    text = """query Zone($zone: String = "UTC") { items(first: 1) { nodes {
        voteSeries(bucket: DAY, timeZone: $zone) { up } } } }"""
    request = Request(text, {"zone": None})
    for _ in range(3):
        answer = await two_ways.fast.execute(request, Context(two_ways.services))
        assert b"timeZone" in answer.body

    document = await two_ways.fast.documents.prepare(text)
    [error] = two_ways.fast.asked(document, request).selection.refused.values()
    assert len(list(traceback.walk_tb(error.__traceback__))) < 3
