"""What the documentation says can be done is done here: its commands and queries run against a service.

A block of ```sh or ```graphql runs, page by page and in its order, unless a comment before it says why not
(`<!-- not run: … -->`). `<!-- variables: {…} -->` before a query gives its variables, beside the common ones.
"""

from __future__ import annotations

import asyncio
import doctest
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from schema.ids import encode_id
from schema.serve.protocol import Close
from service.config import Settings, variable
from service.labels import load_labels
from service.web.pages import DOCS
from tests.given.bodies import NOON
from tests.given.command_tree import commands
from tests.given.folders import ROOT
from tests.given.forked import write_program
from tests.given.running import Running, running

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted(
    file
    for folder in ("service", "projections", "schema")
    for file in (ROOT / folder).rglob("*.py")
    if ">>>" in file.read_text()
)
BLOCK_SECONDS_MAX = 120
STREAM_SECONDS_MAX = 10

_FENCE = re.compile(
    r"(?P<before>(?:<!--[^\n]*-->\s*\n)*)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)\n```", re.DOTALL
)
_COMMAND = re.compile(
    r"^\s*(?:[A-Z_]+=\S* )*(?:\.venv/bin/)?(?:recount|make|curl|docker|pg_\w+|pip|npm|python3?) ", re.M
)


COMMON: dict[str, object] = {
    "id": encode_id("Item", 647288130, "42"),
    "user": encode_id("User", 647288130, "17"),
    "product": "647288130",
    "time": "2026-06-14T09:13:10Z",
    "promised": "2026-06-14T09:00:00Z",
    "meeting": "2026-06-10T00:00:00Z",
    "after": 0,
}


class Block(NamedTuple):
    """A fenced block: where it is, in which language, its text, and the comments before it."""

    page: str
    line: int
    language: str
    text: str
    before: str

    @property
    def runs(self) -> bool:
        return self.language in ("sh", "graphql") and "<!-- not run" not in self.before

    @property
    def variables(self) -> dict[str, object]:
        """What the comment says, and for the names that several pages use, something of the samples."""
        found = re.search(r"<!-- variables: (.*?) -->", self.before)
        declared = re.findall(r"\$(\w+): ", self.text)
        return {name: COMMON[name] for name in declared if name in COMMON} | (
            json.loads(found[1]) if found else {}
        )


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        yield Block(page.name, line, found["language"], found["text"], found["before"])


def _id(block: Block) -> str:
    return f"{block.page}:{block.line}"


BLOCKS = [block for page in PAGES for block in _blocks(page)]


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The service that all pages talk about, in a folder that looks like a checkout."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "docs").symlink_to(ROOT / "docs")
    (folder / ".venv" / "bin").mkdir(parents=True)
    async with running(folder / "board") as service:
        yield service


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.runs], ids=_id)
async def test_what_the_documentation_shows_can_be_done(service: Running, block: Block) -> None:
    if block.language == "sh":
        await _run(service, block)
    elif re.search(r"^\s*subscription\b", block.text, re.MULTILINE):
        await _subscribe(service, block)
    else:
        answer = await service.ask_whole(block.text, **block.variables)
        assert "errors" not in answer, answer["errors"]


async def _run(service: Running, block: Block) -> None:
    if "curl" in block.text and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    folder = service.data_dir.parent
    commands = folder / ".venv" / "bin"
    asking = write_program(commands / "recount")
    process = await asyncio.create_subprocess_exec(
        "bash", "-e", "-o", "pipefail", "-c", block.text,
        cwd=folder,
        pass_fds=[asking],
        env={
            "PATH": f"{commands}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "RECOUNT_DATA_DIR": str(service.data_dir),
            "RECOUNT_PORT": service.address.rpartition(":")[2],
        },
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), BLOCK_SECONDS_MAX)
    assert process.returncode == 0, said.decode()


