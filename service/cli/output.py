"""Writes a command's answer to what `--output` names: a file, a pipe, a device, `-` for standard output."""

from __future__ import annotations

import io
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from service.cli.streams import Output, reason
from service.errors import OutputLost


@contextmanager
def written(path: Path | None) -> Iterator[BinaryIO]:
    """Give a file to write to, which is at `path` once the block has ended well.

    A plain file appears whole or not at all: until then the one of before stands, and its mode is kept. Of a
    symbolic link the target is written. What is no plain file (a FIFO, a device) is written to, never
    replaced. Raises OutputLost.
    """
    if path is None or str(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif _is_plain(path):
        yield from _replaced(path.resolve())
    else:
        with _opened(path, os.O_WRONLY) as file:
            yield file


def _is_plain(path: Path) -> bool:
    """Whether a file can be put there. What the system lists (/dev/stdout, /proc/self/fd/1) are no files.

    /dev/shm is a folder for everybody's files, in memory.
    """
    place = path.parent.resolve().parts
    if place[1:2] in (("dev",), ("proc",)) and place[1:3] != ("dev", "shm"):
        return False
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return True


def _replaced(target: Path) -> Iterator[BinaryIO]:
    fresh = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with _opened(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
            if target.exists():
                shutil.copymode(target, fresh)
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def _opened(path: Path, flags: int) -> BinaryIO:
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o666)
    except FileNotFoundError as error:
        raise OutputLost(str(path), f"there is no folder {path.parent}") from error
    except OSError as error:
        raise OutputLost(str(path), reason(error)) from error
    return cast(BinaryIO, io.BufferedWriter(Output(descriptor, str(path))))
