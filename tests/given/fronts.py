"""What stands before instances of the service in tests: the real programs, with the files of deploy/."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

_END_SECONDS_MAX: Final = 2
_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"


def changed(file: Path, changes: dict[str, str]) -> str:
    """Return a shipped file with what everybody has to change changed."""
    text = file.read_text()
    for given, mine in changes.items():
        assert given in text, f"{file.name} says {given} no longer"
        text = text.replace(given, mine)
    return text


def certify(folder: Path) -> None:
    """Write a certificate of board.example.com and its key: privkey.pem, fullchain.pem."""
    subject = ["-subj", "/CN=board.example.com", "-addext", "subjectAltName=DNS:board.example.com"]
    files = ["-keyout", f"{folder}/privkey.pem", "-out", f"{folder}/fullchain.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files],
        check=True,
        capture_output=True,
    )


def need(name: str) -> None:
    """Skip the test where a program is not installed."""
    if shutil.which(name, path=_PATH) is None:
        pytest.skip(f"{name} is not installed")


@asynccontextmanager
async def program(command: Sequence[str | Path], port: int, folder: Path) -> AsyncIterator[None]:
    """Run a program that listens on a port until the block ends; what it says is in the folder's `said`."""
    with (folder / "said").open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=said,
            stderr=said,
            cwd=folder,
            env={"HOME": str(folder), "PATH": _PATH},
        )
    try:
        async with asyncio.timeout(60):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    assert process.returncode is None, (folder / "said").read_text()
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    break
        yield
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a program in order; Caddy alone waits for more than a minute for whoever has kept a connection."""
    for tell in (process.terminate, process.kill):
        if process.returncode is None:
            tell()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _END_SECONDS_MAX)
            break


async def frames_at_once(
    session: aiohttp.ClientSession,
    address: str,
    token: str,
    query: str,
    deliver: Callable[[], Awaitable[None]],
) -> list[Any]:
    """Return what a socket and an event stream tell of a delivery while both are open, in this order.

    The query is to begin at the log's beginning: nothing tells when a subscription has begun to follow.
    """
    accept = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    async with (
        session.ws_connect(address, protocols=("graphql-transport-ws",)) as opened,
        session.post(address, json={"query": query}, headers=accept) as streamed,
        asyncio.timeout(60),
    ):
        await opened.send_json({"type": "connection_init", "payload": {"token": token}})
        assert (await opened.receive_json())["type"] == "connection_ack"
        await opened.send_json({"id": "1", "type": "subscribe", "payload": {"query": query}})
        await deliver()

        frame = await opened.receive_json()
        while frame["type"] != "next":
            frame = await opened.receive_json()
        text = b""
        while (found := re.search(rb"data: ?(\{.*\})\n", text)) is None:
            text += await streamed.content.readany()
        return [frame["payload"]["data"]["events"], json.loads(found[1])["data"]["events"]]
