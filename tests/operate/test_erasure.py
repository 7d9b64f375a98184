"""Forgetting a person: what goes, what stays, and that it does not come back."""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
from structlog.testing import capture_logs

from projections.follow.projector import Projector
from projections.read_model import tables
from projections.rebuild import after_erasure, replay
from projections.rebuild.after_erasure import count_again
from projections.rebuild.build import Build, new_generation
from projections.rebuild.rebuild import Rebuilder, rebuild
from projections.rebuild.replay import Aside
from projections.rebuild.verify import verify
from service.errors import RebuildRuns, RebuildStopped, UserAmbiguous, UserUnknown
from service.events import decode
from service.log import quarantine as quarantining
from service.log.database import connect, migrate, open_pool
from service.log.event_store import EventStore
from service.log.quarantine import Quarantine, Unreadable
from service.operate.erasure import LEDGER_NAME, Erasure
from service.operate.interchange import export, import_lines
from tests.given.bodies import a_body
from tests.given.folders import PAYLOADS
from tests.given.postgres_tools import dump
from tests.given.waiting import eventually

PRODUCT: Final = 647288130
ANA: Final = "17"
BEN: Final = "18"
RECEIVED: Final = datetime(2026, 8, 1, tzinfo=UTC)
# What the samples say of her, and what they let her write. Her latitude with its quotes: clocks show it, too.
PERSONAL: Final = ["ana_w", "Ana Weber", "ana@example.com", "ana.weber@example.com", "ana.png", "acct_8812",
                   "203.0.113.7", '"47.37"', "rich", "Mozilla/5.0", "seats"]  # fmt: skip
TEXTS: Final = ["Dark mode", "My eyes hurt", "At last!", "Yes please"]


def _of_ana(**data: Any) -> bytes:
    """A delivery about her, by a sender that nests and names things in its own way."""
    return a_body(900, product_id=PRODUCT, action="nps.create", data=data)


def _bodies() -> list[bytes]:
    return [
        *(path.read_bytes() for path in sorted(PAYLOADS.glob("*.json"))),
        _of_ana(answers=[{"by": {"user_id": 17, "data_name": "ana_w", "nickname": "Anuschka"}, "score": 9}]),
        _of_ana(user_id="17", email="ana@example.com", phone="+41 44 000 00 00", score=3),
        a_body(
            901,
            product_id=PRODUCT,
            action="comment.create",
            data={
                "comment_id": 70,
                "feedback_id": 42,
                "comment": "Ask Ana Weber, ANA@example.com or ana_w's \u00e9quipe",
                "user": {"user_id": 18, "data_name": "bo", "data_mail": "bo@example.com"},
            },
        ),
        # A later edit of her comment, by a sender that does not say whose it is.
        a_body(
            902,
            product_id=PRODUCT,
            action="comment.update",
            data={"comment_id": 71, "comment": "Yes please, sooner"},
        ),
        a_body(
            903,
            product_id=PRODUCT,
            action="comment.create",
            data={"comment_id": 71, "feedback_id": 42, "comment": "Yes please", "user": {"user_id": 17}},
        ),
        # Kept with its bytes, because of the key given twice.
        b'{"product_id":%d,"action":"user.update","timestamp":1781521201,'
        b'"data":{"user_id":17,"data_mail":"ana@example.com","data_mail":"ana.weber@example.com"}}' % PRODUCT,
        a_body(904, product_id=PRODUCT, data={"feedback_id": 9, "title": "By bo", "user": {"user_id": 170}}),
        a_body(905, product_id=7, data={"feedback_id": 42, "title": "Elsewhere", "user": {"user_id": 17}}),
    ]


async def _fill(pool: asyncpg.Pool) -> None:
    store = EventStore(pool)
    await store.append([decode(body, RECEIVED) for body in _bodies()])
    quarantine = Quarantine(pool, store)
    for body in (b'{"user_id": "17", "data_mail": "x@exam', b"From: Ana@Example.com", b'{"user_id": 171}'):
        await quarantine.keep(Unreadable("it is not JSON", body, RECEIVED, "WEBHOOK"))
    await store.close()
    await Projector(pool).catch_up()


