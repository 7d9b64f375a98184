"""Standard input, output and error: always there, and telling in our words when they cannot be used.

A stream that was closed before the start leaves its number to the next file that is opened, a database's
socket perhaps, and what is printed would go there. So the numbers are taken at once, by something that
refuses what the stream is for: `recount export >&-` has to fail.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

from service.errors import InputLost, OutputLost, reason_of


class NobodyReads(Exception):
    """Whoever read standard output has seen enough, as in `recount tail | head`: no problem, but the end."""


class _Input(io.FileIO):
    def readinto(self, buffer: Any) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise InputLost(reason(error)) from error

    def readall(self) -> bytes:
        try:
            return super().readall()
        except OSError as error:
            raise InputLost(reason(error)) from error


class Output(io.FileIO):
    """A file to write to, by its number; errors are told by the name."""

    def __init__(self, number: int, name: str, *, closefd: bool = True) -> None:
        super().__init__(number, "w", closefd=closefd)
        self._told = name

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError as error:
            raise NobodyReads from error
        except OSError as error:
            raise OutputLost(self._told, reason(error)) from error


class _Notes(io.FileIO):
    """Standard error: what cannot be said there cannot be said at all, and stops nobody's work."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def open_streams() -> None:
    """Take the three numbers and put streams of ours on them; a letter that a stream lacks becomes `?`."""
    for number, refuses_its_use in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, refuses_its_use)  # the lowest number that is free: this one
    reader = io.BufferedReader(_Input(0, "r", closefd=False))
    sys.stdin = io.TextIOWrapper(reader, _encoding(sys.stdin), "replace")
    writer = io.BufferedWriter(Output(1, "standard output", closefd=False))
    sys.stdout = io.TextIOWrapper(writer, _encoding(sys.stdout), "replace", line_buffering=os.isatty(1))
    notes = io.BufferedWriter(_Notes(2, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(notes, _encoding(sys.stderr), "backslashreplace", line_buffering=True)


def give_up_output() -> None:
    """Let whatever is still to be written, on leaving too, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _encoding(found: Any) -> str:
    return getattr(found, "encoding", None) or "utf-8"


def reason(error: OSError) -> str:
    """Return in words why a stream cannot be used."""
    return "it is closed" if error.errno == errno.EBADF else reason_of(error)
