"""The log in Postgres: positions, duplicates, what it refuses, what comes back."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from service.errors import BatchRefused, LogNotEmpty, LogUnavailable
from service.events import EventData, decode
from service.log.database import Pool, open_pool
from service.log.event_store import Appended, EventStore, RecordedEvent, RestoredEvent
from tests.given.arrivals import arrivals
from tests.given.bodies import NOON, NOT_FOR_JSONB, ODD_BUT_FINE, an_event

TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
async def store(pool: Pool) -> AsyncIterator[EventStore]:
    opened = EventStore(pool)
    yield opened
    await opened.close()


async def test_positions_are_1_2_3_in_the_order_of_the_batches(store: EventStore) -> None:
    assert await store.append([an_event(1), an_event(2)]) == [Appended(1, False), Appended(2, False)]
    assert await store.append([an_event(3)]) == [Appended(3, False)]

    assert [event.position for event in await store.read_after(0, 10)] == [1, 2, 3]
    assert await store.head() == 3


async def test_a_delivery_sent_twice_is_recorded_once_and_answers_with_the_first_ones_position(
    store: EventStore,
) -> None:
    await store.append([an_event(1), an_event(2)])

    assert await store.append([an_event(2), an_event(3), an_event(3), an_event(1)]) == [
        Appended(2, True),
        Appended(3, False),
        Appended(3, True),
        Appended(1, True),
    ]
    assert await store.head() == 3


async def test_the_same_bytes_for_another_product_are_another_delivery(store: EventStore) -> None:
    event = an_event(1)

    appended = await store.append([event, event._replace(product_id=event.product_id + 1)])

    assert appended == [Appended(1, False), Appended(2, False)]


async def test_redeliveries_are_counted_and_the_first_arrival_is_not_one(
    store: EventStore, pool: Pool
) -> None:
    await store.append([an_event(1), an_event(2)])
    for hours in (1, 2):
        await store.append([an_event(2, NOON + timedelta(hours=hours))])

    assert await arrivals(pool, 1, 2) == [(1, None), (3, NOON + timedelta(hours=2))]


async def test_a_delivery_that_is_drained_from_the_spool_twice_is_not_counted_as_come_again(
    store: EventStore, pool: Pool
) -> None:
    await store.append([an_event(1)])
    await store.append([an_event(1)])

    assert await arrivals(pool, 1) == [(1, None)]


@pytest.mark.parametrize(
    ("later", "recorded"),
    [
        (timedelta(0), 1),
        (TEN_MINUTES, 1),
        (-TEN_MINUTES, 1),
        (TEN_MINUTES + timedelta(microseconds=1), 2),
        (timedelta(days=365), 2),
    ],
)
async def test_a_body_without_a_time_is_the_same_only_within_ten_minutes(
    store: EventStore, later: timedelta, recorded: int
) -> None:
    await store.append([an_event(1, NOON, timestamp=None)])
    await store.append([an_event(1, NOON + later, timestamp=None)])

    assert await store.head() == recorded


async def test_in_one_batch_too_bodies_without_a_time_are_told_apart_by_their_receipt(
    store: EventStore,
) -> None:
    moments = [0, 5, 11, 12, 30]

    appended = await store.append(
        [an_event(1, NOON + timedelta(minutes=minutes), timestamp=None) for minutes in moments]
    )

    assert [position for position, _ in appended] == [1, 1, 2, 2, 3]
    assert [duplicate for _, duplicate in appended] == [False, True, False, True, False]


async def test_a_body_without_a_time_that_is_drained_twice_is_recorded_once(store: EventStore) -> None:
    first, second = (an_event(1, NOON + timedelta(hours=hours), timestamp=None) for hours in (0, 1))
    await store.append([first, second])

    assert await store.append([first, second]) == [Appended(1, True), Appended(2, True)]


async def test_a_body_whose_time_was_too_far_ahead_is_still_the_same_once_it_no_longer_is(
    store: EventStore,
) -> None:
    early, late = an_event(1, NOON - timedelta(days=30)), an_event(1, NOON)
    assert early.occurred_assumed
    assert not late.occurred_assumed

    await store.append([early])

    assert await store.append([late]) == [Appended(1, True)]


@pytest.mark.parametrize("others", [3, 300], ids=["a small batch", "a large batch"])
@pytest.mark.parametrize(
    "known", ["recorded before", "twice in it", "without a time", "its time was too far ahead"]
)
async def test_what_is_not_new_in_a_batch_of_new_ones_leaves_no_gap_and_loses_nobody(
    store: EventStore, pool: Pool, known: str, others: int
) -> None:
    fresh = [an_event(number) for number in range(1, others + 1)]
    odd = an_event(1_000, NOON, timestamp=None) if known == "without a time" else an_event(1_000, NOON)
    before = {
        "recorded before": [odd],
        "its time was too far ahead": [an_event(1_000, NOON - timedelta(days=30))],
    }.get(known, [])
    await store.append(before)
    batch = [*fresh, odd, odd] if known == "twice in it" else [*fresh, odd]

    appended = await store.append(batch, timeout=30)

    places = [Appended(number + len(before), False) for number in range(1, others + 1)]
    odd_place = Appended(1, True) if before else Appended(others + 1, False)
    again = [Appended(others + 1, True)] if known == "twice in it" else []
    assert appended == [*places, odd_place, *again]
    assert await store.head() == others + 1
    assert [event.digest for event in await store.read_after(0, others + 1)] == [
        event.digest for event in [*before, *fresh, *([] if before else [odd])]
    ]
    entered = await pool.fetch("select position from log.deliveries order by position")
    assert [row["position"] for row in entered] == list(range(1, others + 2))


async def test_a_large_batch_holds_bodies_as_a_small_one_does(store: EventStore, pool: Pool) -> None:
    bodies = [*ODD_BUT_FINE.values(), *NOT_FOR_JSONB.values()]
    alone = [decode(body, NOON) for body in bodies]
    alone = [event for event in alone if not event.occurred_assumed]
    padding = [an_event(number) for number in range(10_000, 10_300)]

    await store.append(alone)
    await store.append([event._replace(product_id=8) for event in [*alone, *padding]], timeout=30)

    kept = "select envelope::text, data::text, raw, digest from log.events where position between $1 and $2"
    small = await pool.fetch(f"{kept} order by position", 1, len(alone))
    large = await pool.fetch(f"{kept} order by position", len(alone) + 1, 2 * len(alone))
    assert len(alone) > 1
    assert small == large


async def test_a_large_batch_with_one_body_that_postgres_refuses_records_nothing(store: EventStore) -> None:
    events = [an_event(number) for number in range(300)]

    with pytest.raises(BatchRefused):
        await store.append([*events, an_event(300)._replace(body="this is not JSON")])

    assert await store.head() == 0
    assert await store.append(events, timeout=30) == [Appended(place, False) for place in range(1, 301)]


async def test_a_batch_that_is_decided_exactly_still_finds_its_partitions(
    store: EventStore, pool: Pool
) -> None:
    await _with_partitions_of(5, pool)

    appended = await store.append([an_event(number) for number in (1, 2, 3, 4, 5, 6, 7, 1)])

    assert [position for position, _ in appended] == [1, 2, 3, 4, 5, 6, 7, 1]
    assert await _partitions(pool) == ["log.events_from_1", "log.events_from_6"]


async def test_64_equal_bodies_at_once_on_two_instances_record_one_event(database_url: str) -> None:
    pools = [await open_pool(database_url, min_size=0, max_size=40) for _ in range(2)]
    stores = [EventStore(pool) for pool in pools for _ in range(16)]
    try:
        answers = await asyncio.gather(
            *(store.append([an_event(7)], timeout=30) for store in stores for _ in range(2))
        )

        assert [position for [(position, _)] in answers] == [1] * 64
        assert sorted(duplicate for [(_, duplicate)] in answers) == [False] + [True] * 63
        assert await stores[0].head() == 1
    finally:
        for store in stores:
            await store.close()
        for pool in pools:
            await pool.close()


async def test_recorded_at_never_goes_back_even_when_the_clock_does(store: EventStore, pool: Pool) -> None:
    ahead = NOON + timedelta(days=36_500)
    await store.restore([_restored(1, an_event(1), ahead)])

    await store.append([an_event(2)])

    assert [event.recorded_at for event in await store.read_after(0, 10)] == [ahead, ahead]


@pytest.mark.parametrize("body", ODD_BUT_FINE.values(), ids=ODD_BUT_FINE)
async def test_an_odd_body_comes_back_as_equal_json(store: EventStore, body: bytes) -> None:
    await store.append([decode(body, NOON)])

    [event] = await store.read_after(0, 1)

    assert event.raw is None
    assert _whole(event) == json.loads(body, parse_float=Decimal)


@pytest.mark.parametrize("body", NOT_FOR_JSONB.values(), ids=NOT_FOR_JSONB)
async def test_what_jsonb_cannot_hold_comes_back_byte_for_byte(store: EventStore, body: bytes) -> None:
    await store.append([decode(body, NOON)])

    [event] = await store.read_after(0, 1)

    assert event.raw == body
    assert len(event.data) < len(body) + 100


@pytest.mark.parametrize(
    "statement",
    [
        "update log.events set data = '{}'",
        "update log.events set erased_at = now()",
        "delete from log.events",
        "truncate log.events",
        "truncate log.events cascade",
        "update log.events_from_1 set data = '{}'",
        "delete from log.events_from_1",
        "truncate log.events_from_1",
        "merge into log.events e using (select 1 as n) s on e.position = s.n when matched then delete",
        "insert into log.events select * from log.events "
        "on conflict (position, product_id) do update set data = '{}'",
    ],
)
async def test_the_database_itself_refuses_to_change_what_is_recorded(
    store: EventStore, pool: Pool, statement: str
) -> None:
    await store.append([an_event(1)])
    before = await store.read_after(0, 10)

    with pytest.raises(asyncpg.RestrictViolationError) as refused:
        await pool.execute(statement)

    assert "refused" in str(refused.value)
    assert re.search("recount erase|RECOUNT_DATABASE_URL", refused.value.hint or "")
    assert await store.read_after(0, 10) == before


async def test_partitions_made_later_refuse_as_well(store: EventStore, pool: Pool) -> None:
    await _with_partitions_of(5, pool)

    await store.append([an_event(number) for number in range(1, 13)])

    names = await _partitions(pool)
    assert names == [f"log.events_from_{first}" for first in (1, 6, 11)]
    for name in names:
        for statement in (f"truncate {name}", f"delete from {name}", f"update {name} set data = '{{}}'"):
            with pytest.raises(asyncpg.RestrictViolationError):
                await pool.execute(statement)
    assert [event.position for event in await store.read_after(0, 20)] == list(range(1, 13))


async def test_a_partition_is_made_ahead_without_waiting_for_whoever_holds_the_table(
    store: EventStore, pool: Pool
) -> None:
    await _with_partitions_of(10, pool)
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("lock table log.events in share update exclusive mode")

        await store.append([an_event(number) for number in range(1, 10)])  # more than half: the next is due

        assert await _partitions(pool) == ["log.events_from_1"]
    await store.append([an_event(10)])
    assert await _partitions(pool) == ["log.events_from_1", "log.events_from_11"]


async def _with_partitions_of(rows: int, pool: Pool) -> None:
    """Start the empty log again, with partitions so small that a test can fill them."""
    await pool.execute("alter table log.events detach partition log.events_from_1")
    await pool.execute("drop table log.events_from_1")
    await pool.execute("update log.head set partition_rows = $1, partitioned_to = 1", rows)
    await pool.execute("select log.add_partition()")


async def _partitions(pool: Pool) -> list[str]:
    rows = await pool.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'log.events'::regclass"
    )
    return sorted((row["name"] for row in rows), key=lambda name: int(name.rpartition("_")[2]))


async def test_an_erasure_written_in_the_same_transaction_lets_content_be_redacted_and_nothing_else(
    store: EventStore, pool: Pool
) -> None:
    await store.append([an_event(1), an_event(2, product_id=9)])
    erase = "insert into log.erasures (product_id, reason) values (5456534244, 'asked by mail')"
    redact = "update log.events set data = '{}', raw = null, erased_at = now() where position = "

    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute(erase)
            await connection.execute(redact + "1")
        refused = [
            redact + "1",  # the erasure belongs to a transaction that is over
            f"{erase}; {redact}2",  # another product
            f"{erase}; update log.events set data = '{{}}', erased_at = null where position = 1",
            f"{erase}; update log.events set position = 3, erased_at = now() where position = 1",
            f"{erase}; update log.events set occurred_at = now(), erased_at = now() where position = 1",
            f"{erase}; delete from log.events",
        ]
        for statements in refused:
            with pytest.raises(asyncpg.RestrictViolationError):
                async with connection.transaction():
                    await connection.execute(statements)

    erased, other = await store.read_after(0, 10)
    assert (erased.data, erased.position, erased.action) == ("{}", 1, "item.create")
    assert erased.erased_at is not None
    assert other.erased_at is None


async def test_appending_says_the_new_head_once_a_batch_and_nothing_for_duplicates(
    store: EventStore, pool: Pool
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    def hear(*told: object) -> None:
        heard.put_nowait(str(told[3]))

    async with pool.acquire() as connection:
        await connection.add_listener("recount_head", hear)

        await store.append([an_event(1), an_event(2)])
        await store.append([an_event(2)])
        await store.append([an_event(3)])

        assert [await asyncio.wait_for(heard.get(), 5) for _ in range(2)] == ["2", "3"]
        assert heard.empty()
        await connection.remove_listener("recount_head", hear)


async def test_what_postgres_refuses_is_told_from_a_postgres_that_is_away(
    store: EventStore, pool: Pool
) -> None:
    bad = an_event(1)._replace(body="this is not JSON")
    with pytest.raises(BatchRefused):
        await store.append([an_event(2), bad])
    with pytest.raises(BatchRefused):
        await store.append([an_event(2)._replace(entity_id="\0")])
    assert await store.append([an_event(2)]) == [Appended(1, False)]

    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("select from log.head for update")
        with pytest.raises(LogUnavailable):
            await store.append([an_event(3)], timeout=0.2)

    # Given up, it may have been recorded or not; appended again, it is there once.
    assert [position for position, _ in await store.append([an_event(3)])] == [2]


async def test_an_append_that_is_cut_off_leaves_nothing_half_done(store: EventStore, pool: Pool) -> None:
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("select from log.head for update")
        append = asyncio.create_task(store.append([an_event(1)], timeout=30))
        await _somebody_waits_for_a_lock(pool)
        append.cancel()
        with pytest.raises(asyncio.CancelledError):
            await append

    assert (await store.append([an_event(1)]))[0].position == 1
    assert await store.head() == 1


async def test_plans_made_while_the_tables_were_empty_go_by_index_all_the_same(
    store: EventStore, pool: Pool
) -> None:
    scans = (
        "select coalesce(sum(seq_tup_read), 0) from pg_stat_user_tables "
        "where relname ~ '^(deliveries|events)'"
    )
    for number in range(1, 12):  # more often than Postgres makes a plan for the values alone
        await store.append([an_event(number)])
    await store.append([an_event(number) for number in range(100, 1_100)], timeout=30)

    for number in range(2_000, 2_020):
        await store.append([an_event(number)])
    await store.close()  # whereupon the session tells its statistics

    assert await _settled(pool, scans) == 0


async def _settled(pool: Pool, statement: str) -> Any:
    """Return what the statement says once the sessions that ended have told their statistics."""
    for _ in range(1_000):
        others = (
            "select count(*) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid() "
            "and backend_type = 'client backend'"
        )
        if await pool.fetchval(others) == 0:
            break
    return await pool.fetchval(statement)


async def test_a_restored_event_keeps_its_position_its_times_and_its_redeliveries(
    store: EventStore, pool: Pool
) -> None:
    recorded_at = NOON + timedelta(seconds=5)
    untimed = an_event(2, timestamp=None)
    await store.restore(
        [
            _restored(1, an_event(1), recorded_at, copies=4),
            _restored(2, untimed, recorded_at + timedelta(seconds=1)),
        ]
    )

    first, second = await store.read_after(0, 10)
    assert (first.recorded_at, first.occurred_at, first.digest) == (
        recorded_at,
        an_event(1).occurred_at,
        an_event(1).digest,
    )
    assert second.occurred_assumed
    assert [times for times, _ in await arrivals(pool, 1)] == [5]
    # It is known again: for ever with a time, within ten minutes without one.
    assert await store.append([an_event(1), untimed]) == [Appended(1, True), Appended(2, True)]


@pytest.mark.parametrize("positions", [[2, 3], [1, 3], [1, 1], [5]])
async def test_an_export_goes_on_where_the_log_ends_or_nowhere(
    store: EventStore, positions: list[int]
) -> None:
    with pytest.raises(LogNotEmpty) as refused:
        await store.restore([_restored(position, an_event(position), NOON) for position in positions])

    assert "recount" in str(refused.value).lower()
    assert await store.head() == 0


async def _somebody_waits_for_a_lock(pool: Pool) -> None:
    for _ in range(10_000):
        if await pool.fetchval(
            "select count(*) from pg_stat_activity "
            "where wait_event_type = 'Lock' and datname = current_database()"
        ):
            return
    raise AssertionError("nobody waits")


def _restored(position: int, event: EventData, recorded_at: Any, copies: int = 0) -> RestoredEvent:
    return RestoredEvent(
        position,
        event.product_id,
        event.action,
        event.entity,
        event.entity_id,
        event.occurred_at,
        event.occurred_assumed,
        recorded_at,
        event.origin,
        event.digest,
        event.body,
        event.raw,
        None,
        copies,
        NOON if copies else None,
    )


def _whole(event: RecordedEvent) -> Any:
    return json.loads(event.envelope) | {"data": json.loads(event.data, parse_float=Decimal)}
