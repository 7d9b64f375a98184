"""Runs our own service for a bench: `recount serve` as a user has it, on the bench's Postgres."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from bench.processes import running
from tests.given.ports import free_port

KEY: Final = "bench-key-0123456789abcdef"
COMMAND: Final[list[str | Path]] = [Path(sys.executable).with_name("recount"), "serve"]
_BEHIND = """
select (select coalesce(max(position), 0) from log.events) - coalesce(min(position), 0)
  from read_model.checkpoints
 where built_in
"""


@dataclass(frozen=True)
class Service:
    """A running service: where it listens, its process, and the header that lets a webhook in."""

    port: int
    pid: int
    key_header: str = f"X-Secret: {KEY}\r\n"


@asynccontextmanager
async def recount(
    dsn: str,
    settings: Mapping[str, str] | None = None,
    *,
    on: frozenset[int] | None = None,
) -> AsyncIterator[Service]:
    """Run `recount serve` on the server's core until the block ends; all but what is set here is default."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="recount-bench-") as folder:
        environment = {
            "RECOUNT_DATABASE_URL": dsn,
            "RECOUNT_DATA_DIR": folder,
            "RECOUNT_PORT": str(port),
            "RECOUNT_WEBHOOK_KEYS": KEY,
            # The simulated board is back-dated: whom it deleted long ago would be erased while we measure.
            "RECOUNT_ERASE_AFTER_USER_DELETE_DAYS": "never",
        }
        ready = f"http://127.0.0.1:{port}/readyz"
        async with running(
            COMMAND, ready=ready, environment=environment | dict(settings or {}), on=on
        ) as pid:
            yield Service(port, pid)


async def projected(dsn: str, *, seconds: float = 600.0) -> None:
    """Wait until every projection has got to the head of the log."""
    connection = await asyncpg.connect(dsn)
    give_up = time.monotonic() + seconds
    try:
        while await connection.fetchval(_BEHIND) > 0:
            if time.monotonic() > give_up:
                raise TimeoutError(f"the projections did not reach the head within {seconds:.0f} s")
            await asyncio.sleep(0.05)
    finally:
        await connection.close()
