"""Other people's tools on the committed schema, and the clients that they make, against a live service."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from graphql import parse, validate

from schema.build import build_schema
from tests.given.asking import Board, a_board, a_pool, body, new_database, post
from tests.given.folders import GIVEN, ROOT
from tests.given.graphql_service import Served, served

PYTHON_CLIENT = ROOT / "examples" / "typed-python"
TYPESCRIPT_CLIENT = ROOT / "examples" / "typed-typescript"
CHECKS = GIVEN / "npm" / "schema"


async def run(command: Sequence[str | Path], folder: Path) -> tuple[int, str]:
    """Return the exit code and the output of a command."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.fixture(scope="module")
async def board(server_url: str, template: str) -> AsyncIterator[Board]:
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 10:00", post(1, up=3, title="Dark mode", status="open")),
            body("item.update", "2026-06-01 10:00", post(1, up=5, title="Dark theme", status="planned")),
        )
        yield board


@pytest.fixture(scope="module")
async def service(board: Board) -> AsyncIterator[Served]:
    async with served(build_schema(), board.services) as service:
        yield service


@pytest.fixture
def checks(tmp_path: Path) -> Path:
    """A copy of the project's parts that the tools of tests/given/npm/schema read, with the tools."""
    modules = CHECKS / "node_modules"
    if shutil.which("node") is None or not modules.exists():
        pytest.skip("the packages of tests/given/npm/schema are not installed (npm ci there)")
    folder = tmp_path / "project"
    for part in (
        "schema/schema.graphql",
        "examples/typed-typescript",
        "tests/given/npm/schema",
        "tests/given/questions",
    ):
        source, target = ROOT / part, folder / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("node_modules"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    (folder / "node_modules").symlink_to(modules)
    return folder


async def test_the_python_client_prints_the_board_of_a_moment(service: Served) -> None:
    now = await run([sys.executable, "show_board.py", service.url], PYTHON_CLIENT)
    then = await run([sys.executable, "show_board.py", service.url, "2026-05-02T00:00:00Z"], PYTHON_CLIENT)

    assert now == (0, "5\tPlanned\tDark theme\n")
    assert then == (0, "3\tOpen\tDark mode\n")


def test_the_python_clients_operation_is_the_one_in_its_file_and_valid() -> None:
    source = (PYTHON_CLIENT / "board_client" / "client.py").read_text(encoding="utf-8")
    [made] = re.findall(r'gql\("""(.*?)"""\)', source, re.DOTALL)
    written = (PYTHON_CLIENT / "board.graphql").read_text(encoding="utf-8")

    assert parse(made, no_location=True) == parse(written, no_location=True)
    assert validate(build_schema()._schema, parse(made)) == []


@pytest.mark.node
async def test_the_typescript_client_is_made_from_the_schema_and_prints_the_board(
    service: Served, checks: Path
) -> None:
    folder, tools = checks / "examples" / "typed-typescript", checks / "node_modules" / ".bin"

    code, output = await run([tools / "graphql-codegen", "--config", "codegen.ts"], folder)
    assert code == 0, output
    committed = (TYPESCRIPT_CLIENT / "generated.ts").read_text(encoding="utf-8")
    assert (folder / "generated.ts").read_text(encoding="utf-8") == committed

    code, output = await run([tools / "tsc", "-p", "."], folder)
    assert code == 0, output
    assert await run(["node", "built/client.js", service.url], folder) == (0, "5\tPlanned\tDark theme\n")


@pytest.mark.node
async def test_graphql_eslint_finds_nothing_in_the_schema(checks: Path) -> None:
    folder = checks / "tests" / "given" / "npm" / "schema"
    shutil.copy(checks / "schema" / "schema.graphql", folder)
    shutil.copytree(checks / "tests" / "given" / "questions", folder / "questions")

    code, output = await run([checks / "node_modules" / ".bin" / "eslint", "schema.graphql"], folder)

    assert code == 0, output


@pytest.mark.node
async def test_graphql_inspector_finds_every_question_valid(checks: Path) -> None:
    tool = checks / "node_modules" / ".bin" / "graphql-inspector"

    code, output = await run(
        [tool, "validate", "./tests/given/questions/*.graphql", "schema/schema.graphql"], checks
    )

    assert code == 0, output


@pytest.mark.node
async def test_relays_compiler_takes_the_schema_with_refetching_and_connections(checks: Path) -> None:
    folder = checks / "tests" / "given" / "npm" / "schema"
    (folder / "relay-generated").mkdir()

    code, output = await run(
        [checks / "node_modules" / ".bin" / "relay-compiler", "relay.config.json"], folder
    )

    assert code == 0, output
    assert len(list((folder / "relay-generated").iterdir())) == 5
