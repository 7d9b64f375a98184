"""Runs commands as a shell would, from a process that has imported them: in milliseconds instead of a second.

There is one such process for all tests of a run. For each command it forks, brings the child into the
circumstances that were asked for (streams, folders, namespaces), and lets it run `main` and end as Python
ends.
"""

from __future__ import annotations

import ast
import asyncio
import atexit
import ctypes
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from tests.given.folders import ROOT

SECONDS_MAX: Final = 60.0
_ASKED_BYTES_MAX: Final = 1 << 17
_NEW_MOUNTS: Final = 0x00020000
_BIND, _REMOUNT, _READ_ONLY, _RECURSIVE, _PRIVATE = 4096, 32, 1, 16384, 1 << 18


class Child:
    """A command that runs, or ran: what of a process tests ask for."""

    def __init__(self, pid: int, told: asyncio.StreamReader) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ending = asyncio.create_task(self._end(told))

    async def wait(self) -> int:
        """Return its exit code once it has ended; of a signal, the number below zero."""
        return await asyncio.shield(self._ending)

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing, if it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it with -9."""
        self.send_signal(signal.SIGKILL)

    async def _end(self, told: asyncio.StreamReader) -> int:
        self.returncode = int(await told.readline())
        return self.returncode


async def start(
    argv: Sequence[str],
    env: Mapping[str, str],
    streams: tuple[int, int, int],
    *circumstances: str,
    folder: Path = ROOT,
    **places: str,
) -> Child:
    """Start a command of ours with these descriptors as its standard streams, in a folder.

    With what Python itself reads at its start, PYTHONPATH say, it is a new Python.
    """
    asked = {
        "anew": "PYTHONPATH" in env,
        "argv": list(argv), "env": dict(env), "folder": str(folder),
        "circumstances": circumstances, "places": places,
    }  # fmt: skip
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(_forking(), [json.dumps(asked).encode()], [theirs.fileno(), *streams])
    told, answers = await asyncio.open_unix_connection(sock=ours)
    child = Child(int(await told.readline()), told)
    child._ending.add_done_callback(lambda _: answers.close())
    return child


_PROGRAM: Final = """#!{python} -IS
import json, os, socket, sys
ours, theirs = socket.socketpair()
asked = {{
    "anew": "PYTHONPATH" in os.environ,
    "argv": sys.argv[1:], "env": dict(os.environ), "folder": os.getcwd(), "circumstances": [], "places": {{}}
}}
with socket.socket(fileno={asking}) as asking, theirs:
    socket.send_fds(asking, [json.dumps(asked).encode()], [theirs.fileno(), 0, 1, 2])
code = int([*ours.makefile()][1])
sys.exit(code if code >= 0 else 128 - code)
"""


def write_program(path: Path) -> int:
    """Write a program that does what `recount` does; whoever is to run it inherits this descriptor."""
    asking = _forking().fileno()
    path.write_text(_PROGRAM.format(python=sys.executable, asking=asking))
    path.chmod(0o755)
    return asking


@cache
def _forking() -> socket.socket:
    """Start the process that commands are forked from; it ends with ours."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    env = {name: value for name, value in os.environ.items() if not name.startswith("RECOUNT_")}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.given.forked"], cwd=ROOT, env=env, stdin=theirs.fileno()
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


class Forked:
    """Runs commands of ours in a folder, one at a time, with files as their streams."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

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
        with _opened(out, err) as streams:
            child = await start(argv, env, streams, *circumstances, folder=self._folder, **places)
        ending = asyncio.create_task(child.wait())
        if until is not None:
            waiting = asyncio.create_task(until())
            await asyncio.wait({ending, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=SECONDS_MAX)
            waiting.cancel()
            child.send_signal(signal.SIGINT)
        try:
            code = await asyncio.wait_for(ending, SECONDS_MAX)
        except TimeoutError:
            child.kill()
            await child.wait()
            raise AssertionError(f"{' '.join(argv)} did not end; it said: {err.read_text()}") from None
        return Ended(code, _text(out), _text(err))


@contextmanager
def _opened(out: Path, err: Path) -> Iterator[tuple[int, int, int]]:
    with open(os.devnull, "rb") as nothing, out.open("wb") as said, err.open("wb") as complained:
        yield nothing.fileno(), said.fileno(), complained.fileno()


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


# In the process that is forked, and in its children


def _serve(asking: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork for each message; return what was asked and its descriptors in the child, None at the end."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    while True:
        readable, _, _ = select.select([asking.fileno(), woken], [], [])
        if woken in readable:
            os.read(woken, 4096)
            _tell_ended(running)
        if asking.fileno() in readable:
            message, descriptors, _, _ = socket.recv_fds(asking, _ASKED_BYTES_MAX, 4)
            if not message:
                return None
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return json.loads(message), descriptors[1:]
            told, *streams = descriptors
            os.write(told, b"%d\n" % pid)
            running[pid] = told
            for descriptor in streams:
                os.close(descriptor)


def _tell_ended(running: dict[int, int]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        told = running.pop(pid)
        with suppress(BrokenPipeError):
            os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
        os.close(told)


def _enter(asked: dict[str, Any], streams: list[int]) -> None:
    """Become the command: its environment, its folder, its streams, its circumstances."""
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["folder"])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 256)
    for name in asked["circumstances"]:
        _CIRCUMSTANCES[name](asked["places"])
    if asked["anew"]:
        program = Path(sys.executable).with_name("recount")
        os.execve(program, [str(program), *asked["argv"]], asked["env"])
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


def _what_commands_import() -> set[str]:
    """Return all modules that commands import, at their top or only when they run."""
    names: set[str] = set()
    for path in (ROOT / "service" / "cli").glob("*.py"):
        names.add(f"service.cli.{path.stem}".removesuffix(".__init__"))
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom):
                names.add(str(node.module))
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
    return names


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

    for name in sorted(_what_commands_import()):
        import_module(name)
    build_schema()
    gc.freeze()
    found = _serve(socket.socket(fileno=0))
    if found is not None:
        _enter(*found)
        try:
            main()
        except SystemExit as ending:
            _end(ending.code)
        except BaseException:
            traceback.print_exc()
            _end(1)
