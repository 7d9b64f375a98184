"""Promise 1: killing the service, Postgres or both at any moment loses no acknowledged delivery."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.harness import storm
from tests.torture.service import ACK_FIRST, NOT_SYNCHRONOUS

pytestmark = pytest.mark.torture


async def test_200_kills_lose_and_repeat_none_of_500_000_acknowledged_deliveries(tmp_path: Path) -> None:
    toll = await storm(tmp_path, kills=200, events=500_000)

    print(toll)
    assert toll.lost == []
    assert toll.twice == []
    assert toll.gaps == 0
    assert min(toll.in_flight) >= 32


@pytest.mark.parametrize("variant", [ACK_FIRST, NOT_SYNCHRONOUS])
async def test_the_same_kills_catch_a_broken_design(tmp_path: Path, variant: str) -> None:
    toll = await storm(tmp_path, kills=20, events=20_000, variant=variant)

    print(variant, toll)
    assert toll.lost
