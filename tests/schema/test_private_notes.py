"""A comment with `public` false is a note between team members: told with the scope `personal` alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest
from graphql import GraphQLInterfaceType, GraphQLNonNull, Undefined, get_named_type, is_leaf_type

from projections.read_model import tables
from projections.rebuild.rebuild import rebuild
from projections.rebuild.verify import verify
from schema.answer.documents import Request
from schema.answer.reader import load
from schema.build import build_schema
from schema.context import Caller, Context
from schema.declare.source import Leaf, Rows, spec_of
from schema.ids import encode_id
from service.scopes import SCOPES
from tests.given.asking import (
    OPERATIONS,
    PRODUCT,
    Board,
    a_board,
    a_pool,
    body,
    drop_column,
    new_database,
    person,
    post,
)
from tests.given.live_board import Board as LiveBoard
from tests.given.live_board import Client, an_update, live_board

SCHEMA: Final = build_schema()._schema
OTHERS: Final = Caller(SCOPES - {"personal", "raw"})
TEAM: Final = Caller(SCOPES)
DEPTH: Final = 2

# Words that only the team may read, and the ids of what is a note for good.
HIDDEN: Final = ("zephyr", "quartz", "plumbago", "obsidian", "amethyst", "881001", "881002", "881004")
PUBLISHED: Final = 881003

FIRST: Final = {"first": "first: 50"}
GIVEN: Final[dict[str, str]] = {
    "asOf": "",
    "bucket": "bucket: DAY",
    "field": 'field: "title"',
    "from": "from: OPEN",
    "id": f'id: "{encode_id("Item", PRODUCT, "1")}"',
    "ids": "ids: $ids",
    "minDelta": "minDelta: 1",
    "rules": "rules: [{metric: ACTIVITY, gte: 3}]",
    "to": "to: DONE",
    "window Duration": 'window: "P400D"',
    "window": 'window: {from: "2026-01-01T00:00:00Z"}',
    "time": 'time: "2026-01-01T00:00:00Z"',
}
"""What is given for an argument that must be there, or is worth giving, by its name."""
ALWAYS: Final = {"time"}
TAKEN: Final = {"$node": "ID!", "$ids": "[ID!]!", "$asOf": "AsOf"}
"""The variables of operations: written into the text, each moment's would be checked and planned anew."""


def comment(id_: int | None, text: str | None = None, **fields: Any) -> dict[str, Any]:
    """A comment by somebody of the team."""
    told = {"comment_id": id_, "comment": text, "user": person(9, "tess", admin=4)} | fields
    return {name: value for name, value in told.items() if value is not None}


def told() -> list[dict[str, Any]]:
    """Comments for all, notes, one that became a note, one that was published, one without an id."""
    return [
        body(
            "item.create",
            "2026-05-01 10:00",
            post(1, title="Dark mode", status="open", user=person(1, "ana")),
        ),
        body("comment.create", "2026-05-02 10:00", comment(1, "a word for all", feedback_id=1)),
        body(
            "comment.create",
            "2026-05-03 10:00",
            comment(881001, "zephyr", feedback_id=1, public=False, parent=1),
        ),
        body("comment.update", "2026-05-04 10:00", comment(881001, "quartz zephyr")),
        body("comment.create", "2026-05-05 10:00", comment(881002, "obsidian", feedback_id=1, public=True)),
        body("comment.update", "2026-05-06 10:00", comment(881002, public="0", likes=1)),
        body("comment.create", "2026-05-07 10:00", comment(PUBLISHED, "plumbago", feedback_id=1, public=0)),
        body("comment.update", "2026-05-08 10:00", comment(PUBLISHED, "granite", public=1)),
        body("comment.create", "2026-05-09 10:00", comment(None, "amethyst", feedback_id=1, public=False)),
        body(
            "comment.create",
            "2026-05-10 10:00",
            comment(881004, "quartz", feedback_id=2, public="unreadable"),
        ),
        body("comment.delete", "2026-05-11 10:00", comment(881004)),
        body("comment.create", "2026-05-12 10:00", comment(2, "an answer", feedback_id=1, parent=881001)),
    ]


