"""Compares a board with Sleekplan's because somebody asked, beside all else that the service does."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from projections.lease import Lease
from projections.read_model import Reader
from service.backfill.choose import choose
from service.backfill.reconcile import WantedReconcile, reconcile
from service.backfill.run import LEASE_SECONDS
from service.backfill.sweeps import standing
from service.config import Settings
from service.ending_tasks import ended
from service.errors import RecountError, SweepRuns, reason_of
from service.log.database import POSTGRES_FAILURES, Pool
from service.log.hub import Hub

_log = structlog.get_logger(__name__)

HERE: Final = "this service"


class Sweeping:
    """One comparison at a time; `sweeps` tells how far it is."""

    def __init__(self, pool: Pool, hub: Hub, settings: Settings) -> None:
        self._pool, self._hub, self._settings = pool, hub, settings
        self._running: asyncio.Task[None] | None = None

    async def begin(self, product_id: int | None, *, full: bool) -> None:
        """Begin to compare a board. Raises NoApiKey, ProductNeeded, ProductUnknown, SweepRuns."""
        product, _ = await choose(self._settings.sleekplan_api_key, product_id, Reader(self._pool))
        async with self._pool.acquire() as connection:
            found = await standing(connection)
        if any(each.product_id == product and each.state == "RUNNING" for each in found):
            raise SweepRuns(
                product, await Lease(f"sweep of product {product}", LEASE_SECONDS).holder(self._pool)
            )
        # Looked at last, so that nothing is waited for between this and the beginning.
        if self._running is not None and not self._running.done():
            raise SweepRuns(product, HERE)
        self._running = asyncio.create_task(self._run(WantedReconcile(product, full=full)), name="comparing")

    async def _run(self, wanted: WantedReconcile) -> None:
        try:
            report = await reconcile(self._pool, self._hub, self._settings, wanted, _unwatched)
        except (RecountError, *POSTGRES_FAILURES) as error:
            reason = str(error) if isinstance(error, RecountError) else reason_of(error)
            _log.warning("board_not_compared", product_id=wanted.product_id, reason=reason)
            return
        recorded = report.recorded.total()
        _log.info("board_compared", sweep=report.sweep, state=report.state, recorded=recorded)

    async def close(self) -> None:
        """Stop what runs; another call goes on where it was."""
        if self._running is not None:
            await ended(self._running)


def _unwatched(_done: int, _total: int, _what: str) -> None:
    """Nobody waits for it."""
