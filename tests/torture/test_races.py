"""Promises 2 and 3 under a race: no gaps, nothing skipped, nothing twice, and no slower beside a pg_dump."""

from __future__ import annotations

import pytest

from service.log.database import Pool
from tests.torture.races import (
    SEQUENCE_TABLE,
    as_designed,
    by_sequence,
    duplicate_race,
    gap_race,
    in_one_statement,
    old_snapshot,
)

pytestmark = pytest.mark.torture


async def test_a_reader_that_follows_32_writers_skips_none_of_a_million_rows(database_url: str) -> None:
    race = await gap_race(database_url, as_designed, rows=1_000_000)

    print(race)
    assert (race.rows, race.skipped) == (1_000_000, 0)


async def test_the_same_race_catches_a_plain_sequence(database_url: str, pool: Pool) -> None:
    await pool.execute(SEQUENCE_TABLE)

    race = await gap_race(database_url, by_sequence, rows=100_000, table="log.by_sequence")

    print(race)
    assert race.skipped > 0


async def test_eight_writers_of_overlapping_batches_record_nothing_twice(database_url: str) -> None:
    race = await duplicate_race(database_url, as_designed, batches=1_200)

    print(race)
    assert (race.twice, race.failed) == (0, 0)


async def test_the_same_race_catches_the_single_statement(database_url: str) -> None:
    race = await duplicate_race(database_url, in_one_statement, batches=300)

    print(race)
    assert race.twice + race.failed > 0


async def test_appends_keep_their_rate_while_an_old_snapshot_is_open(database_url: str) -> None:
    rates = await old_snapshot(database_url, appends=3_000)

    print(rates)
    assert rates.under_snapshot[-1] > 0.7 * rates.alone


async def test_the_same_measurement_catches_a_head_row_that_is_updated(database_url: str) -> None:
    # Each update makes the next one slower: twice the parts, so that it shows far below the limit.
    rates = await old_snapshot(database_url, appends=3_000, parts=8, updating_head=True)

    print(rates)
    assert rates.under_snapshot[-1] < 0.7 * rates.alone
