"""A comparison with the board finds what no webhook told, says since when, and never believes a cut list."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.follow.projector import Projector
from projections.rebuild.verify import verify
from service.events import decode
from service.log.event_store import EventStore
from service.simulator import Traffic
from tests.backfill.conftest import Backfill
from tests.backfill.test_backfill import EVERY
from tests.given.board_state import on_board, projected
from tests.given.fake_board import TINY, a_fake
from tests.given.moving_board import EDITS, LIVELY, RARE, Move, MovingBoard
from tests.given.plain_world import examples, run_examples

PRODUCT = TINY.product_id
FOUND = {*EDITS, "merged"}
RECEIVED = TINY.ending + timedelta(days=30)
FEW = ("pages from 0, bare children", "no order", "filter=all is refused", "votes without users")
CUTS = [(rows, rights) for rows in (0, 3, 10) for rights in ("", "405_post", "500_post")]
FEW_CUTS = ((0, ""), (3, "405_post"), (10, "500_post"))


async def tell(pool: asyncpg.Pool, bodies: list[bytes]) -> None:
    """Deliver bodies, and have them projected."""
    store = EventStore(pool)
    for start in range(0, len(bodies), 100):
        events = [decode(body, RECEIVED, "WEBHOOK") for body in bodies[start : start + 100]]
        await store.append(events, timeout=30)
    await store.close()
    await Projector(pool).catch_up()


async def recorded(pool: asyncpg.Pool, product_id: int = PRODUCT) -> list[tuple[str, dict[str, Any], Any]]:
    """Return what comparisons recorded: action, data and who saw it."""
    rows = await pool.fetch(
        "select action, data::text, (envelope -> 'observed')::text as observed from log.events"
        " where origin = 'RECONCILE' and product_id = $1 order by position",
        product_id,
    )
    return [(row["action"], json.loads(row["data"]), json.loads(row["observed"])) for row in rows]


async def is_the_boards(pool: asyncpg.Pool, fake: Any, product_id: int = PRODUCT) -> None:
    """Hold the read model against the board.

    Who joined last is never told to be gone, and votes of people who were deleted stay: see absence.py.
    """
    await Projector(pool).catch_up()
    state, stands = await projected(pool, product_id), on_board(fake)
    gone = {str(person.number) for person in fake.traffic.scene.people.everybody if person.gone}
    spelled = _without_voter if fake.variant.voterless else tuple
    stands["votes"] = set(map(spelled, stands["votes"]))
    state["votes"] = {
        spelled(told) for told in state["votes"] if told[1] not in gone or spelled(told) in stands["votes"]
    }
    state["subscribers"] = {
        told for told in state["subscribers"] if told[1] not in gone or told in stands["subscribers"]
    }
    # Where none of an item's private notes is listed, nothing is known of those that went: see absence.sql.
    noted = {item for _, item, *_, public in stands["comments"] if not public}
    state["comments"] = {
        told for told in state["comments"] if told in stands["comments"] or told[-1] or told[1] in noted
    }
    for kind in ("items", "comments", "votes", "subscribers", "updates"):
        if fake.variant.hidden:
            assert state[kind] >= stands[kind], kind
        else:
            assert state[kind] == stands[kind], kind
    assert state["users"] >= stands["users"]
    assert state["answers"] >= stands["answers"]


def _without_voter(vote: tuple[Any, ...]) -> tuple[Any, ...]:
    return (vote[0], *vote[2:])


@pytest.mark.parametrize(
    "name", [name if name in FEW else pytest.param(name, marks=pytest.mark.torture) for name in EVERY]
)
async def test_what_was_lost_is_found_and_a_second_comparison_records_nothing(
    name: str, compared: Backfill, pool: asyncpg.Pool
) -> None:
    bodies = list(Traffic(TINY).history())
    await tell(pool, [body for place, body in enumerate(bodies) if place < 100 or place % 3])
    fake = a_fake(TINY, **EVERY[name])
    async with fake.serving() as address:
        first = await compared(fake, address)
        again = await compared(fake, address)

    assert (first.state, first.problem) == ("COMPLETE", None)
    assert first.recorded.total() > 20
    await is_the_boards(pool, fake)
    assert (again.state, again.recorded) == ("COMPLETE", {})
    assert (await verify(pool)).equal
    assert await pool.fetchval("select count(*) from log.sweep_absences") == 0
    assert fake.broken == []


@pytest.mark.parametrize(
    ("rows", "rights"),
    [cut if cut in FEW_CUTS else pytest.param(*cut, marks=pytest.mark.torture) for cut in CUTS],
)
async def test_a_list_that_is_cut_is_no_deletion(
    rows: int, rights: str, compared: Backfill, pool: asyncpg.Pool
) -> None:
    await tell(pool, list(Traffic(TINY).history()))
    whole = a_fake(TINY)
    async with whole.serving() as address:
        await compared(whole, address)
    before = len(await recorded(pool))
    cut = a_fake(TINY, cut_rows=rows, per_page="ignored", rights=rights)
    async with cut.serving() as address:
        for _ in range(2):
            await compared(cut, address, accept_deletions=10**6)

    assert [
        each for each in (await recorded(pool))[before:] if not each[0].endswith((".snapshot", ".update"))
    ] == []


async def test_each_loss_is_told_with_who_and_between_which_two_looks(
    compared: Backfill, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = MovingBoard(LIVELY)
    monkeypatch.setattr("service.sleekplan.client._now", board.now)
    await tell(pool, board.bodies)
    async with board.fake.serving() as address:
        await compared(board.fake, address)
        first = len(await recorded(pool))
        looked_at = board.now()
        for place in range(40):
            board.move(3, RARE[place % 8] if place % 8 < len(RARE) else "")
        await compared(board.fake, address)
    await is_the_boards(pool, board.fake)

    gone = [each for each in (await recorded(pool))[first:] if each[0].endswith(".delete")]
    assert {each[0] for each in gone} >= {"item.delete", "comment.delete", "vote.delete"}
    for action, data, observed in gone:
        between_looks(board, action, data, observed)
        assert observed["evidence"] in ("list", "single")
        assert datetime.fromisoformat(observed["not_after"]) > looked_at


def between_looks(board: MovingBoard, action: str, data: dict[str, Any], observed: Any) -> bool:
    """Hold what is told to be gone against when it went; whether that is known."""
    moments = board.moments(action, data)
    after, by = (datetime.fromisoformat(observed[name]) for name in ("not_before", "not_after"))
    assert not moments or any(after < moment <= by for moment in moments), (action, data, observed, moments)
    return bool(moments)


def edited_between_looks(board: MovingBoard, action: str, data: dict[str, Any], observed: Any) -> None:
    """Hold what is told to have been edited, or merged, against when it was."""
    entity, member = action.partition(".")[0], {"item": "feedback_id"}
    id = str(data[member.get(entity, f"{entity}_id")])
    after, by = (datetime.fromisoformat(observed[name]) for name in ("not_before", "not_after"))
    moments = board.edited[entity, id]
    assert any(after < moment <= by for moment in moments), (action, data, observed, moments)


@pytest.mark.parametrize("most", [4, pytest.param(400, marks=pytest.mark.torture)])
async def test_after_any_moves_and_losses_the_state_is_the_boards(
    most: int, compared: Backfill, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    product, known = [PRODUCT], Counter[str]()
    moves = st.lists(
        st.builds(
            Move,
            st.integers(1, 20),
            st.sampled_from(["", "", *RARE, *EDITS]),
            st.booleans(),
            st.integers(0, 40),
        ),
        max_size=40,
    )

    @examples(most)
    @given(moves, st.integers(0, 50), st.integers(1, 5))
    async def holds(moves: list[Move], lost: int, seed: int) -> None:
        product[0] += 1
        board = MovingBoard(replace(LIVELY, seed=seed, product_id=product[0]))
        monkeypatch.setattr("service.sleekplan.client._now", board.now)
        dice = random.Random(lost)
        await tell(pool, [body for body in board.bodies if dice.random() * 100 >= lost])
        store = EventStore(pool)
        asked = len(board.fake.asked)
        waiting = sorted(moves, key=lambda move: move.request)

        async def happen(number: int) -> None:
            while waiting and waiting[0].request <= number - asked:
                move = waiting.pop(0)
                body = board.move(move.hours, move.action)
                if not move.lost:
                    await store.append([decode(body, RECEIVED, "WEBHOOK")])

        board.fake.before_request = happen
        async with board.fake.serving() as address:
            await happen(asked)
            assert (
                await compared(board.fake, address, product_id=product[0], accept_deletions=99)
            ).state == "COMPLETE"
            board.fake.before_request = None
            assert (
                await compared(board.fake, address, product_id=product[0], accept_deletions=99)
            ).state == "COMPLETE"
        await store.close()
        await is_the_boards(pool, board.fake, product[0])
        for action, data, observed in await recorded(pool, product[0]):
            if action.endswith(".delete"):
                known["gone"] += between_looks(board, action, data, observed)
            elif action in EDITS and observed["not_before"] is not None:
                edited_between_looks(board, action, data, observed)
                known["merged" if data.get("merge_id") else action] += 1

    await run_examples(holds)
    assert known.keys() >= {"gone", *(FOUND if most > 4 else ())}, known
    assert (await verify(pool)).equal
