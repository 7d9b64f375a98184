"""Rules that tell at set times: each once, of those that were missed the newest, with the span between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from projections.read_model import Reader
from schema.answer.execute import Operations
from schema.build import build_schema
from schema.context import Services
from schema.live.subscribe import Live
from service.config import load_settings
from service.log.database import Pool
from service.log.event_store import EventStore
from service.log.hub import Hub
from service.reactions import digest
from service.reactions.cursors import Cursors
from service.reactions.reactions import reacting
from service.reactions.schedule import Times
from tests.given.receiver import Receiver, a_file, a_rule, receiving
from tests.given.waiting import eventually

MONDAY = datetime(2026, 11, 30, 7, tzinfo=UTC)
"""Eight o'clock in Zurich."""
WEEKLY = Times.read("monday 08:00 Europe/Zurich")
DOCUMENT = """
  query($from: DateTime!, $to: DateTime!) { boardDiff(from: {time: $from}, to: {time: $to}) { addedCount } }
"""


class Clock:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


def test_times_are_those_of_the_zone_on_either_side_of_a_change_of_the_clock() -> None:
    zurich = WEEKLY
    assert zurich.next_after(MONDAY - timedelta(days=3)) == MONDAY
    assert zurich.next_after(MONDAY) == MONDAY + timedelta(days=7)
    assert zurich.last_until(MONDAY) == MONDAY
    assert zurich.last_until(MONDAY - timedelta(microseconds=1)) == MONDAY - timedelta(days=7)
    summer = datetime(2026, 10, 19, 6, tzinfo=UTC)
    assert zurich.next_after(summer) == datetime(2026, 10, 26, 7, tzinfo=UTC)

    daily = Times.read("day 02:30 Europe/Zurich")
    night = datetime(2026, 3, 28, 12, tzinfo=UTC)
    told = []
    for _ in range(3):
        night = daily.next_after(night)
        told.append(night)
    assert [(each.day, each.hour, each.minute) for each in told] == [(29, 1, 30), (30, 0, 30), (31, 0, 30)]


@pytest.mark.parametrize(
    "text", ["montag 08:00 UTC", "monday 8:00 UTC", "monday 25:00 UTC", "day 08:00 Nowhere/X", ""]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"times|time of day"):
        Times.read(text)


async def test_each_time_is_told_once_and_of_those_missed_the_newest(
    database_url: str, pool: Pool, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "CLOCK_SECONDS", 0.01)
    path = a_file(
        tmp_path, a_rule(tmp_path, receiver.url, "week", DOCUMENT, every="monday 08:00 Europe/Zurich")
    )
    clock, cursors = Clock(MONDAY - timedelta(days=2)), Cursors(pool)
    settings = load_settings({"RECOUNT_REACTIONS": str(path)})
    operations, store = Operations(build_schema()), EventStore(pool)

    async with Hub(database_url) as hub:
        services = Services(pool, Reader(pool), store, hub, settings, clock=clock)

        async def begun() -> bool:
            return "week" in await cursors.all()

        async def told_to(moment: datetime) -> bool:
            return (await cursors.all())["week"].told_to == moment

        live = Live(services, operations)
        async with reacting(services, operations, live, is_demo=False):
            await eventually(begun)
        await pool.execute("update log.reactions set told_to = $1", clock.at)
        for moment in (MONDAY, MONDAY + timedelta(days=22, hours=1)):
            clock.at, count = moment, len(receiver.taken)
            async with reacting(services, operations, live, is_demo=False):
                await receiver.has(count + 1)
                await eventually(partial(told_to, WEEKLY.last_until(moment)))
        await live.close()
    operations.close()
    await store.close()

    assert [message["id"] for message in receiver.taken] == ["week_20261130T0700Z", "week_20261221T0700Z"]
    assert receiver.taken[0]["data"] == {"boardDiff": {"addedCount": 0}}
