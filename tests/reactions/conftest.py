"""A receiver on loopback, and the targets of rules."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from service.reactions.targets import Targets
from tests.given.receiver import Receiver, receiving


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@pytest.fixture
async def targets() -> AsyncIterator[Targets]:
    async with Targets() as opened:
        yield opened
