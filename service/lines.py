"""Writes what happens as lines: JSON, or text where somebody watches on a terminal.

Nothing that was sent gets into a line: no body, no header, no address. Libraries and exceptions say where and
of which kind, not what: their texts quote what they choked on, which may be a key or a person's mail.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import select
import stat
import sys
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any, Final, TextIO

import orjson
import structlog

from service.errors import QueryError, RecountError, reason_of

_FRAMES_TOLD: Final = 5
# Of these libraries the beginning of a text is known to be their own words; of others nothing is.
_KNOWN_LIBRARIES: Final = ("aiohttp", "asyncio", "asyncpg", "concurrent")
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_BUFFER_LINES_MAX: Final = 100
_FLUSH_SECONDS: Final = 0.1
_UNREAD_LINES_MAX: Final = 10_000
_LAST_LINES_SECONDS: Final = 1.0

_libraries = structlog.get_logger("library")
_plain: Lines | None = None


def set_up_lines(*, json: bool | None = None, level: str = "info", stream: TextIO | None = None) -> None:
    """Send every line of this process, ours and the libraries', to `stream` in one form.

    `json` None chooses: JSON unless the stream is a terminal. Standard error by default, so that standard
    output stays the answer of a command.
    """
    stream = stream or sys.stderr
    on_terminal = stream.isatty()
    as_json = not on_terminal if json is None else json
    renderer: Any = as_json_line if as_json else structlog.dev.ConsoleRenderer(colors=on_terminal)
    lines = Lines(stream, waits=not on_terminal)
    global _plain
    _plain = lines if as_json and _LEVELS[level] <= _LEVELS["info"] else None
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _tell_exception,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _LibraryLines)]
    root.addHandler(_LibraryLines(logging.WARNING))


def plain_lines() -> Lines | None:
    """Where lines go whose JSON is made elsewhere; None where they are no JSON, or info is not told."""
    return _plain


def tell_crashes() -> None:
    """Let what nobody caught become a line like all others: Python's own way prints the exception's text."""
    warnings.showwarning = _tell_warning
    sys.excepthook = _tell_crash
    sys.unraisablehook = lambda unraisable: _tell_crash(unraisable.exc_type, unraisable.exc_value, None)
    threading.excepthook = lambda crash: _tell_crash(crash.exc_type, crash.exc_value, crash.exc_traceback)


def where(error: BaseException) -> dict[str, str]:
    """Return the kind and the place of an error, and its text where that is ours and safe.

    A QueryError repeats what the caller asked for, so its text goes to the caller alone.
    """
    told = {"error": type(error).__name__}
    if isinstance(error, RecountError) and not isinstance(error, QueryError):
        told["message"] = str(error)
    elif isinstance(error, OSError) and error.errno:
        told["message"] = reason_of(error)
    if sqlstate := getattr(error, "sqlstate", None):
        told["sqlstate"] = str(sqlstate)
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_TOLD:]
    if frames:
        told["where"] = " < ".join(
            f"{frame.name} ({frame.filename.rsplit('/', 1)[-1]}:{frame.lineno})" for frame in reversed(frames)
        )
    if error.__cause__ is not None:
        told["because"] = type(error.__cause__).__name__
    return told


class Lines:
    """Where structlog's lines end: written together, at the latest a tenth of a second later.

    A write for each request would cost more than the rest of its line. Warnings and worse, and whatever is
    told outside the event loop, go out at once. A stream that is gone stops nobody's work, nor does one that
    nobody reads from: a terminal that is halted, a pipe that is full.
    """

    def __init__(self, stream: TextIO, *, waits: bool) -> None:
        self._stream = stream
        # One lock, entered again: what Python lets go of under it, in either thread, may have a line told.
        self._lock = threading.RLock()
        self._beside = _Beside(stream, self._lock) if _may_halt(stream) else None
        self._waits = waits
        self._pending: list[str] = []
        atexit.register(self._end)

    def msg(self, line: str) -> None:
        """Write a line soon."""
        self._pending.append(line)
        if not self._waits or len(self._pending) >= _BUFFER_LINES_MAX:
            self.flush()
        elif len(self._pending) == 1:
            try:
                asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
            except RuntimeError:
                self.flush()

    debug = info = msg

    def warning(self, line: str) -> None:
        """Write a line now."""
        self._pending.append(line)
        self.flush()

    error = critical = exception = warn = fatal = warning

    def flush(self) -> None:
        """Write what waits; from the event loop, have it written."""
        with self._lock:
            pending, self._pending = self._pending, []
            if not pending:
                return
            if self._beside is not None and (self._beside.began or _in_a_loop()):
                self._beside.write(pending)
                return
            with contextlib.suppress(OSError, ValueError):
                self._stream.write("\n".join(pending) + "\n")
                self._stream.flush()

    def _end(self) -> None:
        self.flush()
        if self._beside is not None:
            self._beside.end()


class _Beside:
    """Writes lines to a stream in a thread of its own, by its descriptor, so that nobody waits for a reader.

    Of more than ten thousand that nobody reads the oldest are dropped, and their number is told.
    """

    def __init__(self, stream: TextIO, lock: threading.RLock) -> None:
        self._stream = stream
        self._lines: deque[str] = deque(maxlen=_UNREAD_LINES_MAX)
        self._dropped = 0
        self._writes = False
        self._changed = threading.Condition(lock)
        self.began = False

    def write(self, lines: list[str]) -> None:
        """Have lines written, behind those of before."""
        with self._changed:
            self._dropped += max(0, len(self._lines) + len(lines) - _UNREAD_LINES_MAX)
            self._lines.extend(lines)
            self._changed.notify_all()
            if not self.began:
                self.began = True
                threading.Thread(target=self._write_all, name="lines", daemon=True).start()

    def end(self) -> None:
        """Give what waits a moment to be read, if anybody still reads."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._lines or self._writes), _LAST_LINES_SECONDS)

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._writes = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines)
                unread, self._lines = self._lines, deque(maxlen=_UNREAD_LINES_MAX)
                dropped, self._dropped, self._writes = self._dropped, 0, True
            lines = [*unread]
            if dropped:
                lines.insert(0, as_json_line(None, "", {"event": "lines_dropped", "lines": dropped}))
            left = ("\n".join(lines) + "\n").encode(self._stream.encoding, "backslashreplace")
            with contextlib.suppress(OSError, ValueError):
                while left:
                    try:
                        left = left[os.write(self._stream.fileno(), left) :]
                    except BlockingIOError:  # whoever started us shares it, and has set it so
                        select.select((), (self._stream,), ())


