"""What was fetched from Sleekplan's API: states seen at a moment, and totals that reveal nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from projections.rebuild.verify import verify
from schema.scalars import duration_text
from service.events import Origin, decode
from tests.given.asking import NOW, Board, a_board, body, person, post

DRIFT = "{ drift { kind position delta } item(sleekplanId: 1) { knownVotes { up down } votes { up } } }"


async def tell(board: Board, origin: Origin, *bodies: Mapping[str, Any]) -> None:
    """Record bodies of an origin and project them."""
    await board.services.store.append([decode(json.dumps(each).encode(), NOW, origin) for each in bodies])
    board.services.hub.advance("projected", await board.projector.catch_up())


def vote(at: str, user: int, value: int = 1, **fields: Any) -> dict[str, Any]:
    return body("vote.create", at, {"feedback_id": 1, "user_id": user, "vote": value} | fields)


@pytest.mark.parametrize("origin", ["BACKFILL", "RECONCILE"])
async def test_votes_that_were_fetched_with_a_total_are_not_taken_for_withdrawn(
    pool: asyncpg.Pool, origin: Origin
) -> None:
    async with a_board(pool) as board:
        await tell(board, "WEBHOOK", body("item.update", "2026-05-01 10:00", post(1, up=100)))
        await tell(board, "WEBHOOK", vote("2026-05-02 10:00", 1, feedback_item=post(1, up=101)))
        await tell(board, origin, *(vote("2026-04-01 10:00", user) for user in range(2, 102)))
        await tell(board, origin, body("item.snapshot", "2026-05-03 10:00", post(1, up=99)))
        await tell(board, "WEBHOOK", vote("2026-05-04 10:00", 500, feedback_item=post(1, up=100)))
        nothing = await board.ask(DRIFT)
        # Two went between the snapshot and this one, which no event tells.
        await tell(board, "WEBHOOK", body("item.update", "2026-05-05 10:00", post(1, up=98)))

        assert nothing == {
            "drift": [],
            "item": {"knownVotes": {"up": 102, "down": 0}, "votes": {"up": 100}},
        }
        assert (await board.ask(DRIFT))["drift"] == [{"kind": "VOTE_WITHDRAWN", "position": 105, "delta": -2}]
        assert (await verify(pool)).equal


async def test_a_snapshot_updates_what_is_known_and_nobody_did_it(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 10:00", post(1, title="Old", user=person(1, "ana"))),
            body("comment.create", "2026-05-01 11:00", {"comment_id": 1, "feedback_id": 1, "user_id": 1}),
            body("item.snapshot", "2026-05-05 10:00", post(1, up=3, title="New", status="planned")),
            body("comment.snapshot", "2026-05-05 10:00", {"comment_id": 1, "feedback_id": 1, "likes": 2}),
            body("user.snapshot", "2026-05-05 10:00", {"user_id": 1, "data_name": "Ana Lind"}),
            body("changelog.snapshot", "2026-05-05 10:00", {"changelog_id": 1, "title": "Notes", "draft": 1}),
            body("item.update", "2026-05-04 10:00", post(1, title="Late", status="open")),
        )

        answer = await board.ask(
            """{ item(sleekplanId: 1) { title votes { up } status { key } deleted }
                 active: item(sleekplanId: 1) { lastActivityAt version }
                 seen: item(sleekplanId: 1, asOf: {position: 7}) { lastActivityAt version }
                 then: item(sleekplanId: 1, asOf: {time: "2026-05-04T12:00:00Z"}) { title }
                 comments { nodes { likes } } user(sleekplanId: 1) { name lastActiveAt activity { comments } }
                 changelogEntry(sleekplanId: 1) { title publishedAt }
                 events(filter: {types: [SNAPSHOT]}) { nodes { changedFields user { name } summary } } }"""
        )

        assert answer["item"] == {
            "title": "New",
            "votes": {"up": 3},
            "status": {"key": "planned"},
            "deleted": False,
        }
        assert answer["then"] == {"title": "Late"}
        assert answer["active"] == answer["seen"] == {"lastActivityAt": "2026-05-04T10:00:00Z", "version": 5}
        assert answer["comments"] == {"nodes": [{"likes": 2}]}
        assert answer["user"]["name"] == "Ana Lind"
        assert answer["user"]["lastActiveAt"] == "2026-05-01T11:00:00Z"
        assert answer["changelogEntry"] == {"title": "Notes", "publishedAt": None}
        assert [(each["changedFields"], each["user"]) for each in answer["events"]["nodes"]] == [
            ([], None)
        ] * 4
        assert [each["summary"] for each in answer["events"]["nodes"]] == [
            "It was seen what “New” is like",
            "It was seen what a comment on “New” is like",
            "It was seen what a user is like",
            "It was seen what a release note is like",
        ]
        assert (await verify(pool)).equal


async def test_a_snapshot_brings_nothing_back_that_was_deleted(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 10:00", post(1, title="Gone")),
            body("item.delete", "2026-05-02 10:00", {"feedback_id": 1}),
            body("item.snapshot", "2026-05-03 10:00", post(1, title="Seen")),
        )

        assert await board.ask("{ item(sleekplanId: 1) { title deleted } }") == {
            "item": {"title": "Seen", "deleted": True}
        }


async def test_an_answers_group_is_read_from_either_name(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        told: list[dict[str, Any]] = [{"data": "a"}, {"data_record": "b"}, {"data": "", "data_record": 7}]
        for number, said in enumerate(told, 1):
            answer = {"satisfaction_id": number, "user_id": 1, "vote": 4} | said
            await board.tell(body("satisfaction.create", "2026-05-01 10:00", answer))

        found = await board.ask("{ satisfactionAnswers { nodes { sleekplanId group } } }")
        assert {node["sleekplanId"]: node["group"] for node in found["satisfactionAnswers"]["nodes"]} == {
            "1": "a",
            "2": "b",
            "3": "7",
        }


async def test_what_was_fetched_of_years_ago_turns_no_clock_back(pool: asyncpg.Pool) -> None:
    question = """query ($asOf: AsOf) { item(sleekplanId: 1, asOf: $asOf) {
        timeInStatus voteSeries(bucket: DAY, window: {last: "P1D"}) { up } } }"""
    async with a_board(pool) as board:
        await tell(board, "WEBHOOK", body("item.update", "2026-05-01 10:00", post(1, status="open")))
        await tell(board, "BACKFILL", *(vote("2024-04-01 10:00", user) for user in range(120)))
        recorded = await pool.fetchval("select max(recorded_at) from log.events")
        answer = await board.ask(question, asOf={"position": 121})

    since = recorded - datetime(2026, 5, 1, 10, tzinfo=UTC)
    assert answer["item"]["timeInStatus"] == duration_text(since.total_seconds())
    assert sum(day["up"] for day in answer["item"]["voteSeries"]) == 0


async def test_an_item_that_was_only_seen_had_no_activity_yet(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        await tell(board, "BACKFILL", body("item.snapshot", "2026-05-05 10:00", post(1, title="A")))
        question = """query ($a: AsOf) { items(asOf: $a, orderBy: {field: LAST_ACTIVITY_AT}) {
            nodes { title lastActivityAt } } }"""
        now, then = [await board.ask(question, a=moment) for moment in (None, {"position": 1})]

    assert now == then == {"items": {"nodes": [{"title": "A", "lastActivityAt": None}]}}
