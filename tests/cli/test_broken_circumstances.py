"""Every command in every circumstance that a machine can be in: what goes wrong is a line, never a traceback.

The commands are those of the command line's tree, so that a new one is covered from its first day.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from service.log.database import connect
from service.postgres.embedded import attach
from tests.given import folders
from tests.given.command_tree import all_commands, arguments
from tests.given.forked import Ended, Forked
from tests.given.ports import free_port
from tests.given.running import Running, running

PAYLOADS = sorted(folders.PAYLOADS.glob("*.json"))
COMMANDS: Final = all_commands()
SERVING: Final = {"serve", "demo", "up"}
"""They end when they are told to; those of the tree that need no such care end by themselves."""
CODES: Final = {0, 1, 2, 3, 130}
SAID_LINES_MAX: Final = 12
CALLS: Final = (400, 4_000, 40_000)
"""Python functions that are called before Ctrl-C comes."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a mount namespace of its own")


class Machine:
    """One running service, with a sample board, that all commands are run beside."""

    def __init__(self, service: Running, forked: Forked, folder: Path) -> None:
        self.service, self.forked, self.folder = service, forked, folder
        self.dsn = attach(service.data_dir) or ""

    async def run(
        self, name: str, *circumstances: str, env: dict[str, str] | None = None, **places: str
    ) -> Ended:
        """Run a command as it would be beside the service, but for the circumstances."""
        whole = self._environment(name) | (env or {})
        return await self.forked.run(
            arguments(name, str(PAYLOADS[0])),
            whole,
            *circumstances,
            until=partial(self._serves, Path(whole["RECOUNT_DATA_DIR"])) if name in SERVING else None,
            **places,
        )

    def dsn_of(self, role: str) -> str:
        """The service's database, as another user."""
        return self.dsn.replace("recount@", f"{role}@")

    def _environment(self, name: str) -> dict[str, str]:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8"}
        if name in SERVING:
            self.port = free_port()
            own = {"RECOUNT_DATABASE_URL": self.dsn, "RECOUNT_DATA_DIR": str(self.folder / "own")}
            return env | own | {"RECOUNT_PORT": str(self.port)}
        return env | {
            "RECOUNT_DATA_DIR": str(self.service.data_dir),
            "RECOUNT_PORT": self.service.address.rpartition(":")[2],
        }

    async def _serves(self, data_dir: Path) -> None:
        """Return when there is somebody to stop; the demo need not have written all its history."""
        while not (data_dir / "postgres").exists() or not (data_dir / "spool").exists():
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    async with running(folder / "data") as service:
        sent = await service.run("send", *PAYLOADS)
        assert sent.returncode == 0
        yield Machine(service, Forked(folder), folder)


def check(name: str, ended: Ended, *, speaks: bool = True) -> None:
    """Nothing of Python's own is shown, and where it can speak, a few lines say what happened."""
    assert ended.code in CODES, ended
    for sign in ("Traceback", "Exception ignored", "Error:  ", '.py", line', "Task was destroyed"):
        assert sign not in ended.err, ended.err
    if ended.code == 1 and speaks:
        assert ended.err or ended.out, f"{name} failed without a word"
    if name not in SERVING:
        assert ended.err.count("\n") <= SAID_LINES_MAX, ended.err


every_command = pytest.mark.parametrize("name", COMMANDS)


@every_command
async def test_as_it_should_be(machine: Machine, name: str) -> None:
    check(name, await machine.run(name))


@every_command
@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
async def test_a_standard_stream_is_closed(machine: Machine, name: str, stream: str) -> None:
    check(name, await machine.run(name, f"closed {stream}"), speaks=stream != "stderr")


@every_command
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_what_a_standard_stream_goes_to_is_full(machine: Machine, name: str, stream: str) -> None:
    check(name, await machine.run(name, f"full {stream}"), speaks=stream != "stderr")


@every_command
async def test_nobody_reads_the_output(machine: Machine, name: str) -> None:
    check(name, await machine.run(name, "unread stdout"))


@every_command
async def test_the_terminal_knows_no_letters_but_ascii(machine: Machine, name: str) -> None:
    check(name, await machine.run(name, env={"PYTHONIOENCODING": "ascii"}))


@every_command
@pytest.mark.parametrize("call", CALLS)
async def test_ctrl_c_comes_early_or_late(machine: Machine, name: str, call: int) -> None:
    ended = await machine.run(name, "interrupted", call=str(call))

    check(name, ended)


@every_command
async def test_there_is_no_home(machine: Machine, name: str) -> None:
    check(name, await machine.run(name, env={"HOME": ""}))


@every_command
@as_root
async def test_the_user_has_no_entry_in_passwd(machine: Machine, name: str) -> None:
    ended = await machine.run(name, "no passwd entry", "no home", env={"RECOUNT_LABELS": "~/labels.toml"})

    check(name, ended)


@every_command
@as_root
@pytest.mark.parametrize("disk", ["full", "read-only"])
async def test_the_disk_of_the_data_folder_is(machine: Machine, name: str, disk: str) -> None:
    (place := machine.folder / "disk").mkdir(exist_ok=True)
    env = {"RECOUNT_DATA_DIR": str(place / "data"), "RECOUNT_DATABASE_URL": ""}

    check(name, await machine.run(name, f"{disk} disk", env=env, disk=str(place)))
    check(
        name,
        await machine.run(
            name, f"{disk} disk", env=env | {"RECOUNT_DATABASE_URL": machine.dsn}, disk=str(place)
        ),
    )


@every_command
@pytest.mark.parametrize("given", [True, False], ids=["database given", "embedded"])
@pytest.mark.parametrize("folder", ["not there", "a file", "below a file"])
async def test_the_data_folder_is(
    machine: Machine, tmp_path: Path, name: str, folder: str, given: bool
) -> None:
    (tmp_path / "file").write_text("")
    place = {"not there": "none/whatever", "a file": "file", "below a file": "file/data"}[folder]
    env = {"RECOUNT_DATA_DIR": str(tmp_path / place)}

    check(name, await machine.run(name, env=env | {"RECOUNT_DATABASE_URL": machine.dsn if given else ""}))


@every_command
@pytest.mark.parametrize("connections", [0, 1, 2])
async def test_postgres_has_few_connections_left(machine: Machine, name: str, connections: int) -> None:
    connection = await connect(machine.dsn)
    try:
        role = f"few{connections}"
        await connection.execute(
            f"do $$ begin create role {role} login; exception when duplicate_object then null; end $$;"
            f"alter role {role} connection limit {connections}; grant recount to {role}"
        )
    finally:
        await connection.close()

    check(
        name,
        await machine.run(name, env={"RECOUNT_DATABASE_URL": machine.dsn_of(role)}),
    )


@every_command
async def test_postgres_takes_no_changes(machine: Machine, name: str) -> None:
    connection = await connect(machine.dsn)
    try:
        await connection.execute(
            "do $$ begin create role reader login; exception when duplicate_object then null; end $$;"
            "alter role reader set default_transaction_read_only = on; grant recount to reader"
        )
    finally:
        await connection.close()

    check(
        name,
        await machine.run(name, env={"RECOUNT_DATABASE_URL": machine.dsn_of("reader")}),
    )


@every_command
async def test_postgres_does_not_answer(machine: Machine, name: str) -> None:
    check(name, await machine.run(name, env={"RECOUNT_DATABASE_URL": "postgresql://ann@127.0.0.1:1/none"}))
