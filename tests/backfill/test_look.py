"""`recount backfill --dry-run` says what a back-fill would take, and writes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from projections.follow.projector import Projector
from service.events import decode
from service.log.event_store import EventStore
from service.simulator import Knobs, Traffic
from tests.backfill.test_reconcile import tell
from tests.given.fake_board import SMALL, a_fake, environment
from tests.given.moving_board import LIVELY, MovingBoard
from tests.given.projecting import RECEIVED
from tests.given.running import recount

PRODUCT = SMALL.product_id


async def look(fake: Any, url: str, address: str, *arguments: str, **more: str) -> Any:
    return await recount(
        "backfill", "--dry-run", "--rate", "100", *arguments, env=environment(fake, url, address) | more
    )


async def test_it_counts_what_the_posts_promise_and_asks_for_nothing_else(
    database_url: str, pool: asyncpg.Pool
) -> None:
    fake = a_fake()
    items = fake.traffic.scene.board.items
    async with fake.serving() as address:
        ended = await look(fake, database_url, address, "--product", str(PRODUCT), "--json")

    told = json.loads(ended.stdout)
    assert ended.returncode == 0, ended.stderr
    assert {path for path, _ in fake.asked} == {"/v1/posts"}
    assert (told["items"], told["unknown"], told["known"]) == (len(items), len(items), 0)
    assert told["comments"] == sum(len(item.remarks) for item in items)
    assert told["votes"] == sum(len(item.up) + len(item.down) for item in items)
    assert told["subscribers"] == sum(len(item.followers) for item in items)
    assert told["requests"] >= sum(bool(item.remarks) + bool(item.up or item.down) for item in items)
    assert await pool.fetchval("select count(*) from log.events") == 0


async def test_it_says_how_many_items_the_log_knows_otherwise(database_url: str, pool: asyncpg.Pool) -> None:
    fake = a_fake()
    store = EventStore(pool)
    bodies = list(Traffic(SMALL).history())
    await store.append([decode(body, RECEIVED, "WEBHOOK") for body in bodies[:-300]], timeout=30)
    await store.close()
    await Projector(pool).catch_up()
    async with fake.serving() as address:
        ended = await look(fake, database_url, address, "--json")

    told = json.loads(ended.stdout)
    assert told["product_id"] == PRODUCT
    assert told["known_otherwise"] > 0
    assert told["known"] + told["known_otherwise"] + told["unknown"] == told["items"]


async def test_it_says_what_a_comparison_would_find_gone_and_records_nothing(
    database_url: str, pool: asyncpg.Pool
) -> None:
    board = MovingBoard(LIVELY)
    await tell(pool, board.bodies)
    scene = board.fake.traffic.scene
    async with board.fake.serving() as address:
        env = environment(board.fake, database_url, address)
        first = await recount("reconcile", "--full", "--rate", "100", env=env)
        voted, remarked, merged, gone = _four_items(board)
        voted.up.popitem()
        voted.count(-1, 0, int(board.at.timestamp()))
        remarked.remarks.popitem()
        remarked.post["total_comments"] -= 1
        merged.merged_into = voted.number
        scene.board.items.remove(gone)
        before = await pool.fetchval("select count(*) from log.events")
        ended = await recount("reconcile", "--dry-run", "--rate", "100", "--json", env=env)
        words = await recount("reconcile", "--dry-run", "--rate", "100", env=env)

    assert first.returncode == 0, first.stderr
    told = {each["what"]: each["least"] for each in json.loads(ended.stdout)["gone"]}
    assert told == {"items": 1, "merged": 1, "comments": 1, "votes": 1, "subscribers": 0}
    assert "gone by what the posts say, at least: 1 items, 1 merged, 1 comments" in words.stdout
    assert await pool.fetchval("select count(*) from log.events") == before
    assert await pool.fetchval("select count(*) from log.sweeps") == 1
    assert await pool.fetchval("select count(*) from log.sweep_absences") == 0


def _four_items(board: MovingBoard) -> list[Any]:
    """Of those not merged: one with votes, all of people who are there, one with comments, two others."""
    told = [json.loads(body) for body in board.bodies]
    left = {each["data"]["user_id"] for each in told if each["action"] == "user.delete"}
    free = [item for item in board.fake.traffic.scene.board.items if not item.merged_into]
    voted = next(item for item in free if item.up and left.isdisjoint([*item.up, *item.down]))
    remarked = next(item for item in free if item.remarks and item is not voted)
    return [voted, remarked, *[item for item in free if item not in (voted, remarked)][:2]]


@pytest.mark.parametrize("minutes", [0, -210, 60])
async def test_it_says_where_webhooks_tell_that_dates_are_of_another_zone(
    minutes: int, database_url: str, pool: asyncpg.Pool
) -> None:
    shift = timedelta(minutes=minutes)
    bodies = [json.loads(body) for body in Traffic(SMALL).history()]
    await tell(pool, [json.dumps(_shifted(body, shift)).encode() for body in bodies])
    fake = a_fake(SMALL, zone_minutes=minutes)
    async with fake.serving() as address:
        ended = await look(fake, database_url, address, "--json")
        words = await look(fake, database_url, address)

    assert json.loads(ended.stdout)["dates_apart_minutes"] == -minutes
    said = {0: "", -210: "made 210 minutes later", 60: "made 60 minutes earlier"}[minutes]
    assert said in (warned := " ".join(words.stderr.split()))
    assert ("of another zone than UTC; RECOUNT_SLEEKPLAN_TIMEZONE" in warned) == bool(minutes)


def _shifted(said: Any, shift: timedelta) -> Any:
    """The same with each date of a making in another zone."""
    if not isinstance(said, dict):
        return said
    return {
        name: str(datetime.fromisoformat(value) + shift) if name == "created" else _shifted(value, shift)
        for name, value in said.items()
    }


async def test_the_contract_report_has_names_and_types_and_no_value(database_url: str) -> None:
    fake = a_fake()
    async with fake.serving() as address:
        ended = await look(fake, database_url, address, "--product", str(PRODUCT), "--json")

    told = json.loads(ended.stdout)["contract"]
    report = {each["member"]: each["kinds"] for each in told if each["list"] == "posts"}
    assert report["feedback_id"] == ["number"]
    assert report["created"] == ["moment"]
    assert set(report["user.data_mail"]) <= {"text", "empty text"}
    kinds = re.compile(
        r"(null|boolean|number|decimal|moment|object|empty text|text|number in quotes|empty list|list of .*)"
    )
    assert all(kinds.fullmatch(kind) for kinds_of in report.values() for kind in kinds_of)


@pytest.mark.parametrize(
    ("arguments", "more", "code", "said"),
    [
        ((), {"RECOUNT_SLEEKPLAN_API_KEY": ""}, 2, "set RECOUNT_SLEEKPLAN_API_KEY"),
        ((), {}, 2, "which product is it? the log has no event yet"),
        (
            ("--product", "7"),
            {"RECOUNT_SLEEKPLAN_API_KEY": "key@8"},
            2,
            "no key of Sleekplan's REST API for product 7",
        ),
        (("--product", "7"), {"RECOUNT_SLEEKPLAN_API_KEY": "another"}, 2, "it is wrong or revoked"),
        (("--only", "votes,posts,likes"), {}, 2, "likes: there are users, posts"),
    ],
)
async def test_what_is_missing_is_said_in_a_line(
    database_url: str, arguments: tuple[str, ...], more: Mapping[str, str], code: int, said: str
) -> None:
    fake = a_fake(rights="401" if more.get("RECOUNT_SLEEKPLAN_API_KEY") == "another" else "")
    async with fake.serving() as address:
        ended = await look(fake, database_url, address, *arguments, **more)

    assert (ended.returncode, said in " ".join(ended.stderr.split())) == (code, True), ended.stderr
    assert "another" not in ended.stderr


async def test_a_product_that_the_log_does_not_know_is_refused_unless_its_key_says_so(
    database_url: str, pool: asyncpg.Pool
) -> None:
    await tell(pool, list(Traffic(SMALL).history())[:20])
    fake = a_fake()
    key = {"RECOUNT_SLEEKPLAN_API_KEY": f"{fake.key}@7"}
    async with fake.serving() as address:
        refused = await look(fake, database_url, address, "--product", "7")
        asked = len(fake.asked)
        meant = await look(fake, database_url, address, "--product", "7", **key)

    assert (refused.returncode, asked) == (2, 0)
    assert f"the log knows product {PRODUCT}, not 7" in " ".join(refused.stderr.split())
    assert "RECOUNT_SLEEKPLAN_API_KEY=KEY@7" in refused.stderr
    assert meant.returncode == 0, meant.stderr
    assert "they are taken for 7's" in meant.stderr


async def test_a_key_that_may_read_nothing_says_whose_rights_it_has(database_url: str) -> None:
    fake = a_fake(rights="403_everything")
    async with fake.serving() as address:
        ended = await look(fake, database_url, address, "--product", "7")

    assert ended.returncode == 1
    assert "rights of who made it" in " ".join(ended.stderr.split())


def test_the_board_of_the_tests_has_lists_of_several_pages() -> None:
    fake = a_fake()

    assert isinstance(SMALL, Knobs)
    assert len(fake.rows.users({}).sources) > 200
    assert max(len(item.up) for item in fake.traffic.scene.board.items) > 100
