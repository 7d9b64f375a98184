"""A lost Postgres is told as one, to be asked again; it is no fault of the service."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from schema.answer.documents import Request
from schema.answer.execute import Operations
from schema.build import build_schema
from schema.context import Context
from service.lines import Seldom
from service.log.database import Pool, is_away
from tests.given.asking import Board, a_board, a_pool, new_database
from tests.given.proxy import Proxy, proxy_before
from tests.given.waiting import eventually
from tests.schema.test_questions import HISTORY

QUERY = "{ items { totalCount } users { totalCount } }"

AWAY = {
    "message": "Postgres does not answer just now; ask again in a moment",
    "extensions": {"code": "POSTGRES_AWAY"},
}


@pytest.fixture
async def direct(server_url: str, template: str) -> AsyncIterator[tuple[str, Pool]]:
    async with new_database(server_url, template) as url, a_pool(url) as pool:
        yield url, pool


@pytest.fixture
async def behind_proxy(direct: tuple[str, Pool]) -> AsyncIterator[tuple[Proxy, Board]]:
    """A board whose every connection leads through a proxy."""
    async with proxy_before(direct[0]) as (proxy, through), a_pool(through) as pool, a_board(pool) as board:
        await board.tell(*HISTORY)
        await board.projector.rest()
        yield proxy, board


async def ask(board: Board, *, fast: bool) -> Any:
    operations = Operations(build_schema(), fast=fast)
    return json.loads((await operations.execute(Request(QUERY), Context(board.services))).body)


def told(answer: Any) -> list[Any]:
    return [{name: error[name] for name in AWAY} for error in answer["errors"]]


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "reference"])
async def test_reads_say_that_postgres_is_away_and_answer_when_it_is_back(
    behind_proxy: tuple[Proxy, Board], *, fast: bool
) -> None:
    proxy, board = behind_proxy
    before = await ask(board, fast=fast)
    assert "errors" not in before

    proxy.refuses = True
    proxy.cut()
    away = told(await ask(board, fast=fast))
    proxy.heal()

    assert away
    assert all(error == AWAY for error in away)
    assert await ask(board, fast=fast) == before


async def test_many_refused_requests_are_one_line_that_says_how_many(
    behind_proxy: tuple[Proxy, Board], lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, board = behind_proxy
    again = Seldom()
    monkeypatch.setattr("schema.errors._away", again)
    proxy.refuses = True
    proxy.cut()

    answers = [await ask(board, fast=True) for _ in range(30)]
    again._again_at = 0  # ten seconds later
    await ask(board, fast=True)

    refused = sum(len(answer["errors"]) for answer in answers)
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [each["times"] for each in told if each["event"] == "graphql_without_postgres"] == [1, refused]


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "reference"])
async def test_a_read_that_postgres_stops_half_way_says_so(
    behind_proxy: tuple[Proxy, Board], direct: tuple[str, Pool], *, fast: bool
) -> None:
    _, board = behind_proxy
    _, pool = direct
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table read_model.checkpoints in access exclusive mode")
        asking = asyncio.create_task(ask(board, fast=fast))

        async def stopped() -> bool:
            return bool(
                await connection.fetchval(
                    "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                    " where datname = current_database() and wait_event_type = 'Lock'"
                )
            )

        await eventually(stopped)

    assert all(error == AWAY for error in told(await asking))


@pytest.mark.parametrize("sqlstate", ["53100", "53300"], ids=["disk is full", "no connection left"])
async def test_a_read_that_postgres_has_no_room_for_may_be_asked_again(
    behind_proxy: tuple[Proxy, Board], direct: tuple[str, Pool], sqlstate: str
) -> None:
    _, board = behind_proxy
    _, pool = direct
    before = await ask(board, fast=True)

    await pool.execute(f"""
        alter table read_model.checkpoints rename to kept;
        create function read_model.refuse() returns boolean language plpgsql as
            'begin raise exception using errcode = ''{sqlstate}''; end';
        create view read_model.checkpoints as select * from read_model.kept where read_model.refuse();
        """)
    refused = told(await ask(board, fast=True))
    await pool.execute("""
        drop view read_model.checkpoints;
        alter table read_model.kept rename to checkpoints;
        """)

    assert refused
    assert all(error == AWAY for error in refused)
    assert await ask(board, fast=True) == before


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (ConnectionRefusedError(), True),
        (FileNotFoundError(2, "No such file or directory"), True),  # no server at the socket
        (PermissionError(13, "Permission denied", "spool/damaged-1"), False),
        (TimeoutError(), True),
        (asyncpg.InternalClientError("cannot switch to state 11"), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (asyncpg.ConnectionDoesNotExistError("connection was closed"), True),
        (asyncpg.CannotConnectNowError("starting up"), True),
        (asyncpg.exceptions._base.DataError("invalid input for query argument $1"), False),
        (asyncpg.UndefinedColumnError("column does not exist"), False),
        (asyncpg.QueryCanceledError("statement timeout"), False),
        (LookupError("ours"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_only_a_lost_postgres_is_away(error: Exception, *, away: bool) -> None:
    assert is_away(error) is away
