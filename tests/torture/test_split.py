"""A cell of 200 products and 500,000 events, split under 100 deliveries a second: see docs/scaling.md."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.given.splitting import a_cell, well_split

pytestmark = pytest.mark.torture

PRODUCTS, EVENTS, RATE = 200, 500_000, 100
BEFORE_AND_AFTER = 1_000
"""Deliveries of those that go, and as many of those that stay."""


async def test_a_large_cell_is_split_under_load(tmp_path: Path) -> None:
    async with a_cell(tmp_path, PRODUCTS, EVENTS) as cell:
        before = await cell.boards(cell.products)
        async with cell.busy(RATE, follow=[cell.staying[0], cell.going[0], cell.going[-1]]):
            await cell.more(BEFORE_AND_AFTER)
            began = time.monotonic()
            done = await cell.split(*map(str, cell.going), "--cell", "b")
            seconds = time.monotonic() - began
            assert done.returncode == 0, done.stderr
            await cell.more(BEFORE_AND_AFTER)
        late = await cell.command("cells", "forward", "--cell", "b", "--to", cell.replica.dsn)
        print(f"{cell}; the command took {seconds:.1f} s", done.stdout, late.stdout, sep="\n")

        await well_split(cell)
        assert await cell.boards(cell.products) == before
