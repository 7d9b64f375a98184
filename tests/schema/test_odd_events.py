"""Events that say less, or something else, than usual: unknown kinds, comments without their item."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from projections.rebuild.rebuild import rebuild
from tests.given.asking import Board, a_board, a_pool, body, new_database, post


@pytest.fixture(params=["followed", "rebuilt"])
async def told(request: pytest.FixtureRequest, server_url: str, template: str) -> AsyncIterator[Board]:
    """A board that was followed event by event, or counted again afterwards."""
    comment = {
        "comment_id": 9,
        "feedback_id": 1,
        "comment": "Yes",
        "user": {"user_id": 17, "data_name": "ana"},
    }
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        for one in (
            body("item.create", "2026-05-01 12:00", post(1, up=1)),
            body("vote.create", "2026-05-01 13:00", {"feedback_id": 1, "user_id": 17, "vote": 1}),
            body("vote.remove", "2026-05-01 14:00", {"feedback_id": 1, "user_id": 18, "vote": 1}),
            body("subscription.pause", "2026-05-01 14:00", {"feedback_id": 1, "user_id": 18}),
            body("satisfaction.ask", "2026-05-01 14:00", {"satisfaction_id": 5, "user_id": 18}),
            body("comment.create", "2026-05-02 12:00", comment),
            body("comment.update", "2026-05-03 12:00", {"comment_id": 9, "comment": "Yes, please"}),
            body("comment.delete", "2026-05-04 12:00", {"comment_id": 9}),
        ):
            await board.tell(one)
        if request.param == "rebuilt":
            await rebuild(pool)
        yield board


async def test_an_unknown_kind_of_event_is_no_vote_no_subscription_and_no_answer(told: Board) -> None:
    answer = await told.ask(
        """{ votes { nodes { user { sleekplanId } } } subscriptions { totalCount }
            satisfactionAnswers { totalCount } events(filter: {types: [OTHER]}) { nodes { action } } }"""
    )

    assert [vote["user"]["sleekplanId"] for vote in answer["votes"]["nodes"]] == ["17"]
    assert answer["subscriptions"]["totalCount"] == answer["satisfactionAnswers"]["totalCount"] == 0
    actions = {event["action"] for event in answer["events"]["nodes"]}
    assert actions == {"vote.remove", "subscription.pause", "satisfaction.ask"}


async def test_a_comments_events_are_in_its_items_timeline_whether_they_name_it_or_not(told: Board) -> None:
    for as_of in ("", ", asOf: {position: 8}"):
        answer = await told.ask(
            f"""{{ item(sleekplanId: "1"{as_of}) {{ version at lastActivityAt
                timeline(types: [COMMENT_CREATED, COMMENT_EDITED, COMMENT_DELETED]) {{
                    nodes {{ position }} }} }}
                events(filter: {{types: [COMMENT_DELETED]}}) {{ nodes {{ item {{ sleekplanId }} }} }} }}"""
        )
        item = answer["item"]
        assert {event["position"] for event in item["timeline"]["nodes"]} == {6, 7, 8}
        assert (item["version"], item["at"], item["lastActivityAt"][:10]) == (7, 8, "2026-05-04")
        assert answer["events"]["nodes"] == [{"item": {"sleekplanId": "1"}}]


async def test_a_comment_says_the_newest_event_about_it_at_every_moment(told: Board) -> None:
    await told.tell(
        body("comment.create", "2026-05-02 11:00", {"comment_id": 9, "feedback_id": 1, "comment": "y"})
    )

    for as_of in ("", "(asOf: {position: 9}, filter: {deleted: true})"):
        answer = await told.ask(f"{{ comments{as_of or '(filter: {deleted: true})'} {{ nodes {{ at }} }} }}")
        assert answer["comments"]["nodes"] == [{"at": 9}]


async def test_votes_are_found_by_the_field_that_their_changes_name(told: Board) -> None:
    for number, vote in ((4, -1), (5, 0)):
        await told.tell(
            body("vote.update", f"2026-05-0{number} 13:00", {"feedback_id": 1, "user_id": 17, "vote": vote})
        )

    answer = await told.ask(
        """{ events(filter: {changedFields: ["value"]}, orderBy: {field: POSITION, direction: ASC}) { nodes {
            type changedFields changes { field before after } } } }"""
    )

    assert [
        (event["type"], event["changedFields"], event["changes"]) for event in answer["events"]["nodes"]
    ] == [
        ("VOTE_CHANGED", ["value"], [{"field": "value", "before": 1, "after": -1}]),
        ("VOTE_WITHDRAWN", ["value"], [{"field": "value", "before": -1, "after": None}]),
    ]


async def test_what_takes_back_no_vote_that_is_known_of_changes_no_field(told: Board) -> None:
    await told.tell(
        body("vote.delete", "2026-05-06 13:00", {"user_id": 17}),
        body("vote.remove", "2026-05-06 14:00", {"feedback_id": 1, "user_id": 17, "vote": 0}),
    )

    answer = await told.ask(
        "{ events(filter: {position: {gt: 8}}) { nodes { type changedFields changes { field } } } }"
    )

    assert answer["events"]["nodes"] == [
        {"type": "VOTE_WITHDRAWN", "changedFields": [], "changes": []},
        {"type": "OTHER", "changedFields": [], "changes": []},
    ]


async def test_a_type_with_the_key_of_a_common_status_has_no_label_of_that_status(told: Board) -> None:
    await told.tell(body("item.update", "2026-05-06 13:00", post(1, up=1, type="done", status="done")))

    answer = await told.ask('{ item(sleekplanId: "1") { type typeLabel status { label } } }')

    assert answer["item"] == {"type": "done", "typeLabel": None, "status": {"label": "Done"}}


async def test_a_quotient_is_taken_with_all_its_decimals(told: Board) -> None:
    await told.tell(
        body("item.update", "2026-05-06 10:00", {"feedback_id": 1, "scoring": 0.5, "total_ratio": 1}),
        body(
            "item.update",
            "2026-05-07 10:00",
            {"feedback_id": 1, "scoring": 0.1 + 0.2, "total_ratio": 11 / 12, "trend": "0.00000000000000001"},
        ),
    )

    answer = await told.ask('{ item(sleekplanId: "1") { scoring ratio trend } }')

    assert answer["item"] == {"scoring": 0.1 + 0.2, "ratio": 11 / 12, "trend": 1e-17}
