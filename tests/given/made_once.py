"""Makes a folder once for all processes of a run, for what takes seconds to make and a moment to copy."""

from __future__ import annotations

import asyncio
import fcntl
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

place = Path()
"""What the processes of a run share; tests/conftest.py says where that is."""


async def made_once(name: str, make: Callable[[Path], Awaitable[None]]) -> Path:
    """Return the folder of a name: whoever asks first makes it, and the others wait. Nobody writes there."""
    folder, new = place / name, place / f"{name}.new"
    with (place / f"{name}.lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        if not folder.exists():
            shutil.rmtree(new, ignore_errors=True)
            await make(new)
            new.rename(folder)
    return folder


async def copied(source: Path, folder: Path) -> None:
    """Copy a file or a folder into another with all that belongs to it, its owner too."""
    folder.mkdir(mode=0o700, exist_ok=True)
    copying = await asyncio.create_subprocess_exec("cp", "-a", source, folder)
    assert await copying.wait() == 0
