"""Starts what is measured, asks it for its output, its memory and its processor time, and ends it."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bench.cores import cores, pinned
from bench.harness import RESULTS, ROOT


@asynccontextmanager
async def running(
    command: Sequence[str | Path],
    *,
    ready: str,
    environment: Mapping[str, str] | None = None,
    on: frozenset[int] | None = None,
    seconds: float = 30.0,
    folder: Path | None = None,
) -> AsyncIterator[int]:
    """Run a server on the server's core until the block ends; give its process id once `ready` answers.

    `ready` is `http://host:port/path` (any answer will do) or `host:port`. What it prints goes to
    `bench/results/logs/`, and its end is part of the error when it does not come up.
    """
    log = RESULTS / "logs" / f"{Path(str(command[0])).name}-{secrets.token_hex(3)}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output, pinned(cores().server if on is None else on):
        process = subprocess.Popen(  # noqa: ASYNC220 - it must inherit the core; a fork takes a millisecond
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder or ROOT,
            env=clean_environment(environment),
            start_new_session=True,
        )
    try:
        await _until_answers(process, ready, seconds, log)
        yield process.pid
    finally:
        await _stop(process)
        log.unlink(missing_ok=True)


async def output_of(
    command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None, seconds: float = 900.0
) -> str:
    """Run a command on all cores to its end; return what it printed, or raise with what it complained of."""
    ended = await asyncio.to_thread(
        subprocess.run,
        [str(part) for part in command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean_environment(environment),
        timeout=seconds,
        check=False,
    )
    if ended.returncode:
        tail = " | ".join(ended.stderr.splitlines()[-12:])
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {ended.returncode}: {tail}")
    return str(ended.stdout)


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child: ours without any RECOUNT_ setting, and what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECOUNT_")}
    return kept | dict(more or {})


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process; 0 where the system does not tell."""
    return _status_mib(pid, "VmRSS:")


def own_memory_mib(pid: int) -> float:
    """Return the anonymous memory of a process: without the buffers that all of Postgres shares."""
    return _status_mib(pid, "RssAnon:")


def _status_mib(pid: int, name: str) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    return 0.0


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used; 0 where the system does not tell."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


async def _until_answers(process: subprocess.Popen[bytes], ready: str, seconds: float, log: Path) -> None:
    address, _, path = ready.removeprefix("http://").partition("/")
    host, _, port = address.rpartition(":")
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if process.poll() is not None:
            break
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(host, int(port))
                try:
                    if not ready.startswith("http://"):
                        return
                    writer.write(
                        f"GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode()
                    )
                    if await reader.readexactly(8):
                        return
                finally:
                    writer.close()
        await asyncio.sleep(0.05)
    tail = " | ".join(log.read_text(errors="replace").splitlines()[-12:])
    raise RuntimeError(f"{process.args!r} did not answer at {ready} within {seconds:.0f} s: {tail}")


async def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a server to end and wait; after ten seconds end it and what it started."""
    with suppress(ProcessLookupError):
        process.terminate()
    give_up = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < give_up:
        await asyncio.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