@pytest.fixture
async def log(pool: asyncpg.Pool) -> asyncpg.Pool:
    """A log in which Ana has left traces everywhere."""
    await _fill(pool)
    return pool


@pytest.fixture
def erasure(log: asyncpg.Pool, tmp_path: Path) -> Erasure:
    return _erasure(log, tmp_path)


def _erasure(pool: asyncpg.Pool, folder: Path) -> Erasure:
    async def replay(product_id: int) -> None:
        await Projector(pool).catch_up()
        await count_again(pool, product_id)

    return Erasure(pool, replay, data_dir=folder)


def _found(dumped: str, words: list[str]) -> list[str]:
    return [word for word in words if word.lower() in dumped.lower()]


async def test_a_dump_taken_afterwards_tells_nothing_of_the_person(
    erasure: Erasure, log: asyncpg.Pool, database_url: str
) -> None:
    before = await dump(database_url)
    assert _found(before, PERSONAL) == PERSONAL
    assert _found(before, ["Anuschka", "000 00 00", *TEXTS]) == ["Anuschka", "000 00 00", *TEXTS]

    erased = await erasure.erase(PRODUCT, ANA, texts=True, reason="she asked for it")

    after = await dump(database_url)
    assert _found(after, [*PERSONAL, "Anuschka", "000 00 00", *TEXTS]) == []
    assert erased.events == await log.fetchval("select count(*) from log.events where erased_at is not null")
    assert erased.quarantined == 2


async def test_tables_that_a_rebuild_has_just_left_behind_tell_nothing_either(
    erasure: Erasure, log: asyncpg.Pool, database_url: str
) -> None:
    await rebuild(log)
    assert await log.fetchval("select count(*) from read_model.discarded") > 0

    await erasure.erase(PRODUCT, ANA, texts=True, reason="she asked for it")

    assert _found(await dump(database_url), [*PERSONAL, *TEXTS]) == []


async def test_without_texts_what_they_wrote_stays(erasure: Erasure, database_url: str) -> None:
    await erasure.erase(PRODUCT, ANA, reason="she asked for it")

    after = await dump(database_url)
    assert _found(after, [*PERSONAL, "Anuschka", "000 00 00"]) == []
    assert _found(after, TEXTS) == TEXTS


async def test_others_and_all_that_is_counted_stay_as_they_were(erasure: Erasure, log: asyncpg.Pool) -> None:
    kept = (
        "select array_agg((position, product_id, action, entity_id, occurred_at, recorded_at, digest)::text "
        "order by position) from log.events"
    )
    others = "select array_agg(data::text order by position) from log.events where position in ({})"
    positions = await log.fetchval(
        "select string_agg(position::text, ',') from log.events where product_id <> $1 "
        "or data ->> 'feedback_id' = '9'",
        PRODUCT,
    )
    before = await log.fetchval(kept), await log.fetchval(others.format(positions))

    await erasure.erase(PRODUCT, ANA, texts=True, reason="she asked for it")

    assert (await log.fetchval(kept), await log.fetchval(others.format(positions))) == before
    totals = await log.fetchrow(
        "select post ->> 'total_up' as up, post ->> 'status' as status, post -> 'user' as author "
        "from log.events cross join lateral (select data -> 'feedback_item') p (post) "
        "where action = 'vote.create' and post ? 'user' limit 1"
    )
    assert totals is not None
    assert (totals["up"], totals["status"]) == ("132", "planned")
    assert json.loads(totals["author"]) == {"user_id": 17, "admin_id": 0, "erased": True}
    assert await log.fetchval("select count(*) from log.quarantine where body like '%171%'") == 1


async def test_the_read_model_shows_somebody_who_was_erased_with_their_votes(
    erasure: Erasure, log: asyncpg.Pool
) -> None:
    table = await erasure._users_table()
    assert await log.fetchval(f"select name from {table} where product_id = $1 and user_id = '17'", PRODUCT)

    await erasure.erase(PRODUCT, ANA, texts=True, reason="she asked for it")

    table = await erasure._users_table()
    assert (await verify(log)).equal
    row = await log.fetchrow(
        f"select erased, name, mail, data_id, system from {table} where product_id = $1 and user_id = '17'",
        PRODUCT,
    )
    assert row is not None
    assert tuple(row) == (True, None, None, None, None)


