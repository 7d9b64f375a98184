"""Back-fills in the test's own process: a hub on the test's database, and no waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
import stamina

from service.backfill.run import WantedBoard, backfill
from service.backfill.sweep import SweepReport
from service.config import load_settings
from service.log.hub import Hub
from service.simulator.fake import FakeSleekplan
from service.sleekplan.client import ATTEMPTS
from tests.given.fake_board import TINY, JumpingClock

Backfill = Callable[..., Awaitable[SweepReport]]


@pytest.fixture
async def back_fill(
    pool: asyncpg.Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Backfill]:
    """Run a back-fill of a fake's board: `await back_fill(fake, address, kinds=…)`."""
    monkeypatch.setattr("service.sleekplan.pace._OwnWaits", JumpingClock)
    async with Hub(database_url) as hub:

        async def run(fake: FakeSleekplan, address: str, zone: str = "UTC", **wanted: Any) -> SweepReport:
            settings = load_settings(
                {
                    "RECOUNT_DATABASE_URL": database_url,
                    "RECOUNT_SLEEKPLAN_API_URL": address,
                    "RECOUNT_SLEEKPLAN_API_KEY": fake.key,
                    "RECOUNT_SLEEKPLAN_TIMEZONE": zone,
                }
            )
            asked = WantedBoard(**({"product_id": TINY.product_id, "rate": 100} | wanted))
            with stamina.set_testing(True, attempts=ATTEMPTS):
                return await backfill(pool, hub, settings, asked, lambda _done, _total, _what: None)

        yield run
