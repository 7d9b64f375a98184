"""Promise 11: whoever resumes after a position gets every later one once and in order, whatever was killed.

`TORTURE_SECONDS` sets how long the load lasts; ten minutes where it is not set.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from schema.ids import encode_id
from service.postgres.embedded import EmbeddedPostgres
from tests.given.ports import free_port
from tests.given.running import Running, running
from tests.torture.harness import kill_postgres, postgres
from tests.torture.live_followers import RESUME, Follower, cut_at_random, deliver

pytestmark = pytest.mark.torture

SECONDS = float(os.environ.get("TORTURE_SECONDS", "600"))
FOLLOWERS = 1_000
ITEMS = 25
RATE = 300
PRODUCT = 5456534244
KEY = "torture-key-0123456789"
SETTLE_SECONDS_MAX = 180


def _bodies() -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        feedback = {"feedback_id": number % ITEMS + 1, "title": "Idea", "total_up": number}
        data = {"vote": 1, "user": {"user_id": number}, "feedback_item": feedback}
        content = {
            "product_id": PRODUCT,
            "action": "vote.create",
            "data": data,
            "timestamp": 1_781_428_382 + number,
        }
        yield json.dumps(content).encode()


def _filter(number: int) -> dict[str, object]:
    """A filter of its own for each, that one event in 25 passes."""
    return {
        "itemId": encode_id("Item", PRODUCT, str(number % ITEMS + 1)),
        "recorded": {"from": f"2026-01-01T00:00:00.{number:06}Z"},
    }


class Storm:
    """A service and its Postgres that are killed while a thousand follow."""

    def __init__(self, folder: Path, resumes_after: RESUME) -> None:
        self.port = free_port()
        self.followers = [Follower(self.port, _filter(number), resumes_after) for number in range(FOLLOWERS)]
        self.folder = folder
        self.kills = {"service": 0, "postgres": 0}
        self.delivered = 0

    async def rage(self, seconds: float, kills: int) -> None:
        """Load, cut and kill; then let everybody come to an end, and compare."""
        (self.folder / "data").mkdir()
        async with postgres(self.folder / "postgres") as database:
            over = asyncio.Event()
            following: list[asyncio.Task[None]] = []
            killing = asyncio.create_task(self._kill_service_and_postgres(database, seconds, kills, over))
            await self._listens()
            following = [asyncio.create_task(each.follow()) for each in self.followers]
            cutting = asyncio.create_task(cut_at_random(self.followers, 5, over))
            url = f"http://127.0.0.1:{self.port}/webhooks?key={KEY}"
            self.delivered = await deliver(url, _bodies(), rate=RATE, seconds=seconds)
            over.set()
            await cutting
            expected = await self._expected(database.dsn)
            await self._settle(expected)
            for follower in self.followers:
                follower.stop()
            for task in following:
                task.cancel()
            killing.cancel()
            await asyncio.gather(*following, killing, return_exceptions=True)
        got = [(each.positions, expected[number % ITEMS + 1]) for number, each in enumerate(self.followers)]
        # Who has a beginning of what there is was only slow: the machine's fault, and no success either.
        self.behind = [
            number for number, (has, due) in enumerate(got) if has != due and has == due[: len(has)]
        ]
        self.wrong = [number for number, (has, due) in enumerate(got) if has != due[: len(has)]]

    async def _kill_service_and_postgres(
        self, database: EmbeddedPostgres, seconds: float, kills: int, over: asyncio.Event
    ) -> None:
        for left in range(kills, -1, -1):
            async with self._service(database.dsn) as service:
                pause = seconds / (kills + 1) * random.uniform(0.7, 1.1)
                await asyncio.wait([asyncio.create_task(over.wait())], timeout=pause if left else None)
                if over.is_set():
                    await asyncio.Event().wait()  # until the storm is over and this is cancelled
                if left % 2:
                    self.kills["postgres"] += 1
                    kill_postgres(database)
                self.kills["service"] += 1
                service.process.kill()
                await service.process.wait()

    @asynccontextmanager
    async def _service(self, dsn: str) -> AsyncIterator[Running]:
        settings = {"RECOUNT_DATABASE_URL": dsn, "RECOUNT_WEBHOOK_KEYS": KEY, "RECOUNT_LOG_LEVEL": "error"}
        async with running(self.folder / "data", env=settings, port=self.port) as service:
            yield service

    async def _listens(self) -> None:
        async with asyncio.timeout(120):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                except OSError:
                    await asyncio.sleep(0.1)

    async def _expected(self, dsn: str) -> dict[int, list[int]]:
        """The positions that the log holds for each item, once nothing waits in the spool."""
        connection = await asyncpg.connect(dsn)
        try:
            async with asyncio.timeout(SETTLE_SECONDS_MAX):
                while await connection.fetchval("select count(*) from log.events") < self.delivered:
                    await asyncio.sleep(0.2)
            rows = await connection.fetch(
                "select (data -> 'feedback_item' ->> 'feedback_id')::int as item, array_agg(position order by"
                " position) as positions from log.events group by 1"
            )
            return {row["item"]: row["positions"] for row in rows}
        finally:
            await connection.close()

    async def _settle(self, expected: dict[int, list[int]]) -> None:
        """Wait until everybody has what there is, or gets no further."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + SETTLE_SECONDS_MAX
        while loop.time() < give_up and any(
            len(follower.positions) < len(expected[number % ITEMS + 1])
            for number, follower in enumerate(self.followers)
        ):
            await asyncio.sleep(0.5)
        await asyncio.sleep(1)  # whoever is sent something twice is sent it now

    def __str__(self) -> str:
        cuts, messages = (
            sum(each.cuts for each in self.followers),
            sum(len(each.positions) for each in self.followers),
        )
        return (
            f"{FOLLOWERS} followers, {self.delivered} events, {cuts} lines cut, killed {self.kills}; "
            f"{messages} messages; {len(self.wrong)} followers wrong, {len(self.behind)} not done in time"
        )


async def test_a_thousand_followers_get_every_position_once_and_in_order(tmp_path: Path) -> None:
    storm = Storm(tmp_path, lambda last: last)

    await storm.rage(SECONDS, kills=6)

    print(storm)
    assert storm.wrong == []
    assert storm.behind == []
    assert min(storm.kills["service"], sum(follower.cuts for follower in storm.followers)) > 0


@pytest.mark.parametrize(
    "broken", [lambda last: max(last - 1, 0), lambda last: last + 1], ids=["one back", "one on"]
)
async def test_the_same_storm_catches_a_resume_that_is_one_off(tmp_path: Path, broken: RESUME) -> None:
    storm = Storm(tmp_path, broken)

    await storm.rage(min(SECONDS, 30), kills=2)

    print(storm)
    assert storm.wrong
