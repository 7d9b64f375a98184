"""An aiohttp that has not all that the shortcut leans on answers by its own way, and the log says so."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from aiohttp.web_protocol import RequestHandler

from service.web import runner
from tests.given.bodies import a_body
from tests.given.running import Running, running

# Imported by Python before all else: an aiohttp whose newest version calls one thing by another name.
ANOTHER_AIOHTTP = """
import re, sys
from importlib.machinery import PathFinder, SourceFileLoader

class Renaming(SourceFileLoader):
    def get_code(self, module):
        source = self.get_data(self.path).decode()
        renamed = re.sub(r"\\b{name}\\b", "{name}_of_another_version", source)
        return compile(renamed, self.path, "exec")

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        spec = super().find_spec(name, path, target) if name == "aiohttp.web_protocol" else None
        if spec is not None:
            spec.loader = Renaming(spec.name, spec.origin)
        return spec

sys.meta_path.insert(0, Finder)
"""


async def _works(service: Running) -> None:
    assert await service.post(a_body()) == (200, {"position": 1, "duplicate": False, "spooled": False})
    answer = await service.ask("{ items(minPosition: 1) { totalCount } }")
    assert answer == {"items": {"totalCount": 1}}


@pytest.mark.parametrize("name", ["_waiter", "_messages", "_handler_waiter", "_next_keepalive_close_time"])
async def test_without_a_thing_that_the_shortcut_leans_on_the_service_answers_all_the_same(
    name: str, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(ANOTHER_AIOHTTP.replace("{name}", name))
    env = {"RECOUNT_DATABASE_URL": database_url, "PYTHONPATH": str(tmp_path)}
    async with running(tmp_path / "data", env=env) as service:
        await _works(service)

    [told] = [line for line in service.said.splitlines() if "shortcut_off" in line]
    assert f"RequestHandler.{name}" in told
    assert '"level":"error"' in told.replace(" ", "")


async def test_with_the_aiohttp_that_is_pinned_the_shortcut_is_on(database_url: str, tmp_path: Path) -> None:
    async with running(tmp_path / "data", env={"RECOUNT_DATABASE_URL": database_url}) as service:
        await _works(service)

    assert "shortcut_off" not in service.said


def test_whatever_is_private_to_aiohttp_is_looked_for_at_the_start() -> None:
    tree = ast.parse(Path(runner.__file__).read_text())
    [connection] = [node for node in tree.body if getattr(node, "name", "") == "_ShortConnection"]
    ours = {*runner._Connection.__slots__, *vars(runner._ShortConnection)}
    used = {
        node.attr
        for node in ast.walk(connection)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }

    assert {name for name in used - ours if name.startswith("_")} == {
        name for name in runner._LEANED_ON[RequestHandler] if name.startswith("_")
    }