@pytest.fixture(scope="module")
async def board(server_url: str, template: str) -> AsyncIterator[Board]:
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        for each in told():
            await board.tell(each)
        yield board


# Everything that can be asked


def everything(root: str, caller: Caller, depth: int, kind: str = "query") -> str:
    """Return an operation that selects all that a caller may of a root field, a few objects deep.

    It is of the moment `$asOf`, where the field takes one.
    """
    type_ = SCHEMA.query_type if kind == "query" else SCHEMA.subscription_type
    assert type_ is not None
    field = type_.fields[root]
    arguments = _arguments(field.args, as_of=True)
    if root == "boardDiff":
        arguments = "(from: {position: 1})"
    elif root == "node":
        arguments = arguments.replace(GIVEN["id"], "id: $node")
    elif root in ("user", "changelogEntry"):
        arguments = '(sleekplanId: "9", asOf: $asOf)'
    below = _selection(get_named_type(field.type), depth, caller)
    taken = ", ".join(f"{name}: {given}" for name, given in TAKEN.items() if f": {name}" in arguments)
    return f"{kind} {f'({taken})' if taken else ''} {{ {root}{arguments} {below} }}"


def _arguments(args: Any, *, as_of: bool = False) -> str:
    given = []
    for name, arg in args.items():
        if name == "asOf" and as_of:
            given.append("asOf: $asOf")
        elif name in ALWAYS or (isinstance(arg.type, GraphQLNonNull) and arg.default_value is Undefined):
            given.append(GIVEN.get(f"{name} {get_named_type(arg.type)}") or GIVEN[name])
        elif name == "after" and str(arg.type) == "Position":
            given.append("after: 0")
        elif name == "filter":
            given.append(f"filter: {{{_open(arg.type)}}}")
    if "id" in args and "sleekplanId" in args:
        given.append(GIVEN["id"])
    return f"({', '.join(given)})" if given else ""


def _open(filter_: Any) -> str:
    """What lets through those that are left out unless asked for."""
    return ", ".join(f"{name}: null" for name in ("deleted", "withdrawn", "active") if name in filter_.fields)


def _selection(type_: Any, depth: int, caller: Caller, *, apart: bool = False) -> str:
    if isinstance(type_, GraphQLInterfaceType):
        possible = SCHEMA.get_possible_types(type_)
        on_each = [f"... on {each.name} {_selection(each, depth, caller, apart=True)}" for each in possible]
        return f"{{ id {' '.join(on_each)} }}"
    parts = []
    for name, field in type_.fields.items():
        spec, named = spec_of(field), get_named_type(field.type)
        if isinstance(spec, Leaf | Rows) and spec.scope is not None and not caller.may(spec.scope):
            continue
        arguments = _arguments(field.args)
        if is_leaf_type(named):
            parts.append(f"{type_.name}_{name}: {name}{arguments}" if apart else f"{name}{arguments}")
        elif depth > 0:
            inner = depth - (not type_.name.endswith(("Connection", "Edge")))
            below = _selection(named, inner, caller, apart=apart)
            parts.append(f"{type_.name}_{name}: {name}{arguments} {below}")
    return f"{{ {' '.join(parts) or '__typename'} }}"


MOMENTS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"position": 3},
    {"position": 7},
    {"position": 12},
    {"time": "2026-05-07T12:00:00Z"},
    {"time": "2026-06-01T00:00:00Z", "clock": "RECORDED"},
)


def node_ids() -> list[str]:
    comments = [encode_id("Comment", PRODUCT, str(id_)) for id_ in (1, 2, 881001, 881002, PUBLISHED, 881004)]
    events = [encode_id("Event", PRODUCT, position) for position in range(1, len(told()) + 1)]
    return [*comments, *events, encode_id("Item", PRODUCT, "1"), encode_id("User", PRODUCT, "9")]


