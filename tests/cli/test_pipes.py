"""What commands do when whoever reads their output has seen enough."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from tests.given import folders
from tests.given.running import RECOUNT, environment, running

PAYLOADS = sorted((folders.PAYLOADS).glob("*.json"))


async def unread(*arguments: str | Path, env: dict[str, str]) -> tuple[int, str]:
    """Run a command whose standard output nobody reads; return its exit code and what it complained of."""
    reader, writer = os.pipe()
    os.close(reader)
    process = await asyncio.create_subprocess_exec(
        RECOUNT,
        *arguments,
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment(env),
    )
    os.close(writer)
    _, said = await process.communicate()
    return process.returncode or 0, said.decode()


@pytest.mark.parametrize("form", ["--json", None])
async def test_send_into_a_pipe_that_nobody_reads_ends_quietly(tmp_path: Path, form: str | None) -> None:
    async with running(tmp_path / "data") as service:
        env = {"RECOUNT_DATA_DIR": str(service.data_dir), "RECOUNT_PORT": service.address.rpartition(":")[2]}

        ended = await unread("send", *([form] if form else []), *PAYLOADS, env=env)

        assert ended == (0, "")


async def test_simulate_into_a_pipe_that_nobody_reads_ends_quietly(tmp_path: Path) -> None:
    assert await unread("simulate", "--events", "3000", env={"RECOUNT_DATA_DIR": str(tmp_path)}) == (0, "")
