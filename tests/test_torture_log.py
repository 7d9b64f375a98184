"""Short forms of tests/torture: a few kills, a small race, each with the broken design that it catches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.harness import storm
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
