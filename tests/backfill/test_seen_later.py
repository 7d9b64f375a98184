"""A board of the past shows nothing that was learned later, at a date that nobody told."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.follow.projector import Projector
from service.errors import NotAnEvent
from service.events import decode
from service.log.event_store import EventStore
from tests.backfill.conftest import Backfill
from tests.backfill.test_reconcile import RECEIVED, tell
from tests.given import plain_words
from tests.given.fake_board import TINY
from tests.given.moving_board import EDITS, LIVELY, RARE, Move, MovingBoard
from tests.given.plain_model import Moment
from tests.given.plain_words import Event, Said
from tests.given.plain_world import World, examples, run_examples
from tests.given.served_state import rows, served

PRODUCT = TINY.product_id
SAID: Final = {
    "items": (
        *("title", "description", "status", "type", "effort", "estimated"),
        *("votes_up", "votes_down", "comments", "subscribers"),
    ),
    "users": ("name", "mail", "img", "full_name", "segments", "custom", "system", "weight"),
    "comments": ("body", "likes", "pinned"),
    "entries": ("title", "description", "type", "segment"),
    "answers": ("value", "comment", "group"),
}
"""What of each may change, in the plain model's words."""


def told_by(bodies: Iterable[bytes], until: datetime) -> dict[str, dict[str, list[Said]]]:
    """Return what was so on the board until a moment: by the webhooks of it, be they delivered or lost."""
    events = list(happened(bodies, until))
    return {
        "items": plain_words.posts(events),
        "users": plain_words.mentions(events),
        "comments": plain_words.comments(events),
        "entries": plain_words.entries(events),
        "answers": plain_words.answers(events),
    }


def happened(bodies: Iterable[bytes], until: datetime) -> Iterator[Event]:
    for position, content in enumerate(bodies, 1):
        try:
            event = decode(content, RECEIVED, "WEBHOOK")
        except NotAnEvent:
            continue
        if event.occurred_at <= until:
            body = json.loads(content)
            at = event.occurred_at
            yield Event(
                position, event.product_id, event.action, event.entity, at, at, body["data"], False, body, 1
            )


def nothing_of_later(answer: Any, bodies: Iterable[bytes], until: datetime) -> None:
    """Hold a board as of a moment against what was so until then."""
    told = told_by(bodies, until)
    for kind, names in SAID.items():
        for key, row in rows(answer[kind]).items():
            said = told[kind].get(key, [])
            for name in names:
                if row.get(name) is not None:
                    assert row[name] in [one.fields.get(name) for one in said], (kind, key, name, row[name])
    for kind in ("items", "users", "comments", "votes", "entries"):
        for key, row in rows(answer[kind]).items():
            made = row.get("cast_at") or row.get("created_at")
            assert made is None or made <= until, (kind, key, made)
    for event in answer["events"]["nodes"]:
        assert datetime.fromisoformat(event["occurredAt"]) <= until


@pytest.mark.parametrize("most", [3, pytest.param(150, marks=pytest.mark.torture)])
async def test_before_it_was_seen_nothing_is_shown_that_was_learned_later(
    most: int,
    back_fill: Backfill,
    compared: Backfill,
    pool: asyncpg.Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    product = [PRODUCT]
    moves = st.lists(
        st.builds(Move, st.integers(1, 20), st.sampled_from(["", *RARE, *EDITS]), st.booleans(), st.just(0)),
        max_size=30,
    )
    world = World(pool, None)

    @examples(most)
    @given(
        moves, st.integers(0, 100), st.integers(1, 5), st.booleans(), st.lists(st.floats(0, 1), min_size=3)
    )
    async def holds(moves: list[Move], lost: int, seed: int, fills: bool, looks: list[float]) -> None:
        product[0] += 1
        world.product_id = product[0]
        board = MovingBoard(replace(LIVELY, seed=seed, product_id=product[0]))
        monkeypatch.setattr("service.sleekplan.client._now", board.now)
        dice = random.Random(lost)
        bodies = list(board.bodies)
        await tell(pool, [body for body in bodies if dice.random() * 100 >= lost])
        store = EventStore(pool)
        for move in moves:
            bodies.append(board.move(move.hours, move.action))
            if not move.lost:
                await store.append([decode(bodies[-1], RECEIVED, "WEBHOOK")])
        await store.close()
        await Projector(pool).catch_up()
        recorded = Moment(recorded=await pool.fetchval("select clock_timestamp()"))
        before, seen_at = await served(world, recorded), board.now()

        async with board.fake.serving() as address:
            sweep = back_fill if fills else compared
            report = await sweep(board.fake, address, product_id=product[0])
        await Projector(pool).catch_up()

        assert report.state == "COMPLETE"
        assert await served(world, recorded) == before
        first = decode(bodies[0], RECEIVED, "WEBHOOK").occurred_at
        for look in looks:
            # Sweeps take what they see for a second older than it is.
            until = (first + look * (seen_at - first)).replace(microsecond=0)
            if (seen_at - until).total_seconds() > 5:
                nothing_of_later(await served(world, Moment(happened=until)), bodies, until)

    try:
        await run_examples(holds)
    finally:
        await world.close()
