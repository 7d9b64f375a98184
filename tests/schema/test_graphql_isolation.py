"""Nothing of a product reaches a token that is bound to another: every field of the schema is asked.

A board is answered in full; then another product's events, with the same ids, times and people, join it in
the log. To whoever sees the first product alone, every answer must stay what it was, to the last number.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    Undefined,
    get_named_type,
    is_leaf_type,
)

from schema.answer.documents import Request
from schema.build import build_schema
from schema.context import EVERYTHING, Caller
from schema.ids import decode_id, encode_id
from service.log.quarantine import Quarantine, Unreadable
from service.scopes import SCOPES
from tests.given.asking import NOW, PRODUCT, Board, a_board, a_pool, body, new_database, person, post
from tests.schema.test_questions import HISTORY

FOREIGN: Final = 8
NOBODYS: Final = 9
MARK: Final = "zzforeign"
OWN_KEY: Final = f"a-key-of-sleekplans-api@{PRODUCT}"

WHOLE_HISTORY: Final = [
    *HISTORY,
    # Within the hour of the export's jump.
    body(
        "item.create", "2026-06-25 09:10", post(4, title="Dark tables", status="open", user=person(1, "ada"))
    ),
    # What one item names of another, and one comment of another.
    body(
        "item.update", "2026-06-26 09:10", post(4, title="Dark tables", status="open", owner_id=1, merge_id=1)
    ),
    body(
        "comment.create",
        "2026-06-26 09:20",
        {"comment_id": 90, "feedback_id": 2, "comment": "Thanks.", "parent": 50, "user": person(1, "ada")},
    ),
]

BOUND: Final = Caller(SCOPES, frozenset({PRODUCT}))
BOUND_TO_TWO: Final = Caller(SCOPES, frozenset({PRODUCT, NOBODYS}))
"""Statements for one product and for several are not the same."""

OF_THE_LOG: Final = {"projections", "reactions"}
"""Root fields that tell how far the log is read, which is the same for every product."""

ALL_OF: Final = """{
    items { nodes { id } } users { nodes { id } } comments { nodes { id } } votes { nodes { id } }
    changelogEntries { nodes { id } } subscriptions { nodes { id } } satisfactionAnswers { nodes { id } }
    events(first: 5) { nodes { id } } }"""

SCHEMA: Final = build_schema()._schema
assert SCHEMA.query_type is not None
ROOTS: Final = sorted(SCHEMA.query_type.fields)

REQUIRED: Final[Mapping[str, str]] = {
    "bucket": "WEEK",
    "field": '"title"',
    "group": '"csat"',
    "groupBy": "STATUS",
    "metric": "NET_VOTES",
    "window": '{from: "2026-04-01T00:00:00Z", to: "2026-07-01T00:00:00Z"}',
    "Duration window": '"P30D"',
    "from": '{time: "2026-05-22T00:00:00Z"}',
    "to": '{time: "2026-07-01T00:00:00Z"}',
    "StatusRole from": "ROADMAP",
    "StatusRole to": "DONE",
}
"""What arguments are given that must be: a root field with another one fails here until it is told what."""

OPTIONAL: Final[Mapping[str, str]] = {
    "statusEntered": '"planned"',
    "minDelta": "1",
    "silentFor": '"PT1H"',
}

NUMBERS_ALONE: Final = {
    "cycleTime",
    "eventSeries",
    "firstResponse",
    "ingest",
    "products",
    "satisfactionSeries",
    "setup",
    "statusBacklog",
}
"""Root fields that answer with times and numbers, and hold no text of a product."""

OF_OTHER_OPERATIONS: Final = {"ItemChange", "ThresholdHit", "QuarantineRetryPayload"} | {
    f"{name}Payload"
    for name in ("Backfill", "ProjectionRebuild", "QuarantineDiscard", "Reconcile", "UserErase", "WebhookKey")
}
"""Types that only subscriptions and mutations answer with."""

NEVER_ANSWERED: Final = {"Revision.by", "Event.observation"}
"""Fields that are empty: nobody is told to have edited, and none of these events was fetched."""

LEVELS: Final = 100
DEEP: Final = {"items", "users", "events"}
"""Root fields that are asked for all below them as of every moment; the others only now."""

SEARCHES: Final = {"items": '(filter: {search: "dark"})'}


@dataclass
class Part:
    """A field with its arguments, or a fragment, and what is selected below it."""

    text: str
    type: Any = None
    prefix: str = ""
    level: int = 0
    parts: list[Part] = field(default_factory=list)

    def written(self) -> str:
        return (
            f"{self.text} {{ {' '.join(part.written() for part in self.parts)} }}"
            if self.parts
            else self.text
        )


@dataclass
class Boards:
    """The same board alone, and beside another product's."""

    alone: Board
    shared: Board
    ids: list[str]


