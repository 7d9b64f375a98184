"""How comparisons are run: light or full, with a ceiling, by command and by themselves."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import stamina

from service.backfill.absence import Withheld
from service.backfill.schedule import Schedule
from service.backfill.sweeps import list_sweeps
from service.log.hub import Hub
from service.simulator import Traffic
from service.sleekplan.client import ATTEMPTS
from tests.backfill.conftest import Backfill, settings_for
from tests.backfill.test_reconcile import is_the_boards, recorded, tell
from tests.given.departed import depart
from tests.given.fake_board import TINY, a_fake, environment
from tests.given.moving_board import LIVELY, MovingBoard
from tests.given.running import recount
from tests.given.waiting import eventually

PRODUCT = TINY.product_id


async def test_a_light_comparison_asks_for_what_differs_alone(
    compared: Backfill, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = MovingBoard(LIVELY)
    monkeypatch.setattr("service.sleekplan.client._now", board.now)
    await tell(pool, board.bodies)
    async with board.fake.serving() as address:
        await compared(board.fake, address)
        asked = len(board.fake.asked)
        quiet = await compared(board.fake, address, full=False)
        for_nothing = len(board.fake.asked) - asked
        item = next(item for item in board.fake.traffic.scene.board.items if len(item.up) > 2)
        voter = next(iter(item.up))
        del item.up[voter]
        item.count(-1, 0, int(board.at.timestamp()))
        # What was seen a moment ago may only be gone by a clock that has moved on.
        board.at += timedelta(minutes=2)
        asked = len(board.fake.asked)
        found = await compared(board.fake, address, full=False)

    assert (quiet.state, quiet.recorded.total()) == ("COMPLETE", 0)
    assert for_nothing < 12
    children = {path for path, _ in board.fake.asked[asked:] if path.startswith("/v1/post/")}
    assert children <= {f"/v1/post/{item.number}/{name}" for name in ("votes", "comments")}
    assert found.recorded["vote.delete"] == 1
    action, data, observed = (await recorded(pool))[-1]
    assert (action, data) == ("vote.delete", {"feedback_id": str(item.number), "user_id": str(voter)})
    assert observed["not_before"] < observed["not_after"]
    await is_the_boards(pool, board.fake)


async def test_more_gone_than_is_believed_is_not_recorded_unless_accepted(
    compared: Backfill, pool: asyncpg.Pool
) -> None:
    board = MovingBoard(LIVELY)
    await tell(pool, board.bodies)
    async with board.fake.serving() as address:
        await compared(board.fake, address)
        gone = 0
        for item in board.fake.traffic.scene.board.items:
            gone += len(item.remarks)
            item.post["total_comments"] = 0
            item.remarks.clear()
        # What was seen a moment ago may only be gone by a clock that has moved on.
        board.fake.now = lambda: datetime.now(UTC) + timedelta(minutes=2)
        refused = await compared(board.fake, address)
        nothing = refused.recorded["comment.delete"]
        too_few = await compared(board.fake, address, accept_deletions=gone - 1)
        accepted = await compared(board.fake, address, accept_deletions=gone)

    assert gone > 10
    assert refused.state == too_few.state == "PARTIAL"
    assert nothing == too_few.recorded["comment.delete"] == 0
    [withheld] = refused.withheld
    assert withheld == Withheld("comments", "", gone, withheld.known)
    assert refused.problem is not None
    assert f"--accept-deletions {gone}" in refused.problem
    assert (accepted.state, accepted.recorded["comment.delete"]) == ("COMPLETE", gone)
    await is_the_boards(pool, board.fake)


async def test_votes_of_people_who_were_deleted_stay(compared: Backfill, pool: asyncpg.Pool) -> None:
    board = MovingBoard(LIVELY)
    await tell(pool, board.bodies)
    scene = board.fake.traffic.scene
    async with board.fake.serving() as address:
        await compared(board.fake, address)
        item = next(item for item in scene.board.items if len(item.up) > 2)
        voter = next(
            v for v in item.up if not scene.people.everybody[v - scene.people.everybody[0].number].gone
        )
        scene.people.everybody[voter - scene.people.everybody[0].number].forget()
        del item.up[voter]
        report = await compared(board.fake, address)

    assert report.recorded["vote.delete"] == 0
    assert report.recorded["user.delete"] <= 1


async def test_the_command_says_what_it_found_and_exits_with_3_above_the_ceiling(
    database_url: str, pool: asyncpg.Pool
) -> None:
    board = MovingBoard(LIVELY)
    await tell(pool, board.bodies)
    async with board.fake.serving() as address:
        env = environment(board.fake, database_url, address)
        first = await recount("reconcile", "--full", "--rate", "100", "--json", env=env)
        for item in board.fake.traffic.scene.board.items:
            item.post["total_comments"] = 0
            item.remarks.clear()
        above = await recount("reconcile", "--full", "--rate", "100", env=env)
        look = await recount("reconcile", "--dry-run", "--rate", "100", env=env)
        refused = await recount("reconcile", env=env | {"RECOUNT_SLEEKPLAN_API_KEY": ""})

    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["state"] == "COMPLETE"
    assert above.returncode == 3, above.stderr
    assert "--accept-deletions" in above.stdout
    assert (look.returncode, refused.returncode) == (0, 2)


PATIENCE_SECONDS = 60


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a schedule look at once, again and again."""
    monkeypatch.setattr("service.backfill.schedule.LOOK_SECONDS", 0.01)


