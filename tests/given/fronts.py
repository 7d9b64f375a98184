"""What stands before instances of the service in tests: the real programs, with the files of deploy/."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


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


@asynccontextmanager
async def program(command: Sequence[str | Path], port: int, folder: Path) -> AsyncIterator[None]:
    """Run a program that listens on a port until the block ends; what it says is in the folder's `said`."""
    with (folder / "said").open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=said,
            stderr=said,
            env={"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
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
        process.terminate()
        await process.wait()
