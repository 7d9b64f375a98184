"""Whose turn it is at a task that one process at a time does, over all instances on one database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator
from typing import Final

from projections.steps import AnyConnection
from service.ending_tasks import ended
from service.errors import LostLease
from service.log.database import POSTGRES_FAILURES, Pool
from service.sql_files import load

RENEWALS_A_LEASE: Final = 3
GIVE_BACK_SECONDS_MAX: Final = 2.0
LOOK_AGAIN_SECONDS: Final = 0.2

_sql = load(__file__, "lease.sql")


class Lease:
    """One process's turn at a task. Whoever takes over raises `epoch`: the one before is refused then."""

    def __init__(self, task: str, seconds: float) -> None:
        self.task = task
        self.epoch = 0
        self._seconds = seconds
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._renew_at = 0.0
        self._ends_at = 0.0

    @property
    def is_sure(self) -> bool:
        """Whether it is still ours for certain, without asking: nobody can have taken over yet."""
        return asyncio.get_running_loop().time() < self._ends_at

    async def take(self, connection: AnyConnection | Pool) -> bool:
        """Return whether it is our turn now."""
        epoch = await self._take(connection)
        if epoch is not None:
            self.epoch = epoch
        return epoch is not None

    async def renew(self, connection: AnyConnection) -> None:
        """Stay the holder; asks the database when a third of the lease is over. Raises LostLease."""
        if asyncio.get_running_loop().time() >= self._renew_at and await self._take(connection) != self.epoch:
            raise self.lost()

    async def check(self, connection: AnyConnection) -> None:
        """Raise LostLease unless it is still ours: asked inside the transaction that commits a step."""
        row = await connection.fetchrow(_sql["holder"], self.task)
        if row is None or row["epoch"] != self.epoch:
            raise self.lost()

    async def holder(self, connection: AnyConnection | Pool) -> str:
        """Who holds it."""
        row = await connection.fetchrow(_sql["holder"], self.task)
        return str(row["holder"]) if row else "nobody"

    async def give_back(self, connection: AnyConnection | Pool) -> None:
        """End our turn: another one may take over at once. Raises POSTGRES_FAILURES, soon if none answers."""
        await connection.execute(_sql["give_back"], self.task, self._holder, timeout=GIVE_BACK_SECONDS_MAX)

    def lost(self) -> LostLease:
        """The error that says so."""
        return LostLease(self.task, self.epoch)

    @contextlib.asynccontextmanager
    async def kept(self, pool: Pool) -> AsyncIterator[bool]:
        """Whether it is our turn; kept by a task of its own, since a step may take longer than it lasts."""
        if not await self.take(pool):
            yield False
            return
        keeping = asyncio.create_task(self._keep(pool), name=f"{self.task} lease")
        try:
            yield True
        finally:
            try:
                await ended(keeping)
            finally:
                with contextlib.suppress(*POSTGRES_FAILURES):
                    await self.give_back(pool)

    @contextlib.asynccontextmanager
    async def awaited(self, pool: Pool) -> AsyncIterator[None]:
        """Wait for our turn, then keep it."""
        while True:
            async with self.kept(pool) as ours:
                if ours:
                    yield
                    return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _keep(self, pool: Pool) -> None:
        while True:
            await asyncio.sleep(self._seconds / RENEWALS_A_LEASE)
            with contextlib.suppress(*POSTGRES_FAILURES):
                await self._take(pool)

    async def _take(self, connection: AnyConnection | Pool) -> int | None:
        asked_at = asyncio.get_running_loop().time()
        self._renew_at = asked_at + self._seconds / RENEWALS_A_LEASE
        epoch: int | None = await connection.fetchval(_sql["take"], self.task, self._holder, self._seconds)
        if epoch is not None:
            self._ends_at = asked_at + self._seconds
        return epoch