async def scheduled(pool: asyncpg.Pool, hub: Hub, settings: Any, times: int, until: Any) -> None:
    """Let so many instances compare by themselves until something is so."""
    with stamina.set_testing(True, attempts=ATTEMPTS):
        running = [asyncio.create_task(Schedule(pool, hub, settings).run()) for _ in range(times)]
        try:
            await eventually(until, seconds=PATIENCE_SECONDS)
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def test_the_schedule_compares_once_full_and_then_light(
    soon: None, pool: asyncpg.Pool, hub: Hub, database_url: str
) -> None:
    fake = a_fake(TINY)
    await tell(pool, list(Traffic(TINY).history()))

    async def sweeps(count: int) -> bool:
        found = await list_sweeps(pool, 10)
        return len(found) == count and all(each["state"] == "COMPLETE" for each in found)

    async with fake.serving() as address:
        hours = {"RECOUNT_RECONCILE_EVERY_HOURS": "1", "RECOUNT_SLEEKPLAN_RATE": "100"}
        settings = settings_for(fake, database_url, address, **hours)
        await scheduled(pool, hub, settings, 3, lambda: sweeps(1))
        await pool.execute("update log.sweeps set started_at = started_at - interval '2 hours'")
        await scheduled(pool, hub, settings, 3, lambda: sweeps(2))
        asked = await pool.fetch("select asked ->> 'full' as full from log.sweeps order by started_at")
        await pool.execute("update log.sweeps set started_at = started_at - interval '8 days'")
        await scheduled(pool, hub, settings, 3, lambda: sweeps(3))
        last = await pool.fetchval("select asked ->> 'full' from log.sweeps order by started_at desc limit 1")

    assert [row["full"] for row in asked] == ["true", "false"]
    assert last == "true"


async def test_the_board_of_a_product_that_another_cell_has_is_not_asked_for(
    soon: None, pool: asyncpg.Pool, hub: Hub, database_url: str, lines: io.StringIO
) -> None:
    fake = a_fake(TINY)
    await tell(pool, list(Traffic(TINY).history())[:50])
    await depart(pool, "b", PRODUCT)
    async with fake.serving() as address:
        hours = {"RECOUNT_RECONCILE_EVERY_HOURS": "1", "RECOUNT_SLEEKPLAN_RATE": "100"}
        settings = settings_for(
            fake, database_url, address, RECOUNT_SLEEKPLAN_API_KEY=f"{fake.key}@{PRODUCT}", **hours
        )
        await scheduled(pool, hub, settings, 1, lambda: "board_not_compared" in lines.getvalue())

    assert f"product {PRODUCT} belongs to cell b" in lines.getvalue()
    assert fake.asked == []
    assert await list_sweeps(pool, 10) == []


@pytest.mark.parametrize("rights", ["401", "away"])
async def test_a_refused_key_or_an_api_that_is_away_is_a_line_in_the_log_and_the_sweeps_outcome(
    rights: str, soon: None, pool: asyncpg.Pool, hub: Hub, database_url: str, lines: io.StringIO
) -> None:
    fake = a_fake(TINY, rights="401")
    await tell(pool, list(Traffic(TINY).history())[:50])
    async with fake.serving() as address:
        where = "http://127.0.0.1:1/v1" if rights == "away" else address
        hours = {"RECOUNT_RECONCILE_EVERY_HOURS": "1", "RECOUNT_SLEEKPLAN_RATE": "100"}
        settings = settings_for(fake, database_url, where, **hours)
        lines.truncate(0)

        async def ended() -> bool:
            return "compared" in lines.getvalue()

        await scheduled(pool, hub, settings, 1, ended)

    [sweep] = await list_sweeps(pool, 10)
    assert sweep["state"] == "PARTIAL"
    assert sweep["problem"]
    told = [line for line in lines.getvalue().splitlines() if "warning" in line]
    assert len(told) == 1, told
