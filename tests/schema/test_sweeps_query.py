"""`sweeps` tells what asked Sleekplan's API and how that went; `ingest` since when everything is known."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from projections.lease import Lease
from schema.context import Caller
from service.errors import BadArgument
from service.events import decode
from tests.given.asking import NOW, PRODUCT, Board, a_board, body, post

ASKED = """{ sweeps { productId kind full state startedAt movedAt finishedAt requests events progress problem
    lists { name state lists rows problem } } }"""
ALL_KINDS = '{"kinds": ["comments", "posts", "subscribers", "users", "votes"]}'


@pytest.fixture
async def board(pool: asyncpg.Pool) -> AsyncIterator[Board]:
    async with a_board(pool) as board:
        yield board


async def a_sweep(
    board: Board,
    state: str,
    started: str,
    *,
    kind: str = "BACKFILL",
    asked: str = ALL_KINDS,
    product: int = PRODUCT,
) -> Any:
    at = datetime.fromisoformat(started).replace(tzinfo=UTC)
    return await board.services.pool.fetchval(
        "insert into log.sweeps"
        " (product_id, kind, asked, head, state, started_at, moved_at, finished_at, requests, recorded)"
        " values ($1, $2, $3, 0, $4, $5, $5, case when $4 <> 'RUNNING' then $5::timestamptz end, 6, 40)"
        " returning id",
        *(product, kind, asked, state, at),
    )


async def scopes(board: Board, id: Any, *rows: tuple[str, str, int, str, int | None]) -> None:
    for scope, item, phase, state, promised in rows:
        await board.services.pool.execute(
            "insert into log.sweep_scopes (sweep_id, scope, item_id, phase, state, promised, rows, problem)"
            " values ($1, $2, $3, $4, $5, $6, 5, case when $5 = 'FAILED' then 'an error' end)",
            *(id, scope, item, phase, state, promised),
        )


async def test_a_sweep_says_how_much_of_it_is_done_once_the_posts_were_listed(board: Board) -> None:
    id = await a_sweep(board, "RUNNING", "2026-06-01")
    await scopes(board, id, ("users", "", 1, "DONE", None), ("posts", "", 2, "OPEN", None))
    [before] = (await board.ask(ASKED))["sweeps"]
    await board.services.pool.execute("update log.sweep_scopes set state = 'DONE'")
    await scopes(board, id, ("votes", "4", 3, "OPEN", 250), ("votes", "5", 3, "OPEN", 1))

    [after] = (await board.ask(ASKED))["sweeps"]

    assert before["progress"] is None
    assert after == {
        "productId": str(PRODUCT),
        "kind": "BACKFILL",
        "full": True,
        "state": "STOPPED",
        "startedAt": "2026-06-01T00:00:00Z",
        "movedAt": "2026-06-01T00:00:00Z",
        "finishedAt": None,
        "requests": 6,
        "events": 40,
        "progress": 0.6,
        "problem": None,
        "lists": [
            {"name": "users", "state": "DONE", "lists": 1, "rows": 5, "problem": None},
            {"name": "posts", "state": "DONE", "lists": 1, "rows": 5, "problem": None},
            {"name": "votes", "state": "OPEN", "lists": 2, "rows": 10, "problem": None},
        ],
    }


async def test_one_whose_process_lives_is_running(board: Board) -> None:
    await a_sweep(board, "RUNNING", "2026-06-01")
    lease = Lease(f"sweep of product {PRODUCT}", 60)
    assert await lease.take(board.services.pool)
    states = "{ sweeps { state } }"

    held = await board.ask(states)
    await lease.give_back(board.services.pool)

    assert [held, await board.ask(states)] == [
        {"sweeps": [{"state": "RUNNING"}]},
        {"sweeps": [{"state": "STOPPED"}]},
    ]


async def test_they_are_chosen_by_state_and_product_and_come_newest_first(board: Board) -> None:
    await a_sweep(board, "PARTIAL", "2026-06-01")
    await a_sweep(board, "COMPLETE", "2026-06-02", kind="RECONCILE", asked='{"full": false}')
    await a_sweep(board, "COMPLETE", "2026-06-03", kind="RECONCILE", asked='{"full": true}', product=8)

    async def told(arguments: str, caller: Caller | None = None) -> list[tuple[str, bool, float | None]]:
        query = f"{{ sweeps{arguments} {{ kind full progress }} }}"
        found = await (board.ask(query, caller) if caller else board.ask(query))
        return [(each["kind"], each["full"], each["progress"]) for each in found["sweeps"]]

    assert await told("") == [("RECONCILE", True, 1), ("RECONCILE", False, 1), ("BACKFILL", True, 1)]
    assert await told("(first: 1)") == [("RECONCILE", True, 1)]
    assert await told("(states: [PARTIAL])") == [("BACKFILL", True, 1)]
    assert await told("(states: [])") == []
    assert await told(f"(productId: {PRODUCT}, states: [COMPLETE])") == [("RECONCILE", False, 1)]
    assert len(await told("", Caller(frozenset({"read"}), frozenset({PRODUCT})))) == 2
    assert isinstance(await board.refusal("{ sweeps(first: 501) { id } }"), BadArgument)


async def test_ingest_says_from_when_on_everything_is_known_and_what_was_fetched_of_before(
    board: Board,
) -> None:
    query = "{ ingest { knownSince backfilledAt reconciledAt } }"
    nothing = (await board.ask(query))["ingest"]
    await board.tell(body("item.update", "2026-06-14 09:00", post(1)))
    seen = body("item.snapshot", "2024-01-01 09:00", post(2))
    await board.services.store.append([decode(json.dumps(seen).encode(), NOW, "BACKFILL")])
    await board.projector.catch_up()
    await a_sweep(board, "COMPLETE", "2026-06-15", asked='{"kinds": ["posts"]}')
    in_part = (await board.ask(query))["ingest"]
    await a_sweep(board, "COMPLETE", "2026-06-16")
    await a_sweep(board, "PARTIAL", "2026-06-17")
    await a_sweep(board, "COMPLETE", "2026-06-18", kind="RECONCILE")

    assert nothing == {"knownSince": None, "backfilledAt": None, "reconciledAt": None}
    assert in_part["backfilledAt"] is None
    assert (await board.ask(query))["ingest"] == {
        "knownSince": "2026-06-14T09:00:00Z",
        "backfilledAt": "2026-06-16T00:00:00Z",
        "reconciledAt": "2026-06-18T00:00:00Z",
    }


async def test_what_lies_far_before_the_rest_is_not_since_when_everything_is_known(board: Board) -> None:
    query = "query ($of: ID) { ingest(productId: $of) { knownSince } }"
    # The sample that Sleekplan documents is of 2017; what there is of the other product is all of it.
    await board.tell(body("item.create", "2017-10-02 23:13", post(1)))
    await board.tell(body("item.create", "2017-10-02 23:13", post(1), product=8))
    few = await board.ask(query, of=PRODUCT)
    await board.tell(*(body("item.update", f"2026-06-0{day} 09:00", post(1, up=day)) for day in range(1, 8)))

    assert few == {"ingest": {"knownSince": "2017-10-02T23:13:00Z"}}
    assert await board.ask(query, of=PRODUCT) == {"ingest": {"knownSince": "2026-06-01T09:00:00Z"}}
    assert await board.ask(query, of="8") == {"ingest": {"knownSince": "2017-10-02T23:13:00Z"}}
