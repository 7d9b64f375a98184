"""Four questions over HTTP, ours beside plain GraphQL servers, PostGraphile and a handler without GraphQL.

One board of 20,000 items and some 200,000 votes; one core for the server, 8 connections. Every side answers
from the same rows, and the answers are compared, value by value, before any time is taken. The texts are the
same for ours, Strawberry and Ariadne; PostGraphile's says the same in its own words.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final

import asyncpg

from bench.board import PRODUCT, fill_log
from bench.harness import Options, Report, Samples, in_turn, main, say
from bench.load import Load, ask, closed_loop, open_loop, post
from bench.ours import projected, recount
from bench.processes import memory_mib, running
from bench.setup_peers import SOURCES, PeersNotInstalled, peer, peers_python, postgraphile
from bench.throwaway import bench_postgres, database, settled
from service.dsn import Dsn
from tests.given.ports import free_port

BOARD: Final = (300_000, 20_000, 30_000)
QUICK_BOARD: Final = (30_000, 2_000, 3_000)
CONNECTIONS: Final = 8
SECONDS: Final = 2.0
OURS: Final = "recount"

_COPY: Final = """
create schema plain;
create table plain.items as
    select product_id, item_id, title, type, trend, scoring, effort, comments, subscribers, created_at,
           updated_at, votes_net, deleted
      from read_model.{items};
create table plain.votes as
    select product_id, item_id, voter, user_id, value, withdrawn, cast_at, position from read_model.{votes};
create table plain.users as select product_id, user_id, name from read_model.{users};
create table plain.events as
    select position, product_id, type, action, entity, item_id, user_id, occurred_at, recorded_at
      from read_model.{event_facts};
alter table plain.items add primary key (product_id, item_id);
alter table plain.users add primary key (product_id, user_id);
alter table plain.votes add primary key (product_id, item_id, voter);
alter table plain.events add primary key (position);
create index on plain.items (product_id, votes_net desc nulls last, item_id);
create index on plain.items (product_id, votes_net, item_id);
create index on plain.votes (product_id, item_id, cast_at desc, voter);
create index on plain.events (product_id, position);
create index on plain.events (product_id, item_id, position);
alter table plain.votes add foreign key (product_id, item_id) references plain.items;
alter table plain.events add foreign key (product_id, item_id) references plain.items;
alter table plain.events add foreign key (product_id, user_id) references plain.users;
"""

_MOST_VOTED: Final = """
select item_id from plain.items where not deleted order by votes_net desc nulls last, item_id limit 1
"""


_ITEM: Final = "sleekplanId title type trend scoring effort commentCount subscriberCount createdAt updatedAt"
_THEIR_ITEM: Final = (
    "sleekplanId: itemId title type trend scoring effort commentCount: comments subscriberCount: subscribers"
    " createdAt updatedAt"
)
_EVENT: Final = "position type action occurredAt recordedAt"
_THEIR_OTHERS: Final = "entity item: itemByProductIdAndItemId { sleekplanId: itemId title }"
_THEIR_USER: Final = "user: userByProductIdAndUserId { sleekplanId: userId name }"


@dataclass(frozen=True)
class Question:
    """One question: in GraphQL, in PostGraphile's words, and as path and arguments of the bare handler."""

    name: str
    text: str
    graphile: str
    path: str
    given: list[Any]


