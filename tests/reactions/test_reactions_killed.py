"""Reactions in a storm: every event at least once, in order, signed, and no other, whatever is killed."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.given.receiver import unmarked
from tests.given.waiting import eventually
from tests.reactions.storm import Hook, as_ids, said, storming

DOCUMENTS: Final = {
    "all": "subscription { events { position type summary } }",
    "moved": "subscription { events(filter: {types: [ITEM_STATUS_CHANGED]}) { position type } }",
    "loved": """subscription {
      thresholds(rules: [{metric: NET_VOTES, gte: 5}, {metric: UPVOTES, gte: 10}]) { metric value gte }
    }""",
}


EVENTS: Final = (301, 6_001, 100_021)
"""What happens last, one behind so many, is told by every rule."""


async def _told_as_subscribed(
    folder: Path, *, events: int, kills: int, failures: float, seconds: float
) -> str:
    """Check that each rule's receiver has what a subscriber gets, in that order; return what it came to."""
    async with storming(folder, DOCUMENTS, failures=failures) as storm:
        async with asyncio.TaskGroup() as group:
            group.create_task(storm.live(events))
            group.create_task(storm.rage(kills, events))
        last = await storm.last(events + 1)
        ends = {"all": f"{last}", "moved": f"{last}", "loved": f"{last}:2"}
        expected = {
            name: as_ids(name, await storm.subscribed(document, ends[name]))
            for name, document in DOCUMENTS.items()
        }
        for name, hook in storm.hooks.items():
            await eventually(partial(_has, hook, expected[name][-1]), seconds)
        for name, hook in storm.hooks.items():
            assert list(dict.fromkeys(hook.look())) == expected[name]  # each where it came first
        assert list(map(unmarked, expected["all"])) == [f"all_{number}" for number in range(1, last + 1)]
        return said(storm, expected)


def _has(hook: Hook, id: str) -> bool:
    return id in hook.look()[-1_000:]


@pytest.mark.slow
async def test_whatever_is_killed_each_receiver_has_what_a_subscriber_gets(tmp_path: Path) -> None:
    await _told_as_subscribed(tmp_path, events=EVENTS[0], kills=3, failures=0.02, seconds=120)


@pytest.mark.torture
@pytest.mark.parametrize(("events", "kills", "failures"), [(EVENTS[1], 12, 0.01), (EVENTS[2], 45, 0.001)])
async def test_killed_again_and_again_each_receiver_has_what_a_subscriber_gets(
    tmp_path: Path, events: int, kills: int, failures: float
) -> None:
    print(await _told_as_subscribed(tmp_path, events=events, kills=kills, failures=failures, seconds=600))
