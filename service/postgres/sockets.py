"""Finds the folder of an embedded Postgres's Unix socket, and clears what a killed one left there."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs

from service.dsn import DEFAULT_PORT, SOCKET_PATH_BYTES_MAX

_SHORT_PREFIX = "recount-"
_SOCKET = f".s.PGSQL.{DEFAULT_PORT}"
_LOOK_SECONDS = 1.0


def fits_into_addresses(folder: Path) -> bool:
    """Whether a socket in the folder can be reached by its path, however that is written into an address.

    libpq and Postgres part folders at commas, and people paste PGHOST into addresses without encoding it.
    """
    path = str(folder / _SOCKET)
    return re.fullmatch(r"/[A-Za-z0-9/._-]+", path) is not None and len(path) <= SOCKET_PATH_BYTES_MAX


def make_short_folder() -> Path:
    """Make a folder with a short and plain name, closed to everybody else."""
    return Path(tempfile.mkdtemp(prefix=_SHORT_PREFIX, dir=_place_of_short_folders()))


def refuse_of_others(folder: Path, owner: int) -> None:
    """Raise PermissionError where a folder is another user's: in /tmp, anybody can make a deleted one."""
    if folder.lstat().st_uid != owner:
        raise PermissionError(errno.EPERM, "another user has made the folder of its socket", str(folder))


async def socket_gone(folder: Path) -> None:
    """Return once the socket is gone that was in the folder: cleaners of /tmp delete what is old."""
    while (folder / _SOCKET).exists():
        await asyncio.sleep(_LOOK_SECONDS)


def clear_left_sockets(own: Path, previous_dsn: str | None) -> None:
    """Remove what a killed Postgres left in its own folder and in the short one of `previous_dsn`.

    The caller holds the data folder's lock, so its own Postgres is dead. In a copy of a data folder that DSN
    leads to the original's, which may run: of other places only a short folder is removed, and only where
    nobody answers.
    """
    hosts = map(Path, parse_qs((previous_dsn or "").partition("?")[2]).get("host", ()))
    short = {folder for folder in hosts if folder.name.startswith(_SHORT_PREFIX)}
    for folder in {own, *(folder for folder in short if not _somebody_answers(folder))}:
        for left in folder.glob(f"{_SOCKET}*"):
            left.unlink()
        if folder != own:
            with suppress(OSError):
                folder.rmdir()


def _somebody_answers(folder: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as trial:
        try:
            trial.connect(str(folder / _SOCKET))
        except OSError as error:
            # One that may not be tried is not ours to remove either.
            return not isinstance(error, FileNotFoundError | ConnectionRefusedError)
    return True


def _place_of_short_folders() -> str:
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")
    private = os.geteuid() != 0 and os.access(own, os.W_OK) and fits_into_addresses(own / "recount-12345678")
    return str(own) if private else "/tmp"