async def _found(board: Board, caller: Caller, root: str, as_of: dict[str, Any]) -> set[str]:
    """Return which hidden words a root field answers, and which ids of notes, as we write them too."""
    depth = DEPTH - 1 if root in ("node", "nodes") else DEPTH
    query = everything(root, caller, depth)
    asked: dict[str, Any] = {"asOf": as_of} if as_of else {}
    if root == "node":
        answers = [await board.ask(query, caller, node=each, **asked) for each in node_ids()]
    else:
        asked |= {"ids": node_ids()} if root == "nodes" else {}
        answers = [await board.ask(query, caller, **asked)]
    return hidden_in(json.dumps([each for each in answers if each.get("node", True) is not None]))


def hidden_in(text: str) -> set[str]:
    ids = {word: encode_id("Comment", PRODUCT, word) for word in HIDDEN if word.isdecimal()}
    return {word for word in HIDDEN if word in text or ids.get(word, word) in text}


assert SCHEMA.query_type is not None
ROOTS: Final = sorted(SCHEMA.query_type.fields)


@pytest.mark.parametrize("root", ROOTS)
async def test_no_query_tells_others_of_a_private_note(board: Board, root: str) -> None:
    assert SCHEMA.query_type is not None
    takes_as_of = "asOf" in SCHEMA.query_type.fields[root].args
    moments = MOMENTS if takes_as_of else ({},)
    found = [await _found(board, OTHERS, root, as_of) for as_of in moments]

    assert not any(found), dict(zip(map(str, moments), found, strict=True))


async def test_the_team_is_told_of_each_wherever_others_are_not(board: Board) -> None:
    found = {
        root: await _found(board, TEAM, root, {}) for root in ("comments", "events", "item", "node", "user")
    }

    published = set(HIDDEN) - {"plumbago", "amethyst"}  # a text that is no more, and one of no comment
    assert found == {
        "comments": published,
        "events": set(HIDDEN),
        "item": set(HIDDEN) - {"881004"},
        "node": set(HIDDEN),
        "user": set(HIDDEN),
    }


COUNTED: Final = """query ($a: AsOf) {
  item(sleekplanId: 1, asOf: $a) { version at lastActivityAt comments { totalCount } timeline { totalCount } }
  comments(asOf: $a, filter: {deleted: null}) { nodes { sleekplanId text parent { sleekplanId } } }
  events(asOf: $a) { totalCount nodes { position changes { field before after } } }
  user(sleekplanId: 9, asOf: $a) { lastActiveAt activity { comments } }
  active: items(asOf: $a, orderBy: {field: LAST_ACTIVITY_AT}) { nodes { sleekplanId lastActivityAt } }
  secret: items(asOf: $a, filter: {search: "zephyr"}) { totalCount }
  open: items(asOf: $a, filter: {search: "granite"}) { totalCount }
}"""


async def test_what_is_counted_is_what_the_caller_sees(board: Board) -> None:
    others, team = [await board.ask(COUNTED, caller) for caller in (OTHERS, TEAM)]

    assert others["item"] == {
        "version": 4,
        "at": 12,
        "lastActivityAt": "2026-05-12T10:00:00Z",
        "comments": {"totalCount": 3},
        "timeline": {"totalCount": 4},
    }
    assert (team["item"]["version"], team["item"]["comments"], team["item"]["timeline"]["totalCount"]) == (
        *(10, {"totalCount": 5}, 10),
    )
    assert [each["position"] for each in others["events"]["nodes"]] == [1, 2, 8, 12]
    assert [node["sleekplanId"] for node in others["comments"]["nodes"]] == ["1", "2", str(PUBLISHED)]
    assert (others["user"]["activity"]["comments"], team["user"]["activity"]["comments"]) == (2, 7)
    # Nothing but a note told of the other item.
    assert [node["lastActivityAt"] for node in others["active"]["nodes"]] == ["2026-05-12T10:00:00Z", None]
    assert (others["secret"]["totalCount"], team["secret"]["totalCount"]) == (0, 1)
    assert others["open"] == team["open"] == {"totalCount": 1}