async def _subscribe(service: Running, block: Block) -> None:
    """Open the subscription; it is right when nothing is wrong with it by the time that its stream begins."""
    headers = {"Accept": "text/event-stream"}
    asked = {"query": block.text, "variables": block.variables}
    async with (
        asyncio.timeout(STREAM_SECONDS_MAX),
        aiohttp.ClientSession() as session,
        session.post(service.graphql_url, json=asked, headers=headers) as answer,
    ):
        assert answer.status == 200, await answer.text()
        said = b""
        async for chunk in answer.content.iter_any():
            said += chunk
            if b"retry:" in said:
                break
        try:
            async with asyncio.timeout(0.2):
                said += await answer.content.readany()
        except TimeoutError:
            pass  # nothing has happened yet that it would tell
    assert b'"errors"' not in said, said.decode()


async def test_the_service_shows_its_documentation_or_says_how_it_is_built(service: Running) -> None:
    built = (DOCS / "index.html").exists()

    async with aiohttp.ClientSession() as session, session.get(f"{service.address}/docs") as answer:
        text = await answer.text()

    assert (answer.status, "`make docs` builds it" in text) == ((200, False) if built else (404, True))
    assert (f"{service.address}/docs/" in service.said) is built


def test_every_command_that_is_shown_runs_or_says_why_not() -> None:
    unmarked = [
        _id(block)
        for block in BLOCKS
        if block.language in ("", "bash", "console", "shell", "text")
        and _COMMAND.search(block.text)
        and "<!-- not run" not in block.before
    ]

    assert unmarked == []


def test_every_command_that_is_named_is_one_with_such_options() -> None:
    tree = commands()
    pages = [*PAGES, ROOT / "schema" / "schema.graphql"]
    named = [span for page in pages for span in re.findall(r"`recount\s+([a-z][^`]*)`", page.read_text())]

    wrong = []
    for span in named:
        words = span.split()
        command = tree.get(words[0]) or tree.get(" ".join(words[:2]))
        options = {option for parameter in command.params for option in parameter.opts} if command else set()
        if not {word for word in words if word.startswith("--")} <= options | {"--help"} or command is None:
            wrong.append(span)

    assert len(named) > 100
    assert wrong == []


def test_every_code_with_which_a_socket_is_closed_is_explained() -> None:
    explained = re.findall(r"^\| (\d{4}) \| ", (ROOT / "docs" / "live.md").read_text(), re.M)

    assert explained == [str(code.value) for code in Close]


def test_every_setting_is_documented_as_it_describes_itself() -> None:
    rows = re.findall(
        r"^\| `(RECOUNT_\w+)` \| .*? \| (.*) \|$", (ROOT / "docs" / "operations.md").read_text(), re.M
    )

    assert dict(rows) == {variable(name): field.description for name, field in Settings.model_fields.items()}


def test_the_file_of_labels_that_is_shown_can_be_read(tmp_path: Path) -> None:
    [shown] = [block for block in BLOCKS if block.page == "operations.md" and block.language == "toml"]
    (tmp_path / "labels.toml").write_text(shown.text)

    labels = load_labels(tmp_path / "labels.toml")

    assert (labels["planned"].label, labels["planned"].role) == ("Next up", "ROADMAP")
    assert (labels["s68dfa8421c534"].label, labels["t68df02a7ea223"].label) == ("Waiting for you", "Bug")


def test_each_guarantee_names_tests_that_there_are() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()
    sections = re.split(r"^\*\*\d+\. ", text, flags=re.MULTILINE)[1:]

    assert len(sections) == 14
    for section in sections:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", section)
        assert named, section[:60]
        missing = [name for file, name in named if f"def {name}(" not in (ROOT / file).read_text()]
        assert missing == []


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_examples_in_docstrings_are_true(file: Path) -> None:
    module = import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))

    assert doctest.testmod(module, extraglobs={"now": NOON}).failed == 0


def test_every_link_leads_somewhere() -> None:
    dead = []
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text()):
            there = page.parent / target if target else page
            if "://" in target:
                continue
            if not there.exists() or (anchor and anchor not in _anchors(there)):
                dead.append(f"{page.name}: {target}#{anchor}")

    assert dead == []


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_documentation_knows_no_address_of_ours() -> None:
    ours = re.compile(r"/tmp/\w+/|/root/|/home/\w+/|\.internal\b")
    wrong = [page.name for page in PAGES if ours.search(page.read_text())]

    assert wrong == []
