"""The client waits as it is told, tries again what may pass, and never lets the key out."""

from __future__ import annotations

import asyncio
import io
import time
import traceback
from typing import Any

import pytest

from service.errors import (
    SleekplanError,
    SleekplanFailed,
    SleekplanForbidden,
    SleekplanKeyRefused,
    SleekplanTooMany,
)
from service.sleekplan.client import ATTEMPTS
from tests.given.fake_board import JumpingClock, a_fake, asking
from tests.given.waiting import eventually

HIDDEN = {"page": "1", "per_page": "10"}


@pytest.mark.parametrize("said", ["seconds", "date"])
async def test_it_waits_as_long_as_a_429_says(said: Any) -> None:
    clock = JumpingClock()
    fake = a_fake(limit_every=2, retry_after=said)
    async with asking(fake, clock) as client:
        await client.get("/users", HIDDEN)
        clock.naps.clear()

        await client.get("/users", HIDDEN)

    assert max(clock.naps) == pytest.approx(7, abs=1.1)
    assert len(fake.asked) == 3


async def test_without_a_word_it_waits_twice_as_long_each_time_and_gives_up_after_an_hour() -> None:
    clock = JumpingClock()
    began = clock.at
    async with asking(a_fake(limit_every=1, retry_after="none"), clock) as client:
        with pytest.raises(SleekplanTooMany):
            await client.get("/users", HIDDEN)

    pauses = [nap for nap in clock.naps if nap > 1]
    assert pauses[0] == pytest.approx(5, rel=0.3)
    assert pauses[3] == pytest.approx(40, rel=0.3)
    assert max(pauses) <= 375
    assert 3_000 < clock.at - began < 4_000


async def test_a_429_halves_the_rate_which_recovers_a_tenth_a_minute() -> None:
    clock = JumpingClock()
    async with asking(a_fake(limit_every=2), clock) as client:
        await client.get("/users", HIDDEN)
        await client.get("/users", HIDDEN)

        assert client.pace.rate == pytest.approx(50, rel=0.1)
        clock.at += 120
        assert client.pace.rate == pytest.approx(70, rel=0.1)
        clock.at += 3_600
        assert client.pace.rate == 100


async def test_requests_are_never_closer_than_the_rate_allows() -> None:
    clock = JumpingClock()
    async with asking(a_fake(), clock) as client:
        began = clock.at
        for _ in range(21):
            await client.get("/users", HIDDEN)

    assert clock.at - began == pytest.approx(0.2, rel=0.01)


@pytest.mark.parametrize("fault", ["500", "reset", "cut", "html"])
async def test_what_stays_broken_is_tried_five_times_each_in_its_turn(fault: Any) -> None:
    clock = JumpingClock()
    began = clock.at
    fake = a_fake(fault=fault, fault_at=0, fault_path="users")
    async with asking(fake, clock) as client:
        with pytest.raises(SleekplanFailed) as failed:
            await client.get("/users", HIDDEN)

    # aiohttp tries a connection that was closed on it once more by itself.
    assert len(fake.asked) == client.requests == ATTEMPTS * (2 if fault == "reset" else 1)
    assert clock.at - began == pytest.approx((client.requests - 1) / 100, abs=0.001)
    assert failed.value.passing


async def test_an_answer_that_does_not_come_is_given_up() -> None:
    fake = a_fake(fault="slow", fault_at=0, fault_path="users")
    async with asking(fake) as client:
        client.answer_seconds = 0.05
        with pytest.raises(SleekplanFailed, match="did not come in time"):
            await client.get("/users", HIDDEN)


async def test_one_that_is_told_to_end_at_the_moment_at_which_it_gives_up_an_answer_ends() -> None:
    """By aiohttp's limit it went on, with the next try."""
    fake = a_fake(fault="slow", fault_at=0, fault_path="users")
    async with asking(fake) as client:
        client.answer_seconds = 0.5
        begun, loop = time.monotonic(), asyncio.get_running_loop()
        asked = asyncio.create_task(client.get("/users", HIDDEN))
        await eventually(lambda: bool(fake.asked))

        loop.call_later(begun + 0.6 - time.monotonic(), asked.cancel)
        # The loop is busy meanwhile, so that it meets both at once.
        loop.call_soon(time.sleep, max(begun + 0.7 - time.monotonic(), 0))
        await asyncio.wait([asked])

        assert asked.cancelled()


async def test_no_more_than_32_mebibytes_of_an_answer_are_read() -> None:
    fake = a_fake(fault="huge", fault_at=1)
    async with asking(fake) as client:
        await client.get("/users", HIDDEN)

    assert len(fake.asked) == 2


async def test_a_redirect_is_not_followed() -> None:
    fake = a_fake(fault="redirect", fault_at=0, fault_path="users")
    async with asking(fake) as client:
        with pytest.raises(SleekplanFailed, match=r"302.*redirect, which is not followed"):
            await client.get("/users", HIDDEN)

    assert fake.broken == []


async def test_a_refused_key_is_asked_with_once() -> None:
    fake = a_fake(rights="401")
    async with asking(fake) as client:
        with pytest.raises(SleekplanKeyRefused, match="RECOUNT_SLEEKPLAN_API_KEY"):
            await client.get("/users", HIDDEN)

    assert len(fake.asked) == 1


async def test_what_the_key_may_not_read_is_said_once_with_why() -> None:
    fake = a_fake(rights="403_users")
    async with asking(fake) as client:
        with pytest.raises(SleekplanForbidden, match="rights of who made it"):
            await client.get("/users", HIDDEN)
        await client.get("/posts", HIDDEN)


@pytest.mark.parametrize("seconds", [0, 240, -500, 3_000, None])
async def test_it_knows_by_how_much_the_other_clock_is_ahead(seconds: float | None) -> None:
    async with asking(a_fake(ahead_seconds=seconds)) as client:
        await client.get("/users", HIDDEN)

    if seconds in (3_000, None):
        assert client.ahead is None
    else:
        assert client.ahead is not None
        assert client.ahead.total_seconds() == pytest.approx(seconds, abs=1.5)


FAULTS: list[dict[str, Any]] = [
    {"rights": "401"},
    {"rights": "403_users"},
    *(
        {"fault": fault, "fault_at": 0, "fault_path": "users"}
        for fault in ("500", "reset", "cut", "html", "redirect")
    ),
    {"limit_every": 1},
]


@pytest.mark.parametrize("variant", FAULTS, ids=str)
async def test_no_error_and_no_line_holds_the_key(variant: dict[str, Any], lines: io.StringIO) -> None:
    fake = a_fake(**variant)
    async with asking(fake) as client:
        with pytest.raises(SleekplanError) as refused:
            await client.get("/users", HIDDEN)

    said = "".join(traceback.format_exception(refused.value))
    for error in (refused.value, refused.value.__context__, refused.value.__cause__):
        said += f"{error!r} {vars(error) if error else ''}"
    assert fake.key not in said + lines.getvalue() + repr(client) + repr(vars(client))
    assert "/users" in str(refused.value)
    assert fake.broken == []
