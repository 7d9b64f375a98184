"""A sweep that was stopped at any of its requests and is called again records what one in peace does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

import asyncpg
import pytest

from projections.follow.projector import Projector
from projections.rebuild.verify import verify
from service.backfill.report import SweepReport
from service.backfill.sweeps import list_sweeps
from service.simulator.fake import FakeSleekplan
from tests.backfill.conftest import Backfill
from tests.backfill.test_backfill import counted
from tests.backfill.test_reconcile import is_the_boards, tell
from tests.given.board_state import on_board, projected
from tests.given.fake_board import TINY, a_fake
from tests.given.moving_board import LIVELY, MovingBoard

PRODUCT = TINY.product_id
STEPS = [11, pytest.param(1, marks=pytest.mark.torture)]
"""Which requests it is stopped at, in turn: each so manieth of them."""

Run = Callable[[], Awaitable[SweepReport]]


async def stopped_at(number: int, fake: FakeSleekplan, run: Run) -> SweepReport | None:
    """Run a sweep and stop it at the request of this number; None where it came so far."""
    before = len(fake.asked)

    async def stop(asked: int) -> None:
        if asked - before == number:
            running.cancel()
            await asyncio.sleep(60)

    fake.before_request = stop
    running = asyncio.ensure_future(run())
    try:
        with suppress(asyncio.CancelledError):
            return await running
        return None
    finally:
        fake.before_request = None


async def stopped_at_each(number: int, fake: FakeSleekplan, run: Run) -> tuple[SweepReport, int]:
    """Stop a sweep at each so manieth request until it goes through; return the report, and how many runs."""
    runs = 1
    while (report := await stopped_at(number, fake, run)) is None:
        runs += 1
    return report, runs


async def test_a_back_fill_that_is_stopped_again_and_again_brings_the_board(
    back_fill: Backfill, pool: asyncpg.Pool
) -> None:
    fake = a_fake(TINY)
    async with fake.serving() as address:
        report, runs = await stopped_at_each(3, fake, partial(back_fill, fake, address))

    assert runs > 10
    assert (report.state, report.resumed) == ("COMPLETE", True)
    assert set((await counted(pool)).values()) == {1}
    assert len(await list_sweeps(pool, 10)) == 1
    state = await projected(pool, PRODUCT)
    for kind, stands in on_board(fake).items():
        assert state[kind] == stands, kind
    await Projector(pool).catch_up()
    assert (await verify(pool)).equal


async def test_a_comparison_that_is_stopped_again_and_again_finds_what_was_lost(
    compared: Backfill, pool: asyncpg.Pool
) -> None:
    board = MovingBoard(LIVELY)
    await tell(pool, board.bodies[:-60])
    async with board.fake.serving() as address:
        report, runs = await stopped_at_each(7, board.fake, partial(compared, board.fake, address))
        again = await compared(board.fake, address)

    assert runs > 3
    assert (report.state, report.resumed, again.recorded.total()) == ("COMPLETE", True, 0)
    await is_the_boards(pool, board.fake)


@pytest.mark.parametrize("step", STEPS)
async def test_a_back_fill_that_is_stopped_at_any_request_and_gone_on_with_records_the_same(
    step: int, back_fill: Backfill, pool: asyncpg.Pool
) -> None:
    fake = a_fake(TINY)
    async with fake.serving() as address:
        undisturbed = await back_fill(fake, address)
        whole, requests = await counted(pool), undisturbed.requests
        for number in range(1, requests + 1, step):
            product = PRODUCT + number
            run = partial(back_fill, fake, address, product_id=product)
            assert await stopped_at(number, fake, run) is None
            report = await run()

            assert (report.state, report.resumed) == ("COMPLETE", True), number
            assert await counted(pool, product) == whole, number

    assert requests > 20


@pytest.mark.parametrize("step", STEPS)
async def test_a_comparison_that_is_stopped_at_any_request_and_gone_on_with_records_the_same(
    step: int, compared: Backfill, pool: asyncpg.Pool
) -> None:
    whole, number, requests = None, 0, 1
    while number <= requests:
        product = PRODUCT + number
        board = MovingBoard(replace(LIVELY, product_id=product))
        await tell(pool, board.bodies[:-60])
        async with board.fake.serving() as address:
            run = partial(compared, board.fake, address, product_id=product)
            assert number == 0 or await stopped_at(number, board.fake, run) is None
            report = await run()

        if whole is None:
            whole, requests = await counted(pool, product), report.requests
        assert (report.state, report.resumed) == ("COMPLETE", number > 0), number
        assert await counted(pool, product) == whole, number
        number = number + step if number else 1

    assert requests > 20
