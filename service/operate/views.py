"""Makes the views for SQL as this version has them, as soon as the tables and their readers let it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import structlog

from schema.views import declare_views
from service.config import Settings
from service.log.database import Connection, Pool
from service.operate.finding import Finding, fine, note

RETRY_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


class Views:
    """Makes the schema `board` once a process: another version that runs beside has its own way."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._made = False

    async def run(self) -> None:
        """Try until it is made; then there is nothing to do."""
        while not self._made:
            try:
                async with self._pool.acquire() as connection:
                    self._made = await declare_views(connection)
            except asyncpg.InsufficientPrivilegeError:
                _log.warning("views_not_made", mend="have an administrator run: recount sql grants")
                break
            await asyncio.sleep(0 if self._made else RETRY_SECONDS)
        await asyncio.Event().wait()


async def check_views(_: Settings, connection: Connection) -> AsyncIterator[Finding]:
    """Whether the views are there: a role that may not make their schema goes without."""
    if await connection.fetchval("select to_regclass('board.items') is not null"):
        yield fine("views", "the schema board can be asked in SQL")
    else:
        yield note(
            "views",
            "there are no views for SQL: no service has begun here since, or its role may not make them",
            "start the service; if they are missing still, have an administrator run: recount sql grants",
        )
