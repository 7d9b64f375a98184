"""Runs commands as a shell would, from a process that has imported them: in milliseconds instead of a second.

`Forked` keeps one such process. For each command it forks, brings the child into the circumstances that were
asked for (streams, folders, namespaces), and lets it run `main` and end as Python ends.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from tests.given.folders import ROOT

SECONDS_MAX: Final = 60.0
_NEW_MOUNTS: Final = 0x00020000
_BIND, _REMOUNT, _READ_ONLY, _RECURSIVE, _PRIVATE = 4096, 32, 1, 16384, 1 << 18


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


class Forked:
    """Runs commands of ours, one at a time."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process, self._folder = process, folder

    async def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *circumstances: str,
        until: Callable[[], Any] | None = None,
        **places: str,
    ) -> Ended:
        """Run a command to its end; with `until`, interrupt it once that has returned."""
        out, err = self._folder / "out", self._folder / "err"
        asked = {
            "argv": list(argv), "env": dict(env), "circumstances": circumstances, "places": places,
            "out": str(out), "err": str(err), "folder": str(self._folder),
        }  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        pid = int(await self._process.stdout.readline())
        ending = asyncio.create_task(self._process.stdout.readline())
        if until is not None:
            waiting = asyncio.create_task(until())
            await asyncio.wait({ending, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=SECONDS_MAX)
            waiting.cancel()
            if not ending.done():
                os.kill(pid, signal.SIGINT)
        try:
            code = int(await asyncio.wait_for(asyncio.shield(ending), SECONDS_MAX))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            await ending
            raise AssertionError(f"{' '.join(argv)} did not end; it said: {err.read_text()}") from None
        return Ended(code, _text(out), _text(err))


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace") if path.exists() else ""


@asynccontextmanager
async def forked(folder: Path) -> AsyncIterator[Forked]:
    """Start the process that the commands are forked from; `folder` is where they run and write."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.given.forked",
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("RECOUNT_")},
    )  # fmt: skip
    try:
        yield Forked(process, folder)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


# In the process that is forked, and in its children


def _serve() -> dict[str, Any] | None:
    """Fork for each line of standard input; return what was asked in the child, None at the end."""
    for line in sys.stdin.buffer:
        asked: dict[str, Any] = json.loads(line)
        pid = os.fork()
        if pid == 0:
            return asked
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def _enter(asked: dict[str, Any]) -> None:
    """Become the command: its environment, its folder, its streams, its circumstances."""
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["folder"])
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, asked["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, asked["err"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.closerange(3, 64)
    for name in asked["circumstances"]:
        _CIRCUMSTANCES[name](asked["places"])
    sys.stdin, sys.stdout, sys.stderr = (_stream(number) for number in range(3))
    sys.argv = ["recount", *asked["argv"]]


def _stream(number: int) -> Any:
    """What Python makes of a descriptor at its start: nothing where it is closed."""
    try:
        os.fstat(number)
    except OSError:
        return None
    if number == 0:
        return open(0, encoding="utf-8", closefd=False)
    errors = "backslashreplace" if number == 2 else "strict"
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    return open(number, "w", encoding=encoding, errors=errors, closefd=False)


def _onto(number: int, path: str, flags: int) -> None:
    opened = os.open(path, flags)
    os.dup2(opened, number)
    os.close(opened)


def _unread(number: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, number)
    os.close(writer)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()):
        raise OSError(ctypes.get_errno(), f"mount {target}")


def _own_mounts() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_MOUNTS):
        raise OSError(ctypes.get_errno(), "unshare")
    _mount("none", "/", "", _RECURSIVE | _PRIVATE)


def _full_disk(places: Mapping[str, str]) -> None:
    _own_mounts()
    _mount("tmpfs", places["disk"], "tmpfs", 0, "size=64k")
    with open(Path(places["disk"], "everything"), "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def _read_only_disk(places: Mapping[str, str]) -> None:
    _own_mounts()
    _mount(places["disk"], places["disk"], "", _BIND)
    _mount("none", places["disk"], "", _REMOUNT | _BIND | _READ_ONLY)


def _no_passwd_entry(_: Mapping[str, str]) -> None:
    _own_mounts()
    _mount(os.devnull, "/etc/passwd", "", _BIND)


def _interrupted(places: Mapping[str, str]) -> None:
    """Let Ctrl-C come at the so-manieth call of a Python function: at the same place each time."""
    left = int(places["call"])

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            sys.setprofile(None)
            os.kill(os.getpid(), signal.SIGINT)

    sys.setprofile(count)


_CIRCUMSTANCES: Final[dict[str, Callable[[Mapping[str, str]], object]]] = {
    "closed stdin": lambda _: os.close(0),
    "closed stdout": lambda _: os.close(1),
    "closed stderr": lambda _: os.close(2),
    "full stdout": lambda _: _onto(1, "/dev/full", os.O_WRONLY),
    "full stderr": lambda _: _onto(2, "/dev/full", os.O_WRONLY),
    "unread stdout": lambda _: _unread(1),
    "no home": lambda _: os.environ.pop("HOME", None),
    "full disk": _full_disk,
    "read-only disk": _read_only_disk,
    "no passwd entry": _no_passwd_entry,
    "interrupted": _interrupted,
}


def _end(code: object) -> NoReturn:
    """End as Python does, but for taking down the modules: that alone takes longer than most commands."""
    gc.collect()
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except Exception as error:
        os.write(2, f"Exception ignored: {error!r}".encode())
        code = 120
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    from schema.build import build_schema
    from service.cli import main
    from tests.given.command_tree import all_commands

    all_commands()
    build_schema()
    gc.freeze()
    found = _serve()
    if found is not None:
        _enter(found)
        try:
            main()
        except SystemExit as ending:
            _end(ending.code)
        except BaseException:
            traceback.print_exc()
            _end(1)