@pytest.fixture(scope="module")
async def boards(server_url: str, template: str) -> AsyncIterator[Boards]:
    async with new_database(server_url, template) as url:
        async with a_pool(url) as pool, a_board(pool) as board:
            await board.tell(*WHOLE_HISTORY)
            await board.tell(*HISTORY[:3])  # copies are counted
            await _refuse(board, PRODUCT)
            await _sweep(board, PRODUCT)
            await pool.execute("insert into log.reactions (name, position) values ('rule', 1)")
            ids = _ids(await board.ask(ALL_OF))
        # A copy of the database has the same ids and times of receipt.
        async with new_database(server_url, urlsplit(url).path.removeprefix("/")) as copy:
            async with a_pool(url) as pool, a_board(pool, api_keys=OWN_KEY) as alone:
                keys = f"{OWN_KEY},another-key-of-an-api@{FOREIGN}"
                async with a_pool(copy) as other_pool, a_board(other_pool, api_keys=keys) as shared:
                    await shared.tell(*(_foreign(each) for each in WHOLE_HISTORY))
                    await shared.tell(*(_foreign(each) for each in HISTORY[:5]))
                    await _refuse(shared, FOREIGN)
                    await _sweep(shared, FOREIGN)
                    # Items, users and words that the first product does not have.
                    await shared.tell(*(_foreign(each, add=100) for each in WHOLE_HISTORY))
                    yield Boards(alone, shared, ids)


async def _refuse(board: Board, product: int) -> None:
    joke = f"a joke about {MARK if product == FOREIGN else 'us'}".encode()
    quarantine = Quarantine(board.services.pool, board.services.store)
    await quarantine.keep(Unreadable(f"no event {joke!r}", joke, NOW, "WEBHOOK", product))


async def _sweep(board: Board, product: int) -> None:
    why = f"could not read {MARK if product == FOREIGN else 'it'}"
    id = await board.services.pool.fetchval(
        "insert into log.sweeps (product_id, kind, asked, head, state, finished_at, problem)"
        " values ($1, 'BACKFILL', '{}', 0, 'COMPLETE', now(), $2)"
        " returning id",
        product,
        why,
    )
    await board.services.pool.execute(
        "insert into log.sweep_scopes (sweep_id, scope, phase, state, problem)"
        " values ($1, 'posts', 2, 'FAILED', $2)",
        id,
        why,
    )


def _foreign(told: Mapping[str, Any], add: int = 0) -> dict[str, Any]:
    """Return a delivery of the other product: other words and totals, the same ids and times."""
    return {**_changed(told, add), "product_id": FOREIGN, "action": told["action"]}


_WORDS: Final = {"title", "description", "data_name", "full_name", "comment", "text", "data_mail", "data_img"}
_TOTALS: Final = {"total_up", "total_sum", "total_ratio", "total_comments", "total_subscriber"}
_NUMBERS: Final = {
    "feedback_id",
    "user_id",
    "comment_id",
    "changelog_id",
    "satisfaction_id",
    "owner_id",
    "merge_id",
    "parent",
}