async def test_what_arrives_later_is_redacted_in_the_transaction_that_records_it(
    erasure: Erasure, log: asyncpg.Pool, database_url: str
) -> None:
    await erasure.erase(PRODUCT, ANA, texts=True, reason="she asked for it")
    store = EventStore(log)

    appended = await store.append(
        [
            decode(a_body(950, product_id=PRODUCT, action="user.update",
                          data={"user_id": 17, "data_name": "Anuschka", "weight": 5}), RECEIVED),
            decode(a_body(951, product_id=PRODUCT, action="comment.update",
                          data={"comment_id": 71, "comment": "Yes please, now"}), RECEIVED),
            decode(a_body(952, product_id=PRODUCT, data={"feedback_id": 5, "title": "By nobody"}), RECEIVED),
        ]
    )  # fmt: skip
    await Quarantine(log, store).keep(
        Unreadable("cut off", b'{"user_id":17,"data_name":"Anusch', RECEIVED, "IMPORT")
    )
    await store.close()

    assert _found(await dump(database_url), ["Anusch", *TEXTS]) == []
    rows = await log.fetch(
        "select data::text, erased_at is not null as erased from log.events where position = any ($1) "
        "order by position",
        [one.position for one in appended],
    )
    assert [row["erased"] for row in rows] == [True, True, False]
    assert json.loads(rows[0]["data"]) == {"user_id": 17, "weight": 5, "erased": True}


async def test_an_import_does_not_bring_the_person_back(
    erasure: Erasure, log: asyncpg.Pool, database_url: str, empty_database_url: str
) -> None:
    kept_by_somebody = b"\n".join(json.dumps(json.loads(body)).encode() + b" " for body in _bodies())
    await erasure.erase(PRODUCT, ANA, texts=True, reason="she asked for it")
    exported = b"".join([line async for line in export(log)])

    await import_lines(io.BytesIO(kept_by_somebody), log, now=RECEIVED)

    assert _found(await dump(database_url), [*PERSONAL[:4], *TEXTS]) == []
    async with _migrated(empty_database_url) as other:
        # The export says who was erased, so the log that it makes forgets them as well.
        await import_lines(io.BytesIO(exported + kept_by_somebody), other, now=RECEIVED)
        assert _found(await dump(empty_database_url), [*PERSONAL[:4], *TEXTS]) == []


@asynccontextmanager
async def _migrated(url: str) -> AsyncIterator[asyncpg.Pool]:
    connection = await connect(url)
    await migrate(connection)
    await connection.close()
    pool = await open_pool(url)
    try:
        yield pool
    finally:
        await pool.close()


async def test_an_append_at_the_same_time_slips_through_nowhere(
    log: asyncpg.Pool, erasure: Erasure, database_url: str
) -> None:
    store = EventStore(log)

    async def deliver() -> None:
        for number in range(60):
            body = a_body(2_000 + number, product_id=PRODUCT, action="user.update",
                          data={"user_id": 17, "data_name": f"Anuschka {number}"})  # fmt: skip
            await store.append([decode(body, RECEIVED)], timeout=30)

    async with asyncio.TaskGroup() as group:
        delivering = group.create_task(deliver())
        erasing = group.create_task(erasure.erase(PRODUCT, ANA, reason="she asked for it"))
        await asyncio.wait([delivering, erasing])
    await store.close()

    assert await log.fetchval("select count(*) from log.events where data ? 'data_name'") == 0
    assert "Anuschka" not in await dump(database_url)


