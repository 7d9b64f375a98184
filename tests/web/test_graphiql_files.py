"""GraphiQL as we ship it: whole, offline, and able to run queries and subscriptions."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest
import strawberry
from aiohttp import web
from graphql import OperationDefinitionNode, parse
from strawberry.aiohttp.views import GraphQLView
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from tests.given.browser import open_page
from tests.given.folders import ROOT

FOLDER = ROOT / "service" / "web" / "graphiql"
PAGE = (FOLDER / "index.html").read_text()
EXAMPLES = json.loads((FOLDER / "examples.json").read_text())


def test_the_page_loads_only_files_that_are_ours():
    named = re.findall(r'(?:src|href)="([^"]+)"', PAGE)

    assert "graphiql/page.js" in named
    assert [name for name in named if name != "data:," and not (FOLDER.parent / name).is_file()] == []


def test_the_page_has_no_script_inside_so_that_its_policy_can_forbid_them():
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', PAGE)

    assert policy is not None
    assert "script-src 'self';" in policy[1]
    assert "default-src 'none'" in policy[1]
    assert re.findall(r"<script(?![^>]* src=)|\son\w+=|javascript:", PAGE) == []


def test_the_styles_load_only_files_that_are_ours():
    style = FOLDER / "assets" / "style.css"
    named = re.findall(r"url\(['\"]?([^'\")]+)", style.read_text())

    files = [name for name in named if not name.startswith(("data:", "#"))]

    assert len(files) > 30
    assert [name for name in files if not (style.parent / name).is_file()] == []


def test_every_module_that_a_script_loads_is_there():
    for script in [*FOLDER.glob("assets/*.js"), FOLDER / "page.js"]:
        for name in re.findall(r"""(?:from|import)\s*\(?["'](\./[\w./-]+)["']""", script.read_text()):
            assert (script.parent / name).is_file(), f"{script.name} loads {name}"


def test_what_we_ship_stays_small_and_brings_its_licences():
    assert sum(file.stat().st_size for file in FOLDER.glob("assets/*")) < 6_500_000
    licences = (FOLDER / "assets" / "LICENSES.txt").read_text()
    for package in ("graphiql", "graphql-ws", "monaco-editor", "react"):
        assert re.search(rf"^{package} [\d.]+ \(MIT\)$", licences, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["title"])
def test_an_example_is_a_named_operation_with_a_title(example):
    document = parse(example["query"])

    assert len(document.definitions) == 1
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name
    assert set(example) <= {"title", "query", "variables"}


@strawberry.type
class Query:
    @strawberry.field
    def hello(self) -> str:
        return "world"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self) -> AsyncIterator[int]:
        for tick in range(1, 4):
            yield tick
        await asyncio.Event().wait()


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """GraphiQL served as the service does, before a schema of two fields."""
    app = web.Application()
    schema = strawberry.Schema(Query, subscription=Subscription)
    protocols = [GRAPHQL_TRANSPORT_WS_PROTOCOL]
    view = GraphQLView(schema, graphql_ide=None, subscription_protocols=protocols)

    async def page_or_endpoint(request: web.Request) -> web.StreamResponse:
        wanted = request.method == "GET" and "text/html" in request.headers.get("Accept", "")
        return web.FileResponse(FOLDER / "index.html") if wanted else await view(request)

    app.router.add_route("*", "/graphql", page_or_endpoint)
    app.router.add_static("/graphiql", FOLDER)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("operation", "shown"), [("query Hello { hello }", "world"), ("subscription Ticks { ticks }", "3")]
)
async def test_a_browser_runs_operations_without_asking_anybody_else(site, operation, shown):
    async with open_page(f"{site}/graphql?{urlencode({'query': operation})}") as page:
        await page.becomes_true(f"document.querySelectorAll('.graphiql-tab').length === {len(EXAMPLES) + 1}")
        await page.becomes_true("document.querySelector('.graphiql-query-editor').innerText.includes('{')")

        await page.evaluate("document.querySelector('.graphiql-execute-button').click()")

        await page.becomes_true(f"document.querySelector('.result-window').innerText.includes('{shown}')")
        assert page.problems == []
        assert [url for url in page.requested if not url.startswith((site, "data:", "blob:"))] == []


@pytest.mark.browser
async def test_the_first_visit_opens_the_first_example_with_its_variables(site):
    async with open_page(f"{site}/graphql") as page:
        await page.becomes_true(f"document.querySelectorAll('.graphiql-tab').length === {len(EXAMPLES)}")

        for part in EXAMPLES[0].get("variables", {}):
            await page.becomes_true(
                f"document.querySelector('.graphiql-editor-tool').innerText.includes('{part}')"
            )
