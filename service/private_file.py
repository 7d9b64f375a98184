"""Makes folders and writes small files that their owner alone reads, each file whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Put content into a file of mode 0600; whoever reads it finds all of the old or all of the new.

    That holds after a crash as well, and while another process writes the same file. Raises OSError.
    """
    make_private(path.parent)
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            if os.geteuid() == 0:
                # A command that root runs must not lock the service's own user out of its files.
                owner = path.parent.stat()
                os.fchown(handle, owner.st_uid, owner.st_gid)
            file.write(content)
            file.flush()
            os.fsync(handle)
        os.replace(fresh, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
        raise
    sync_folder(path.parent)


def make_private(folder: Path) -> None:
    """Make a folder of mode 0700 where there is none; one that is there keeps its mode. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder outlast a crash. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
