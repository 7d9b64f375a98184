"""A log that holds the made-up board is told apart from others, by whoever asks."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg

from service.config import load_settings
from service.labels import load_labels
from service.log.event_store import EventStore
from service.operate import demo
from service.simulator import LABELS


async def test_whoever_reads_a_demo_sees_its_boards_labels_unless_a_file_says_others(
    pool: asyncpg.Pool,
) -> None:
    before = await demo.labels(pool, load_settings({}))
    await demo.begin(pool, EventStore(pool), datetime.now(UTC))

    assert before == load_labels(None)
    assert await demo.labels(pool, load_settings({})) == load_labels(LABELS)
