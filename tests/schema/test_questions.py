"""The 24 questions that the log should answer, on a history small enough to answer by hand.

Three items of one board over two months; the comments beside the events say what they do to the answers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from schema.answer.documents import Request
from schema.answer.execute import Operations
from schema.build import build_schema
from schema.context import EVERYTHING, Caller, Context
from schema.ids import encode_id
from service.events import decode
from tests.given.asking import NOW, PRODUCT, Board, a_board, a_pool, body, new_database, person, post
from tests.given.folders import QUESTIONS

ADA, BOB, CLEO, DAN = person(1, "ada"), person(2, "bob"), person(3, "cleo"), person(4, "dan")
TEAM = person(9, "tess", admin=1)

DARK: dict[str, Any] = {
    "title": "Dark mode",
    "description": "My eyes hurt.",
    "type": "design",
    "created": "2026-05-01 10:00:00",
    "user": ADA,
}
EXPORT: dict[str, Any] = {
    "title": "Export to CSV",
    "description": "For the boss.",
    "type": "data",
    "status": "open",
    "created": "2026-05-10 08:00:00",
    "user": BOB,
}
OLD: dict[str, Any] = {
    "title": "Fax support",
    "description": "Please.",
    "type": "data",
    "status": "open",
    "created": "2026-05-20 08:00:00",
    "user": CLEO,
}
THEME = DARK | {"title": "Dark theme", "description": "My eyes hurt at night."}


def vote(at: str, item: dict[str, Any], user: dict[str, Any], value: int = 1) -> dict[str, Any]:
    return body("vote.create", at, {"vote": value, "user": user, "feedback_item": item})


def csat(at: str, number: int, value: int, user: int) -> dict[str, Any]:
    return body(
        "satisfaction.create",
        at,
        {
            "satisfaction_id": number,
            "vote": value,
            "data": "default",
            "comment": "",
            "user_id": user,
            "updated": f"{at}:00",
        },
    )


HISTORY = [
    # 1-6: three items, each with a first vote
    body("item.create", "2026-05-01 10:00", post(1, **DARK, status="open")),
    vote("2026-05-02 09:00", post(1, up=1, **DARK, status="open"), BOB),
    body("item.create", "2026-05-10 08:00", post(2, **EXPORT)),
    vote("2026-05-12 12:00", post(2, up=1, **EXPORT), CLEO),
    body("item.create", "2026-05-20 08:00", post(3, **OLD)),
    vote("2026-05-21 08:00", post(3, up=1, **OLD), ADA),
    # 7: Cleo follows dark mode
    body("subscription.create", "2026-05-25 09:00", {"feedback_id": 1, "user": CLEO}),
    # 8: dark mode is promised
    body("item.update", "2026-06-01 09:00", post(1, up=1, **DARK, status="planned")),
    vote("2026-06-03 10:00", post(1, up=2, **DARK, status="planned"), CLEO),
    # 10: the team answers on the export
    body(
        "comment.create",
        "2026-06-05 10:00",
        {
            "comment_id": 50,
            "feedback_id": 2,
            "comment": "On it.",
            "created": "2026-06-05 10:00:00",
            "user": TEAM,
        },
    ),
    # 11: dark mode is rewritten, with two votes
    body("item.update", "2026-06-08 10:00", post(1, up=2, **THEME, status="planned")),
    csat("2026-06-09 08:00", 70, 2, 2),
    # 13: Cleo has waited long enough
    body("subscription.delete", "2026-06-12 09:00", {"feedback_id": 1, "user": CLEO}),
    vote("2026-06-15 09:00", post(1, up=3, **THEME, status="planned"), DAN),
    body("subscription.create", "2026-06-16 09:00", {"feedback_id": 1, "user": DAN}),
    # 16, 17: shipped, with a note
    body("item.update", "2026-06-18 09:00", post(1, up=3, **THEME, status="done")),
    body(
        "changelog.create",
        "2026-06-18 10:00",
        {
            "changelog_id": 17,
            "feedback_id": 1,
            "title": "The dark theme is here",
            "created": "2026-06-18 10:00:00",
        },
    ),
    # 18: and back again
    body("item.update", "2026-06-19 09:00", post(1, up=3, **THEME, status="planned")),
    csat("2026-06-20 08:00", 71, 5, 2),
    # 20: the fax goes
    body("item.delete", "2026-06-20 09:00", {"feedback_id": 3}),
    # 21: Bob turns his vote round
    vote("2026-06-22 09:00", post(1, up=2, down=1, **THEME, status="planned"), BOB, -1),
    vote("2026-06-23 09:00", post(2, up=2, **EXPORT), ADA),
    # 23: the export's total jumps by five that nobody cast
    body("item.update", "2026-06-25 09:00", post(2, up=7, **EXPORT)),
]

ITEM_1, ITEM_2, ITEM_3 = (encode_id("Item", PRODUCT, item) for item in (1, 2, 3))


class FastBoard(Board):
    """A board that is asked as a service is: by the fast path, where it knows how."""

    operations = Operations(build_schema(), fast=True)

    async def ask(self, query: str, caller: Caller = EVERYTHING, **variables: Any) -> Any:
        """Return the data of an operation, which must have no errors."""
        context = Context(self.services, caller)
        answer = json.loads((await self.operations.execute(Request(query, variables), context)).body)
        self.position = context.position
        assert "errors" not in answer, answer
        return answer["data"]


@pytest.fixture(scope="module", params=[Board, FastBoard], ids=["reference", "fast"])
async def board(server_url: str, template: str, request: pytest.FixtureRequest) -> AsyncIterator[Board]:
    """One board for all questions, since asking changes nothing."""
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await board.tell(*HISTORY)
        yield request.param(board.services, board.projector)


def question(number: int) -> str:
    [path] = QUESTIONS.glob(f"{number:02}_*.graphql")
    return path.read_text(encoding="utf-8")


async def test_01_how_the_board_looked_on_the_morning_we_planned(board: Board) -> None:
    answer = await board.ask(question(1), time="2026-06-01T09:00:00Z")

    # All three had one vote that morning; the promise of 09:00 is included.
    assert [
        (node["title"], node["status"]["key"], node["votes"]["net"], node["rank"])
        for node in answer["items"]["nodes"]
    ] == [("Dark mode", "planned", 1, 1), ("Export to CSV", "open", 1, 1), ("Fax support", "open", 1, 1)]


async def test_02_when_it_moved_through_each_status_and_how_long_it_waited(board: Board) -> None:
    answer = await board.ask(question(2), id=ITEM_1)

    # Nobody is told to have moved it: Sleekplan does not say who edits.
    periods = answer["item"]["statusHistory"]
    assert [
        ((period["from"] or {}).get("key"), period["to"]["key"], period["enteredAt"], period["lasted"])
        for period in periods
    ] == [
        (None, "open", "2026-05-01T10:00:00Z", "P30DT23H"),
        ("open", "planned", "2026-06-01T09:00:00Z", "P17D"),
        ("planned", "done", "2026-06-18T09:00:00Z", "P1D"),
        ("done", "planned", "2026-06-19T09:00:00Z", "P11DT15H"),
    ]
    assert [period["causedBy"]["position"] for period in periods] == [1, 8, 16, 18]
    assert periods[1]["causedBy"] == {"position": 8, "user": None, "origin": "WEBHOOK"}


async def test_03_what_is_rising_fastest_this_week_against_last_week(board: Board) -> None:
    answer = await board.ask(question(3))

    # 24 June to 1 July: the export from 2 to 7. The week before: it gained 1, dark mode lost 2 (3 to 1), and
    # is no mover of this week.
    assert answer["movers"] == [
        {
            "item": {"id": ITEM_2, "title": "Export to CSV"},
            "gained": 5,
            "gainedPrevious": 1,
            "acceleration": 4.0,
            "rankBefore": 1,
            "rankNow": 1,
        }
    ]


async def test_04_votes_per_day_with_status_changes_marked(board: Board) -> None:
    answer = await board.ask(question(4), id=ITEM_1)

    series = {point["t"][:10]: point for point in answer["item"]["voteSeries"]}
    assert len(series) == 62  # 1 May to 1 July, both included
    assert {day: point["up"] for day, point in series.items() if point["up"]} == {
        "2026-05-02": 1,
        "2026-06-03": 1,
        "2026-06-15": 1,
    }
    assert {day: point["down"] for day, point in series.items() if point["down"]} == {"2026-06-22": 1}
    assert [
        series[f"2026-{day}"]["cumulative"] for day in ("05-01", "05-02", "06-03", "06-21", "06-22", "07-01")
    ] == [
        0,
        1,
        2,
        3,
        1,
        1,
    ]
    assert [node["summary"] for node in answer["item"]["timeline"]["nodes"]] == [
        "“Dark theme” moved to Planned",
        "“Dark theme” moved to Done",
        "“Dark theme” moved to Planned",
    ]


async def test_05_who_stood_behind_it_when_we_promised_it_and_who_came_later(board: Board) -> None:
    answer = await board.ask(question(5), id=ITEM_1, promised="2026-06-01T09:00:00Z")

    # Bob was the one; he has turned against it since, Cleo and Dan have come.
    assert answer["item"]["then"] == {"totalCount": 1, "nodes": [{"name": "bob"}]}
    assert answer["item"]["now"]["totalCount"] == 2
    assert {node["name"] for node in answer["item"]["now"]["nodes"]} == {"cleo", "dan"}


async def test_06_where_support_is_withdrawn_or_reversed(board: Board) -> None:
    answer = await board.ask(question(6))

    assert answer["events"]["nodes"] == [
        {
            "occurredAt": "2026-06-22T09:00:00Z",
            "origin": "WEBHOOK",
            "item": {"title": "Dark theme"},
            "user": {"name": "bob"},
            "changes": [{"field": "value", "before": 1, "after": -1}],
        }
    ]


async def test_07_median_and_p90_from_request_to_shipped(board: Board) -> None:
    answer = await board.ask(question(7))

    # Dark mode took from 1 May 10:00 to 18 June 09:00; the export waits; the fax was deleted.
    assert answer["cycleTime"] == [
        {"group": "2026-05", "n": 1, "p50": "P47DT23H", "p90": "P47DT23H", "stillOpen": 1}
    ]


async def test_08_which_promises_are_old_and_what_they_gained_while_waiting(board: Board) -> None:
    answer = await board.ask(question(8), longerThan="P10D")

    # Promised again on 19 June with 3 net votes, now 1.
    assert answer["items"]["nodes"] == [
        {
            "title": "Dark theme",
            "status": {"key": "planned"},
            "timeInStatus": "P11DT15H",
            "votesSince": {"net": -2},
        }
    ]
    assert (await board.ask(question(8), longerThan="P12D"))["items"]["nodes"] == []


async def test_09_what_moved_backwards(board: Board) -> None:
    answer = await board.ask(question(9))

    assert answer["statusRegressions"] == [
        {
            "item": {"title": "Dark theme", "votes": {"net": 1}},
            "from": {"key": "done"},
            "to": {"key": "planned"},
            "enteredAt": "2026-06-19T09:00:00Z",
            "causedBy": {"user": None},
        }
    ]


async def test_10_which_words_people_voted_for(board: Board) -> None:
    answer = await board.ask(question(10), id=ITEM_1)

    # Two votes are for the words before 8 June; since then one came and one was turned: 2 up, 1 down now.
    [revision] = answer["item"]["revisions"]
    assert revision["at"] == "2026-06-08T10:00:00Z"
    assert revision["votesBefore"] == {"net": 2}
    assert revision["votesAfter"] == {"net": -1}
    assert revision["changes"] == [
        {
            "field": "title",
            "before": "Dark mode",
            "after": "Dark theme",
            "words": [
                {"kind": "SAME", "text": "Dark "},
                {"kind": "REMOVED", "text": "mode"},
                {"kind": "ADDED", "text": "theme"},
            ],
        },
        {
            "field": "description",
            "before": "My eyes hurt.",
            "after": "My eyes hurt at night.",
            "words": [
                {"kind": "SAME", "text": "My eyes hurt"},
                {"kind": "ADDED", "text": " at night"},
                {"kind": "SAME", "text": "."},
            ],
        },
    ]


async def test_11_what_was_deleted_with_its_text_and_voters(board: Board) -> None:
    answer = await board.ask(question(11))

    assert answer["items"]["nodes"] == [
        {
            "id": ITEM_3,
            "title": "Fax support",
            "description": "Please.",
            "votes": {"net": 1},
            "deletedAt": "2026-06-20T09:00:00Z",
            "voters": {"totalCount": 1},
        }
    ]


async def test_12_whether_a_jump_is_real_demand(board: Board) -> None:
    answer = await board.ask(question(12), id=ITEM_2)

    # Five votes in one update, none of them announced, nothing else on the board within the half hour.
    assert answer["item"]["voteJumps"] == [
        {"at": "2026-06-25T09:00:00Z", "delta": 5, "likelyCause": "missed deliveries", "nearbyEvents": []}
    ]


async def test_13_what_a_release_note_changed(board: Board) -> None:
    answer = await board.ask(question(13), product=PRODUCT)

    # Published on 18 June 10:00. The two weeks before: Dan's vote, the team's comment, Bob's 2 of 9 June.
    # After: Bob's turn and Ada's vote, Bob's 5.
    entry = answer["changelogEntry"]
    assert entry["publishedAt"] == "2026-06-18T10:00:00Z"
    assert entry["linkedItem"] == {"title": "Dark theme"}
    assert entry["impact"] == {
        "before": {"votes": 1, "comments": 1, "csatAvg": 2.0, "csatN": 1},
        "after": {"votes": 2, "comments": 0, "csatAvg": 5.0, "csatN": 1},
    }


async def test_14_how_satisfaction_moved_and_one_users_answers_changed(board: Board) -> None:
    answer = await board.ask(question(14), user=encode_id("User", PRODUCT, 2))

    told = [point for point in answer["satisfactionSeries"] if point["n"] or point["replacedAnswers"]]
    assert told == [
        {"t": "2026-06-08T00:00:00Z", "n": 0, "avg": None, "replacedAnswers": 1},
        {"t": "2026-06-15T00:00:00Z", "n": 1, "avg": 5.0, "replacedAnswers": 0},
    ]
    assert answer["user"]["satisfaction"] == [
        {
            "answeredAt": "2026-06-09T08:00:00Z",
            "value": 2,
            "comment": "",
            "supersededAt": "2026-06-20T08:00:00Z",
        },
        {"answeredAt": "2026-06-20T08:00:00Z", "value": 5, "comment": "", "supersededAt": None},
    ]


async def test_15_which_engaged_users_went_silent(board: Board) -> None:
    answer = await board.ask(question(15), since="P12D")

    # Cleo did something last on 12 June, Dan on 16 June, the team on 5 June; Ada and Bob are about.
    assert answer["users"]["totalCount"] == 3
    cleo = next(node for node in answer["users"]["nodes"] if node["name"] == "cleo")
    assert cleo["lastActiveAt"] == "2026-06-12T09:00:00Z"
    assert cleo["votes"]["nodes"] == [
        {"castAt": "2026-06-03T10:00:00Z", "item": {"title": "Dark theme", "status": {"key": "planned"}}},
        {"castAt": "2026-05-12T12:00:00Z", "item": {"title": "Export to CSV", "status": {"key": "open"}}},
    ]


async def test_16_whether_subscribers_left_while_we_delayed(board: Board) -> None:
    answer = await board.ask(question(16), id=ITEM_1)

    moved = {point["t"][:10]: point for point in answer["item"]["subscriberSeries"]}
    assert {
        day: (point["added"], point["removed"])
        for day, point in moved.items()
        if point["added"] or point["removed"]
    } == {
        "2026-05-25": (1, 0),
        "2026-06-08": (0, 1),
        "2026-06-15": (1, 0),
    }
    assert [moved[f"2026-{day}"]["cumulative"] for day in ("05-18", "05-25", "06-08", "06-29")] == [
        0,
        1,
        0,
        1,
    ]


async def test_17_how_quickly_we_first_respond(board: Board) -> None:
    answer = await board.ask(question(17))

    # Dark mode: 1 May 10:00 to its promise on 1 June 09:00. The export: 10 May 08:00 to the comment on 5 June
    # 10:00. The fax was deleted unanswered, and counts no more. Of two, the median lies half way
    # and p90 nine tenths of the way: 626 h + 0.9 * 117 h.
    assert answer["firstResponse"] == [
        {"group": "2026-05", "n": 2, "p50": "P28DT12H30M", "p90": "P30DT11H18M", "stillOpen": 0}
    ]


async def test_18_how_the_top_changed_rank_month_by_month(board: Board) -> None:
    answer = await board.ask(question(18))

    # End of May: one vote each. End of June: the export 7, dark mode 1. July has just begun.
    ranks = {
        series["item"]["title"]: [(p["t"][:7], p["rank"], p["value"]) for p in series["points"]]
        for series in answer["rankHistory"]
    }
    assert ranks == {
        "Export to CSV": [("2026-05", 1, 1), ("2026-06", 1, 7), ("2026-07", 1, 7)],
        "Dark theme": [("2026-05", 1, 1), ("2026-06", 2, 1), ("2026-07", 2, 1)],
    }
    assert [series["item"]["title"] for series in answer["rankHistory"]] == ["Export to CSV", "Dark theme"]


async def test_19_what_changed_since_the_last_meeting(board: Board) -> None:
    answer = await board.ask(question(19), meeting="2026-06-19T12:00:00Z")

    difference = answer["boardDiff"]
    assert difference["added"] == []
    assert difference["removed"] == [{"id": ITEM_3, "title": "Fax support"}]
    assert difference["changed"] == [
        {"after": {"title": "Dark theme"}, "changes": [{"field": "votes", "before": 3, "after": 1}]},
        {"after": {"title": "Export to CSV"}, "changes": [{"field": "votes", "before": 1, "after": 7}]},
    ]


async def test_20_the_moment_something_passes_a_bound_is_a_valid_subscription() -> None:
    # What it sends is tested with the subscriptions; here that the operation stands as it is documented.
    from graphql import parse, validate

    from schema.build import build_schema

    assert validate(build_schema()._schema, parse(question(20))) == []


async def test_21_whether_our_copy_is_complete(board: Board) -> None:
    [again] = await board.services.store.append(
        [decode(json.dumps(HISTORY[1]).encode(), NOW + timedelta(minutes=1))]
    )
    assert again.duplicate

    answer = await board.ask(question(21))

    assert answer["drift"] == [
        {
            "item": {"id": ITEM_2, "title": "Export to CSV"},
            "field": "votesUp",
            "ours": 2,
            "theirs": 7,
            "likelyCause": "missed deliveries",
        }
    ]
    assert answer["ingest"]["duplicatesDropped"] == 1
    assert answer["ingest"]["quarantined"] == 0
    assert answer["ingest"]["quietAlarm"] is False


async def test_22_whether_reads_are_fresh(board: Board) -> None:
    answer = await board.ask(question(22))

    assert {projection["name"] for projection in answer["projections"]} >= {
        "items",
        "votes",
        "users",
        "events",
    }
    for projection in answer["projections"]:
        assert (projection["state"], projection["position"], projection["head"]) == ("LIVE", 23, 23)
        assert (projection["lagEvents"], projection["lagSeconds"], projection["etaSeconds"]) == (0, 0, 0)
        assert projection["lastError"] is None


async def test_23_following_live_from_where_i_stopped_is_a_valid_subscription() -> None:
    from graphql import parse, validate

    from schema.build import build_schema

    assert validate(build_schema()._schema, parse(question(23))) == []


async def test_24_cumulative_flow_by_week(board: Board) -> None:
    answer = await board.ask(question(24))

    flow = {
        point["t"][:10]: {each["status"]["key"]: (each["items"], each["votes"]) for each in point["byStatus"]}
        for point in answer["statusBacklog"]
    }
    # Weeks begin on Mondays: 4 May, 25 May, 1 June (the promise), 15 June (shipped and back), 22 June.
    assert flow["2026-04-27"] == {"open": (1, 1)}
    assert flow["2026-05-25"] == {"open": (3, 3)}
    assert flow["2026-06-01"] == {"open": (2, 2), "planned": (1, 2)}
    assert flow["2026-06-15"] == {"open": (1, 1), "planned": (1, 3)}
    assert flow["2026-06-22"] == {"open": (1, 7), "planned": (1, 1)}
