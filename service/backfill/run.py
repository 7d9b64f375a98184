"""Runs a sweep from beginning to end: which board, whose turn, where it was left, and who projects."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from projections.declare import declare
from projections.follow.projector import Projector
from projections.lease import Lease
from projections.read_model import Reader
from service.backfill.choose import choose
from service.backfill.compare import Kind
from service.backfill.compose import Composer
from service.backfill.estimate import EVERYTHING
from service.backfill.report import SweepReport
from service.backfill.sweep import Comparing, Sweep, Watch, unwatched
from service.backfill.sweeps import SweepRecord
from service.config import Settings
from service.ending_tasks import ended
from service.errors import SweepRuns
from service.log.database import Pool
from service.log.event_store import EventStore
from service.log.hub import Hub
from service.sleekplan.client import sleekplan
from service.sleekplan.pace import Pace

LEASE_SECONDS: Final = 30.0


@dataclass(frozen=True)
class WantedBoard:
    """What a back-fill is to bring, and whether it begins anew where one was left."""

    product_id: int | None = None
    kinds: frozenset[Kind] = EVERYTHING
    users_in_full: bool = False
    rate: float | None = None
    restart: bool = False

    def asked(self) -> dict[str, Any]:
        """Return what makes it the same back-fill: one that was left is gone on with by these words."""
        return {"kinds": sorted(self.kinds), "users_in_full": self.users_in_full}


def turn_to_sweep(product_id: int) -> Lease:
    """The lease that sweeps of a product take: one of them runs at a time. SQL knows its name as well."""
    return Lease(f"sweep of product {product_id}", LEASE_SECONDS)


async def backfill(
    pool: Pool, hub: Hub, settings: Settings, wanted: WantedBoard, watch: Watch = unwatched
) -> SweepReport:
    """Fetch what still stands on a board and record what is not known of it.

    Raises NoApiKey, ProductNeeded, ProductUnknown, ProductElsewhere, SweepRuns, SleekplanKeyRefused,
    LostLease, and NotProjectedInTime.
    """
    return await run_sweep(pool, hub, settings, wanted, "BACKFILL", wanted.asked(), None, watch)


async def run_sweep(
    pool: Pool,
    hub: Hub,
    settings: Settings,
    wanted: WantedBoard,
    origin: Literal["BACKFILL", "RECONCILE"],
    asked: dict[str, Any],
    comparing: Callable[[SweepRecord, Reader, int], Awaitable[Comparing]] | None,
    watch: Watch,
) -> SweepReport:
    """Run a sweep of either kind, which the same words resume: `asked`. Raises as `backfill`."""
    async with pool.acquire() as connection:
        await declare(connection)
    reader = Reader(pool)
    product_id, key = await choose(settings.sleekplan_api_key, wanted.product_id, reader)
    lease = turn_to_sweep(product_id)
    async with lease.kept(pool) as ours:
        if not ours:
            raise SweepRuns(product_id, await lease.holder(pool))
        async with _projected_meanwhile(pool, hub):
            head = await EventStore(pool).head()
            record = await SweepRecord.begin(pool, product_id, origin, asked, head, restart=wanted.restart)
            composer = Composer(str(record.id), origin, product_id, ZoneInfo(settings.sleekplan_timezone))
            pace = Pace(wanted.rate or settings.sleekplan_rate)
            async with sleekplan(settings.sleekplan_api_url, key, pace) as client:
                sweep = Sweep(
                    pool,
                    hub,
                    client,
                    record,
                    composer,
                    wanted.kinds,
                    lease=lease,
                    users_in_full=wanted.users_in_full,
                    comparing=None if comparing is None else await comparing(record, reader, product_id),
                    watch=watch,
                )
                return await sweep.run()


@contextlib.asynccontextmanager
async def _projected_meanwhile(pool: Pool, hub: Hub) -> AsyncIterator[None]:
    """Have what is appended projected: by the service that runs, or, while it is nobody's turn, by us."""
    projector = Projector(pool, hub)
    await projector.catch_up()
    projecting = asyncio.create_task(projector.run(), name="projecting for a sweep")
    try:
        yield
    finally:
        await ended(projecting)
