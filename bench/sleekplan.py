"""Serves a made-up Sleekplan in a process of its own: `python -m bench.sleekplan PORT ITEMS VOTES KEY`."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import uvloop

from service.simulator import Knobs, Traffic
from service.simulator.fake import FakeSleekplan

VOTES_SHARE: Final = 0.675


def knobs_of(items: int, votes: int) -> Knobs:
    """A board of so many items and about as many votes, with the people and comments that go with them."""
    return Knobs(seed=19, events=int(votes / VOTES_SHARE), items=items, users=items, votes_share=VOTES_SHARE)


async def serve(port: int, items: int, votes: int, key: str) -> None:
    """Answer until the process is ended."""
    fake = FakeSleekplan(Traffic.resume(knobs_of(items, votes)), key=key)
    async with fake.serving(port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    port, items, votes, key = sys.argv[1:]
    uvloop.run(serve(int(port), int(items), int(votes), key))
