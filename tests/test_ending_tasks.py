"""How tasks in the background are ended."""

from __future__ import annotations

import asyncio

import pytest

from service import ending_tasks
from service.ending_tasks import ended


async def test_a_task_whose_library_swallows_a_cancellation_is_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ending_tasks, "AGAIN_SECONDS", 0.01)
    swallowed = asyncio.Event()

    async def goes_on() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(goes_on())
    await asyncio.sleep(0)

    await asyncio.wait_for(ended(task), 30)

    assert swallowed.is_set()
    assert task.cancelled()


async def test_what_a_task_failed_with_while_it_was_ended_is_told() -> None:
    async def fails() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("the disk is full")

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)

    with pytest.raises(OSError, match="the disk is full"):
        await ended(task)
