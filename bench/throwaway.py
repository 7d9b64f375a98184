"""A throwaway Postgres that the sides of a bench share, and what keeps it fair to each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from service.postgres.embedded import EmbeddedPostgres, temporary_postgres

POSTGRES_SETTINGS: Final = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",  # a checkpoint in the middle of one side's run is nobody's merit
    "max_connections": "200",
}


WAL_MIB: Final = 1_536
USED_WAL: Final = {"min_wal_size": f"{WAL_MIB}MB"}
"""Settings of a Postgres for `use_wal`."""


@asynccontextmanager
async def bench_postgres(settings: Mapping[str, str] | None = None) -> AsyncIterator[EmbeddedPostgres]:
    """Run a throwaway Postgres, `fsync` and `synchronous_commit` on, that every side of a bench shares.

    Give a side its own database by `database(postgres, "name")`. It runs on all cores, so start it
    outside of `pinned`.
    """
    async with temporary_postgres(settings=POSTGRES_SETTINGS | dict(settings or {})) as postgres:
        yield postgres


async def database(postgres: EmbeddedPostgres, name: str, *, template: str | None = None) -> str:
    """Make an empty database, or a copy of `template`, in place of any of that name, and return its DSN."""
    connection = await asyncpg.connect(postgres.dsn)
    try:
        await connection.execute(f'drop database if exists "{name}" with (force)')
        copied = f' template "{template}"' if template else ""
        await connection.execute(f'create database "{name}"{copied}')
    finally:
        await connection.close()
    return dsn_of(postgres, name)


def dsn_of(postgres: EmbeddedPostgres, name: str) -> str:
    """Return the address of another database of the same server."""
    parts = urlsplit(postgres.dsn)
    return urlunsplit(parts._replace(path=f"/{name}", netloc=parts.netloc or "recount@"))


async def use_wal(postgres: EmbeddedPostgres) -> None:
    """Have Postgres write its WAL as after a while: into files that it used before.

    A new one makes each file of 16 MB first and fills it with zeros: every second or so, whoever commits
    stands still for 20 to 60 ms.
    """
    connection = await asyncpg.connect(postgres.dsn)
    try:
        for _ in range(WAL_MIB // 16):
            await connection.execute("select pg_logical_emit_message(false, 'bench', repeat('x', 16000000))")
    finally:
        await connection.close()
    await checkpoint(postgres)


async def checkpoint(postgres: EmbeddedPostgres) -> None:
    """Start each side alike: nothing left to write, all of the WAL's files free for use again."""
    connection = await asyncpg.connect(postgres.dsn)
    try:
        await connection.execute("checkpoint")
    finally:
        await connection.close()


async def settled(dsn: str) -> None:
    """Vacuum, analyse and checkpoint, so that no side pays for what was loaded before it."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("vacuum analyze")
        await connection.execute("checkpoint")
    finally:
        await connection.close()
