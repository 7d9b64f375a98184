"""Other people's clients and audits against the service: what they take for correct is correct."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.websockets import WebsocketsTransport

from schema.answer.execute import Operations
from tests.given.folders import GIVEN
from tests.given.live_board import Board, live_board

SCRIPTS = GIVEN / "node"
SECONDS_MAX = 60


@pytest.fixture
async def board(database_url: str) -> AsyncIterator[Board]:
    async with live_board(database_url) as opened:
        await opened.append_items(30)
        await opened.projected()
        yield opened


async def _node(modules: Path, script: str, *arguments: object) -> str:
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    process = await asyncio.create_subprocess_exec(
        program,
        str(SCRIPTS / script),
        *map(str, arguments),
        cwd=modules.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), SECONDS_MAX)
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.node
@pytest.mark.parametrize("fast", [True, False], ids=["fast", "reference"])
async def test_all_61_audits_of_graphql_over_http_pass(
    database_url: str, node_modules: Path, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    monkeypatch.setattr("schema.serve.http.Operations", partial(Operations, fast=fast))
    async with live_board(database_url) as board:
        out = await _node(node_modules, "http_audit.mjs", board.service.url)

    assert json.loads(out) == {"ok": 61, "of": 61}


@pytest.mark.node
@pytest.mark.parametrize("client", ["graphql-ws", "graphql-sse", "urql"])
async def test_a_javascript_client_resumes_where_it_was_cut_off(
    board: Board, node_modules: Path, client: str
) -> None:
    out = await _node(node_modules, "subscribers.mjs", board.service.url, client, 3, 30)

    assert json.loads(out) == list(range(4, 31))


async def test_pythons_gql_asks_and_follows(board: Board) -> None:
    async with Client(transport=AIOHTTPTransport(url=board.service.url)) as session:
        asked = await session.execute(gql("{ events(first: 1) { totalCount } }"))
    followed = []
    url = board.service.url.replace("http", "ws", 1)
    async with Client(transport=WebsocketsTransport(url=url)) as session:
        async for data in session.subscribe(gql("subscription { events(after: 27) { position } }")):
            followed.append(data["events"]["position"])
            if len(followed) == 3:
                break

    assert asked == {"events": {"totalCount": 30}}
    assert followed == [28, 29, 30]
