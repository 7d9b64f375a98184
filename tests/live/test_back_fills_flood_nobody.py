"""A back-fill of any size reaches nobody who follows: no tail, no reaction, no list of items or bounds."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from service.events import decode
from service.log.event_store import EventStore
from tests.given.bodies import NOON
from tests.given.live_board import PRODUCT
from tests.given.receiver import a_file, a_rule, receiving
from tests.given.running import RECOUNT, Running, environment, running
from tests.given.waiting import eventually

BATCH_EVENTS = 1_000
SECONDS_MAX = 300
FOLLOWED = (
    "subscription { items(after: 0) { position } }",
    "subscription { thresholds(after: 0, rules: [{metric: UPVOTES, gte: 5}]) { position } }",
)
TAIL = ("tail", "--after", "0", "--count", "1", "--json")


def told_of(number: int, up: int, action: str = "item.snapshot") -> bytes:
    item = {"feedback_id": number, "title": "Old", "total_up": up, "total_down": 0}
    body = {"product_id": PRODUCT, "action": action, "data": item, "timestamp": 1_780_000_000 + up}
    return json.dumps(body).encode()


async def first_of(service: Running, query: str) -> int:
    """Follow, and return the position of the first that is told."""
    asked: dict[str, Any] = {"json": {"query": query}, "headers": {"Accept": "text/event-stream"}}
    timeout = aiohttp.ClientTimeout(total=SECONDS_MAX)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(service.graphql_url, **asked) as answer,
    ):
        async for line in answer.content:
            if line.startswith(b"data:") and b"position" in line:
                [told] = json.loads(line[5:])["data"].values()
                return int(told["position"])
    raise AssertionError("it ended without a word")


@pytest.mark.parametrize("size", [200, pytest.param(100_000, marks=[pytest.mark.torture, pytest.mark.slow])])
async def test_the_first_that_who_follows_hears_of_is_the_delivery_after_it(
    size: int, database_url: str, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    async with receiving() as receiver:
        rules, data_dir = a_file(tmp_path, a_rule(tmp_path, receiver.url)), tmp_path / "data"
        env = {"RECOUNT_DATABASE_URL": database_url, "RECOUNT_REACTIONS": str(rules)}
        async with running(data_dir, env=env) as service:
            followed = [asyncio.create_task(first_of(service, query)) for query in FOLLOWED]
            tail = await asyncio.create_subprocess_exec(
                RECOUNT,
                *TAIL,
                env=environment({"RECOUNT_DATA_DIR": str(data_dir)}),
                stdout=subprocess.PIPE,
            )
            # A rule begins where the log ends when its file is read, a moment after the service listens.
            await eventually(lambda: pool.fetchval("select count(*) from log.reactions"), SECONDS_MAX)
            store = EventStore(pool)
            for start in range(0, size, BATCH_EVENTS):
                numbers = range(start, min(start + BATCH_EVENTS, size))
                bodies = [told_of(number % (size // 2) + 1, 9 * (number >= size // 2)) for number in numbers]
                await store.append([decode(body, NOON, "BACKFILL") for body in bodies], timeout=60)
            await store.close()
            for up in (0, 9):
                await service.post(told_of(size, up, "item.update"))
            out, _ = await asyncio.wait_for(tail.communicate(), SECONDS_MAX)
            positions = await asyncio.gather(*followed)
            await receiver.has(2, SECONDS_MAX)

    assert json.loads(out)["position"] == size + 1
    assert receiver.positions == [size + 1, size + 2]
    assert positions == [size + 1, size + 2]
