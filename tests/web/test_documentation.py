"""The documentation at `/docs`: its files where it was built, and where not, how to build it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from service.web.pages import Documentation
from tests.given.pages import pages

INSIDE = "console.log('of the tool')"


def a_site(folder: Path) -> Path:
    (folder / "live").mkdir(parents=True)
    (folder / "index.html").write_text(f"<h1>Recount</h1><script>{INSIDE}</script>")
    (folder / "live" / "index.html").write_text("<h1>Live</h1>" + "text " * 1000)
    (folder / "search.json").write_text("[]")
    (folder / "secret.key").write_text("of no known kind")
    (folder.parent / "beside.json").write_text("{}")
    return folder


@pytest.fixture
async def address(tmp_path) -> AsyncIterator[str]:
    async with pages(Documentation(a_site(tmp_path / "docs")).routes()) as address:
        yield address


@pytest.fixture
async def session(address) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(address) as session:
        yield session


async def test_a_page_is_found_with_and_without_its_last_slash(session):
    for path, end in (("/docs", "/docs/"), ("/docs/live", "/docs/live/"), ("/docs/live/", "/docs/live/")):
        async with session.get(path) as answer:
            assert (answer.status, answer.url.path) == (200, end)
            assert answer.content_type == "text/html"


async def test_a_way_to_a_page_is_told_without_a_host_so_that_a_proxy_may_stand_before_it(session):
    async with session.get("/docs/live", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (301, "live/")


async def test_a_page_may_run_what_it_held_when_it_was_built_and_nothing_else_from_inside(session):
    digest = base64.b64encode(sha256(INSIDE.encode()).digest()).decode()

    async with session.get("/docs/") as answer:
        policy = dict(
            part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
        )
    async with session.get("/docs/live/") as without:
        others = without.headers["Content-Security-Policy"]

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert policy["connect-src"] == policy["worker-src"] == "'self'"
    assert "unsafe" not in str(policy)
    assert "script-src 'self';" in others


async def test_a_file_of_the_site_is_sent_compressed_and_not_twice(session):
    async with session.get("/docs/live/", headers={"Accept-Encoding": "gzip"}) as first:
        assert first.headers["Content-Encoding"] == "gzip"
    async with session.get("/docs/live/", headers={"If-None-Match": first.headers["ETag"]}) as again:
        assert again.status == 304


@pytest.mark.parametrize(
    "path", ["nothing", "nothing/", "secret.key", "%2e%2e/beside.json", "..%2fbeside.json", "live/..%2f.."]
)
async def test_only_the_files_of_the_site_are_served(address, path):
    async with (
        aiohttp.ClientSession() as session,
        session.get(URL(f"{address}/docs/{path}", encoded=True)) as answer,
    ):
        assert (answer.status, "/docs/ is its beginning" in await answer.text()) == (404, True)


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/docs/live/"])
async def test_where_it_was_not_built_the_answer_says_how_to(tmp_path, path):
    async with (
        pages(Documentation(tmp_path / "none").routes()) as address,
        aiohttp.ClientSession(address) as session,
        session.get(path) as answer,
    ):
        assert answer.status == 404
        assert "`make docs` builds it" in await answer.text()