def _may_halt(stream: TextIO) -> bool:
    """Whether a write may wait for somebody who reads, as to a pipe, a socket or a terminal."""
    try:
        kind = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) or stream.isatty()


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Seldom:
    """Has one line stand for many of its kind: the first is told at once, then one every ten seconds."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._again_at = float("-inf")
        self._untold = 0

    def times(self) -> int:
        """Count one more; return how many a line stands for that is told now, 0 where none is to be."""
        self._untold += 1
        if time.monotonic() < self._again_at:
            return 0
        self._again_at = time.monotonic() + self._seconds
        untold, self._untold = self._untold, 0
        return untold


class _LibraryLines(logging.Handler):
    """Takes the lines of libraries (aiohttp, asyncio, strawberry, …) into ours, without what they quote."""

    def emit(self, record: logging.LogRecord) -> None:
        """Tell which library said something, of which kind, and where."""
        facts: dict[str, Any] = {"library": record.name, "by": f"{record.filename}:{record.lineno}"}
        error = record.exc_info[1] if record.exc_info else None
        if record.name.partition(".")[0] in _KNOWN_LIBRARIES and isinstance(record.msg, str):
            facts["text"] = _own_words(record.msg)
        tell_it = _libraries.error if record.levelno >= logging.ERROR else _libraries.warning
        tell_it("library", **facts, **(where(error) if error else {}))


def _own_words(text: str) -> str:
    """Return what precedes the first thing quoted: "Exception in callback f(b'…')" without the arguments."""
    for end, letter in enumerate(text):
        if letter in "\n<('\"`:={[0123456789":
            return text[:end].rstrip()
    return text


def as_json_line(_: object, __: str, facts: MutableMapping[str, Any]) -> str:
    return orjson.dumps(facts, default=_kind_of).decode()


def _kind_of(value: object) -> str:
    """What JSON has no form for is told by its kind: its own text might say anything."""
    return type(value).__name__


def _tell_exception(_: object, __: str, facts: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Replace `exc_info` by the kind and the place of the error."""
    info = facts.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        for name, told in where(error).items():
            facts.setdefault(name, told)
    return facts


def _tell_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    _libraries.warning("warning", kind=category.__name__, by=f"{filename.rsplit('/', 1)[-1]}:{lineno}")


def _tell_crash(kind: type[BaseException], error: BaseException | None, _: TracebackType | None) -> None:
    if error is None or isinstance(error, KeyboardInterrupt):
        return
    _libraries.error("crashed", **where(error))
