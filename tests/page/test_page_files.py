"""The page as it is sent: small, whole, and allowed to run nothing but itself."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
from graphql import build_schema, parse, validate

from service.web.pages import FOLDER, PageFiles
from tests.given.folders import ROOT
from tests.given.pages import pages

MODULES = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.js"))}


@pytest.fixture
async def served() -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    async with pages(PageFiles().routes()) as address, aiohttp.ClientSession(auto_decompress=True) as session:
        yield address, session


def test_the_page_is_smaller_than_100_kb():
    assert PageFiles().bytes_sent < 100_000
    assert PageFiles().bytes_sent == sum(path.stat().st_size for path in FOLDER.iterdir())


def test_it_loads_only_files_that_are_ours():
    named = re.findall(r'(?:src|href)="([^"#][^"]*)"', (FOLDER / "index.html").read_text())
    for name, text in MODULES.items():
        for wanted in re.findall(r'from "([^"]+)"', text):
            assert (FOLDER / wanted).is_file(), f"{name} imports {wanted}"

    assert sorted(named) == ["data:,", "graphql", "graphql", "page/main.js", "page/page.css"]
    assert not re.search(r"url\(|@import", (FOLDER / "page.css").read_text())


def test_no_text_ever_becomes_markup_or_code():
    ways = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment"
        r"|\beval\(|new Function|javascript:"
    )
    found = {name: re.findall(ways, text) for name, text in MODULES.items()}

    assert {name: ways for name, ways in found.items() if ways} == {}
    assert not re.search(
        r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", (FOLDER / "index.html").read_text()
    )


def test_every_question_that_the_page_asks_is_valid_in_the_public_schema():
    schema = build_schema((ROOT / "schema" / "schema.graphql").read_text())
    documents = re.findall(r"export const (\w+) = `(.*?)`;", MODULES["queries.js"], re.DOTALL)
    event = re.search(r"const EVENT = `(.*?)`;", MODULES["queries.js"], re.DOTALL)
    assert event

    wrong = {}
    for name, text in documents:
        errors = validate(schema, parse(text.replace("${EVENT}", event[1])))
        wrong[name] = [error.message for error in errors]

    assert len(wrong) > 8
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