async def test_a_delivery_that_is_quarantined_between_the_look_and_the_commit_is_redacted(
    log: asyncpg.Pool, erasure: Erasure, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log's lock is held, so that the erasure has looked at the quarantine and cannot end."""
    monkeypatch.setattr(quarantining, "QUARANTINE_SECONDS_MAX", 60)
    store = EventStore(log)
    waiting = "select count(*) from pg_locks where not granted"
    late = Unreadable("it is no event", b'{"user_id": 17, "data_name": "Anuschka", cut', RECEIVED, "WEBHOOK")
    owner = await connect(database_url)
    async with owner.transaction():
        await owner.execute("select from log.head for update")
        erasing = asyncio.create_task(erasure.erase(PRODUCT, ANA, reason="she asked for it"))
        await eventually(lambda: owner.fetchval(waiting))
        keeping = asyncio.create_task(Quarantine(log, store).keep(late))
        await eventually(lambda: keeping.done() or _is(2, owner.fetchval(waiting)))
    await asyncio.gather(erasing, keeping)
    await owner.close()
    await store.close()

    assert "Anuschka" not in await dump(database_url)


async def _is(expected: int, found: Awaitable[int]) -> bool:
    return await found == expected


async def test_a_preview_lists_what_would_change_and_changes_nothing(
    erasure: Erasure, log: asyncpg.Pool, database_url: str
) -> None:
    before = await dump(database_url)

    preview = await erasure.preview(PRODUCT, ANA, texts=True)

    assert await dump(database_url) == before
    erased = await erasure.erase(PRODUCT, ANA, texts=True, reason="she asked for it")
    assert (len(preview.events), len(preview.quarantined)) == (erased.events, erased.quarantined)
    assert {found.action for found in preview.events} >= {
        "item.update",
        "vote.create",
        "user.create",
        "comment.update",
    }
    assert await erasure.preview(PRODUCT, ANA, texts=True) == ([], [], [], [])


async def test_erasing_twice_does_no_harm(erasure: Erasure, database_url: str) -> None:
    first = await erasure.erase(PRODUCT, ANA, reason="she asked for it")

    second = await erasure.erase(PRODUCT, ANA, reason="she asked again")

    assert (first.events > 0, second.events, second.quarantined) == (True, 0, 0)


async def test_every_erasure_leaves_a_line_with_its_reason_and_without_a_name(
    erasure: Erasure, log: asyncpg.Pool, tmp_path: Path
) -> None:
    erased = await erasure.erase(PRODUCT, ANA, texts=True, reason="ticket 4711")

    row = await log.fetchrow("select reason, texts, events, user_digest, replayed_at from log.erasures")
    assert row is not None
    assert (row["reason"], row["texts"], row["events"]) == ("ticket 4711", True, erased.events)
    assert row["replayed_at"] is not None
    ledger = tmp_path / LEDGER_NAME
    assert ledger.stat().st_mode & 0o777 == 0o600
    assert json.loads(ledger.read_text())["user_id"] == ANA


async def test_the_log_still_refuses_a_change_that_is_no_erasure(erasure: Erasure, log: asyncpg.Pool) -> None:
    await erasure.erase(PRODUCT, ANA, reason="she asked for it")

    with pytest.raises(asyncpg.RestrictViolationError):
        await log.execute("update log.events set data = '{}', erased_at = now()")


async def test_after_an_older_dump_was_restored_the_ledger_erases_again(
    erasure: Erasure, log: asyncpg.Pool, tmp_path: Path, empty_database_url: str
) -> None:
    older = b"".join([line async for line in export(log)])
    await erasure.erase(PRODUCT, ANA, texts=True, reason="she asked for it")

    async with _migrated(empty_database_url) as restored:
        await import_lines(io.BytesIO(older), restored, now=RECEIVED)
        again = await _erasure(restored, tmp_path).reapply()
        assert [one.events > 0 for one in again] == [True]
        assert await _erasure(restored, tmp_path).reapply() == []
    assert await erasure.reapply() == []


async def test_however_many_are_erased_again_or_were_cut_off_a_product_is_counted_again_once(
    erasure: Erasure, log: asyncpg.Pool, tmp_path: Path, empty_database_url: str
) -> None:
    older = b"".join([line async for line in export(log)])
    for _ in range(2):
        await erasure.erase(PRODUCT, ANA, reason="she asked for it")
        await erasure.erase(PRODUCT, "18", texts=True, reason="he asked for it")
    counted: list[int] = []

    async def count(product_id: int) -> None:
        counted.append(product_id)
        if len(counted) == 1:
            raise ConnectionError

    async with _migrated(empty_database_url) as restored:
        await import_lines(io.BytesIO(older), restored, now=RECEIVED)
        cut_off = Erasure(restored, count, data_dir=tmp_path)
        with pytest.raises(ConnectionError):
            await cut_off.reapply()
        assert await cut_off.reapply() == []
        erased = await cut_off.suppressions()

    assert counted == [PRODUCT, PRODUCT]
    assert {(one.user_id, one.texts) for one in erased} == {(ANA, False), ("18", True)}


async def test_an_erasure_that_was_cut_off_before_the_read_model_is_finished_at_the_next_start(
    erasure: Erasure, log: asyncpg.Pool, tmp_path: Path
) -> None:
    async def killed(_: int) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await Erasure(log, killed, data_dir=tmp_path).erase(PRODUCT, ANA, reason="she asked for it")

    assert await erasure.reapply() == []

    table = await erasure._users_table()
    assert (
        await log.fetchval(f"select name from {table} where product_id = $1 and user_id = '17'", PRODUCT)
        is None
    )
    assert await log.fetchval("select count(*) from log.erasures where replayed_at is null") == 0


async def test_whom_sleekplan_deleted_is_erased_once_the_delay_is_over(
    erasure: Erasure, log: asyncpg.Pool
) -> None:
    assert await erasure.honour_deletions(timedelta(days=365_000)) == 0

    assert await erasure.honour_deletions(timedelta(0)) == 1

    assert [person.user_id for person in await erasure.suppressions()] == [ANA]
    assert await erasure.honour_deletions(timedelta(0)) == 0


async def test_many_who_are_erased_in_one_go_are_one_line_of_the_log_and_one_is_a_line_with_its_erasure(
    erasure: Erasure, log: asyncpg.Pool
) -> None:
    with capture_logs() as lines:
        await erasure.honour_deletions(timedelta(0))
        deletions = [
            a_body(950 + id, product_id=PRODUCT, action="user.delete", data={"user_id": id})
            for id in (18, 19, 20)
        ]
        store = EventStore(log)
        await store.append([decode(body, RECEIVED) for body in deletions])
        await store.close()
        await Projector(log).catch_up()
        await erasure.honour_deletions(timedelta(0))

    one, many = [line for line in lines if line["event"].endswith("_erased")]
    erasures = await log.fetchval("select array_agg(id::text) from log.erasures")
    assert one["event"] == "person_erased"
    assert one["erasure"] in erasures
    assert (many["event"], many["people"]) == ("people_erased", 3)
    assert many["events"] >= 3
    assert "erasure" not in many


async def test_a_deletion_that_cannot_be_honoured_yet_is_tried_again(
    erasure: Erasure, log: asyncpg.Pool, tmp_path: Path
) -> None:
    attempts: list[int] = []

    async def busy_at_first(product_id: int) -> None:
        attempts.append(product_id)
        if len(attempts) == 1:
            raise RebuildRuns("another process")

    keeping = asyncio.create_task(
        Erasure(log, busy_at_first, data_dir=tmp_path).keep_honouring(timedelta(0), every_seconds=0.01)
    )
    await eventually(lambda: log.fetchval("select bool_and(replayed_at is not null) from log.erasures"))
    keeping.cancel()

    assert len(attempts) >= 2
    assert [person.user_id for person in await erasure.suppressions()] == [ANA]


def cancelled_at_rest(monkeypatch: pytest.MonkeyPatch, number: int) -> list[float]:
    """Have rests take no time, and the one of this number end the task; return how long each would be."""
    rests: list[float] = []

    async def rested(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == number:
            raise asyncio.CancelledError

    monkeypatch.setattr("service.operate.erasure.rest", rested)
    return rests


async def test_what_stops_at_an_event_each_time_is_tried_ever_more_seldom(
    erasure: Erasure, log: asyncpg.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stops(product_id: int) -> None:
        raise RebuildStopped("items", 12, "broken")

    pauses = cancelled_at_rest(monkeypatch, 10)
    stopping = Erasure(log, stops, data_dir=tmp_path)
    with pytest.raises(RebuildStopped):
        await stopping.erase(PRODUCT, BEN, reason="asked for it")
    with pytest.raises(asyncio.CancelledError):
        await stopping.keep_honouring(timedelta(0))

    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    # Whom Sleekplan deleted is redacted all the same.
    assert {person.user_id for person in await erasure.suppressions()} == {ANA, BEN}


async def test_a_product_that_stops_at_an_event_keeps_no_other_from_being_counted_again(
    erasure: Erasure, log: asyncpg.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = PRODUCT - 1
    store = EventStore(log)
    await store.append(
        [decode(a_body(990, product_id=stopping, action="user.delete", data={"user_id": 1}), RECEIVED)]
    )
    await store.close()
    await Projector(log).catch_up()

    async def stops(product_id: int) -> None:
        if product_id == stopping:
            raise RebuildStopped("items", 12, "broken")

    cancelled_at_rest(monkeypatch, 2)
    with pytest.raises(asyncio.CancelledError):
        await Erasure(log, stops, data_dir=tmp_path).keep_honouring(timedelta(0))

    rows = await log.fetch("select product_id, replayed_at is not null as done from log.erasures order by 1")
    assert [tuple(row) for row in rows] == [(stopping, False), (PRODUCT, True)]


async def test_a_lifted_erasure_lets_the_person_be_known_again(erasure: Erasure, log: asyncpg.Pool) -> None:
    await erasure.erase(PRODUCT, ANA, reason="she asked for it")

    assert await erasure.lift(PRODUCT, ANA)
    assert not await erasure.lift(PRODUCT, ANA)

    store = EventStore(log)
    [appended] = await store.append(
        [
            decode(
                a_body(
                    960, product_id=PRODUCT, action="user.update", data={"user_id": 17, "data_name": "Ana"}
                ),
                RECEIVED,
            )
        ]
    )
    await store.close()
    name = "select data ->> 'data_name' from log.events where position = $1"
    assert await log.fetchval(name, appended.position) == "Ana"


async def test_a_person_is_found_by_id_by_the_customers_own_id_and_by_address(erasure: Erasure) -> None:
    assert await erasure.find("acct_8812") == (PRODUCT, ANA)
    assert await erasure.find("ANA@example.com") == (PRODUCT, ANA)
    assert await erasure.find("17", PRODUCT) == (PRODUCT, ANA)
    assert await erasure.find("4040", PRODUCT) == (PRODUCT, "4040")
    with pytest.raises(UserAmbiguous, match=rf"2 users .* 7, {PRODUCT}"):
        await erasure.find("17")
    with pytest.raises(UserUnknown):
        await erasure.find("nobody@example.com")


# Where a person can appear: each gives one delivery that tells of them by `id`, and their own canaries.

_PLACES: Final = (
    "data",
    "envelope",
    "nested",
    "listed",
    "text of another",
    "customer's id",
    "bytes",
    "subscriber",
)


def _tells(place: str, number: int, id: object, canary: str) -> bytes:
    person = {"user_id": id, "data_name": f"{canary} Surname", "data_mail": f"{canary}@example.com"}
    members: dict[str, Any] = {"product_id": PRODUCT, "action": "item.update"}
    match place:
        case "data":
            return a_body(number, **members | {"action": "user.update", "data": person})
        case "envelope":
            return a_body(number, **members, sender=person)
        case "nested":
            return a_body(number, **members, data={"feedback_id": 5, "voter": {"of": {"user": person}}})
        case "listed":
            return a_body(number, **members, data={"feedback_id": 5, "watchers": [{"user_id": 1}, person]})
        case "text of another":
            text = f'Ask {canary.upper()}@Example.COM, or {canary} surname \u2014 "she" knows'
            return a_body(number, **members, data={"feedback_id": 5, "description": text})
        case "customer's id":
            return a_body(number, **members, data={"feedback_id": 5, "user": {**person, "data_id": canary}})
        case "subscriber":
            data = {"id": id, "mail": f"{canary}@example.com"}
            return a_body(number, **members | {"action": "changelog_subscriber.create", "data": data})
    # Only the bytes tell: of a key given twice, jsonb keeps the last.
    first, last = json.dumps({"user": person}), json.dumps({"feedback_id": 5, "user": {"user_id": 2}})
    return a_body(number, **members).replace(
        json.dumps({"feedback_id": number, "title": f"Idea {number}"}).encode(),
        f"{first[:-1]}, {last[1:]}".encode(),
    )


@pytest.mark.parametrize("seed", range(2))
async def test_wherever_people_are_named_none_of_those_erased_together_is_left_in_a_dump(
    pool: asyncpg.Pool, database_url: str, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    people: dict[str, object] = {
        "Quaxlbrunn": 31,
        "Zwirbelfink": "Ab-7x",
        "Murmelpfau": "33",
        "Staystone": 34,
    }
    gone = list(people)[:3]
    told = [(place, name) for place in _PLACES for name in people] + [("data", name) for name in people]
    dice.shuffle(told)
    bodies = [_tells(place, 3_000 + i, people[name], name) for i, (place, name) in enumerate(told)]
    store = EventStore(pool)
    quarantine = Quarantine(pool, store)
    for half in (bodies[:20], bodies[20:]):
        await store.append([decode(body, RECEIVED) for body in half])
    for name, id in people.items():
        await quarantine.keep(
            Unreadable("cut", b'{"user_id": "%s", "x"' % str(id).encode(), RECEIVED, "WEBHOOK")
        )
        await quarantine.keep(Unreadable("cut", f"From: {name}@example.com".encode(), RECEIVED, "WEBHOOK"))
    await store.close()
    await Projector(pool).catch_up()
    assert _found(await dump(database_url), list(people)) == list(people)

    erasure = _erasure(pool, tmp_path)
    done = await erasure._redact(PRODUCT, [str(people[name]) for name in gone], True, "all of them")
    await erasure._count_again(PRODUCT, [each.id for each in done])

    assert _found(await dump(database_url), gone) == []
    kept = await pool.fetchval(
        "select count(*) from log.events where position::text || data::text ~* 'staystone'"
    )
    assert (
        kept == len([name for _, name in told if name == "Staystone"]) - 2
    )  # envelope and bytes are not in data
    assert [each.quarantined for each in done] == [2, 2, 2]
    assert all(each.events >= len(_PLACES) for each in done)
    assert (await verify(pool)).equal


async def test_erasing_people_together_leaves_the_log_as_one_after_the_other_does(
    log: asyncpg.Pool, tmp_path: Path, empty_database_url: str
) -> None:
    content = (
        "select string_agg(envelope::text || data::text || (raw is null)::text, E'\n' order by position) "
        "from log.events"
    )
    async with _migrated(empty_database_url) as other:
        await _fill(other)
        for people in ([ANA], ["18"]):
            await _erasure(log, tmp_path)._redact(PRODUCT, people, True, "trial")
        await _erasure(other, tmp_path)._redact(PRODUCT, [ANA, "18"], True, "trial")
        left = [await pool.fetchval(content) for pool in (log, other)]

    assert left[0] == left[1]
    assert "bo@example.com" not in left[0]


async def test_what_the_spool_could_not_read_goes_with_the_next_erasure(
    erasure: Erasure, tmp_path: Path
) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "00000000000000000001.damaged").write_bytes(b"RSPL\x00 ... ana@example.com")
    waiting = folder / "00000000000000000002.spool"
    waiting.write_bytes(b"")

    await erasure.erase(PRODUCT, ANA, reason="she asked for it")

    assert list(folder.iterdir()) == [waiting]


async def test_verify_agrees_while_an_erasure_is_under_way(log: asyncpg.Pool, tmp_path: Path) -> None:
    redacted, go_on = asyncio.Event(), asyncio.Event()

    async def slow(product_id: int) -> None:
        redacted.set()
        await go_on.wait()
        await Projector(log).catch_up()
        await count_again(log, product_id)

    async with asyncio.TaskGroup() as group:
        group.create_task(Erasure(log, slow, data_dir=tmp_path).erase(PRODUCT, ANA, reason="she asked"))
        await redacted.wait()
        verifying = group.create_task(verify(log))
        await eventually(lambda: asyncio.sleep(0, not verifying.done()))
        go_on.set()

    assert verifying.result().equal


async def test_verify_agrees_when_an_erasure_begins_in_the_middle_of_it(
    log: asyncpg.Pool, erasure: Erasure
) -> None:
    erasing: list[asyncio.Task[object]] = []

    def at_the_first_sign(*_: object) -> None:
        if not erasing:
            erasing.append(asyncio.ensure_future(erasure.erase(PRODUCT, ANA, reason="she asked")))

    report = await verify(log, progress=at_the_first_sign)

    await erasing[0]
    assert report.equal
    assert (await verify(log)).equal


@pytest.mark.parametrize("events_put_in", [0, replay.PUT_IN_EVENTS_MAX])
async def test_whoever_is_erased_while_the_product_is_counted_for_another_is_gone_as_well(
    erasure: Erasure,
    log: asyncpg.Pool,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    events_put_in: int,
) -> None:
    """To join a count that read the log before would leave in the tables whom the log knows no more."""
    monkeypatch.setattr(replay, "PUT_IN_EVENTS_MAX", events_put_in)
    read, asked = asyncio.Event(), asyncio.Event()
    step, settle, request = Aside._step, Build.settle, Rebuilder.request

    async def step_and_wait(aside: Aside, *more: Any) -> None:
        await step(aside, *more)
        read.set()
        await asked.wait()

    async def wait_and_settle(build: Build, *more: Any, **named: Any) -> None:
        read.set()
        await asked.wait()
        await settle(build, *more, **named)

    async def request_and_tell(rebuilder: Rebuilder, *more: Any, **named: Any) -> int:
        number = await request(rebuilder, *more, **named)
        if read.is_set():
            asked.set()
        return number

    monkeypatch.setattr(Aside, "_step", step_and_wait)
    monkeypatch.setattr(Build, "settle", wait_and_settle)
    monkeypatch.setattr(Rebuilder, "request", request_and_tell)
    other = asyncio.create_task(erasure.erase(PRODUCT, "18", reason="he asked for it"))
    await read.wait()

    await erasure.erase(PRODUCT, ANA, reason="she asked for it")

    await other
    assert _found(await dump(database_url), PERSONAL) == []


async def test_what_another_instance_has_counted_and_cleans_up_after_is_not_counted_twice(
    erasure: Erasure, log: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large product that was a second rebuild of everything, by each instance."""
    clear = erasure._clear_files

    async def look_meanwhile(product_id: int) -> None:
        monkeypatch.setattr(erasure, "_clear_files", clear)
        await erasure.reapply()

    monkeypatch.setattr(erasure, "_clear_files", look_meanwhile)
    await erasure.erase(PRODUCT, ANA, reason="she asked for it")
    assert await log.fetchval("select count(*) from read_model.rebuilds") == 1

    await erasure.erase(PRODUCT, ANA, reason="she asked once more")
    assert await log.fetchval("select count(*) from read_model.rebuilds") == 2


async def test_tables_kept_for_a_reader_show_nobody_who_was_erased_to_anybody_else(
    erasure: Erasure, log: asyncpg.Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a large product all was rebuilt, and a report that runs for hours keeps the tables of before."""
    monkeypatch.setattr(replay, "PUT_IN_EVENTS_MAX", 0)
    monkeypatch.setattr(after_erasure, "DROP_ATTEMPTS_MAX", 1)
    users = (await tables(log)).names["users"]
    asked = f"select name from {users} where product_id = {PRODUCT} and user_id = '{ANA}'"
    reading = await asyncpg.connect(database_url)
    await reading.execute("begin isolation level repeatable read")
    name = await reading.fetchval(asked)

    await erasure.erase(PRODUCT, ANA, reason="she asked for it")

    assert _found(await dump(database_url), PERSONAL) == []
    assert await reading.fetchval(asked) == name == "ana_w"
    await reading.close()


async def test_a_build_that_was_killed_keeps_nobody_who_was_erased(
    erasure: Erasure, log: asyncpg.Pool, database_url: str
) -> None:
    generation = await new_generation(log)
    for table in (f"users_{generation}", f"step_hot_{generation}_1"):
        await log.execute(f"create table read_model.{table} as select 'ana@example.com' as mail")

    await erasure.erase(PRODUCT, ANA, reason="she asked for it")

    assert _found(await dump(database_url), PERSONAL) == []
