"""The page as it is sent: small, whole, and allowed to run nothing but itself."""

from __future__ import annotations

import posixpath
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
from graphql import build_schema, parse, validate

from service.web.pages import FOLDER, VIEWS, PageFiles
from tests.given.folders import ROOT
from tests.given.pages import pages

MODULES = {
    path.relative_to(FOLDER).as_posix(): path.read_text()
    for path in sorted(FOLDER.rglob("*.js"))
    if "vendor" not in path.parts
}
FILES = ["page/main.js", *(f"page/{sheet}.css" for sheet in ("contrast", "dark", "narrow", "page", "print"))]
"""What the page itself names."""
OURS = {name: text for name, text in MODULES.items() if not name.startswith("assets/")}


@pytest.fixture
async def served() -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    async with pages(PageFiles().routes()) as address, aiohttp.ClientSession(auto_decompress=True) as session:
        yield address, session


def imported(name: str) -> list[str]:
    """Return the modules that one imports, by their paths in the folder of the page."""
    wanted = re.findall(r'^import (?:[^;]* from )?"([^"]+)"', MODULES[name], re.MULTILINE)
    return [posixpath.normpath(posixpath.join(posixpath.dirname(name), each)) for each in wanted]


def needed(*names: str) -> set[str]:
    """Return the modules that these load before they run, themselves too."""
    found, more = set(), set(names)
    while more:
        found |= more
        more = {each for name in more for each in imported(name)} - found
    return found


def test_what_others_made_brings_its_licence():
    licences = (FOLDER / "assets" / "LICENSES.txt").read_text()

    for package, licence in (("@sanity/diff-match-patch", "Apache-2.0"), ("uplot", "MIT")):
        assert re.search(rf"^{package} [\d.]+ \({licence}\)$", licences, re.MULTILINE)
        assert package in (FOLDER / "vendor" / "package.json").read_text()


def test_the_first_view_is_smaller_than_100_kb():
    first = {"index.html", "page.css", *needed("main.js", "views/feed.js", "who.js")}

    assert sum((FOLDER / name).stat().st_size for name in first) < 100_000


def test_a_view_is_loaded_by_who_needs_it_and_knows_no_other_view():
    views = {name for name in MODULES if name.startswith("views/")}

    assert {name for name in needed("main.js") if name in views} == {"views/board.js"}
    for view in views:
        assert not (needed(view) - {view}) & views
        assert "main.js" not in needed(view)


def test_the_service_answers_where_the_page_has_addresses():
    told = re.search(r"^const PATHS = \[(.*)\];", MODULES["address.js"], re.MULTILINE)

    assert told
    assert tuple(re.findall(r'"(\w+)"', told[1])) == VIEWS


def test_it_loads_only_files_that_are_ours():
    named = re.findall(r'(?:src|href)="([^"#][^"]*)"', (FOLDER / "index.html").read_text())
    for name in MODULES:
        for wanted in imported(name):
            assert wanted in MODULES, f"{name} imports {wanted}"

    assert sorted(named) == sorted(["data:,", "graphql", "graphql", *FILES])
    assert not re.search(r"url\(|@import", (FOLDER / "page.css").read_text())


def test_no_text_ever_becomes_markup_or_code():
    ways = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment"
        r"|\beval\(|new Function|javascript:"
    )
    found = {name: re.findall(ways, text) for name, text in OURS.items()}

    assert {name: ways for name, ways in found.items() if ways} == {}
    assert not re.search(
        r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", (FOLDER / "index.html").read_text()
    )


def test_every_question_that_the_page_asks_is_valid_in_the_public_schema():
    schema = build_schema((ROOT / "schema" / "schema.graphql").read_text())
    texts = dict(re.findall(r"const ([A-Z_]+) = `(.*?)`;", "".join(OURS.values()), re.DOTALL))
    asked = [
        text
        for module in OURS.values()
        for text in re.findall(r"= `((?:query|mutation|subscription) .*?)`;", module, re.DOTALL)
    ]

    def whole(text: str) -> str:
        return re.sub(r"\$\{([A-Z_]+)\}", lambda part: whole(texts[part[1]]), text)

    wrong = {text[:40]: [str(error) for error in validate(schema, parse(whole(text)))] for text in asked}

    assert len(wrong) > 16
    assert {name: errors for name, errors in wrong.items() if errors} == {}


async def test_its_policy_lets_nothing_in_from_elsewhere_and_nothing_inline(served):
    address, session = served

    async with session.get(f"{address}/") as answer:
        policy = dict(
            part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
        )

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert "unsafe" not in str(policy)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("path", ["", *VIEWS, "items/42", "items/42@5456534244", "ask/rising"])
async def test_wherever_the_page_is_answered_it_finds_its_files(served, path):
    address, session = served
    from yarl import URL

    async with session.get(f"{address}/{path}") as answer:
        assert answer.status == 200
        named = re.findall(r'(?:src|href)="([^"#d][^"]*)"', await answer.text())

    found = {URL(f"{address}/{path}").join(URL(name)).path for name in named}
    assert found == {"/graphql", *(f"/{name}" for name in FILES)}


async def test_a_file_that_has_not_changed_is_not_sent_again(served):
    address, session = served
    async with session.get(f"{address}/page/main.js") as first:
        assert (first.status, first.headers["Cache-Control"]) == (200, "no-cache")
        assert await first.text() == MODULES["main.js"]

    async with session.get(
        f"{address}/page/main.js", headers={"If-None-Match": first.headers["ETag"]}
    ) as again:
        assert (again.status, await again.read()) == (304, b"")
    async with session.get(f"{address}/page/main.js", headers={"If-None-Match": '"another"'}) as other:
        assert other.status == 200


async def test_files_are_sent_compressed_to_whoever_takes_that(served):
    address, session = served

    async with session.get(f"{address}/page/main.js", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert int(answer.headers["Content-Length"]) < len(MODULES["main.js"]) / 2
    async with session.get(f"{address}/page/main.js", headers={"Accept-Encoding": "identity"}) as answer:
        assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(
    "path", ["none.js", "..%2fpage_routes.py", "%2e%2e/page_routes.py", "", "index.html%00"]
)
async def test_only_the_pages_own_files_are_served(served, path):
    address, session = served
    from yarl import URL

    async with session.get(URL(f"{address}/page/{path}", encoded=True)) as answer:
        assert answer.status == 404


async def test_the_front_page_answers_head_and_refuses_other_methods(served):
    address, session = served

    async with session.head(f"{address}/") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    async with session.post(f"{address}/") as answer:
        assert answer.status == 405
