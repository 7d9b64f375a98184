"""The quarantine keeps bytes and reasons, counts copies, and lets go only by retry or discard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from service.errors import NotAnEvent, QuarantineClosed, QuarantineUnknown
from service.log.database import Pool
from service.log.event_store import Appended, EventStore
from service.log.quarantine import Quarantine, Unreadable
from tests.given.bodies import NO_EVENTS, NOON, a_body, an_event

MISSING = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
async def store(pool: Pool) -> AsyncIterator[EventStore]:
    opened = EventStore(pool)
    yield opened
    await opened.close()


@pytest.fixture
def quarantine(pool: Pool, store: EventStore) -> Quarantine:
    return Quarantine(pool, store)


def refused(body: bytes = b"ha", minutes: int = 0, product_id: int | None = None) -> Unreadable:
    return Unreadable("a joke", body, NOON + timedelta(minutes=minutes), "WEBHOOK", product_id)


async def test_a_delivery_comes_back_with_its_bytes_and_the_reason(quarantine: Quarantine) -> None:
    for number, body in enumerate(NO_EVENTS.values()):
        id = await quarantine.keep(Unreadable("a joke", body, NOON, "WEBHOOK", number))

        kept = await quarantine.show(id)

        assert (kept.body, kept.reason, kept.state, kept.size_bytes) == (body, "a joke", "open", len(body))


async def test_the_same_bytes_again_are_counted_and_kept_once(quarantine: Quarantine) -> None:
    ids = {await quarantine.keep(refused(minutes=minutes)) for minutes in (0, 5, 5)}

    [kept] = await quarantine.list()
    assert ids == {kept.id}
    # The third was the second once more, drained from the spool twice.
    assert (kept.copies, kept.last_received_at) == (2, NOON + timedelta(minutes=5))


async def test_the_same_bytes_for_another_product_are_another_delivery(quarantine: Quarantine) -> None:
    await quarantine.keep(refused(product_id=1))
    await quarantine.keep(refused(product_id=2))

    assert len(await quarantine.list()) == 2
    assert [kept.product_id for kept in await quarantine.list(product_id=2)] == [2]


async def test_the_list_goes_from_the_newest_to_the_oldest_page_by_page(quarantine: Quarantine) -> None:
    for minutes in range(7):
        await quarantine.keep(refused(b"%d" % minutes, minutes))

    seen: list[int] = []
    before = None
    while page := await quarantine.list(limit=3, before=before):
        seen += [(kept.received_at - NOON).seconds // 60 for kept in page]
        before = page[-1].id

    assert seen == [6, 5, 4, 3, 2, 1, 0]


async def test_a_retry_records_the_delivery_with_the_time_of_its_receipt(
    quarantine: Quarantine, store: EventStore
) -> None:
    id = await quarantine.keep(refused(a_body(1, timestamp=None), minutes=3))

    assert await quarantine.retry(id) == Appended(1, False)

    [event] = await store.read_after(0, 1)
    assert event.occurred_at == NOON + timedelta(minutes=3)
    kept = await quarantine.show(id)
    assert (kept.state, kept.position) == ("retried", 1)
    assert kept.body is not None
    with pytest.raises(QuarantineClosed, match="position 1"):
        await quarantine.retry(id)


async def test_a_retry_that_was_cut_off_after_recording_closes_the_delivery_later(
    quarantine: Quarantine, store: EventStore
) -> None:
    id = await quarantine.keep(refused(a_body(1)))
    await store.append([an_event(1)])

    assert await quarantine.retry(id) == Appended(1, True)
    assert (await quarantine.show(id)).state == "retried"


async def test_a_delivery_that_still_is_no_event_stays_with_the_new_reason(quarantine: Quarantine) -> None:
    id = await quarantine.keep(refused(b"ha"))

    with pytest.raises(NotAnEvent, match="not JSON"):
        await quarantine.retry(id)

    kept = await quarantine.show(id)
    assert (kept.state, kept.reason.startswith("it is not JSON")) == ("open", True)


async def test_a_retry_does_not_write_to_a_product_that_the_caller_may_not_write_to(
    quarantine: Quarantine, store: EventStore
) -> None:
    id = await quarantine.keep(refused(a_body(1, product_id=2), product_id=1))

    with pytest.raises(NotAnEvent, match="product 2"):
        await quarantine.retry(id, products={1})

    assert await store.head() == 0
    assert await quarantine.retry(id, products={1, 2}) == Appended(1, False)


async def test_discarding_closes_a_delivery_and_keeps_its_bytes(quarantine: Quarantine) -> None:
    id = await quarantine.keep(refused(b"ha"))

    await quarantine.discard(id)

    kept = await quarantine.show(id)
    assert (kept.state, kept.body) == ("discarded", b"ha")
    assert kept.closed_at is not None
    assert await quarantine.list() == []
    for again in (quarantine.retry, quarantine.discard):
        with pytest.raises(QuarantineClosed, match="discarded"):
            await again(id)


@pytest.mark.parametrize("id", [MISSING, "1", "", "'; drop table log.quarantine"])
async def test_an_id_that_nobody_has_is_an_error_that_says_where_to_look(
    quarantine: Quarantine, id: str
) -> None:
    for ask in (quarantine.show, quarantine.retry, quarantine.discard):
        with pytest.raises(QuarantineUnknown, match="recount quarantine list"):
            await ask(id)
