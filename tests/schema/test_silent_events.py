"""What an event does not say is as the newest that said it had it: now, of any moment, and counted again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from projections.rebuild.rebuild import rebuild
from projections.rebuild.verify import verify
from tests.given.asking import Board, a_board, a_pool, body, new_database, person, post

Told = Callable[..., Awaitable[Board]]


@pytest.fixture(params=["one by one", "at once", "rebuilt"])
async def told(request: pytest.FixtureRequest, server_url: str, template: str) -> AsyncIterator[Told]:
    """A board that was told bodies one by one, as one batch, or that was counted again afterwards."""
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:

        async def tell(*bodies: dict[str, Any]) -> Board:
            for batch in [bodies] if request.param == "at once" else [[each] for each in bodies]:
                await board.tell(*batch)
            if request.param == "rebuilt":
                await rebuild(pool)
            return board

        yield tell
        if request.param != "rebuilt":
            report = await verify(pool)
            assert report.equal, [(t.table, t.differences) for t in report.tables if not t.equal]


def ballot(action: str, at: str, voter: int = 17, **said: Any) -> dict[str, Any]:
    return body(f"vote.{action}", at, {"feedback_id": 1, "user": person(voter, "ana"), **said})


async def now_and_then(board: Board, question: str, **moment: Any) -> Any:
    """Ask `question`, which takes `$asOf`, of now and as of the head, which must be the same."""
    now = await board.ask(question)
    assert await board.ask(question, asOf={"position": board.position, **moment}) == now
    return now


VOTES = """query ($asOf: AsOf) { votes(filter: {withdrawn: null}, asOf: $asOf) { nodes {
    value withdrawn castAt withdrawnAt at } } }"""


async def only_vote(board: Board, **as_of: Any) -> dict[str, Any]:
    answer = await board.ask(VOTES, asOf=as_of) if as_of else await now_and_then(board, VOTES)
    (vote,) = answer["votes"]["nodes"]
    found: dict[str, Any] = vote
    return found


@pytest.mark.parametrize("created", [{"created": "2026-04-30 08:00:00"}, {}], ids=["with created", "without"])
@pytest.mark.parametrize(
    "taken_back",
    [("delete", {}), ("update", {"vote": 0}), ("create", {"vote": "0"}), ("delete", {"vote": 0})],
    ids=str,
)
async def test_a_withdrawn_vote_keeps_its_direction_and_when_it_was_cast(
    told: Told, created: dict[str, Any], taken_back: tuple[str, dict[str, Any]]
) -> None:
    action, said = taken_back
    board = await told(
        ballot("create", "2026-05-01 12:00", vote=-1, **created),
        ballot(action, "2026-05-04 12:00", **said),
    )
    cast_at = "2026-04-30T08:00:00Z" if created else "2026-05-01T12:00:00Z"

    withdrawn = {"withdrawn": True, "withdrawnAt": "2026-05-04T12:00:00Z", "at": 2}
    assert await only_vote(board) == {"value": -1, "castAt": cast_at, **withdrawn}
    standing = {"withdrawn": False, "withdrawnAt": None, "at": 1}
    for moment in ({"position": 1}, {"time": "2026-05-02T00:00:00Z"}):
        assert await only_vote(board, **moment) == {"value": -1, "castAt": cast_at, **standing}


@pytest.mark.parametrize("again", ["create", "update"])
async def test_a_vote_told_again_without_direction_is_the_one_that_it_was(told: Told, again: str) -> None:
    board = await told(
        body(
            "item.create",
            "2026-04-30 12:00",
            post(1, down=1, title="Dark theme", created="2026-04-30 12:00:00"),
        ),
        ballot("create", "2026-05-01 12:00", vote=-1, created="2026-05-01 11:59:00"),
        ballot(again, "2026-05-04 12:00"),
    )

    vote = await only_vote(board)
    assert (vote["value"], vote["castAt"], vote["at"]) == (-1, "2026-05-01T11:59:00Z", 3)
    answer = await now_and_then(
        board,
        """query ($asOf: AsOf) {
            item(sleekplanId: "1", asOf: $asOf) { knownVotes { up down } voters { totalCount }
                castVotes(filter: {value: {lt: 0}}) { totalCount }
                voteSeries(bucket: MONTH, window: {from: "2026-05-01T00:00:00Z", to: "2026-06-01T00:00:00Z"}
                ) {
                    up down withdrawn } }
            events(asOf: $asOf, filter: {entity: {eq: "vote"}}) { nodes { type summary changedFields } } }""",
    )
    assert answer["item"] == {
        "knownVotes": {"up": 0, "down": 1},
        "voters": {"totalCount": 0},
        "castVotes": {"totalCount": 1},
        "voteSeries": [{"up": 0, "down": 2, "withdrawn": 0}],
    }
    against = {"type": "VOTE_CAST", "summary": "ana voted against “Dark theme”", "changedFields": []}
    assert answer["events"]["nodes"] == [against, against]


async def test_a_vote_that_is_turned_after_silence_changed_what_it_was_before_the_silence(told: Told) -> None:
    board = await told(
        ballot("create", "2026-05-01 12:00", vote=-1),
        ballot("update", "2026-05-02 12:00"),
        ballot("update", "2026-05-03 12:00", vote=1),
        ballot("delete", "2026-05-04 12:00"),
        ballot("create", "2026-05-05 12:00"),
        ballot("delete", "2026-05-06 12:00"),
    )

    answer = await board.ask("{ events { nodes { type changes { field before after } } } }")

    def moved(kind: str, before: int | None, after: int | None) -> tuple[str, list[dict[str, Any]]]:
        return kind, [{"field": "value", "before": before, "after": after}]

    assert [(event["type"], event["changes"]) for event in answer["events"]["nodes"]] == [
        ("VOTE_CAST", []),
        ("VOTE_CAST", []),
        moved("VOTE_CHANGED", -1, 1),
        moved("VOTE_WITHDRAWN", 1, None),
        ("VOTE_CAST", []),
        moved("VOTE_WITHDRAWN", 1, None),
    ]
    vote = await only_vote(board)
    assert (vote["value"], vote["withdrawn"], vote["castAt"]) == (1, True, "2026-05-05T12:00:00Z")


async def test_a_direction_told_late_holds_until_a_newer_event_tells_another(told: Told) -> None:
    board = await told(
        body("item.create", "2026-04-30 12:00", post(1)),
        ballot("create", "2026-05-04 12:00"),
        ballot("create", "2026-05-02 12:00", vote=-1, created="2026-05-02 12:00:00"),
        body("item.update", "2026-05-05 12:00", post(1, up=0, down=1)),
        ballot("create", "2026-05-01 12:00", vote=1, created="2026-05-01 12:00:00"),
        ballot("delete", "2026-05-03 12:00"),
    )

    answer = await now_and_then(
        board,
        """query ($asOf: AsOf) { item(sleekplanId: "1", asOf: $asOf) { knownVotes { up down } }
            drift(asOf: $asOf) { delta } }""",
    )
    assert answer == {"item": {"knownVotes": {"up": 0, "down": 1}}, "drift": []}
    vote = await only_vote(board)
    assert (vote["value"], vote["castAt"], vote["at"]) == (-1, "2026-05-02T12:00:00Z", 2)
    assert (await only_vote(board, position=2))["value"] is None
    assert (await only_vote(board, time="2026-05-01T13:00:00Z"))["value"] == 1


@pytest.mark.parametrize("again", ["create", "update"])
async def test_a_subscription_told_again_holds_since_it_last_began_or_stopped(told: Told, again: str) -> None:
    def follows(action: str, at: str, **said: Any) -> dict[str, Any]:
        return body(f"subscription.{action}", at, {"feedback_id": 1, "user_id": 17, **said})

    board = await told(
        follows("create", "2026-05-01 12:00", created="2026-04-01 12:00:00"),
        follows(again, "2026-05-02 12:00"),
        follows("delete", "2026-05-03 12:00"),
        follows("create", "2026-05-05 12:00"),
        follows("create", "2026-05-04 12:00", created="2026-05-04 11:00:00"),
    )
    question = """query ($asOf: AsOf) { subscriptions(filter: {active: null}, asOf: $asOf) { nodes {
        since active at } } }"""

    now = await now_and_then(board, question)
    assert now["subscriptions"]["nodes"] == [{"since": "2026-05-04T11:00:00Z", "active": True, "at": 4}]
    found = []
    for position in (1, 2, 3, 4):
        answer = await board.ask(question, asOf={"position": position})
        found += [node["since"] for node in answer["subscriptions"]["nodes"]]
    april = "2026-04-01T12:00:00Z"
    assert found == [april, april, "2026-05-03T12:00:00Z", "2026-05-05T12:00:00Z"]


@pytest.mark.parametrize("clock", ["updated", "created"])
async def test_an_answer_that_is_told_again_was_given_when_it_was(told: Told, clock: str) -> None:
    given = {"satisfaction_id": 55, "user_id": 17, "vote": 5, clock: "2026-05-01 11:00:00"}
    board = await told(
        body("satisfaction.create", "2026-05-01 12:00", given),
        body("satisfaction.update", "2026-05-04 12:00", {"satisfaction_id": 55, "comment": "At last!"}),
    )

    answer = await now_and_then(
        board,
        "query ($asOf: AsOf) { satisfactionAnswers(asOf: $asOf) { nodes { value comment answeredAt } } }",
    )
    assert answer["satisfactionAnswers"]["nodes"] == [
        {"value": 5, "comment": "At last!", "answeredAt": "2026-05-01T11:00:00Z"}
    ]


async def test_a_total_that_a_post_does_not_say_is_as_it_was_in_all_that_is_counted_of_it(told: Told) -> None:
    def update(day: int, **said: Any) -> dict[str, Any]:
        return body("item.update", f"2026-05-0{day} 12:00", {"feedback_id": 1, "status": "open", **said})

    board = await told(
        body(
            "item.create",
            "2026-05-01 12:00",
            post(1, up=5, down=2, status="open", created="2026-05-01 12:00:00"),
        ),
        update(3, total_down=3),
        update(4, total_up=7),
        update(2, total_up=6),
    )

    answer = await now_and_then(
        board,
        """query ($asOf: AsOf) {
            item(sleekplanId: "1", asOf: $asOf) {
                votes { net }
                voteSeries(bucket: DAY, window: {from: "2026-05-01T00:00:00Z", to: "2026-05-05T00:00:00Z"}) {
                    cumulative }
                voteJumps(minDelta: 1) { delta }
                provenance(field: "votes") { position value } }
            rankHistory(
                bucket: DAY, window: {from: "2026-05-01T00:00:00Z", to: "2026-05-05T00:00:00Z"}, asOf: $asOf
            ) { points { value } }
            statusBacklog(
                bucket: DAY, window: {from: "2026-05-01T00:00:00Z", to: "2026-05-05T00:00:00Z"}, asOf: $asOf
            ) { byStatus { votes } }
            movers(
                window: {from: "2026-05-03T00:00:00Z", to: "2026-05-04T00:00:00Z"}, asOf: $asOf
            ) { gained } }""",
    )

    net = [3, 4, 3, 4]
    assert answer["item"] == {
        "votes": {"net": 4},
        "voteSeries": [{"cumulative": value} for value in net],
        "voteJumps": [{"delta": 1}, {"delta": -1}, {"delta": 1}],
        "provenance": {"position": 3, "value": 4},
    }
    assert answer["rankHistory"] == [{"points": [{"value": value} for value in net]}]
    assert answer["statusBacklog"] == [{"byStatus": [{"votes": value}]} for value in net]
    assert answer["movers"] == [{"gained": -1}]
