"""Processes of this machine by who started them."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def parent_of(pid: int) -> int:
    """Return the process that started another. Raises OSError where there is none."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children_of(parent: int) -> list[int]:
    """Return the processes that another has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if parent_of(int(entry.name)) == parent:
                    found.append(int(entry.name))
    return found


def kill_with_children(parent: int) -> None:
    """Kill a process and its children with -9."""
    for pid in (parent, *children_of(parent)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
