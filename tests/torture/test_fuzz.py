"""Promise 4 on 100,000 fuzzed bodies and the known killers: never a 5xx, each comes back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.log.database import Pool
from tests.intake.test_webhook import BODIES, PLAIN, board_on, fuzz

pytestmark = pytest.mark.torture


async def test_100_000_bodies_make_no_5xx_and_each_comes_back_as_it_was(pool: Pool, tmp_path: Path) -> None:
    async with board_on(pool, tmp_path) as board:
        board.key = PLAIN  # the shortcut, which nearly all deliveries take; `make test` goes both ways
        different = await fuzz(board, BODIES, most=100_000)

    print(f"{different} different bodies")
    assert different > 50_000
