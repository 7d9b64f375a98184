"""Opens the database for a command: the one of the settings, of a service that runs, or one for meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from service.cli.options import given_settings
from service.cli.terminal import note
from service.errors import NoDatabaseHere

if TYPE_CHECKING:
    from service.config import Settings
    from service.log.database import Pool
    from service.log.hub import Hub

APPLICATION = "recount command"
CONNECTIONS_MAX = 4

T = TypeVar("T")


@asynccontextmanager
async def open_database(
    settings: Settings, *, migrated: bool = True, makes: bool = False
) -> AsyncIterator[str]:
    """Give the address of the database, brought up to date unless `migrated` is false.

    That is RECOUNT_DATABASE_URL; without it the embedded Postgres of the service that runs on this data
    folder; without one, an embedded Postgres that runs as long as the command. Where there is none, only a
    command that `makes` one does: asked of a folder that was misspelt, the others have no answer. Raises
    NoDatabaseHere; DatabaseUrlMissing where the folder goes with a database elsewhere; and
    RoleLacksPrivilege for what the role may not do.
    """
    from service.log.database import as_refused
    from service.log.known import KnownDatabase
    from service.postgres.embedded import EmbeddedPostgres, attach, holds_database

    KnownDatabase(settings.data_dir, settings.database_url).refuse_another()
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
    elif (running := attach(settings.data_dir)) is not None:
        dsn = running
    elif not makes and not holds_database(settings.data_dir):
        raise NoDatabaseHere(settings.data_dir)
    else:
        async with EmbeddedPostgres(settings.data_dir) as postgres:
            await _prepare(postgres.dsn, migrated)
            yield postgres.dsn
            return
    with as_refused():
        await _prepare(dsn, migrated)
        yield dsn


async def _prepare(dsn: str, migrated: bool) -> None:
    from service.log.database import connect, migrate, refuse_shared_sessions

    connection = await connect(dsn, application_name=APPLICATION)
    try:
        await refuse_shared_sessions(dsn, connection)
        if migrated and (names := await migrate(connection)):
            note(f"migrated: {names[0]}" + (f" to {names[-1]}" if names[1:] else ""))
    finally:
        await connection.close()


@asynccontextmanager
async def open_log(settings: Settings, *, makes: bool = False) -> AsyncIterator[Pool]:
    """Give a pool on the database of the settings."""
    async with open_database(settings, makes=makes) as dsn, pool_on(dsn) as pool:
        yield pool


@asynccontextmanager
async def pool_on(dsn: str) -> AsyncIterator[Pool]:
    """Give a pool on a database."""
    from service.log.database import open_pool

    pool = await open_pool(dsn, min_size=1, max_size=CONNECTIONS_MAX, application_name=APPLICATION)
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def open_log_and_hub(settings: Settings, *, makes: bool = False) -> AsyncIterator[tuple[Pool, Hub]]:
    """Give a pool and a hub, for commands that wait for what a running service does."""
    from service.log.hub import Hub

    async with open_database(settings, makes=makes) as dsn, pool_on(dsn) as pool, Hub(dsn) as hub:
        yield pool, hub


@asynccontextmanager
async def open_projected(settings: Settings) -> AsyncIterator[tuple[Pool, Hub]]:
    """Give a pool and a hub once everything recorded so far is projected."""
    from projections.follow.projector import Projector

    async with open_log_and_hub(settings) as (pool, hub):
        await Projector(pool, hub).catch_up()
        yield pool, hub


@asynccontextmanager
async def open_read_model(settings: Settings) -> AsyncIterator[Pool]:
    """Give a pool on a database whose read model exists, be it empty."""
    from projections.declare import declare

    async with open_log(settings) as pool:
        async with pool.acquire() as connection:
            await declare(connection)
        yield pool


def on_log(work: Callable[[Pool], Coroutine[Any, Any, T]], *, makes: bool = False) -> T:
    """Run `work` on the log of the settings."""
    return asyncio.run(_on(open_log(given_settings(), makes=makes), work))


def on_read_model(work: Callable[[Pool], Coroutine[Any, Any, T]]) -> T:
    """Run `work` on the read model of the settings."""
    return asyncio.run(_on(open_read_model(given_settings()), work))


async def _on(opened: AbstractAsyncContextManager[Pool], work: Callable[[Pool], Coroutine[Any, Any, T]]) -> T:
    async with opened as pool:
        return await work(pool)