async def test_what_a_published_note_was_before_stays_with_the_team(board: Board) -> None:
    others, team = [(await board.ask(COUNTED, caller))["events"]["nodes"] for caller in (OTHERS, TEAM)]

    of_others = next(each["changes"] for each in others if each["position"] == 8)
    of_team = next(each["changes"] for each in team if each["position"] == 8)
    assert of_others == [
        {"field": "text", "before": None, "after": "granite"},
        {"field": "public", "before": None, "after": True},
    ]
    assert [change["before"] for change in of_team] == ["plumbago", False]


async def test_a_note_is_hidden_as_of_any_moment_at_which_it_is_or_was_one(board: Board) -> None:
    async def read(position: int) -> list[str]:
        answer = await board.ask(COUNTED, OTHERS, a={"position": position})
        return [node["text"] for node in answer["comments"]["nodes"]]

    # Position 5 told of it as public, which it was; 7 of a note that has been published since.
    assert await read(5) == ["a word for all"]
    assert await read(7) == ["a word for all"]
    assert await read(8) == ["a word for all", "granite"]


@pytest.mark.parametrize("moment", [None, {"position": 12}, {"time": "2026-06-20T00:00:00Z"}])
async def test_no_filter_finds_others_what_answers_a_note(board: Board, moment: Any) -> None:
    query = """query ($a: AsOf, $note: ID!) {
      comments(asOf: $a, filter: {parentId: {eq: $note}}) { totalCount }
      answers: comments(asOf: $a, filter: {parentId: {isNull: false}}) { totalCount }
    }"""
    note = encode_id("Comment", PRODUCT, "881001")

    others, team = [await board.ask(query, caller, a=moment, note=note) for caller in (OTHERS, TEAM)]

    assert others == {"comments": {"totalCount": 0}, "answers": {"totalCount": 0}}
    assert team == {"comments": {"totalCount": 1}, "answers": {"totalCount": 2}}


