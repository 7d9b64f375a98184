"""NATS JetStream as a target: once a stream took it, it is told; what comes again is dropped by its id."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import nats
import pytest

from schema.resume import ResumePoint
from service.reactions.rules import Rule
from service.reactions.target import NotTaken, Target, Telling
from service.reactions.targets import Targets
from tests.given.ports import free_port
from tests.given.waiting import eventually

TELLING = Telling("all", "all_41", ResumePoint(41), {"events": {"summary": "Ana moved “Ä”"}})


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a server with JetStream; skips where none is installed."""
    binary = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
    if binary is None:
        pytest.skip("nats-server is not installed (Debian has it as a package)")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        binary, "-js", "-sd", str(tmp_path / "streams"), "-a", "127.0.0.1", "-p", str(port),
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await eventually(lambda: _answers(port), 60)
        yield f"nats://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.fixture
async def targets() -> AsyncIterator[Targets]:
    async with Targets() as opened:
        yield opened


def _target(targets: Targets, folder: Path, url: str, *private_hosts: str) -> Target:
    (folder / "url").write_text(url)
    table = {"url_file": folder / "url", "subject": "recount.events"}
    return targets.of(
        Rule.model_validate({"name": "all", "document": "", "jetstream": table}), frozenset(private_hosts)
    )


async def test_what_comes_again_is_in_the_stream_once(server: str, targets: Targets, tmp_path: Path) -> None:
    client = await nats.connect(server)
    await client.jetstream().add_stream(name="recount", subjects=["recount.>"])
    target = _target(targets, tmp_path, server, "127.0.0.1")

    for telling in (TELLING, TELLING, replace(TELLING, id="all_42", place=ResumePoint(42))):
        await target.tell(telling, 20)

    state = (await client.jetstream().stream_info("recount")).state
    first = await client.jetstream().get_msg("recount", 1)
    await client.close()
    assert state.messages == 2
    assert first.data == TELLING.body()


async def test_a_subject_that_no_stream_takes_is_not_told(
    server: str, targets: Targets, tmp_path: Path
) -> None:
    target = _target(targets, tmp_path, server, "127.0.0.1")

    with pytest.raises(NotTaken, match="no stream takes the subject"):
        await target.tell(TELLING, 20)

    client = await nats.connect(server)
    await client.jetstream().add_stream(name="recount", subjects=["recount.>"])
    await client.close()
    await target.tell(TELLING, 20)


async def test_a_server_that_is_private_or_not_there_is_told_without_its_address(
    targets: Targets, tmp_path: Path
) -> None:
    with pytest.raises(NotTaken, match="is on a private address"):
        await _target(targets, tmp_path, "nats://user:secret@127.0.0.1:1").tell(TELLING, 5)
    with pytest.raises(NotTaken, match=r"could not be reached|no answer") as refused:
        await _target(targets, tmp_path, "nats://user:secret@127.0.0.1:1", "127.0.0.1").tell(TELLING, 5)
    assert "secret" not in str(refused.value)
