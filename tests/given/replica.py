"""A Postgres with replicas of its own: streaming, on loopback, by the same programs as the embedded one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import asyncpg

from projections.declare import declare
from service.log.database import connect, migrate
from service.postgres.binaries import find_binaries, runnable_by, service_user
from service.postgres.embedded import EmbeddedPostgres, temporary_postgres
from tests.given.waiting import eventually

STREAMING = {
    "wal_level": "replica",
    "max_wal_senders": "10",
    "wal_writer_delay": "10ms",
    "hot_standby_feedback": "on",
}
START_SECONDS_MAX = 60


@asynccontextmanager
async def a_primary(settings: Mapping[str, str] = {}) -> AsyncIterator[EmbeddedPostgres]:
    """Run a migrated Postgres that replicas can stream from."""
    async with temporary_postgres(settings={**STREAMING, **settings}) as primary:
        await prepared(primary.dsn)
        yield primary


async def prepared(dsn: str) -> None:
    """Make the log and an empty read model."""
    connection = await connect(dsn)
    await migrate(connection)
    await declare(connection)
    await connection.close()


class StreamingReplica:
    """A replica that runs, and its address."""

    def __init__(self, dsn: str, process: asyncio.subprocess.Process) -> None:
        self.dsn, self.process = dsn, process

    async def promote(self) -> None:
        """Let it take writes, with what it has."""
        connection = await asyncpg.connect(self.dsn)
        assert await connection.fetchval("select pg_promote()")
        await connection.close()


@asynccontextmanager
async def a_replica(
    primary: EmbeddedPostgres, name: str = "replica", settings: Mapping[str, str] = {}
) -> AsyncIterator[StreamingReplica]:
    """Copy a primary and stream from it until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="recount-replica-"))
    user = service_user(folder / "data")
    binaries = runnable_by(user, find_binaries(), folder)
    sockets = folder / "run"
    sockets.mkdir()
    who: dict[str, Any] = {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}
    for each in (folder, sockets):
        if user is not None:
            os.chown(each, user.uid, user.gid)
    place = parse_qs(urlsplit(primary.dsn).query)["host"][0]
    # The folders above the primary's socket are closed to its user: a descriptor leads there all the same.
    reach = os.open(place, os.O_RDONLY)
    through = f"/proc/self/fd/{reach}"
    source = f"host={through} user=recount application_name={name}"
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    copy = [str(binaries.folder / "pg_basebackup"), "-D", str(folder / "data"), "-d", source, "-c", "fast"]
    how: dict[str, Any] = {"cwd": "/", "env": environment, "pass_fds": [reach], "umask": 0o077, **who}
    try:
        copied = await asyncio.create_subprocess_exec(*copy, stderr=subprocess.PIPE, **how)
        _, said = await copied.communicate()
        assert copied.returncode == 0, said.decode()
        (folder / "data" / "standby.signal").touch()
        given = {
            **STREAMING,
            "listen_addresses": "",
            "unix_socket_directories": str(sockets),
            "primary_conninfo": source,
            "hot_standby": "on",
            "wal_retrieve_retry_interval": "100ms",
            "fsync": "off",
            **settings,
        }
        command = [str(binaries.postgres), "-D", str(folder / "data")]
        for setting, value in given.items():
            command += ["-c", f"{setting}={value}"]
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, **how)
        os.close(log)
        dsn = urlunsplit(urlsplit(primary.dsn)._replace(query=f"host={sockets}"))
        try:
            await eventually(lambda: _answers(dsn), seconds=START_SECONDS_MAX)
            yield StreamingReplica(dsn, process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGQUIT)
            await process.wait()
    finally:
        os.close(reach)
        shutil.rmtree(folder, ignore_errors=True)


async def _answers(dsn: str) -> bool:
    with contextlib.suppress(OSError, asyncpg.PostgresError):
        connection = await asyncpg.connect(dsn)
        await connection.close()
        return True
    return False
