"""Reactions under kills and a bad receiver: every event at least once, in order, signed, and no other."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from tests.given.bodies import a_body
from tests.given.receiver import Receiver, a_file, a_rule, receiving
from tests.given.running import Running, running
from tests.given.waiting import eventually

STATUS_CHANGES = "subscription { events(filter: {types: [ITEM_STATUS_CHANGED]}) { position type } }"
STATUSES = ("planned", "in-progress", "complete")


def _badly(dice: random.Random, failures: float) -> Callable[[web.Request], object]:
    """Answer most with 200, and the others in every way in which a receiver may not take a message."""

    async def behave(request: web.Request) -> web.Response:
        if dice.random() >= failures:
            await asyncio.sleep(dice.random() / 500)
            return web.Response()
        match dice.randrange(5):
            case 0:
                return web.Response(status=dice.choice((400, 404, 500, 503)))
            case 1:
                return web.Response(status=429, headers={"Retry-After": "1"})
            case 2:
                return web.Response(status=302, headers={"Location": "/elsewhere"})
            case 3:
                assert request.transport is not None
                request.transport.abort()
                return web.Response(status=500)
        await asyncio.sleep(1.5)  # longer than the rule waits
        return web.Response(status=500)

    return behave


async def _happen(service: Running, first: int, count: int) -> int:
    """Have things happen, of which of three two change a status; return the newest position."""
    newest = 0
    for number in range(first, first + count):
        status = "open" if number % 3 == 0 else STATUSES[number // 3 % 3]
        data = {"feedback_id": number // 3 + 1, "title": f"Idea {number // 3}", "status": status}
        if number % 3 == 2:
            data["status"] = "closed"
        status_code, answer = await service.post(a_body(number, action="item.update", data=data))
        assert status_code == 200
        newest = answer["position"]
    return newest


async def _told_under_kills(
    folder: Path, *, events: int, kills: int, failures: float
) -> tuple[Receiver, list[int]]:
    """Return what a receiver took, and the positions that it should have."""
    dice = random.Random(20)
    async with receiving() as receiver:
        receiver.behaves = _badly(dice, failures)  # type: ignore[assignment]
        path = a_file(folder, a_rule(folder, receiver.url, document=STATUS_CHANGES, timeout_seconds=1))
        env = {"RECOUNT_REACTIONS": str(path)}
        share = events // (kills + 1)
        for turn in range(kills + 1):
            async with running(folder / "data", env=env) as service:
                if turn == 0:
                    await eventually(lambda service=service: _has_begun(service), 60)  # type: ignore[misc]
                taken = len(receiver.taken)
                newest = await _happen(service, 1 + turn * share, share)
                if turn < kills:
                    await receiver.has(taken + dice.randrange(1, share // 3), 120)
                    await service.stop(signal.SIGKILL)
                    continue
                expected = await _positions(service, newest)
                await eventually(partial(_has_all, receiver, expected), 300)
    return receiver, expected


async def _positions(service: Running, newest: int) -> list[int]:
    """Return the positions of all that the rule tells, as a query lists them."""
    query = """query($after: String, $newest: Position) {
      events(first: 500, after: $after, filter: {types: [ITEM_STATUS_CHANGED]}, minPosition: $newest) {
        nodes { position } pageInfo { endCursor hasNextPage }
      }
    }"""
    found: list[int] = []
    after = None
    # The lease of the one that was killed may still keep the projector waiting.
    await eventually(partial(_is_projected, service, newest), 60)
    while True:
        page = (await service.ask(query, after=after, newest=newest))["events"]
        found += [node["position"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return sorted(found)


async def _is_projected(service: Running, position: int) -> bool:
    query = "query($position: Position) { events(first: 1, minPosition: $position) { totalCount } }"
    return "errors" not in await service.ask_whole(query, position=position)


def _has_all(receiver: Receiver, expected: list[int]) -> bool:
    return set(expected) <= set(receiver.positions)


async def _has_begun(service: Running) -> bool:
    return bool((await service.ask("{ reactions { name } }"))["reactions"])


def _check(receiver: Receiver, expected: list[int]) -> None:
    seen = list(dict.fromkeys(receiver.positions))  # each where it came first
    assert seen == expected
    assert receiver.forged == 0
    assert all(asked.startswith("/hook ") for asked in receiver.asked)


@pytest.mark.slow
async def test_killed_with_its_postgres_it_leaves_none_out(tmp_path: Path) -> None:
    receiver, expected = await _told_under_kills(tmp_path, events=150, kills=2, failures=0.05)

    _check(receiver, expected)
    assert len(expected) >= 60


@pytest.mark.torture
async def test_killed_again_and_again_it_leaves_none_out(tmp_path: Path) -> None:
    receiver, expected = await _told_under_kills(tmp_path, events=6_000, kills=12, failures=0.01)

    _check(receiver, expected)
    twice = len(receiver.taken) - len(expected)
    print(f"{len(expected)} messages, {twice} of them twice, 12 kills")