def questions(item_id: str) -> list[Question]:
    """Return the four questions; the third is about one item."""
    product = f'productId: "{PRODUCT}"'
    top = f"{product}, orderBy: {{field: VOTES, direction: DESC}}, first: 100"
    votes_by = "orderBy: {field: CAST_AT, direction: DESC}, first: 10"
    their_top = (
        f"condition: {{{product}, deleted: false}}, orderBy: [VOTES_NET_DESC, ITEM_ID_ASC], first: 100"
    )
    their_votes_by = "condition: {withdrawn: false}, orderBy: [CAST_AT_DESC, VOTER_ASC], first: 10"
    return [
        Question(
            "A: 100 items x 10 fields",
            f"{{ items({top}) {{ nodes {{ {_ITEM} }} }} }}",
            f"{{ items: allItems({their_top}) {{ nodes {{ {_THEIR_ITEM} }} }} }}",
            "/items",
            [100],
        ),
        Question(
            "B: 100 items x 10 votes x 5 fields",
            f"{{ items({top}) {{ nodes {{ sleekplanId castVotes({votes_by})"
            " { nodes { productId value castAt withdrawn at } } } } }",
            f"{{ items: allItems({their_top}) {{ nodes {{ sleekplanId: itemId"
            f" castVotes: votesByProductIdAndItemId({their_votes_by})"
            " { nodes { productId value castAt withdrawn at: position } } } } }",
            "/items-with-votes",
            [100, 10],
        ),
        Question(
            "an item with 100 events of its timeline",
            f'{{ item({product}, sleekplanId: "{item_id}") {{ sleekplanId title votes {{ net }}'
            f" timeline(first: 100) {{ nodes {{ {_EVENT} user {{ sleekplanId name }} }} }} }} }}",
            f'{{ item: itemByProductIdAndItemId({product}, itemId: "{item_id}") {{ sleekplanId: itemId title'
            " net: votesNet timeline: eventsByProductIdAndItemId(orderBy: POSITION_ASC, first: 100)"
            f" {{ nodes {{ {_EVENT} {_THEIR_USER} }} }} }} }}",
            "/item-with-timeline",
            [item_id, 100],
        ),
        Question(
            "a page of 100 events",
            f"{{ events({product}, first: 100) {{ nodes {{ {_EVENT} entity item {{ sleekplanId title }}"
            " user { sleekplanId name } } } }",
            f"{{ events: allEvents(condition: {{{product}}}, orderBy: POSITION_ASC, first: 100) {{ nodes {{"
            f" {_EVENT} {_THEIR_OTHERS} {_THEIR_USER} }} }} }}",
            "/events",
            [100],
        ),
    ]


@dataclass(frozen=True)
class Side:
    """A server that is up: its port, process and how it is asked."""

    port: int
    pid: int
    request: Callable[[Question], bytes]


async def bench(options: Options, report: Report) -> None:
    """Measure each question on each side, then ours and the nearest under rising load."""
    async with bench_postgres() as postgres, AsyncExitStack() as stack:
        dsn = await database(postgres, "board")
        events, items, users = QUICK_BOARD if options.quick else BOARD
        say(f"recording and projecting {events:,} events")
        await fill_log(dsn, events, items=items, users=users)
        async with recount(dsn, on=frozenset()):
            await projected(dsn)
        item_id = await copy_tables(dsn)
        await settled(dsn)
        sides = {name: await stack.enter_async_context(side) for name, side in servers(dsn).items()}
        asked = questions(item_id)
        for question in asked:
            await check_equal(sides, question)
        for question in asked:
            await measure(question, sides, options, report)
        for name, side in sides.items():
            report.add("memory after all questions", name, memory_mib(side.pid), unit="MiB")
        if not options.quick:
            await rising_load(asked[0], sides, report)


def servers(dsn: str) -> dict[str, Any]:
    """Return the servers by name, each as a block that keeps it up."""
    python = peers_python()
    named: dict[str, Any] = {
        OURS: our_side(dsn),
        "aiohttp, rows to orjson (no GraphQL)": python_side(python, "rows_aiohttp", dsn, bare=True),
        "plain Strawberry": python_side(python, "plain_strawberry", dsn),
        "Ariadne": python_side(python, "plain_ariadne", dsn),
    }
    try:
        node, folder = postgraphile()
    except PeersNotInstalled as missing:
        say(f"NOT MEASURED: {missing}")
        return named
    return named | {"PostGraphile 5": graphile_side(node, folder, dsn)}


@asynccontextmanager
async def our_side(dsn: str) -> AsyncIterator[Side]:
    """Keep our service up."""
    async with recount(dsn) as service:
        yield Side(service.port, service.pid, _graphql)


@asynccontextmanager
async def python_side(python: Any, name: str, dsn: str, *, bare: bool = False) -> AsyncIterator[Side]:
    """Keep a peer's server up."""
    port = free_port()
    command = [python, peer(name), "--port", str(port), "--dsn", dsn]
    async with running(command, ready=f"http://127.0.0.1:{port}/") as pid:
        yield Side(port, pid, _bare if bare else _graphql)


@asynccontextmanager
async def graphile_side(node: Any, folder: Any, dsn: str) -> AsyncIterator[Side]:
    """Keep PostGraphile up, on its Node."""
    port = free_port()
    config = folder / "graphile.config.mjs"
    config.write_bytes((SOURCES / "graphile.config.mjs").read_bytes())
    environment = {"DATABASE_URL": _libpq(dsn), "PORT": str(port), "NODE_ENV": "production"}
    command = [node, folder / "node_modules" / "postgraphile" / "dist" / "cli-run.js", "--config", config]
    ready = f"http://127.0.0.1:{port}/"
    async with running(command, ready=ready, environment=environment, folder=folder) as pid:
        yield Side(
            port, pid, lambda question: post("/graphql", json.dumps({"query": question.graphile}).encode())
        )


