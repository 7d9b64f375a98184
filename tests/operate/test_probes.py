"""The three small answers: alive, ready, and how it is going."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from projections.declare import declare
from projections.rebuild.rebuild import Rebuilder
from service.log.database import open_pool
from service.operate.gauges import Gauges
from service.operate.probes import Probes
from service.web.keys import WebhookKeys
from service.web.metrics import Metrics
from tests.given.projecting import record_at

NOWHERE = "postgresql://recount@127.0.0.1:1/recount"


@asynccontextmanager
async def _serving(
    pool: asyncpg.Pool,
    *,
    spool_answers: bool = True,
    log_answers: bool = True,
    draining: bool = False,
    projecting: Callable[[], str | None] = lambda: None,
    stopping: Callable[[], bool] = lambda: False,
    keys: WebhookKeys | None = None,
) -> AsyncIterator[aiohttp.ClientSession]:
    metrics = Metrics()
    app = web.Application()
    ready = spool_answers or (log_answers and not draining)
    intake = SimpleNamespace(spool_answers=spool_answers, log_answers=log_answers, ready=ready)
    gauges = Gauges(pool, metrics)
    Probes(metrics, gauges, intake, keys, projecting=projecting, stopping=stopping).add_to(app)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
            yield session
    finally:
        await runner.cleanup()


@pytest.fixture
async def no_pool() -> AsyncIterator[asyncpg.Pool]:
    """A pool whose Postgres is away."""
    pool = await open_pool(NOWHERE, min_size=0)
    yield pool
    await pool.close()


async def _get(session: aiohttp.ClientSession, path: str) -> tuple[int, dict[str, object]]:
    async with session.get(path) as answer:
        return answer.status, await answer.json()


async def test_it_is_ready_while_postgres_answers(pool: asyncpg.Pool) -> None:
    async with _serving(pool, spool_answers=False) as session:
        assert await _get(session, "/readyz") == (
            200,
            {
                "ready": True,
                "postgres": "ok",
                "spool": "could not take what it was last given",
                "projections": "ok",
            },
        )


async def test_a_projector_that_cannot_begin_is_told_and_makes_nothing_unready(pool: asyncpg.Pool) -> None:
    async with _serving(pool, projecting=lambda: "cannot begin") as session:
        status, answer = await _get(session, "/readyz")

    assert (status, answer["ready"], answer["projections"]) == (200, True, "cannot begin")


async def test_a_log_that_takes_nothing_is_told(pool: asyncpg.Pool) -> None:
    async with _serving(pool, log_answers=False) as session:
        assert (await _get(session, "/readyz"))[1][
            "postgres"
        ] == "answers, and takes no deliveries; they go to the spool"


async def test_while_the_spool_drains_and_takes_no_more_it_is_not_ready(pool: asyncpg.Pool) -> None:
    """What arrives then may overtake nothing: it is refused."""
    async with _serving(pool, draining=True, spool_answers=False) as session:
        status, answer = await _get(session, "/readyz")

    assert (status, answer["ready"]) == (503, False)
    assert answer["postgres"] == "answers, and takes what is in the spool first"


async def test_events_that_wait_for_too_long_are_told(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await declare(connection)
    await record_at(pool, datetime.now(UTC) - timedelta(hours=1))

    async with _serving(pool) as session:
        answer = (await _get(session, "/readyz"))[1]

    assert re.fullmatch(
        "1 events behind the log, which have waited for 3[56][0-9][0-9] s", str(answer["projections"])
    )


async def test_events_that_wait_for_a_rebuild_from_nothing_are_told(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await declare(connection)
    await record_at(pool, datetime.now(UTC) - timedelta(hours=1))
    await Rebuilder(pool).request()
    await pool.execute("update read_model.rebuilds set state = 'RUNNING', position = 31, head = 100")

    async with _serving(pool) as session:
        answer = (await _get(session, "/readyz"))[1]

    assert answer["projections"] == "1 events behind the log, and 31% of a rebuild is done"


async def test_who_asks_whether_it_is_ready_does_not_wait_for_a_postgres_that_says_nothing(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pool.acquire() as connection:
        await declare(connection)
    monkeypatch.setattr("service.operate.gauges.SAMPLE_SECONDS_MAX", 3_600.0)
    monkeypatch.setattr("service.operate.gauges.SAMPLE_AGE_SECONDS_MAX", -1.0)
    async with _serving(pool) as session:
        before = await _get(session, "/readyz")
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("lock table read_model.checkpoints in access exclusive mode")
            async with asyncio.timeout(60):
                meanwhile = await _get(session, "/readyz")
        after = await _get(session, "/readyz")

    assert before == meanwhile == after
    assert before[0] == 200


async def test_that_no_key_opens_the_webhook_is_told(no_pool: asyncpg.Pool) -> None:
    async with _serving(no_pool, keys=WebhookKeys()) as session:
        answer = (await _get(session, "/readyz"))[1]

    assert (answer["ready"], answer["keys"]) == (True, "there is none, so every delivery is refused")


async def test_it_is_ready_while_the_spool_can_take_deliveries(no_pool: asyncpg.Pool) -> None:
    async with _serving(no_pool) as session:
        status, answer = await _get(session, "/readyz")

    assert (status, answer["ready"], answer["spool"]) == (200, True, "ok")
    assert "does not answer" in str(answer["postgres"])


async def test_it_is_not_ready_without_postgres_and_spool_but_alive(no_pool: asyncpg.Pool) -> None:
    async with _serving(no_pool, spool_answers=False) as session:
        status, answer = await _get(session, "/readyz")
        assert await _get(session, "/livez") == (200, {"alive": True})

    assert (status, answer["ready"]) == (503, False)


async def test_it_is_not_ready_once_it_was_told_to_stop(pool: asyncpg.Pool) -> None:
    async with _serving(pool, stopping=lambda: True) as session:
        status, answer = await _get(session, "/readyz")

    assert (status, answer["stopping"]) == (503, True)


async def test_metrics_can_be_read_by_prometheus_in_both_of_its_forms(pool: asyncpg.Pool) -> None:
    async with _serving(pool) as session:
        async with session.get("/metrics") as answer:
            plain = {family.name for family in text_string_to_metric_families(await answer.text())}
        async with session.get("/metrics", headers={"Accept": "application/openmetrics-text"}) as answer:
            assert answer.content_type == "application/openmetrics-text"
            open_form = {family.name for family in read_openmetrics(await answer.text())}

    assert {"recount_ack_seconds", "recount_postgres_up", "recount_build"} <= open_form
    assert "recount_build_info" in plain


async def test_metrics_are_answered_while_postgres_is_away(no_pool: asyncpg.Pool) -> None:
    async with _serving(no_pool) as session, session.get("/metrics") as answer:
        text = await answer.text()

    assert "recount_postgres_up 0.0" in text
    assert "\nrecount_log_position " not in text