async def test_now_and_as_of_the_head_and_a_rebuild_tell_others_the_same(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        for each in told():
            await board.tell(each)
        followed = await board.ask(COUNTED, OTHERS)

        assert await board.ask(COUNTED, OTHERS, a={"position": 12}) == followed
        assert await board.ask(COUNTED, OTHERS, a={"time": "2026-06-20T00:00:00Z"}) == followed
        assert (await verify(pool)).equal
        await rebuild(pool)
        assert await board.ask(COUNTED, OTHERS) == followed


async def test_until_old_tables_are_rebuilt_others_are_told_of_no_comment(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        for each in told():
            await board.tell(each)
        for table, column in (
            ("event_facts", "private"),
            ("comments", "public"),
            ("comment_versions", "public"),
        ):
            await drop_column(pool, table, column)
        await pool.execute((await tables(pool)).fill("alter view {items} rename column noted to unsaid"))
        query = """query ($a: AsOf) {
            comments(asOf: $a) { totalCount } events(asOf: $a) { nodes { action } }
            items(asOf: $a) { nodes { version } }
            found: items(asOf: $a, filter: {search: "zephyr"}) { totalCount } }"""

        for moment in (None, {"position": 12}):
            answer = await board.ask(query, OTHERS, a=moment)
            assert answer["comments"] == answer["found"] == {"totalCount": 0}
            assert answer["events"] == {"nodes": [{"action": "item.create"}]}


async def test_a_note_told_out_of_order_is_hidden_as_in_order(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        later = body("comment.update", "2026-05-03 10:00", comment(881001, "quartz"))
        note = body(
            "comment.create", "2026-05-02 10:00", comment(881001, "zephyr", feedback_id=1, public=False)
        )
        await board.tell(body("item.create", "2026-05-01 10:00", post(1)), later)
        shown = await board.ask("{ comments { nodes { text } } events { totalCount } }", OTHERS)
        await board.tell(note)

        assert shown == {"comments": {"nodes": [{"text": "quartz"}]}, "events": {"totalCount": 2}}
        assert await board.ask("{ comments { totalCount } events { totalCount } }", OTHERS) == {
            "comments": {"totalCount": 0},
            "events": {"totalCount": 1},
        }
        assert (await verify(pool)).equal


@pytest.mark.parametrize("moment", [None, {"position": 2}, {"time": "2026-06-01T00:00:00Z"}])
async def test_a_series_does_not_begin_at_a_note_for_others(pool: asyncpg.Pool, moment: Any) -> None:
    query = """query ($a: AsOf) { item(sleekplanId: 1, asOf: $a) {
        voteSeries(bucket: MONTH) { t } subscriberSeries(bucket: MONTH) { t } } }"""
    async with a_board(pool) as board:
        note = comment(881001, "zephyr", feedback_id=1, public=False)
        await board.tell(body("comment.create", "2026-03-02 10:00", note))
        await board.tell(body("vote.create", "2026-05-02 10:00", {"feedback_item": post(1, up=1)}))
        begins = [
            {
                name: points[0]["t"][:7]
                for name, points in (await board.ask(query, who, a=moment))["item"].items()
            }
            for who in (OTHERS, TEAM)
        ]

    assert begins == [{"voteSeries": month, "subscriberSeries": month} for month in ("2026-05", "2026-03")]


@pytest.mark.parametrize("root", ["events", "item", "items", "thresholds"])
async def test_no_subscription_tells_others_of_a_private_note(board: Board, root: str) -> None:
    assert SCHEMA.subscription_type is not None
    query = everything(root, OTHERS, DEPTH - 1, "subscription")
    document = await OPERATIONS.documents.prepare(query)
    (selected,) = OPERATIONS.asked(document, Request(query, {})).selection.planned
    positions = range(1, len(told()) + 1)

    messages = {}
    for caller in (OTHERS, TEAM):
        found = await load(OPERATIONS.planner, selected, Context(board.services, caller), positions)
        messages[caller] = [(position, json.dumps(read.certain(), default=str)) for position, read in found]

    assert {position for position, _ in messages[OTHERS]} <= {1, 2, 8, 12}
    assert not hidden_in("".join(text for _, text in messages[OTHERS]))
    assert [position for position, _ in messages[OTHERS]] != [position for position, _ in messages[TEAM]]


async def test_a_client_may_ask_with_fewer_scopes_than_it_has(database_url: str) -> None:
    async with live_board(database_url) as live:
        note = {"action": "comment.create", "comment_id": 881001, "feedback_id": 1, "public": False}
        await live.append(an_update(1), note, {"action": "comment.create", "comment_id": 1, "feedback_id": 1})
        await live.projected()

        found = {
            scopes: (await _counted(live, scopes), await _followed(live, scopes))
            for scopes in ("", "?scopes=read", "?scopes=read%2Bpersonal")
        }
        nothing = [
            (await _asked(live, scopes))["errors"][0]["extensions"]["code"]
            for scopes in ("?scopes=read,personal", "?scopes=")
        ]

    everything, less = (2, [1, 2]), (1, [1, 3])
    assert [*found.values()] == [everything, less, everything]
    assert nothing == ["MISSING_SCOPE"] * 2


async def _counted(live: LiveBoard, scopes: str) -> int:
    total: int = (await _asked(live, scopes))["data"]["comments"]["totalCount"]
    return total


async def _asked(live: LiveBoard, scopes: str) -> Any:
    asked = {"query": "{ comments { totalCount } }"}
    async with live.service.session.post(f"{live.service.url}{scopes}", json=asked) as answer:
        return await answer.json(content_type=None)


async def _followed(live: LiveBoard, scopes: str) -> list[int]:
    url = f"{live.service.url}{scopes}"
    async with live.service.session.ws_connect(url, protocols=("graphql-transport-ws",)) as socket:
        await socket.send_json({"type": "connection_init"})
        await socket.receive_json()
        client = Client(socket)
        await client.subscribe("subscription { events(after: 0) { position } }")
        return await client.positions(2)
