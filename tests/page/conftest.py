"""What the tests of the page share: a service with the demo's history, and a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from service.log.database import connect, migrate, open_pool
from service.log.event_store import EventStore
from service.operate import demo
from service.postgres.embedded import EmbeddedPostgres
from service.simulator import LABELS
from tests.given.chromium import Chromium, Driver
from tests.given.paged import projected
from tests.given.running import Running, running


@pytest.fixture(scope="session")
async def history(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A service with the demo's board, 18 months in 50,000 events; tests add to it and take nothing away."""
    folder = tmp_path_factory.mktemp("page") / "data"
    async with EmbeddedPostgres(folder) as postgres:
        connection = await connect(postgres.dsn)
        await migrate(connection)
        await connection.close()
        pool = await open_pool(postgres.dsn, min_size=1, max_size=2, application_name="recount-tests")
        store = EventStore(pool)
        board = await demo.begin(pool, store, datetime(2026, 11, 20, tzinfo=UTC))
        await demo.write_history(board, pool, store, lambda done, total: None)
        pool.terminate()
    async with running(folder, env={"RECOUNT_LABELS": str(LABELS)}) as service:
        await projected(service, board.events)
        yield service


@pytest.fixture
async def browser(browsers: Chromium) -> AsyncIterator[Driver]:
    """A tab with an empty profile; the page may complain of nothing."""
    driver = await browsers.tab(reducedMotion="reduce")
    yield driver
    assert await driver.problems() == []
