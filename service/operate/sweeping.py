"""Asks Sleekplan's API how a board is because somebody wants it, beside all else that the service does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from projections.read_model import Reader
from service.backfill.choose import choose
from service.backfill.reconcile import WantedReconcile, reconcile
from service.backfill.report import SweepReport
from service.backfill.run import WantedBoard, backfill, turn_to_sweep
from service.backfill.sweeps import standing
from service.config import Settings
from service.ending_tasks import ended
from service.errors import RecountError, SweepRuns, reason_of
from service.log.database import POSTGRES_FAILURES, Pool
from service.log.hub import Hub

_log = structlog.get_logger(__name__)

HERE: Final = "this service"


class Sweeping:
    """One back-fill or comparison at a time; `sweeps` tells how far it is."""

    def __init__(self, pool: Pool, hub: Hub, settings: Settings) -> None:
        self._pool, self._hub, self._settings = pool, hub, settings
        self._running: asyncio.Task[None] | None = None

    async def compare(self, product_id: int | None, *, full: bool) -> None:
        """Begin to compare a board. Raises NoApiKey, ProductNeeded, ProductUnknown, SweepRuns."""

        async def run(product: int) -> SweepReport:
            wanted = WantedReconcile(product, full=full)
            return await reconcile(self._pool, self._hub, self._settings, wanted)

        await self._begin(product_id, run, "compared")

    async def fetch(self, product_id: int | None) -> None:
        """Begin to fetch what was on a board before. Raises as `compare`."""

        async def run(product: int) -> SweepReport:
            return await backfill(self._pool, self._hub, self._settings, WantedBoard(product))

        await self._begin(product_id, run, "fetched")

    async def _begin(
        self, product_id: int | None, run: Callable[[int], Awaitable[SweepReport]], done: str
    ) -> None:
        product, _ = await choose(self._settings.sleekplan_api_key, product_id, Reader(self._pool))
        async with self._pool.acquire() as connection:
            found = await standing(connection)
        if any(each.product_id == product and each.state == "RUNNING" for each in found):
            raise SweepRuns(product, await turn_to_sweep(product).holder(self._pool))
        # Looked at last, so that nothing is waited for between this and the beginning.
        if self._running is not None and not self._running.done():
            raise SweepRuns(product, HERE)
        self._running = asyncio.create_task(self._run(product, run, done), name="asking Sleekplan")

    async def _run(self, product: int, run: Callable[[int], Awaitable[SweepReport]], done: str) -> None:
        try:
            report = await run(product)
        except (RecountError, *POSTGRES_FAILURES) as error:
            _log.warning(f"board_not_{done}", product_id=product, reason=reason_of(error))
            return
        recorded = report.recorded.total()
        _log.info(f"board_{done}", sweep=report.sweep, state=report.state, recorded=recorded)

    async def close(self) -> None:
        """Stop what runs; another call goes on where it was."""
        if self._running is not None:
            await ended(self._running)
