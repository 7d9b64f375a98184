"""Back-fills in the test's own process: a hub on the test's database, and no waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any, NamedTuple

import asyncpg
import pytest
import stamina

from service.backfill.reconcile import WantedReconcile, reconcile
from service.backfill.report import SweepReport
from service.backfill.run import WantedBoard, backfill
from service.config import Settings, load_settings
from service.log.hub import Hub
from service.simulator.fake import FakeSleekplan
from service.sleekplan.client import ATTEMPTS
from tests.given.asking import a_pool, new_database
from tests.given.fake_board import TINY, JumpingClock

Backfill = Callable[..., Awaitable[SweepReport]]
_PRODUCTS = count(TINY.product_id)


def settings_for(fake: FakeSleekplan, database_url: str, address: str, **more: str) -> Settings:
    """What a sweep of the fake's board is run with."""
    given = {
        "RECOUNT_DATABASE_URL": database_url,
        "RECOUNT_SLEEKPLAN_API_URL": address,
        "RECOUNT_SLEEKPLAN_API_KEY": fake.key,
    }
    return load_settings(given | more)


@pytest.fixture
async def hub(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    """A hub on the test's database, where nobody waits for Sleekplan."""
    monkeypatch.setattr("service.sleekplan.pace._OwnWaits", JumpingClock)
    async with Hub(database_url) as hub:
        yield hub


@pytest.fixture
def back_fill(pool: asyncpg.Pool, database_url: str, hub: Hub) -> Backfill:
    """Run a back-fill of a fake's board: `await back_fill(fake, address, kinds=…)`."""
    return _back_fill_into(pool, database_url, hub)


class OneLog(NamedTuple):
    """A log that several tests fill, each with a product of its own."""

    pool: asyncpg.Pool
    back_fill: Backfill
    product_id: int


@pytest.fixture(scope="module")
async def filled_log(server_url: str, template: str) -> AsyncIterator[tuple[asyncpg.Pool, Backfill]]:
    """A log for all tests of a file: to get ready for the first statements costs more than a small board."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("service.sleekplan.pace._OwnWaits", JumpingClock)
        async with new_database(server_url, template) as url, a_pool(url) as pool, Hub(url) as hub:
            yield pool, _back_fill_into(pool, url, hub)


@pytest.fixture
def one_log(filled_log: tuple[asyncpg.Pool, Backfill]) -> OneLog:
    return OneLog(*filled_log, next(_PRODUCTS))


def _back_fill_into(pool: asyncpg.Pool, database_url: str, hub: Hub) -> Backfill:
    async def run(fake: FakeSleekplan, address: str, **wanted: Any) -> SweepReport:
        asked = WantedBoard(**({"product_id": TINY.product_id, "rate": 100} | wanted))
        key = f"{fake.key}@{asked.product_id}"
        settings = settings_for(fake, database_url, address, RECOUNT_SLEEKPLAN_API_KEY=key)
        with stamina.set_testing(True, attempts=ATTEMPTS):
            return await backfill(pool, hub, settings, asked)

    return run


@pytest.fixture
def compared(pool: asyncpg.Pool, database_url: str, hub: Hub) -> Backfill:
    """Compare a fake's board with the log: `await compared(fake, address, full=True)`."""

    async def run(fake: FakeSleekplan, address: str, **wanted: Any) -> SweepReport:
        asked = WantedReconcile(**({"product_id": TINY.product_id, "rate": 100, "full": True} | wanted))
        with stamina.set_testing(True, attempts=ATTEMPTS):
            settings = settings_for(fake, database_url, address)
            return await reconcile(pool, hub, settings, asked)

    return run
