"""Keeps a data folder to one service, and tells others where that service's database is."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from pathlib import Path

from service.errors import DataFolderInUse, DataFolderNotWritable, reason_of

_POLL_SECONDS = 0.01
_LOCK_SECONDS = 1.0  # whoever reads takes it for an instant: that is not a second service


class FolderLock:
    """An flock on the file `lock` in the folder; the kernel lets go of it however its holder ends.

    The file holds the holder's process id and, once there is one, the DSN of its database.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self.previous_dsn: str | None = None

    async def take(self) -> None:
        """Take the lock. Raises DataFolderInUse, with the process id of the holder."""
        try:
            descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise DataFolderNotWritable(self._folder, reason_of(error)) from error
        give_up = time.monotonic() + _LOCK_SECONDS
        while not _flock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > give_up:
                holder, _ = _content(descriptor)
                os.close(descriptor)
                raise DataFolderInUse(self._folder, holder)
            await asyncio.sleep(_POLL_SECONDS)
        _, self.previous_dsn = _content(descriptor)
        self._descriptor = descriptor
        try:
            self.tell("")
        except OSError as error:
            self.release()
            raise DataFolderNotWritable(self._folder, reason_of(error)) from error

    def tell(self, dsn: str) -> None:
        """Write the DSN down for whoever reads the lock."""
        assert self._descriptor is not None
        content = f"{os.getpid()}\n{dsn}\n".encode()
        os.pwrite(self._descriptor, content, 0)
        os.ftruncate(self._descriptor, len(content))

    def release(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def dsn_of_holder(folder: Path, timeout_seconds: float) -> str | None:
    """Return the DSN that the holder of the folder's lock wrote down, or None when nobody holds it.

    Of a holder that is just starting, the DSN is waited for.
    """
    give_up = time.monotonic() + timeout_seconds
    while time.monotonic() < give_up:
        try:
            descriptor = os.open(folder / "lock", os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            if _flock(descriptor, fcntl.LOCK_SH):
                return None
            _, dsn = _content(descriptor)
        finally:
            os.close(descriptor)
        if dsn:
            return dsn
        time.sleep(_POLL_SECONDS)
    return None


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _content(descriptor: int) -> tuple[int | None, str | None]:
    pid, dsn, *_ = [*os.pread(descriptor, 4096, 0).decode(errors="replace").split("\n"), "", ""]
    return int(pid) if pid.isdigit() else None, dsn or None
