"""How the bench of following takes an event's lag: from its row's clock to the first notification past it."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from bench.following import Passed, hearing, postgres_seconds
from service.postgres.embedded import temporary_postgres


def test_an_event_has_waited_until_the_first_checkpoint_at_or_past_it() -> None:
    passed = Passed(positions=[3, 7], times=[10.0, 10.5])

    lags = passed.lags_ms([(1, 9.9), (3, 9.98), (4, 10.25), (7, 10.4)])

    assert lags == pytest.approx([20, 100, 100, 250])


def test_an_event_of_which_no_checkpoint_told_is_no_small_lag() -> None:
    with pytest.raises(RuntimeError, match="position 8"):
        Passed(positions=[7], times=[10.0]).lags_ms([(8, 9.0)])


async def test_a_checkpoint_that_is_told_of_again_makes_no_event_later(
    pool: asyncpg.Pool, database_url: str
) -> None:
    async with hearing(database_url) as passed:
        for position in ("5", "5", "4", "6"):
            await pool.execute("select pg_notify('recount_projected', $1)", position)
        async with asyncio.timeout(10):
            while passed.positions[-1:] != [6]:
                await asyncio.sleep(0.01)

    assert passed.positions == [5, 6]
    assert passed.times == sorted(passed.times)


async def test_the_processor_time_of_postgres_holds_that_of_connections_that_have_ended() -> None:
    async with temporary_postgres() as postgres:
        before = postgres_seconds(postgres)
        connection = await asyncpg.connect(postgres.dsn)
        await connection.execute("select count(*) from generate_series(1, 3000000)")
        await connection.close()
        async with asyncio.timeout(10):
            while postgres_seconds(postgres) - before < 0.1:
                await asyncio.sleep(0.01)
