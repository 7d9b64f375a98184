"""Which log a command works on: none that it made by mistake, and made-up events in none that is real."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from service.simulator import made_up, simulate
from tests.given import folders
from tests.given.command_tree import all_commands, arguments, parameters
from tests.given.forked import Forked
from tests.given.running import recount, running

PAYLOADS = sorted(folders.PAYLOADS.glob("*.json"))
MAKING = {"serve", "demo", "up", "backfill", "import", "keys add", "migrate"}


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Forked:
    return Forked(tmp_path_factory.mktemp("whose"))


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of made-up deliveries."""
    file = tmp_path_factory.mktemp("lines") / "board.jsonl"
    file.write_bytes(b"\n".join(simulate(seed=7, events=200, months=3, items=10, users=20)) + b"\n")
    return file


@pytest.mark.parametrize("name", [name for name in all_commands() if name not in MAKING])
async def test_a_command_that_asks_makes_no_database_in_a_folder_that_was_misspelt(
    commands: Forked, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "misspelt"
    env = {"RECOUNT_PORT": "1", "PATH": "/usr/bin:/bin"}
    given = ["--data-dir", str(folder)] if "data_dir" in parameters(name) else []

    ended = await commands.run([*arguments(name, str(PAYLOADS[0])), *given], env)

    assert not folder.exists()
    if ended.code:
        assert str(folder) in ended.err + ended.out or name == "tail"


async def test_made_up_events_are_refused_by_a_log_that_holds_others(tmp_path: Path, lines: Path) -> None:
    async with running(tmp_path / "data") as service:
        await service.run("send", *PAYLOADS)

        refused = await service.run("import", lines)

        assert refused.returncode == 1
        assert "these events are made up" in refused.stderr
        assert "recount import --made-up" in refused.stderr
        held = await service.ask(f"{{ events(first: 1, minPosition: {len(PAYLOADS)}) {{ totalCount }} }}")
        assert held["events"]["totalCount"] == len(PAYLOADS)

        assert (await service.run("import", "--made-up", lines)).returncode == 0


async def test_made_up_events_go_into_an_empty_log_and_one_that_begins_with_them(
    tmp_path: Path, lines: Path
) -> None:
    env = {"RECOUNT_DATA_DIR": str(tmp_path / "data")}
    more = tmp_path / "more.jsonl"
    more.write_bytes(b"\n".join(simulate(seed=8, events=50, months=1, items=5, users=15)))

    first = await recount("import", "--json", lines, env=env)
    second = await recount("import", "--json", more, env=env)

    assert json.loads(first.stdout)["recorded"] == 200
    assert json.loads(second.stdout)["recorded"] > 0


async def test_real_lines_are_followed_by_no_made_up_ones(tmp_path: Path, lines: Path) -> None:
    env = {"RECOUNT_DATA_DIR": str(tmp_path / "data")}
    real = json.dumps(json.loads(PAYLOADS[0].read_bytes()))
    (tmp_path / "real.jsonl").write_text(real)

    assert (await recount("import", tmp_path / "real.jsonl", env=env)).returncode == 0
    assert (await recount("import", lines, env=env)).returncode == 1


def test_made_up_bodies_are_known_in_any_spelling_and_real_ones_are_not() -> None:
    bodies = list(simulate(seed=3, events=300, chaos=True))
    spelt = [json.dumps(json.loads(body)).encode() for body in simulate(seed=3, events=300)]

    assert made_up(b"\n".join(bodies))
    assert made_up(b"\n".join(spelt))
    assert not [path.name for path in PAYLOADS if made_up(path.read_bytes())]


async def test_standard_input_may_be_a_file(tmp_path: Path, lines: Path) -> None:
    env = {"RECOUNT_DATA_DIR": str(tmp_path / "data")}

    with lines.open("rb") as file:
        ended = await recount("import", "--json", "-", env=env, stdin=file)

    assert json.loads(ended.stdout)["recorded"] == 200


async def test_the_service_closes_the_data_folder_that_it_makes(tmp_path: Path, database_url: str) -> None:
    folder = tmp_path / "data"
    async with running(folder, env={"RECOUNT_DATABASE_URL": database_url}) as service:
        told = await recount(
            "doctor", "--json", env={"RECOUNT_DATA_DIR": str(folder), "RECOUNT_DATABASE_URL": database_url}
        )
        assert service.address

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [one for one in json.loads(told.stdout) if one["check"] == "data folder"] == []


async def test_whatever_the_service_puts_into_a_folder_that_it_found_is_closed(tmp_path: Path) -> None:
    (folder := tmp_path / "data").mkdir(mode=0o755)
    async with running(folder) as service:
        await service.run("keys", "add", "board")

        told = json.loads((await recount("doctor", "--data-dir", folder, "--json")).stdout)

        assert [path.name for path in folder.iterdir() if path.stat().st_mode & 0o077] == []
        assert {one["state"] for one in told if one["check"] == "data folder"} == {"note"}
