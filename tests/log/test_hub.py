"""The hub: hints wake whoever waits, numbers only rise, and no failure of Postgres ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.log.database import Pool
from service.log.hub import Hub
from tests.given.proxy import proxy_before
from tests.given.waiting import polled

PATIENCE_SECONDS = 60


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[Hub]:
    async with Hub(database_url) as opened:
        await polled(opened)
        yield opened


@pytest.fixture
async def patient_hub(database_url: str) -> AsyncIterator[Hub]:
    """A hub whose polls are too rare to help: what wakes here is a notification."""
    async with Hub(database_url, poll_seconds=3_600) as opened:
        await polled(opened)
        yield opened


async def _notify(pool: Pool, channel: str, payload: str) -> None:
    await pool.execute("select pg_notify($1, $2)", channel, payload)


async def _record(pool: Pool, position: int) -> None:
    """Put an event into the log without a notification."""
    await pool.execute(
        """
        insert into log.events (position, product_id, action, entity, occurred_at, occurred_assumed,
                                recorded_at, origin, digest, envelope, data)
        select $1, 1, 'item.create', 'item', now(), false, now(), 'WEBHOOK', $2, '{}', '{}'
        """,
        position,
        position.to_bytes(32, "big"),
    )


async def _beyond(hub: Hub, position: int) -> int:
    return await asyncio.wait_for(hub.wait_beyond("head", position, None), PATIENCE_SECONDS)


async def test_a_notification_wakes_everybody_who_waits(patient_hub: Hub, pool: Pool) -> None:
    waiters = [asyncio.create_task(_beyond(patient_hub, 0)) for _ in range(2_000)]

    await _notify(pool, "recount_head", "7")

    assert set(await asyncio.gather(*waiters)) == {7}


async def test_the_two_signals_are_apart(patient_hub: Hub, pool: Pool) -> None:
    await _notify(pool, "recount_projected", "3")
    await asyncio.wait_for(patient_hub.wait_beyond("projected", 2, None), PATIENCE_SECONDS)

    assert (patient_hub.value("projected"), patient_hub.value("head")) == (3, 0)


async def test_a_log_that_went_back_wakes_who_waits_beyond_it_and_is_followed_from_there(
    hub: Hub, pool: Pool
) -> None:
    await _record(pool, 2)
    hub.advance("head", 100)

    assert await _beyond(hub, 100) == 2
    assert hub.value("head") == 2
    waiting = asyncio.create_task(_beyond(hub, 2))
    await _record(pool, 3)
    assert await waiting == 3


async def test_hints_only_raise_a_number(patient_hub: Hub, pool: Pool) -> None:
    for payload in ("9", "4", "garbage", "-1", "10"):
        await _notify(pool, "recount_head", payload)

    assert await _beyond(patient_hub, 9) == 10
    patient_hub.advance("head", 5)
    assert patient_hub.value("head") == 10


async def test_an_event_whose_notification_was_lost_is_found_by_the_poll(hub: Hub, pool: Pool) -> None:
    waiting = asyncio.create_task(_beyond(hub, 0))

    await _record(pool, 1)

    assert await waiting == 1


async def test_a_lost_connection_is_made_anew_and_nothing_is_missed(hub: Hub, pool: Pool) -> None:
    waiting = asyncio.create_task(_beyond(hub, 0))

    await pool.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and application_name = 'recount hub'"
    )
    await _record(pool, 1)

    assert await waiting == 1
    assert hub.listening


async def test_a_session_ended_between_two_statements_does_not_end_the_hub(
    database_url: str, pool: Pool
) -> None:
    farewell = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
    answers = [b"", b"E" + (len(farewell) + 4).to_bytes(4, "big") + farewell]

    def after_the_first_listen(piece: bytes) -> bytes:
        """Speak up right behind LISTEN, before the client can ask for the next one."""
        return answers.pop() if b"LISTEN\0" in piece and len(answers) > 1 else b""

    async with proxy_before(database_url) as (proxy, through):
        proxy.said_besides = after_the_first_listen
        async with Hub(through) as hub:
            await polled(hub)
            await _record(pool, 1)

            assert await _beyond(hub, 0) == 1
    assert answers == [b""], "nothing was said besides"


async def test_waiting_ends_with_the_time_out_and_the_newest_number(hub: Hub) -> None:
    hub.advance("head", 4)

    assert await hub.wait_beyond("head", 4, 0.01) == 4
    assert await hub.wait_beyond("head", 4, 0) == 4


async def test_one_who_gives_up_leaves_the_others_waiting(patient_hub: Hub, pool: Pool) -> None:
    patient = asyncio.create_task(_beyond(patient_hub, 0))
    impatient = asyncio.create_task(_beyond(patient_hub, 0))
    await asyncio.sleep(0)

    impatient.cancel()
    await _notify(pool, "recount_head", "1")

    assert await patient == 1


async def test_nobody_waiting_means_no_query(database_url: str) -> None:
    async with Hub(database_url, poll_seconds=0.01) as hub:
        await polled(hub)
        await hub.wait_beyond("head", 0, 0.1)
        polls = hub.polls

        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.sleep(0.2)

        assert hub.polls <= polls + 1, "one poll may have been under way"


async def test_thousands_who_wait_cost_one_poll(database_url: str) -> None:
    async with Hub(database_url, poll_seconds=0.05) as hub:
        await polled(hub)
        before = hub.polls

        await asyncio.gather(*(hub.wait_beyond("head", 0, 0.5) for _ in range(3_000)))

        assert hub.polls - before < 300, "one each would be thousands, however slow the machine is"


async def test_it_starts_while_postgres_is_away() -> None:
    async with Hub("postgresql://recount@127.0.0.1:9/recount") as hub:
        assert await hub.wait_beyond("head", 0, 0.2) == 0
        assert not hub.listening


async def test_before_the_first_migration_there_is_nothing_to_know(empty_database_url: str) -> None:
    async with Hub(empty_database_url) as hub:
        await polled(hub)
        assert (hub.value("head"), hub.value("projected")) == (0, 0)


async def test_where_listen_is_refused_it_polls(database_url: str, pool: Pool) -> None:
    """A standby refuses LISTEN with this error; it can be had on a primary only by putting it there."""

    class OnStandby(Hub):
        async def _listen(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
            class Standby:
                async def add_listener(self, *_: object) -> None:
                    raise asyncpg.ReadOnlySQLTransactionError("cannot execute LISTEN during recovery")

            await super()._listen(Standby())  # type: ignore[arg-type]

    async with OnStandby(database_url, poll_seconds=0.05) as hub:
        await polled(hub)
        waiting = asyncio.create_task(_beyond(hub, 0))

        await _record(pool, 1)

        assert await waiting == 1
        assert not hub.listening