def _changed(value: Any, add: int, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _changed(each, add, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_changed(each, add, name) for each in value]
    if name in _WORDS and isinstance(value, str):
        return f"{value} {MARK}"
    if name in _TOTALS and value:
        return int(value) + 1000
    if name in _NUMBERS and add:
        return int(value) + add
    return value


def _foreign_ids(ids: list[str]) -> list[str]:
    return [encode_id(each.type_name, FOREIGN, *each.parts) for each in map(decode_id, ids)]


def _ids(found: Mapping[str, Any]) -> list[str]:
    return [node["id"] for connection in found.values() for node in connection["nodes"][:3]]


# One operation a root field, made from the schema


_TYPE_OF: Final = {"item": "Item", "user": "User", "changelogEntry": "ChangelogEntry"}


class Everything:
    """Selects every field below a root field: each field of each type once, at the first place it is met."""

    def __init__(self, ids: list[str], as_of: str = "", levels: int = 100) -> None:
        self._ids, self._as_of, self._levels = ids, as_of, levels
        self.met: set[str] = set()

    def operation(self, name: str, arguments: str | None = None) -> str:
        """Return the operation of a root field."""
        assert SCHEMA.query_type is not None
        definition = SCHEMA.query_type.fields[name]
        given = self._arguments(definition, name) if arguments is None else arguments
        root = Part(f"{name}{given}", get_named_type(definition.type))
        pending = [root]
        while pending:  # what is near before what is far: each field is met where it is shortest
            part = pending.pop(0)
            self._fill(part)
            pending += [each for each in part.parts if each.type is not None]
        return f"{{ {root.written()} }}"

    def _fill(self, part: Part) -> None:
        type_ = part.type
        if isinstance(type_, GraphQLInterfaceType):
            for possible in SCHEMA.get_possible_types(type_):
                part.parts.append(Part(f"... on {possible.name}", possible, f"{possible.name}_", part.level))
            return
        assert isinstance(type_, GraphQLObjectType)
        part.parts.append(Part("__typename"))
        for name, definition in type_.fields.items():
            named = get_named_type(definition.type)
            text = f"{part.prefix}{name}: {name}{self._arguments(definition, name)}"
            if is_leaf_type(named):
                part.parts.append(Part(text))
            elif f"{type_.name}.{name}" not in self.met and part.level < self._levels:
                self.met.add(f"{type_.name}.{name}")
                part.parts.append(Part(text, named, level=part.level + 1))

    def _arguments(self, definition: GraphQLField, name: str) -> str:
        given = {}
        for each, argument in definition.args.items():
            if (value := self._argument(name, each, argument)) is not None:
                given[each] = value
        text = ", ".join(f"{each}: {value}" for each, value in given.items())
        return f"({text})" if text else ""

    def _argument(self, field: str, name: str, argument: GraphQLArgument) -> str | None:
        if name == "asOf":
            return self._as_of or None
        if name == "ids":
            return json.dumps(self._ids)
        if name == "id" and field == "node":
            return json.dumps(self._ids[0])
        if field in {"item", "user", "changelogEntry"} and name == "id":
            return json.dumps(
                next(each for each in self._ids if decode_id(each).type_name == _TYPE_OF[field])
            )
        if isinstance(argument.type, GraphQLNonNull) and argument.default_value is Undefined:
            by_type = f"{get_named_type(argument.type).name} {name}"
            return REQUIRED.get(by_type) or REQUIRED[name]
        return OPTIONAL.get(name)


async def answers(board: Board, request: Request | str, caller: Caller) -> Any:
    asked = request if isinstance(request, Request) else Request(request)
    data, errors = await board.answer(asked.query, caller, **asked.variables)
    assert not errors, errors
    return _without_positions(data)


def _without_positions(value: Any) -> Any:
    """Return an answer without what its cursors say of the log: how long it was."""
    if isinstance(value, list):
        return [_without_positions(each) for each in value]
    if isinstance(value, dict):
        return {
            key: _unpinned(each) if key in _CURSORS and each else _without_positions(each)
            for key, each in value.items()
        }
    return value


_CURSORS: Final = {"cursor", "startCursor", "endCursor"}


def _unpinned(cursor: str) -> list[Any]:
    order, _, *values = json.loads(b"[%b]" % base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return [order, *values]


def the_operations(ids: list[str], root: str) -> dict[str, Request]:
    """Return what is asked of a root field: now, at a time, at a position, and what is searched."""
    moments: dict[str, Any] = {
        "now": None,
        "at a time": {"time": "2026-06-21T00:00:00Z"},
        "at a position": {"position": len(HISTORY) - 2},
    }
    assert SCHEMA.query_type is not None
    takes = "asOf" in SCHEMA.query_type.fields[root].args
    found = {}
    for name, as_of in moments.items():
        if takes or not as_of:
            levels = LEVELS if not as_of or root in DEEP else 3
            text = Everything(ids, "$asOf" if as_of else "", levels).operation(root)
            found[name] = Request(f"query ($asOf: AsOf) {text}", {"asOf": as_of}) if as_of else Request(text)
    if root in SEARCHES:
        found["searched"] = Request(Everything(ids, levels=3).operation(root, SEARCHES[root]))
    return found


@pytest.mark.parametrize("root", [root for root in ROOTS if root not in OF_THE_LOG])
async def test_an_answer_to_a_bound_token_is_what_it_were_without_the_other_product(
    boards: Boards, root: str
) -> None:
    for moment, request in the_operations(boards.ids, root).items():
        expected = await answers(boards.alone, request, EVERYTHING)
        for caller in (BOUND, BOUND_TO_TWO) if moment == "now" else (BOUND,):
            found = await answers(boards.shared, request, caller)

            assert MARK not in json.dumps(found)
            assert found == expected, moment


@pytest.mark.parametrize("root", sorted(OF_THE_LOG))
async def test_what_is_told_of_the_whole_log_names_nothing_of_a_product(boards: Boards, root: str) -> None:
    found = await answers(boards.shared, Everything(boards.ids).operation(root), BOUND)

    assert MARK not in json.dumps(found)
    assert f'"{FOREIGN}"' not in json.dumps(found)


@pytest.mark.parametrize("root", [root for root in ROOTS if root not in OF_THE_LOG])
async def test_the_other_product_would_be_seen(boards: Boards, root: str) -> None:
    """A control: the same operations show the other product to whoever may see it."""
    request = the_operations(_foreign_ids(boards.ids), root)["now"]

    shown = json.dumps(await answers(boards.shared, request, EVERYTHING))
    hidden = json.dumps(await answers(boards.shared, request, BOUND))

    assert shown != hidden
    if root not in NUMBERS_ALONE:
        assert MARK in shown


async def test_every_field_is_asked_and_nearly_every_one_answered(boards: Boards) -> None:
    """What is null or empty in every answer would prove nothing."""
    asked: set[str] = set()
    answered: set[str] = set()
    for root in ROOTS:
        everything = Everything(boards.ids)
        _note(await answers(boards.alone, everything.operation(root), EVERYTHING), "Query", answered)
        asked |= everything.met | {f"Query.{root}"}

    composite = {
        f"{name}.{each}"
        for name, type_ in SCHEMA.type_map.items()
        if isinstance(type_, GraphQLObjectType) and not name.startswith("__")
        for each, definition in type_.fields.items()
        if not is_leaf_type(get_named_type(definition.type))
        and name not in {"Subscription", "Mutation"}
        and name not in OF_OTHER_OPERATIONS
    }
    assert composite <= asked
    assert composite - answered == NEVER_ANSWERED


def _note(value: Any, type_name: str, answered: set[str]) -> None:
    """Gather which fields of which types were answered with something."""
    if isinstance(value, list):
        for each in value:
            _note(each, type_name, answered)
    elif isinstance(value, dict):
        name = value.get("__typename", type_name)
        for key, each in value.items():
            if each not in (None, []):
                answered.add(f"{name}.{key.removeprefix(f'{name}_')}")
            _note(each, "", answered)
