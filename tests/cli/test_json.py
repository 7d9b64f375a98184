"""The JSON that commands print has the shape that docs/commands.md shows, where the shape of each is."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from projections.read_model import tables
from service.simulator.fake import FakeSleekplan
from tests.given.command_tree import all_commands, parameters
from tests.given.fake_board import TINY, a_fake
from tests.given.fake_board import environment as of_fake
from tests.given.folders import ROOT
from tests.given.receiver import a_file, a_rule
from tests.given.running import Running, recount, running
from tests.given.waiting import eventually

SAMPLES = sorted((ROOT / "docs" / "samples").glob("*.json"))
POISON = (
    b'{"product_id": 647288130, "action": "item.update", "timestamp": 1782907200000,'
    b' "data": {"feedback_id": 42, "title": "poison"}}'
)
OPEN = {"config", "erase.tables[].key"}
"""Members that are others in each place."""
ANA = ("17", "--product", "647288130")


class Board:
    """A service with the samples, a delivery in the quarantine, and an event that is set aside."""

    def __init__(self, service: Running, url: str, fake: FakeSleekplan, address: str, reactions: str) -> None:
        self.service = service
        self.env = of_fake(fake, url, address) | {
            "RECOUNT_SLEEKPLAN_RATE": "100",
            "RECOUNT_DATA_DIR": str(service.data_dir),
            "RECOUNT_PORT": service.address.rpartition(":")[2],
            "RECOUNT_REACTIONS": reactions,
        }

    async def told(self, *arguments: str | Path) -> list[Any]:
        """Return the values that a command prints, one a line."""
        ended = await recount(*arguments, "--json", env=self.env)
        assert ended.returncode in (0, 1, 3), ended.stderr
        return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture
async def board(database_url: str, tmp_path: Path) -> AsyncIterator[Board]:
    fake = a_fake(TINY)
    nobody = a_rule(tmp_path, "http://127.0.0.1:1/", "shipped", retry_hours=0, then="skip")
    reactions = str(a_file(tmp_path, nobody))
    settings = {"RECOUNT_DATABASE_URL": database_url, "RECOUNT_REACTIONS": reactions}
    async with fake.serving() as address, running(tmp_path / "data", env=settings) as service:
        board = Board(service, database_url, fake, address, reactions)
        pool = await asyncpg.create_pool(database_url, min_size=1, max_size=1)
        try:
            # The rule begins where the log ends when its file is read, a moment after the service listens.
            await eventually(lambda: pool.fetchval("select count(*) from log.reactions"))
            await board.told("send", *SAMPLES)
            await service.post(b"no JSON")
            contents = (await tables(pool)).names["item_contents"]
            await pool.execute(
                f"alter table {contents} add check (title is distinct from 'poison') not valid"
            )
            await service.post(POISON)

            async def parked() -> bool:
                return bool(await pool.fetchval("select count(*) from read_model.parked"))

            await eventually(parked)
            await eventually(lambda: pool.fetchval("select count(*) from log.reactions_skipped"), 30)
            await pool.execute(
                "with split as (insert into log.splits (id, cell, from_cell, products, ended_at)"
                " values (gen_random_uuid(), 'b', 'a', '{99}', now()) returning id)"
                " insert into log.departures (product_id, cell, split, left_at)"
                " select 99, 'b', id, now() from split"
            )
        finally:
            await pool.close()
        yield board


async def test_what_commands_print_has_the_shape_that_is_documented(board: Board, tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_bytes(POISON.replace(b"poison", b"Dark mode again"))
    [[quarantined]] = await board.told("quarantine", "list")
    [[parked]] = await board.told("parked", "list")
    calls: dict[str, tuple[tuple[str | Path, ...], ...]] = {
        "asof": (("5",),),
        "history": (("42", "--product", "647288130"),),
        "tail": (("--after", "0", "--count", "3"),),
        "cells list": ((),),
        "doctor": ((),),
        "config": ((),),
        "keys add": (("board",),),
        "keys rotate": (("board",),),
        "keys list": ((),),
        "labels list": ((),),
        "labels missing": ((),),
        "migrate": ((),),
        "parked list": ((),),
        "parked show": ((str(parked["position"]),),),
        "parked retry": ((str(parked["position"]),), ("--all",)),
        "projections list": ((),),
        "quarantine list": ((),),
        "quarantine show": ((quarantined["id"],),),
        "quarantine retry": ((quarantined["id"],),),
        "send": ((SAMPLES[0],),),
        "import": ((tmp_path / "one.jsonl",),),
        "verify": ((),),
        "rebuild": ((),),
        "backfill": (("--dry-run",), ("--only", "users,posts,votes")),
        "sweeps list": ((),),
        "reactions list": ((),),
        "reactions test": (("shipped",),),
        "reactions skipped": ((),),
        "sweeps show": (("",),),
        "reconcile": (("--dry-run",), ()),
        "erase": ((*ANA, "--dry-run"), (*ANA, "--yes"), ("--list",), ("--again",)),
    }
    shown = dict(examples())

    assert set(calls) == set(shown) == {name for name in all_commands() if "as_json" in parameters(name)}
    for name, ways in calls.items():
        assert len(ways) == len(shown[name])
        for arguments, example in zip(ways, shown[name], strict=True):
            for value in await board.told(*name.split(), *arguments):
                differs = list(differences(example, value, name))
                assert not differs, (name, arguments, differs)


def examples() -> Iterator[tuple[str, list[Any]]]:
    """The examples of each command that docs/commands.md shows."""
    page = (ROOT / "docs" / "commands.md").read_text()
    for section in page.split("\n### recount ")[1:]:
        blocks = re.findall(r"```json\n(.*?)\n```", section, re.DOTALL)
        yield section.partition("\n")[0], [json.loads(block) for block in blocks]


def differences(example: Any, value: Any, path: str) -> Iterator[str]:
    """Where the kind of a value is another than that of the example. What is unknown may be of any kind."""
    if example is None or value is None:
        return
    if isinstance(example, dict) and isinstance(value, dict):
        if path not in OPEN and example.keys() != value.keys():
            yield f"{path}: {sorted(example.keys() ^ value.keys())}"
        for name in example.keys() & value.keys():
            yield from differences(example[name], value[name], f"{path}.{name}")
    elif isinstance(example, list) and isinstance(value, list):
        for each in value if example else ():
            yield from differences(example[0], each, f"{path}[]")
    elif kind(example) is not kind(value):
        yield f"{path}: {kind(value).__name__}, not {kind(example).__name__}"


def kind(value: Any) -> type:
    return float if type(value) is int else type(value)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_a_shell_is_told_how_to_complete_commands_and_what(shell: str) -> None:
    told = await recount(env={"_RECOUNT_COMPLETE": f"{shell}_source"})
    words = {"COMP_WORDS": "recount keys ro", "COMP_CWORD": "ro" if shell == "fish" else "2"}
    found = await recount(env={"_RECOUNT_COMPLETE": f"{shell}_complete", **words})

    assert f"_RECOUNT_COMPLETE={shell}_complete" in told.stdout
    assert "rotate" in found.stdout
    assert "revoke" not in found.stdout
