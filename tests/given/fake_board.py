"""A made-up Sleekplan for tests: a small board behind its API, a client, and a clock that jumps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import stamina
from pydantic import SecretStr

from service.simulator import Knobs, Traffic
from service.simulator.fake import FakeSleekplan
from service.simulator.variant import Variant
from service.sleekplan.client import ATTEMPTS, Sleekplan, sleekplan
from service.sleekplan.pace import Pace

SMALL = Knobs(seed=3, events=1_500, items=24, users=160)
"""A board on which some lists take several pages, and others are empty."""

TINY = Knobs(seed=3, events=300, items=8, users=30)
"""One with a few of everything."""


class JumpingClock:
    """Goes on by what is waited for, at once."""

    def __init__(self) -> None:
        self.at, self.naps = 1_000.0, list[float]()

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.at += seconds


def a_fake(knobs: Knobs = SMALL, key: str | None = None, **variant: Any) -> FakeSleekplan:
    """A board that stands still, with its history behind it, in one of the variants of the API."""
    return FakeSleekplan(_standing(knobs), Variant(**variant), key=key)


def a_moving_fake(knobs: Knobs = SMALL, **variant: Any) -> FakeSleekplan:
    """The same, of a board of its own, to be moved."""
    return FakeSleekplan(_standing.__wrapped__(knobs), Variant(**variant))


@cache
def _standing(knobs: Knobs) -> Traffic:
    traffic = Traffic(knobs)
    for _ in traffic.history():
        pass
    return traffic


@asynccontextmanager
async def asking(fake: FakeSleekplan, clock: JumpingClock | None = None) -> AsyncIterator[Sleekplan]:
    """A client of a fake, which is served until the block ends; it waits by the clock alone."""
    async with fake.serving() as address:
        pace = Pace(100, clock or JumpingClock())
        async with sleekplan(address, SecretStr(fake.key), pace) as client:
            with stamina.set_testing(True, attempts=ATTEMPTS):
                yield client


VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "as described": {},
    "pages from 0": {"first_page": "zero"},
    "page 0 is page 1": {"first_page": "both"},
    "page 0 is page 1, no end mark": {"first_page": "both", "end": "none"},
    "lists": {"items": "array"},
    "objects in no order": {"items": "shuffled", "numbers": "quoted"},
    "children under items": {"children": "items"},
    "bare children": {"children": "bare", "end": "none"},
    "pages from 0, bare children": {"first_page": "zero", "children": "bare", "empty": "list"},
    "no end mark": {"end": "none"},
    "always more": {"end": "always"},
    "always more, pages from 0, nothing is an error": {
        "end": "always",
        "first_page": "zero",
        "empty": "error_200",
    },
    "nothing is an error": {"empty": "error_200", "end": "none"},
    "nothing is a 404": {"empty": "error_404", "end": "none"},
    "nothing is a list": {"empty": "list"},
    "nothing is null": {"empty": "null", "end": "none"},
    "quoted numbers": {"numbers": "quoted"},
    "booleans as numbers": {"numbers": "binary"},
    "50 a page": {"per_page": "capped"},
    "10 a page": {"per_page": "ignored", "end": "none"},
    "no order": {"sort": "ignored"},
    "too many, seconds": {"limit_every": 5},
    "too many, a date": {"limit_every": 5, "retry_after": "date"},
    "too many, no word": {"limit_every": 5, "retry_after": "none"},
    "a 500": {"fault": "500"},
    "a reset": {"fault": "reset"},
    "cut JSON": {"fault": "cut"},
    "HTML": {"fault": "html"},
    "a redirect once": {"fault": "redirect"},
    "clocks apart": {"ahead_seconds": 240},
    "no Date": {"ahead_seconds": None},
}
"""Every documented or disputed way of answering after which all of the board is known all the same."""


def environment(fake: FakeSleekplan, database_url: str, address: str) -> dict[str, str]:
    """What a command that asks the fake is run with."""
    return {
        "RECOUNT_DATABASE_URL": database_url,
        "RECOUNT_SLEEKPLAN_API_URL": address,
        "RECOUNT_SLEEKPLAN_API_KEY": fake.key,
    }
