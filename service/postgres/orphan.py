"""Deals with what an earlier run left in a database's folder: a Postgres that still runs, or its pid file."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import structlog

_POLL_SECONDS = 0.01
_ORPHAN_SECONDS = 30.0

log = structlog.get_logger()


async def end_orphan(pgdata: Path) -> None:
    """End a Postgres whose service was killed; nobody else's can it be, since we hold the lock.

    The kernel has stopped it already, where the kernel can; it may still be writing its last checkpoint.
    """
    pid = _running_postgres(pgdata)
    if pid is not None:
        log.warning("waiting for the postgres of a killed service to end", pid=pid)
        for sent in (0, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, sent)
            if await _ends(pgdata, _ORPHAN_SECONDS if sent else 1.0):
                break
    forget_reused_pid(pgdata)


async def _ends(pgdata: Path, seconds: float) -> bool:
    for _ in range(int(seconds / _POLL_SECONDS)):
        if _running_postgres(pgdata) is None:
            return True
        await asyncio.sleep(_POLL_SECONDS)
    return False


def forget_reused_pid(pgdata: Path) -> None:
    """Remove a pid file whose number is now some other process's.

    Postgres would refuse to start beside it. Numbers come back soon in containers, where every start counts
    from 1. The file of a number that nobody has is left: with it, Postgres checks for children still there.
    """
    if _running_postgres(pgdata) is None and _alive(_pid_in_file(pgdata)):
        (pgdata / "postmaster.pid").unlink(missing_ok=True)


def _running_postgres(pgdata: Path) -> int | None:
    """The process id of a Postgres that runs on this folder, or None."""
    pid = _pid_in_file(pgdata)
    if not _alive(pid):
        return None
    if Path("/proc/self").exists():
        with suppress(OSError):
            # A server stands in its data folder; the number alone may be anybody's by now.
            return pid if Path(f"/proc/{pid}/cwd").samefile(pgdata) else None
        return None
    listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)
    return pid if os.fsencode(pgdata) in listed.stdout else None


def pid_file(pgdata: Path) -> list[str]:
    """The lines of postmaster.pid: the process id first, "ready" eighth once connections are taken."""
    with suppress(OSError):
        return [line.strip() for line in (pgdata / "postmaster.pid").read_text().splitlines()]
    return []


def _pid_in_file(pgdata: Path) -> int:
    lines = pid_file(pgdata)
    return int(lines[0]) if lines and lines[0].isdigit() else 0


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
