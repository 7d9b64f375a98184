"""`recount backfill --dry-run` says what a back-fill would take, and writes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest

from projections.follow.projector import Projector
from service.events import decode
from service.log.event_store import EventStore
from service.simulator import Knobs, Traffic
from tests.given.fake_board import SMALL, a_fake, environment
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
