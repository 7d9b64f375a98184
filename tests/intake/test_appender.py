"""What the appender promises: safe before it answers, in order, in the log or in the spool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.errors import SpoolUnavailable
from service.events import EventData, decode
from service.intake.appender import Appender, Receipt, _arrival, _spooled
from service.intake.spool import Spool
from service.log.database import Pool, open_pool
from service.log.event_store import APPEND_SECONDS_MAX, Appended, EventStore
from service.log.quarantine import Quarantine, Unreadable
from tests.given.arrivals import arrivals
from tests.given.bodies import NOON, a_body, an_event
from tests.given.proxy import proxy_before
from tests.given.waiting import eventually


class WatchedStore(EventStore):
    """A store that tells how large the batches were."""

    batches: list[int]

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.batches = []

    async def append(self, batch: Sequence[EventData], **options: Any) -> list[Appended]:
        self.batches.append(len(batch))
        return await super().append(batch, **options)


class Bench:
    """An appender with all that it stands on."""

    def __init__(self, pool: Pool, folder: Path, **options: Any) -> None:
        self.store = WatchedStore(pool)
        self.quarantine = Quarantine(pool, self.store)
        self.spool = Spool(folder, options.pop("spool_bytes_max", 10**9))
        self.appender = Appender(self.store, self.quarantine, self.spool, **options)


@asynccontextmanager
async def running(pool: Pool, folder: Path, **options: Any) -> AsyncIterator[Bench]:
    bench = Bench(pool, folder, **options)
    async with bench.spool, bench.appender:
        yield bench


async def positions_by_number(store: EventStore) -> list[str | None]:
    return [event.entity_id for event in await store.read_after(0, await store.head())]


async def test_a_delivery_is_in_the_log_when_its_receipt_comes(pool: Pool, tmp_path: Path) -> None:
    async with running(pool, tmp_path) as bench:
        assert await bench.appender.append(an_event(1)) == Receipt(1, False)
        assert await bench.store.head() == 1
        assert await bench.appender.append(an_event(1)) == Receipt(1, True)


async def test_the_head_is_told_as_soon_as_a_delivery_is_recorded(pool: Pool, tmp_path: Path) -> None:
    told: list[int] = []
    async with running(pool, tmp_path, recorded=told.append) as bench:
        for number in (1, 2, 1):
            await bench.appender.append(an_event(number))

    assert told == [1, 2, 1]


async def test_whatever_waits_goes_in_one_batch_up_to_the_limit(pool: Pool, tmp_path: Path) -> None:
    async with running(pool, tmp_path, batch_max=50) as bench:
        receipts = await asyncio.gather(
            *(bench.appender.append(an_event(number)) for number in range(1, 121))
        )

        assert [receipt.position for receipt in receipts] == list(range(1, 121))
        assert max(bench.store.batches) == 50
        assert len(bench.store.batches) <= 4


async def test_senders_who_send_again_once_answered_share_the_batches_alike(
    database_url: str, pool: Pool, tmp_path: Path
) -> None:
    """Taken as they come, they would go as one of 63 and one of one in turn, as they began."""
    holder = await asyncpg.connect(database_url)
    async with running(pool, tmp_path, append_seconds_max=60.0) as bench:
        numbers = iter(range(1, 641))

        async def send() -> None:
            for number in numbers:
                await bench.appender.append(an_event(number))

        await holder.execute("begin; select 1 from log.head for update")
        senders = [asyncio.create_task(send())]
        await eventually(lambda: bench.store.batches == [1])
        senders += [asyncio.create_task(send()) for _ in range(63)]
        await eventually(lambda: bench.appender.waiting == 63)
        await holder.execute("rollback")
        await asyncio.gather(*senders)

        assert bench.store.batches[:9] == [1] + 8 * [32]
        assert await bench.store.head() == 640
    await holder.close()


async def test_a_receipt_that_cannot_be_told_keeps_none_from_the_others(pool: Pool, tmp_path: Path) -> None:
    def fails(_: Receipt | Exception) -> None:
        raise RuntimeError

    async with running(pool, tmp_path) as bench:
        bench.appender.offer(an_event(1), fails)

        assert await bench.appender.append(an_event(2)) == Receipt(2, False)
        assert await bench.appender.append(an_event(3)) == Receipt(3, False)


async def test_a_full_queue_slows_the_sender_down_and_refuses_nobody(pool: Pool, tmp_path: Path) -> None:
    async with running(pool, tmp_path, queue_max=5, batch_max=3) as bench:
        appends = [asyncio.create_task(bench.appender.append(an_event(number))) for number in range(1, 41)]
        await asyncio.sleep(0)
        assert bench.appender.waiting <= 5

        receipts = await asyncio.gather(*appends)

        assert sorted(receipt.position or 0 for receipt in receipts) == list(range(1, 41))
        assert max(bench.store.batches) <= 3


async def test_leaving_writes_what_was_accepted(pool: Pool, tmp_path: Path) -> None:
    async with running(pool, tmp_path) as bench:
        appends = [asyncio.create_task(bench.appender.append(an_event(number))) for number in range(1, 30)]
        await asyncio.sleep(0)

    assert sorted(append.result().position or 0 for append in appends) == list(range(1, 30))


async def test_one_body_that_postgres_refuses_does_not_hold_up_the_others(pool: Pool, tmp_path: Path) -> None:
    bad = an_event(7)._replace(body='{"data": {"x": "\\u0000"}}')
    events = (
        [an_event(number) for number in range(1, 7)] + [bad] + [an_event(number) for number in range(8, 12)]
    )
    async with running(pool, tmp_path) as bench:
        receipts = await asyncio.gather(*map(bench.appender.append, events))

        assert [receipt.position for receipt in receipts] == [1, 2, 3, 4, 5, 6, None, 7, 8, 9, 10]
        assert receipts[6].quarantined is not None
        kept = await bench.quarantine.show(receipts[6].quarantined)
        assert kept.body == bad.received
        assert kept.product_id == bad.product_id
        assert "Postgres refused it" in kept.reason


async def test_a_body_that_is_no_event_goes_to_the_quarantine(pool: Pool, tmp_path: Path) -> None:
    refused = Unreadable("it is a joke", b"ha", NOON, "WEBHOOK", 7)
    async with running(pool, tmp_path) as bench:
        receipt = await bench.appender.append(refused)

        assert receipt == Receipt(quarantined=refused.id, reason="it is a joke")
        assert (await bench.quarantine.show(refused.id)).body == b"ha"


async def test_while_postgres_is_away_deliveries_are_spooled_and_in_the_log_once_it_is_back(
    database_url: str, pool: Pool, tmp_path: Path
) -> None:
    async with proxy_before(database_url) as (proxy, through):
        behind = await open_pool(through, min_size=0)
        async with running(behind, tmp_path) as bench:
            assert await bench.appender.append(an_event(1)) == Receipt(1, False)
            proxy.refuses = True
            proxy.cut()

            began = asyncio.get_running_loop().time()
            receipts = [await bench.appender.append(an_event(number)) for number in range(2, 8)]
            took = asyncio.get_running_loop().time() - began

            assert receipts == [Receipt(spooled=True)] * 6
            assert took < 2 * APPEND_SECONDS_MAX
            assert bench.appender.ready
            proxy.heal()
            await eventually(lambda: bench.spool.pending == 0)
            assert await bench.appender.append(an_event(8)) == Receipt(8, False)
            assert await positions_by_number(EventStore(pool)) == [str(number) for number in range(1, 9)]
        await behind.close()


async def test_a_silent_postgres_is_given_up_once(database_url: str, pool: Pool, tmp_path: Path) -> None:
    async with proxy_before(database_url) as (proxy, through):
        behind = await open_pool(through, min_size=0)
        async with running(behind, tmp_path) as bench:
            await bench.appender.append(an_event(1))
            proxy.swallows = True

            began = asyncio.get_running_loop().time()
            receipt = await bench.appender.append(an_event(2))

            assert receipt == Receipt(spooled=True)
            took = asyncio.get_running_loop().time() - began
            assert APPEND_SECONDS_MAX <= took < 2 * APPEND_SECONDS_MAX, "one limit, not one after another"
            proxy.heal()
            await eventually(lambda: bench.spool.pending == 0)
            assert await positions_by_number(EventStore(pool)) == ["1", "2"]
        await behind.close()


async def test_a_commit_whose_answer_was_lost_is_recorded_once(
    database_url: str, pool: Pool, tmp_path: Path
) -> None:
    async with proxy_before(database_url) as (proxy, through):
        behind = await open_pool(through, min_size=0)
        async with running(behind, tmp_path) as bench:
            await bench.appender.append(an_event(1))
            answers = iter([True])
            proxy.reset_before_answer = lambda _: next(answers, False)

            receipts = await asyncio.gather(
                bench.appender.append(an_event(2)), bench.appender.append(an_event(3, timestamp=None))
            )

            assert proxy.resets == 1
            assert list(receipts) == [Receipt(spooled=True)] * 2
            await eventually(lambda: bench.spool.pending == 0)
            assert await positions_by_number(EventStore(pool)) == ["1", "2", "3"]
            assert [times for times, _ in await arrivals(pool, 2, 3)] == [1, 1]
        await behind.close()


async def test_no_arrival_overtakes_what_is_in_the_spool(
    database_url: str, pool: Pool, tmp_path: Path
) -> None:
    """Arrivals keep coming while Postgres goes and comes back; each sender's order is the log's."""
    async with proxy_before(database_url) as (proxy, through):
        behind = await open_pool(through, min_size=0)
        async with running(behind, tmp_path, batch_max=20) as bench:
            receipts: list[Receipt] = []

            async def send() -> None:
                for number in range(1, 401):
                    receipt = await bench.appender.append(an_event(number))
                    receipts.append(receipt)

            sending = asyncio.create_task(send())
            for _ in range(3):
                seen = len(receipts)
                await eventually(lambda seen=seen: len(receipts) > seen + 30 or sending.done())  # type: ignore[misc]
                proxy.refuses = True
                proxy.cut()
                await eventually(lambda: bench.spool.pending > 5 or sending.done())
                proxy.heal()
            await sending
            await eventually(lambda: bench.spool.pending == 0)

            assert {receipt.spooled for receipt in receipts} == {True, False}
            assert await positions_by_number(EventStore(pool)) == [str(number) for number in range(1, 401)]
        await behind.close()


async def test_steady_load_does_not_keep_the_spool_in_use_for_ever(
    database_url: str, pool: Pool, tmp_path: Path
) -> None:
    async with proxy_before(database_url) as (proxy, through):
        behind = await open_pool(through, min_size=0)
        async with running(behind, tmp_path) as bench:
            numbers = iter(range(1, 10**6))
            stop = asyncio.Event()
            last: list[Receipt] = []

            async def send() -> None:
                while not stop.is_set():
                    last[:] = [await bench.appender.append(an_event(next(numbers)))]

            proxy.refuses = True
            senders = [asyncio.create_task(send()) for _ in range(32)]
            await eventually(lambda: bench.spool.pending > 100, seconds=60)
            proxy.heal()
            await eventually(lambda: last and not last[0].spooled, seconds=300)
            stop.set()
            await asyncio.gather(*senders)
        await behind.close()
    count = next(numbers) - 1
    assert await EventStore(pool).head() == count


async def test_what_a_killed_process_left_in_the_spool_is_drained_by_the_next_one(
    pool: Pool, tmp_path: Path
) -> None:
    untimed = an_event(2, timestamp=None)
    records = [an_event(1), untimed, an_event(3)]
    async with Spool(tmp_path, 10**9) as spool:
        await spool.write([_spooled(event) for event in records])
        await spool.write([_spooled(Unreadable("no event", b"x", NOON, "WEBHOOK"))])
    # The one before had already drained some of it when it was killed.
    before = EventStore(pool)
    await before.append(records[:2])
    await before.close()

    async with running(pool, tmp_path) as bench:
        await eventually(lambda: bench.spool.pending == 0)

        assert await positions_by_number(bench.store) == ["1", "2", "3"]
        assert [kept.reason for kept in await bench.quarantine.list()] == ["no event"]
        assert [times for times, _ in await arrivals(pool, 2)] == [1]


async def test_a_body_for_the_quarantine_goes_through_the_spool_too(
    database_url: str, pool: Pool, tmp_path: Path
) -> None:
    refused = Unreadable("no event", b"\xff\x00", NOON, "WEBHOOK", 5)
    async with proxy_before(database_url) as (proxy, through):
        behind = await open_pool(through, min_size=0)
        proxy.refuses = True
        async with running(behind, tmp_path) as bench:
            receipt = await bench.appender.append(refused)

            assert receipt == Receipt(spooled=True, quarantined=refused.id, reason="no event")
            proxy.heal()
            await eventually(lambda: bench.spool.pending == 0)
            kept = await bench.quarantine.show(refused.id)
            assert (kept.body, kept.received_at, kept.product_id) == (b"\xff\x00", NOON, 5)
        await behind.close()


async def test_with_neither_postgres_nor_spool_a_delivery_is_refused_and_taken_again_later(
    database_url: str, pool: Pool, tmp_path: Path
) -> None:
    async with proxy_before(database_url) as (proxy, through):
        behind = await open_pool(through, min_size=0)
        proxy.refuses = True
        async with running(behind, tmp_path, spool_bytes_max=700) as bench:
            for number in range(1, 4):
                assert (await bench.appender.append(an_event(number))).spooled

            with pytest.raises(SpoolUnavailable, match="RECOUNT_SPOOL_BYTES_MAX"):
                await bench.appender.append(an_event(4, action="x" * 200))
            assert not bench.appender.ready

            proxy.heal()
            await eventually(lambda: bench.appender.ready)
            # Else the next time that Postgres is away begins with an instance that is not ready.
            await eventually(lambda: bench.spool.pending == 0 and bench.appender.spool_answers)
            assert (await bench.appender.append(an_event(99))).position == 4
        await behind.close()


async def test_a_spool_whose_disk_is_back_is_ready_before_anybody_delivers(tmp_path: Path) -> None:
    """A balancer sends nothing to who is not ready: no delivery would find out."""
    nowhere = await open_pool("postgresql://recount@127.0.0.1:9/recount", min_size=0)
    async with running(nowhere, tmp_path / "spool") as bench:
        away = bench.spool.folder.rename(tmp_path / "away")
        with pytest.raises(SpoolUnavailable):
            await bench.appender.append(an_event(1))
        assert not bench.appender.ready

        away.rename(bench.spool.folder)

        await eventually(lambda: bench.appender.ready)
        assert (await bench.appender.append(an_event(1))).spooled
        assert [path.suffix for path in bench.spool.folder.iterdir() if path.name != "lock"] == [".spool"]
    await nowhere.close()


async def test_a_postgres_that_was_away_is_noticed_to_be_back_without_any_traffic(
    database_url: str, pool: Pool, tmp_path: Path
) -> None:
    async with proxy_before(database_url) as (proxy, through):
        behind = await open_pool(through, min_size=0)
        proxy.refuses = True
        async with running(behind, tmp_path, spool_bytes_max=1) as bench:
            with pytest.raises(SpoolUnavailable):
                await bench.appender.append(an_event(1))
            assert not bench.appender.ready

            proxy.heal()

            await eventually(lambda: bench.appender.ready)
        await behind.close()


async def test_a_delivery_keeps_the_time_of_its_receipt_while_it_is_spooled(
    pool: Pool, tmp_path: Path
) -> None:
    for body in (a_body(1, timestamp=None), b'{"product_id":1,"action":"a","data":{"x":"\\u0000"}}'):
        event = decode(body, NOON + timedelta(microseconds=1), "WEBHOOK")
        assert _arrival(_spooled(event)) == event
