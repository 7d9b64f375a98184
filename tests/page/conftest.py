"""What the tests of the page share: a service with the demo's history, and a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from projections.follow.projector import Projector
from service.log.database import open_pool
from service.log.event_store import EventStore
from service.operate import demo
from service.postgres.embedded import EmbeddedPostgres
from service.simulator import LABELS
from tests.given.chromium import Chromium, Driver
from tests.given.first_start import begin
from tests.given.made_once import copied, made_once
from tests.given.running import Running, running

_SETTINGS: Final = {"RECOUNT_LABELS": str(LABELS)}


@pytest.fixture(scope="session")
async def history(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A service with the demo's board, 18 months in 50,000 events; tests add to it and take nothing away."""
    folder = tmp_path_factory.mktemp("page") / "data"
    await copied(await made_once("history", _written) / "postgres", folder)
    async with running(folder, env=_SETTINGS) as service:
        yield service


async def _written(folder: Path) -> None:
    async with EmbeddedPostgres(folder) as postgres:
        await begin(postgres.dsn)
        pool = await open_pool(postgres.dsn, min_size=1, max_size=4, application_name="recount-tests")
        store = EventStore(pool)
        board = await demo.begin(pool, store, datetime(2026, 11, 20, tzinfo=UTC))
        await demo.write_history(board, pool, store, lambda done, total: None)
        await Projector(pool).catch_up()
        await pool.execute("vacuum (analyze)")  # else each copy's server would
        pool.terminate()


@pytest.fixture
async def browser(browsers: Chromium) -> AsyncIterator[Driver]:
    """A tab with an empty profile; the page may complain of nothing."""
    driver = await browsers.tab(reducedMotion="reduce")
    yield driver
    assert await driver.problems() == []
