"""One fact that was delivered and fetched is one; what was concluded before is explained by what tells it."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from projections.follow.projector import Projector
from projections.rebuild.verify import verify
from service.events import Origin
from tests.given.asking import a_board, body, person, post
from tests.projections.test_fetched import tell, vote

TOLD = "{ events(orderBy: {field: POSITION, direction: ASC}) { nodes { position type sameAs } } }"
CAST = "2026-05-02 10:00:00"


def told_of(answer: Any) -> list[tuple[str, int | None]]:
    return [(each["type"], each["sameAs"]) for each in answer["events"]["nodes"]]


@pytest.mark.parametrize("first", ["WEBHOOK", "RECONCILE"])
@pytest.mark.parametrize(
    ("type", "told"),
    [
        ("ITEM_CREATED", body("item.create", "2026-05-01 10:00", post(1))),
        ("COMMENT_CREATED", body("comment.create", "2026-05-01 10:00", {"comment_id": 9, "feedback_id": 1})),
        ("USER_CREATED", body("user.create", "2026-05-01 10:00", {"user_id": 4, "data_name": "Ana"})),
        (
            "CHANGELOG_CREATED",
            body("changelog.create", "2026-05-01 10:00", {"changelog_id": 3, "title": "A"}),
        ),
        ("VOTE_CAST", vote("2026-05-02 10:00", 4, created=CAST)),
        ("SUBSCRIBED", body("subscription.create", "2026-05-01 10:00", {"feedback_id": 1, "user_id": 4})),
        (
            "SATISFACTION_GIVEN",
            body(
                "satisfaction.create", "2026-05-01 10:00", {"satisfaction_id": 5, "vote": 4, "updated": CAST}
            ),
        ),
    ],
)
async def test_a_fact_that_was_delivered_and_fetched_is_counted_once(
    first: Any, type: str, told: dict[str, Any], pool: asyncpg.Pool
) -> None:
    then: Origin = "RECONCILE" if first == "WEBHOOK" else "WEBHOOK"
    async with a_board(pool) as board:
        await tell(board, first, told)
        await tell(board, then, told | {"observed": {"more": 1}})
        answer = await board.ask(TOLD)

    assert told_of(answer) == [(type, None), ("TOLD_AGAIN", 1)]
    assert (await verify(pool)).equal


async def test_who_follows_and_was_told_of_twice_began_once(pool: asyncpg.Pool) -> None:
    told = body("subscription.create", "2026-05-01 10:00", {"feedback_id": 1, "user_id": 4})
    async with a_board(pool) as board:
        await tell(board, "WEBHOOK", told)
        await tell(board, "RECONCILE", told | {"observed": {"more": 1}})
        answer = await board.ask(
            """{ item(sleekplanId: 1) { subscriberSeries(bucket: DAY, window: {to: "2026-05-02T00:00:00Z"}) {
                added removed cumulative } } }"""
        )

    assert answer["item"]["subscriberSeries"] == [{"added": 1, "removed": 0, "cumulative": 1}]


async def test_what_is_told_at_another_time_or_twice_by_the_same_is_no_repetition(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        await tell(board, "RECONCILE", vote("2026-05-02 10:00", 4, created=CAST))
        await tell(board, "WEBHOOK", vote("2026-05-02 10:03", 4))
        await tell(board, "WEBHOOK", vote("2026-05-02 10:04", 4))
        await tell(board, "WEBHOOK", vote("2026-05-02 10:05", 4, -1))
        answer = await board.ask(TOLD)

    assert told_of(answer) == [
        *[("VOTE_CAST", None)] * 3,
        ("VOTE_CHANGED", None),
    ]


async def test_a_nameless_vote_that_gets_its_name_is_one_vote_now_and_then(pool: asyncpg.Pool) -> None:
    seen = {"feedback_id": 1, "user": person(4, "ana"), "vote": 1, "created": CAST, "vote_position": 1}
    async with a_board(pool) as board:
        await tell(
            board, "WEBHOOK", body("vote.create", "2026-05-02 10:00", {"feedback_item": post(1, up=1)})
        )
        named = {"feedback_id": 1, "user": {"user_id": 4}, "vote_position": 1}
        await tell(
            board,
            "RECONCILE",
            body("vote.create", "2026-05-02 10:00", seen),
            body("vote.named", "2026-05-02 10:00", named),
        )
        question = """{ events(orderBy: {field: POSITION, direction: ASC}) { nodes { type sameAs } }
            item(sleekplanId: 1) { knownVotes { up } voteSeries(bucket: DAY) { up withdrawn } }
            votes { nodes { user { name } value } }
            before: votes(asOf: {position: 1}) { nodes { user { name } } }
            then: votes(asOf: {time: "2026-05-03T00:00:00Z"}) { nodes { user { name } } } }"""
        answer = await board.ask(question)

    assert told_of(answer) == [("VOTE_CAST", None), ("TOLD_AGAIN", 1), ("TOLD_AGAIN", 1)]
    assert answer["item"]["knownVotes"] == {"up": 1}
    assert sum(each["up"] for each in answer["item"]["voteSeries"]) == 1
    assert sum(each["withdrawn"] for each in answer["item"]["voteSeries"]) == 0
    assert [each["user"]["name"] for each in answer["votes"]["nodes"]] == ["ana"]
    assert answer["before"]["nodes"] == [{"user": None}]
    assert [each["user"]["name"] for each in answer["then"]["nodes"]] == ["ana"]
    assert (await verify(pool)).equal


async def test_a_vote_that_went_with_a_merge_was_not_withdrawn(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        await tell(board, "WEBHOOK", vote("2026-05-02 10:00", 4, feedback_item=post(1, up=1)))
        await tell(
            board, "RECONCILE", body("vote.moved", "2026-05-03 10:00", {"feedback_id": 1, "user_id": 4})
        )
        answer = await board.ask(
            """{ events(orderBy: {field: POSITION, direction: ASC}) { nodes {
                  type sameAs summary user { sleekplanId } } }
                item(sleekplanId: 1) {
                  lastActivityAt knownVotes { up }
                  castVotes(filter: {withdrawn: true}) { nodes { user { sleekplanId } } } }
                user(sleekplanId: 4) { lastActiveAt timeline { totalCount } }
                users(filter: {activeIn: {from: "2026-05-03T00:00:00Z"}}) { totalCount } }"""
        )

    assert told_of(answer) == [("VOTE_CAST", None), ("SNAPSHOT", None)]
    assert answer["item"]["knownVotes"] == {"up": 0}
    assert answer["item"]["castVotes"] == {"nodes": [{"user": {"sleekplanId": "4"}}]}
    # Nobody did anything when it was seen.
    assert [each["user"] for each in answer["events"]["nodes"]] == [{"sleekplanId": "4"}, None]
    assert answer["item"]["lastActivityAt"] == answer["user"]["lastActiveAt"] == "2026-05-02T10:00:00Z"
    assert (answer["user"]["timeline"], answer["users"]) == ({"totalCount": 1}, {"totalCount": 0})


@pytest.mark.parametrize("first", ["WEBHOOK", "RECONCILE"])
async def test_a_vote_that_went_along_with_a_merge_was_cast_once(first: Any, pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        await tell(board, first, vote("2026-05-02 10:00", 4))
        await tell(
            board,
            "RECONCILE",
            body("item.snapshot", "2026-05-03 10:00", post(1, status="merged", merge_id=2)),
            body("vote.moved", "2026-05-03 10:00", {"feedback_id": 1, "user_id": 4}),
            body(
                "vote.create",
                "2026-05-02 10:00",
                {"feedback_id": 2, "user_id": 4, "vote": 1, "created": CAST},
            ),
            # Of an item that nothing was merged into, and at another time.
            body(
                "vote.create",
                "2026-05-02 10:00",
                {"feedback_id": 3, "user_id": 4, "vote": 1, "created": CAST},
            ),
            vote("2026-05-02 12:00", 4) | {"data": {"feedback_id": 2, "user_id": 5, "vote": 1}},
        )
        answer = await board.ask(
            """{ events(orderBy: {field: POSITION, direction: ASC}) { nodes { position type sameAs } }
                user(sleekplanId: 4) { activity { votes } }
                votes { nodes { item { sleekplanId } user { sleekplanId } } } }"""
        )

    assert told_of(answer) == [
        ("VOTE_CAST", None),
        *[("SNAPSHOT", None)] * 2,
        ("TOLD_AGAIN", 1),
        *[("VOTE_CAST", None)] * 2,
    ]
    assert answer["user"]["activity"] == {"votes": 2}
    stand = {(each["item"]["sleekplanId"], each["user"]["sleekplanId"]) for each in answer["votes"]["nodes"]}
    assert stand == {("2", "4"), ("2", "5"), ("3", "4")}
    assert (await verify(pool)).equal


DRIFT = """query ($asOf: AsOf) { drift(asOf: $asOf) { kind position explainedBy } }"""


async def test_what_was_inferred_is_explained_by_what_tells_it_later(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        await tell(board, "WEBHOOK", vote("2026-05-01 10:00", 4, feedback_item=post(1, up=9)))
        await tell(board, "WEBHOOK", body("item.update", "2026-05-02 10:00", post(1, up=8)))
        await tell(board, "RECONCILE", body("item.snapshot", "2026-05-03 10:00", post(1, up=8)))
        before = await board.ask(DRIFT)
        await tell(
            board, "RECONCILE", body("vote.delete", "2026-05-03 10:00", {"feedback_id": 1, "user_id": 4})
        )
        after = await board.ask(DRIFT)
        then = await board.ask(DRIFT, asOf={"position": "3"})

    nobody = [{"kind": "VOTE_WITHDRAWN", "position": 2, "explainedBy": None}]
    assert (before["drift"], then["drift"]) == (nobody, nobody)
    assert after["drift"] == [{"kind": "VOTE_WITHDRAWN", "position": 2, "explainedBy": 4}]
    assert (await verify(pool)).equal


async def test_an_inferred_merge_yields_to_the_one_that_is_told(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        await tell(board, "WEBHOOK", body("item.create", "2026-05-01 10:00", post(1, up=3)))
        await tell(board, "WEBHOOK", body("item.create", "2026-05-01 10:00", post(2, up=5)))
        await tell(board, "WEBHOOK", body("item.update", "2026-05-02 10:00", post(1, up=0, status="merged")))
        await tell(board, "WEBHOOK", body("item.update", "2026-05-02 10:01", post(2, up=8)))
        inferred = await board.ask(DRIFT)
        told = post(1, up=0, status="merged", merge_id=2)
        await tell(board, "RECONCILE", body("item.update", "2026-05-02 10:00", told))
        answer = await board.ask(DRIFT)

    assert ("LIKELY_MERGE", None) in [(each["kind"], each["explainedBy"]) for each in inferred["drift"]]
    assert ("LIKELY_MERGE", 5) in [(each["kind"], each["explainedBy"]) for each in answer["drift"]]
    await Projector(pool).catch_up()
    assert (await verify(pool)).equal


async def test_who_saw_it_and_between_which_moments_is_told_of_what_was_fetched(pool: asyncpg.Pool) -> None:
    observed = {
        "sweep": "8a50c3c8-3c4e-4a3f-9e25-0f2a1f4f7f0b",
        "origin": "RECONCILE",
        "seen_at": "2026-05-03T10:00:00+00:00",
        "not_before": "2026-05-01T10:00:00+00:00",
        "not_after": "2026-05-03T10:00:02+00:00",
        "clock": "seen",
        "evidence": "list",
    }
    gone = body("vote.delete", "2026-05-03 10:00", {"feedback_id": 1, "user_id": 4}) | {"observed": observed}
    question = """{ events(orderBy: {field: POSITION, direction: ASC}) { nodes { observation {
        sweep seenAt notBefore notAfter clock evidence } } } }"""
    async with a_board(pool) as board:
        await tell(board, "WEBHOOK", vote("2026-05-01 10:00", 4) | {"observed": observed})
        await tell(board, "RECONCILE", gone, vote("2026-05-04 10:00", 5))
        answer = await board.ask(question)

    assert [each["observation"] for each in answer["events"]["nodes"]] == [
        None,
        {
            "sweep": observed["sweep"],
            "seenAt": "2026-05-03T10:00:00Z",
            "notBefore": "2026-05-01T10:00:00Z",
            "notAfter": "2026-05-03T10:00:02Z",
            "clock": "SEEN",
            "evidence": "list",
        },
        None,
    ]


JUMPS = "{ item(sleekplanId: 2) { voteJumps { position delta likelyCause } inferences { explainedBy } } }"


@pytest.mark.parametrize("late", [False, True])
async def test_a_jump_that_a_merge_explains_is_the_merges(late: bool, pool: asyncpg.Pool) -> None:
    merge = body("item.update", "2026-05-03 10:00", post(1, up=30, status="closed", merge_id=2))
    jump = body("item.update", "2026-05-03 10:01", post(2, up=40))
    async with a_board(pool) as board:
        await tell(board, "WEBHOOK", body("item.create", "2026-05-01 10:00", post(2, up=9)))
        await tell(board, "WEBHOOK", body("item.create", "2026-05-01 10:00", post(1, up=30)))
        await tell(board, "WEBHOOK", *([jump, merge] if late else [merge, jump]))
        answer = await board.ask(JUMPS)

    (told,) = answer["item"]["voteJumps"]
    assert (told["delta"], told["likelyCause"]) == (31, "merge of item 1")
    assert answer["item"]["inferences"] == [{"explainedBy": 4 if late else 3}]


async def test_a_jump_that_was_fetched_with_the_merge_is_no_demand(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        await tell(board, "WEBHOOK", body("item.create", "2026-05-01 10:00", post(2, up=9)))
        await tell(board, "WEBHOOK", body("item.create", "2026-05-01 10:00", post(1, up=30)))
        await tell(
            board,
            "RECONCILE",
            body("item.snapshot", "2026-05-09 10:00", post(1, up=30, status="closed", merge_id=2)),
            body("item.snapshot", "2026-05-09 10:00", post(2, up=39)),
        )
        told = await board.ask(JUMPS)
        # Later votes are votes, however often the merge is told.
        await tell(
            board,
            "WEBHOOK",
            body("item.update", "2026-05-09 10:10", post(1, title="A", merge_id=2)),
            *(vote("2026-05-09 10:20", user, feedback_item=post(2, up=39 + user)) for user in range(1, 9)),
            body("item.update", "2026-05-09 10:21", post(2, up=47)),
        )
        later = await board.ask(JUMPS)

    assert told["item"]["voteJumps"] == [{"position": 4, "delta": 30, "likelyCause": "merge of item 1"}]
    assert later == told
