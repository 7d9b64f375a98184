"""Short forms of tests/torture: a few kills, a small race, each with the broken design that it catches."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.log.database import Pool
from service.log.event_store import EventStore
from tests.given.bodies import an_event
from tests.torture.harness import storm
from tests.torture.races import (
    SEQUENCE_TABLE,
    UPDATED_HEAD,
    as_designed,
    by_sequence,
    duplicate_race,
    gap_race,
    in_one_statement,
)
from tests.torture.service import ACK_FIRST


async def test_kills_lose_and_repeat_no_acknowledged_delivery(tmp_path: Path) -> None:
    toll = await storm(tmp_path, kills=3, events=1_500)

    print(toll)
    assert toll.lost == []
    assert toll.twice == []
    assert toll.gaps == 0
    assert min(toll.in_flight) >= 32


@pytest.mark.slow
async def test_the_same_kills_catch_a_service_that_answers_before_it_commits(tmp_path: Path) -> None:
    toll = await storm(tmp_path, kills=3, events=1_500, variant=ACK_FIRST)

    print(toll)
    assert toll.lost


async def test_a_reader_that_follows_many_writers_skips_no_row(database_url: str) -> None:
    race = await gap_race(database_url, as_designed, rows=8_000, batch=10)

    print(race)
    assert (race.rows, race.skipped) == (8_000, 0)


async def test_the_same_race_catches_a_plain_sequence(database_url: str, pool: Pool) -> None:
    await pool.execute(SEQUENCE_TABLE)

    race = await gap_race(database_url, by_sequence, rows=8_000, batch=10, table="log.by_sequence")

    print(race)
    assert race.skipped > 0


async def test_writers_of_overlapping_batches_record_nothing_twice(database_url: str) -> None:
    race = await duplicate_race(database_url, as_designed, batches=60)

    print(race)
    assert (race.twice, race.failed) == (0, 0)


async def test_the_same_race_catches_the_single_statement(database_url: str) -> None:
    race = await duplicate_race(database_url, in_one_statement, batches=120)

    print(race)
    assert race.twice + race.failed > 0


async def test_an_append_locks_the_head_and_leaves_its_row_as_it_is(pool: Pool) -> None:
    """Updated, it would make each append slower than the one before while a pg_dump keeps its snapshot."""
    head = "select ctid::text || xmin::text from log.head"
    before = await pool.fetchval(head)
    store = EventStore(pool)

    for number in range(1, 4):
        await store.append([an_event(number)])
    await store.close()

    assert await pool.fetchval(head) == before
    await pool.execute(UPDATED_HEAD)
    assert await pool.fetchval(head) != before, "the control: an update shows"
