"""Compares boards with the log by itself: light every so many hours, and full every so many days."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from projections.lease import Lease
from projections.read_model import Reader
from service.backfill.choose import choose
from service.backfill.reconcile import WantedReconcile, reconcile
from service.config import Settings
from service.errors import RecountError, SweepRuns, reason_of
from service.log.database import POSTGRES_FAILURES, Pool
from service.log.event_store import EventStore
from service.log.hub import Hub
from service.sql_files import load

LOOK_SECONDS: Final = 60.0
LEASE_SECONDS: Final = 30.0

_log = structlog.get_logger(__name__)
_sql = load(__file__, "schedule.sql")


class Schedule:
    """When which board is compared. One instance at a time does it: whoever holds the lease."""

    def __init__(self, pool: Pool, hub: Hub, settings: Settings) -> None:
        self._pool, self._hub, self._settings = pool, hub, settings
        hours, days = settings.reconcile_every_hours, settings.reconcile_full_every_days
        self._every = timedelta(hours=hours or 0)
        self._full_every = None if days is None else timedelta(days=days)
        self._told: dict[int | None, str] = {}

    async def run(self) -> None:
        """Look again and again whether a comparison is due, for ever.

        At first when all is projected: which product it is about is asked of the read model.
        """
        head = await EventStore(self._pool).head()
        while self._hub.value("projected") < head:
            await self._hub.wait_beyond("projected", head - 1, LOOK_SECONDS)
        while True:
            lease = Lease("comparing boards", LEASE_SECONDS)
            async with lease.kept(self._pool) as ours:
                if ours:
                    for product_id in dict.fromkeys(
                        key.product_id for key in self._settings.sleekplan_api_key
                    ):
                        await self._compare_if_due(product_id)
            await asyncio.sleep(LOOK_SECONDS)

    async def _compare_if_due(self, wanted: int | None) -> None:
        """Compare the board of a product, or the only one there is; what fails is a line in the log.

        A failure that is no sweep's outcome, since none could begin, is told once and tried again.
        """
        product_id = wanted
        try:
            product_id, _ = await choose(self._settings.sleekplan_api_key, wanted, Reader(self._pool))
            due = await self._pool.fetchrow(_sql["due"], product_id, self._every, self._full_every)
            if due is None or not due["is_due"]:
                return
            asked = WantedReconcile(product_id, due["full"])
            report = await reconcile(self._pool, self._hub, self._settings, asked)
        except SweepRuns:
            return
        except (RecountError, *POSTGRES_FAILURES) as error:
            reason = reason_of(error)
            if self._told.get(wanted) != reason:
                _log.warning("board_not_compared", product_id=product_id, reason=reason)
            self._told[wanted] = reason
            return
        self._told.pop(wanted, None)
        told = {"product_id": product_id, "sweep": report.sweep, "recorded": report.recorded.total()}
        if report.state == "COMPLETE":
            _log.info("board_compared", **told)
        else:
            _log.warning(
                "board_compared_in_part", **told, reason=report.problem or "a list could not be read"
            )
