"""Schemathesis asks every query and mutation of the schema, and each answer is data, as the schema says.

What it does not know of our values, tests/given/schemathesis/hooks.py tells it.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.errors import NotAnEvent
from service.events import decode
from service.log.event_store import EventStore
from service.simulator import simulate
from tests.given.asking import NOW, a_pool
from tests.given.folders import GIVEN
from tests.given.running import Running, running

SCHEMATHESIS = Path(sys.prefix) / "schemathesis" / "bin" / "schemathesis"
HOOKS = GIVEN / "schemathesis" / "hooks.py"
SHORT, LONG = 2, 70
"""Cases for each of 32 root fields; LONG makes more than 2,000."""

SECONDS_MAX = 900


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    """A service on a board of some hundred events."""
    if not SCHEMATHESIS.exists():
        pytest.skip("schemathesis is not installed (make test does it where the package index answers)")
    async with a_pool(database_url) as pool:
        store = EventStore(pool)
        for body in simulate(seed=5, events=600, items=30, users=25):
            try:
                await store.append([decode(body, NOW)])
            except NotAnEvent:
                continue
        await store.close()
    env = {"RECOUNT_DATABASE_URL": database_url}
    async with running(tmp_path / "data", env=env) as opened:
        yield opened


async def cases_without_failure(service: Running, cases: int, folder: Path) -> int:
    """Return how many cases schemathesis made; none may fail."""
    process = await asyncio.create_subprocess_exec(
        *(str(SCHEMATHESIS), "run", service.graphql_url, "--mode=positive", "--seed=7", "--no-color"),
        *(f"--max-examples={cases}", "--continue-on-failure"),
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS), "RECOUNT_URL": service.graphql_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), SECONDS_MAX)
    said = out.decode("utf-8", "replace")
    assert process.returncode == 0, said[-6000:]
    found = re.search(r"(\d+) generated, (\d+) passed", said)
    assert found is not None, said[-2000:]
    assert found[1] == found[2]
    return int(found[1])


async def test_schemathesis_finds_no_failure_in_a_few_cases_of_each_field(
    service: Running, tmp_path: Path
) -> None:
    assert await cases_without_failure(service, SHORT, tmp_path) >= 32


@pytest.mark.torture
async def test_schemathesis_finds_no_failure_in_2_000_cases(service: Running, tmp_path: Path) -> None:
    assert await cases_without_failure(service, LONG, tmp_path) >= 2_000