def _graphql(question: Question) -> bytes:
    return post("/graphql", json.dumps({"query": question.text}).encode())


def _bare(question: Question) -> bytes:
    return post(question.path, json.dumps(question.given).encode())


def _libpq(dsn: str) -> str:
    """Return a DSN as node-postgres reads it: the folder of the socket as the host."""
    address = Dsn.read(dsn, {})
    there = address.hosts[0]
    return f"socket://{address.said['user']}:@{there}?db={address.said['dbname']}" if there[0] == "/" else dsn


async def copy_tables(dsn: str) -> str:
    """Copy the read model to plain names for the peers; return the item that has most votes."""
    connection = await asyncpg.connect(dsn)
    try:
        generations = {
            name: f"{name}_{row['generation']}"
            for row in await connection.fetch("select generation, tables from read_model.checkpoints")
            for name in row["tables"]
        }
        await connection.execute(_COPY.format_map(generations))
        return str(await connection.fetchval(_MOST_VOTED))
    finally:
        await connection.close()


async def check_equal(sides: Mapping[str, Side], question: Question) -> None:
    """Raise unless all sides give the same values."""
    answers = {}
    for name, side in sides.items():
        status, body = await ask(side.port, side.request(question))
        said = json.loads(body) if body.startswith(b"{") else {}
        if status != 200 or "data" not in said or said.get("errors"):
            raise RuntimeError(f"{name} did not answer {question.name}: {status} {body[:600]!r}")
        answers[name] = values_of(said["data"])
    for name, answer in answers.items():
        if answer != answers[OURS]:
            raise RuntimeError(
                f"{name} answers {question.name} differently: {difference(answers[OURS], answer)}"
            )


def values_of(data: Any) -> Any:
    """Return an answer with what may be spelt in several ways made one: moments, 64-bit numbers, ids."""
    if isinstance(data, dict):
        flat = {"net" if key == "votes" else key: value for key, value in data.items()}
        return {
            key: values_of(value["net"] if key == "net" and isinstance(value, dict) else value)
            for key, value in flat.items()
        }
    if isinstance(data, list):
        return [values_of(value) for value in data]
    if isinstance(data, str) and re.match(r"\d{4}-\d\d-\d\dT", data):
        return dt.datetime.fromisoformat(data).timestamp()
    if isinstance(data, str) and data.isdigit():
        return int(data)
    return data


def difference(ours: Any, theirs: Any, path: str = "") -> str:
    """Return where two answers first differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        pairs: list[tuple[Any, Any, Any]] = [(key, ours[key], theirs[key]) for key in ours]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = [(number, *pair) for number, pair in enumerate(zip(ours, theirs, strict=True))]
    else:
        return f"{path}: {str(ours)[:200]} against {str(theirs)[:200]}"
    return next(difference(mine, their, f"{path}.{key}") for key, mine, their in pairs if mine != their)


async def measure(question: Question, sides: Mapping[str, Side], options: Options, report: Report) -> None:
    """Measure one question on every side, in turn."""
    say(question.name)
    seconds = 0.3 if options.quick else SECONDS
    loads: dict[str, list[Load]] = {name: [] for name in sides}

    def run(name: str, side: Side) -> Callable[[], Awaitable[float]]:
        async def once() -> float:
            request = side.request(question)
            await closed_loop(side.port, repeat(request), connections=CONNECTIONS, seconds=seconds / 5)
            load = await closed_loop(side.port, repeat(request), connections=CONNECTIONS, seconds=seconds)
            loads[name].append(load.all_well())
            return load.per_second

        return once

    rates = await in_turn({name: run(name, side) for name, side in sides.items()}, options.runs)
    report.compare(question.name, rates, unit="requests/s", ours=OURS)
    slowest = {
        name: Samples(tuple(load.percentile_ms(0.99) for load in measured))
        for name, measured in loads.items()
    }
    report.compare(f"{question.name}, p99", slowest, unit="ms", ours=OURS, better="lower")


async def rising_load(question: Question, sides: Mapping[str, Side], report: Report) -> None:
    """Measure latency at growing rates, by the clock, until a side no longer keeps up."""
    for name, side in sides.items():
        request = side.request(question)
        peak = (await closed_loop(side.port, repeat(request), connections=CONNECTIONS, seconds=1)).per_second
        points = []
        for share in (0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0):
            load = await open_loop(side.port, repeat(request), rate=peak * share, connections=64, seconds=1.5)
            if load.behind:
                break
            points.append((peak * share, load.percentile_ms(0.99)))
        report.curve("query-latency", name, points, x="requests/s of query A", y="p99 ms")


if __name__ == "__main__":
    main("queries", bench)
