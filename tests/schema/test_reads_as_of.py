"""Reads as of a moment give what stood then: at the head the same as now, before it the same as replaying."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.events import decode
from service.simulator import Chaos, simulate
from tests.given.asking import NOW, Board, a_board, a_pool, body, new_database, person, post

EVERYTHING_OF_AN_ITEM = """
  id sleekplanId productId title description status { key } type effort tags trend scoring ratio
  votes { up down net } knownVotes { up down net } commentCount subscriberCount createdAt updatedAt
  deleted deletedAt statusSince lastActivityAt version at rank author { id name }
  castVotes(filter: {withdrawn: null}) {
    totalCount nodes { id value castAt withdrawn withdrawnAt at user { name } }
  }
  voters { totalCount nodes { id } }
  comments(filter: {deleted: null}) {
    totalCount nodes { id text likes createdAt updatedAt deleted author { name } }
  }
  subscriptions(filter: {active: null}) { nodes { id active since user { name } } }
  timeline(last: 5) { totalCount nodes { position type changedFields } }
  statusHistory { from { key } to { key } enteredAt leftAt causedBy { position } }
  revisions { at position changes { field before after } votesBefore { net } votesAfter { net } }
  inferences { kind field delta position }
  provenance(field: "title") { position value }
"""
WHOLE_BOARD = f"""
query Whole($asOf: AsOf) {{
  items(first: 200, filter: {{deleted: null}}, orderBy: {{field: CREATED_AT}}, asOf: $asOf) {{
    totalCount nodes {{ {EVERYTHING_OF_AN_ITEM} }}
  }}
  users(first: 500, filter: {{deleted: null}}, asOf: $asOf) {{
    totalCount
    nodes {{
      id name fullName mail imageUrl customerId teamMember anonymous segments weight custom system createdAt
      deleted deletedAt erased firstSeenAt lastActiveAt satisfaction {{ id value supersededAt }}
      activity {{ votes comments newItems csatAvg csatN }}
    }}
  }}
  votes(first: 500, filter: {{withdrawn: null}}, asOf: $asOf) {{ totalCount nodes {{ id value castAt at }} }}
  comments(first: 500, filter: {{deleted: null}}, asOf: $asOf) {{
    totalCount nodes {{ id text likes item {{ id }} at }}
  }}
  subscriptions(first: 500, filter: {{active: null}}, asOf: $asOf) {{
    totalCount nodes {{ id active since at }}
  }}
  changelogEntries(first: 100, filter: {{deleted: null}}, asOf: $asOf) {{
    totalCount nodes {{ id title description draft publishedAt linkedItem {{ title }} at }}
  }}
  satisfactionAnswers(first: 500, asOf: $asOf) {{
    totalCount nodes {{ id value group answeredAt supersededAt at }}
  }}
  events(last: 100, asOf: $asOf) {{ totalCount nodes {{ position type item {{ title votes {{ net }} }} }} }}
}}
"""
ENDING = datetime(2026, 6, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
async def bodies() -> list[bytes]:
    """A month of traffic with late, doubled and broken deliveries."""
    chaos = Chaos()
    return list(simulate(seed=11, events=300, items=12, users=40, months=2, ending=ENDING, chaos=chaos))


async def record(board: Board, bodies: list[bytes]) -> int:
    events = []
    for number, raw in enumerate(bodies):
        try:
            events.append(decode(raw, ENDING + timedelta(seconds=number)))
        except Exception:
            continue
    await board.services.store.append(events)
    position = await board.projector.catch_up()
    board.services.hub.advance("projected", position)
    return position


@pytest.fixture(scope="module")
async def board(server_url: str, template: str, bodies: list[bytes]) -> AsyncIterator[Board]:
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await record(board, bodies)
        yield board


async def test_as_of_the_head_is_now(board: Board) -> None:
    now = await board.ask(WHOLE_BOARD)
    head = board.position

    assert await board.ask(WHOLE_BOARD, asOf={"position": head}) == now
    assert await board.ask(WHOLE_BOARD, asOf={"time": "9000-01-01T00:00:00Z"}) == now
    assert await board.ask(WHOLE_BOARD, asOf={"time": "9000-01-01T00:00:00Z", "clock": "RECORDED"}) == now
    assert now["items"]["totalCount"] >= 10


async def test_as_of_a_position_is_what_the_first_events_alone_give(
    board: Board, bodies: list[bytes], server_url: str, template: str
) -> None:
    cut = 200
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as younger:
        position = await record(younger, bodies[:cut])
        then = await younger.ask(WHOLE_BOARD)

    assert await board.ask(WHOLE_BOARD, asOf={"position": position}) == then


async def test_what_happened_later_does_not_change_the_past(board: Board) -> None:
    # By time and position together nothing may differ; by time alone late events may.
    as_of = {"position": 150, "time": "2026-06-01T00:00:00Z"}

    before = await board.ask(WHOLE_BOARD, asOf=as_of)
    await board.tell(body("item.update", "2026-05-02 00:00", post(1, up=900, title="Rewritten late")))
    after = await board.ask(WHOLE_BOARD, asOf=as_of)

    assert after == before


async def test_a_late_event_changes_the_past_of_its_own_clock_and_no_other(pool: Any) -> None:
    async with a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 10:00", post(1, title="First", status="open")),
            body("item.update", "2026-05-03 10:00", post(1, title="Third", status="open")),
        )
        query = "query ($asOf: AsOf) { item(sleekplanId: 1, asOf: $asOf) { title revisions { at } } }"
        by_time = {"time": "2026-05-02T12:00:00Z"}
        assert (await board.ask(query, asOf=by_time))["item"]["title"] == "First"

        await board.tell(body("item.update", "2026-05-02 10:00", post(1, title="Second", status="open")))

        assert (await board.ask(query, asOf=by_time))["item"]["title"] == "Second"
        assert (await board.ask(query, asOf={"position": 2}))["item"]["title"] == "Third"
        assert (await board.ask(query, asOf=by_time | {"position": 2}))["item"]["title"] == "First"
        assert (await board.ask(query))["item"]["title"] == "Third"
        assert [r["at"][:10] for r in (await board.ask(query))["item"]["revisions"]] == [
            "2026-05-02",
            "2026-05-03",
        ]


async def test_a_moment_on_our_clock_is_the_last_event_that_we_knew(pool: Any) -> None:
    async with a_board(pool) as board:
        await board.tell(body("item.create", "2026-05-01 10:00", post(1, title="First")))
        between = await pool.fetchval("select clock_timestamp()")
        await board.tell(
            body("item.update", "2026-05-01 09:00", post(1, title="Earlier, but heard of later"))
        )
        as_of = {"time": between.isoformat(), "clock": "RECORDED"}

        answer = await board.ask(
            "query ($a: AsOf) { item(sleekplanId: 1, asOf: $a) { title version at } }", a=as_of
        )

        assert answer["item"] == {"title": "First", "version": 1, "at": 1}


async def test_same_second_events_of_a_time_are_all_included(pool: Any) -> None:
    async with a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 10:00", post(1, title="One")),
            body("item.update", "2026-05-01 10:00", post(1, title="Two")),
        )

        answer = await board.ask('{ item(sleekplanId: 1, asOf: {time: "2026-05-01T10:00:00Z"}) { title } }')

        assert answer["item"]["title"] == "Two"


async def test_what_is_nested_reads_as_of_the_same_moment_unless_it_says_another(pool: Any) -> None:
    ada = person(1, "ada")
    async with a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 10:00", post(1, title="First", user=ada)),
            body(
                "item.update", "2026-05-03 10:00", post(1, title="Second", user=ada | {"data_name": "ada_l"})
            ),
        )
        query = """{
          item(sleekplanId: 1, asOf: {position: 1}) {
            author {
              name timeline { nodes { position item { title } now: item(asOf: {position: 2}) { title } } }
            }
          }
        }"""

        answer = await board.ask(query)

        assert answer["item"]["author"] == {
            "name": "ada",
            "timeline": {"nodes": [{"position": 1, "item": {"title": "First"}, "now": {"title": "Second"}}]},
        }


async def test_a_position_ahead_of_the_log_is_refused(board: Board) -> None:
    error = await board.refusal("{ items(asOf: {position: 1000000}) { nodes { id } } }")

    assert type(error).__name__ == "PositionAhead"


async def test_windows_count_back_from_the_moment(pool: Any) -> None:
    async with a_board(pool) as board:
        await board.tell(
            *(body("item.create", f"2026-0{month}-01 10:00", post(month, title="x")) for month in (3, 4, 5))
        )
        query = (
            'query ($a: AsOf) { events(filter: {occurred: {last: "P45D"}}, asOf: $a) { nodes { position } } }'
        )

        by_now = await board.ask(query)
        by_time = await board.ask(query, a={"time": "2026-05-02T00:00:00Z"})
        by_position = await board.ask(query, a={"position": 2})

        assert NOW.isoformat() == "2026-07-01T00:00:00+00:00"
        assert [node["position"] for node in by_now["events"]["nodes"]] == []
        assert [node["position"] for node in by_time["events"]["nodes"]] == [2, 3]
        assert [node["position"] for node in by_position["events"]["nodes"]] == [1, 2]


async def test_how_long_it_took_as_of_a_position_knows_no_time_of_submission_told_later(pool: Any) -> None:
    async with a_board(pool) as board:
        told_later = post(1, status="done", created="2026-04-20 10:00:00")
        await board.tell(
            body("item.update", "2026-05-01 10:00", post(1, status="open")),
            body("item.update", "2026-05-03 10:00", post(1, status="done")),
            body("item.update", "2026-05-04 10:00", told_later),
        )
        query = "query ($at: AsOf) { cycleTime(from: OPEN, to: DONE, asOf: $at) { group p50 } }"

        then = await board.ask(query, at={"position": 2})

        assert then["cycleTime"] == [{"group": "2026-05", "p50": "P2D"}]
        assert (await board.ask(query))["cycleTime"] == [{"group": "2026-04", "p50": "P13D"}]


async def test_what_was_first_seen_in_a_later_stage_was_not_in_it_since_its_submission(pool: Any) -> None:
    async with a_board(pool) as board:
        created: dict[str, Any] = {"created": "2024-05-01 10:00:00"}
        await board.tell(
            body("vote.create", "2026-05-01 10:00", {"feedback_item": post(1, status="planned", **created)}),
            body("item.update", "2026-05-03 10:00", post(1, status="done", **created)),
            body("vote.create", "2026-05-01 10:00", {"feedback_item": post(2, status="open", **created)}),
            body("item.update", "2026-05-03 10:00", post(2, status="done", **created)),
        )
        answer = await board.ask(
            """{ promised: cycleTime(from: ROADMAP, to: DONE, groupBy: NONE) { n p50 }
                 asked: cycleTime(from: OPEN, to: DONE, groupBy: NONE) { n p50 } }"""
        )

    assert answer == {"promised": [{"n": 1, "p50": "P2D"}], "asked": [{"n": 1, "p50": "P732D"}]}


async def test_a_draft_is_drafted_and_published_once_it_is_none_any_more(pool: Any) -> None:
    async with a_board(pool) as board:
        entry = {"changelog_id": 7, "title": "Old note"}
        await board.tell(
            body("changelog.create", "2026-05-01 12:00", entry | {"draft": True}),
            body("changelog.update", "2026-05-02 12:00", entry | {"draft": True, "type": "fix"}),
            body("changelog.update", "2026-05-03 12:00", entry | {"draft": False}),
            body("changelog.update", "2026-05-04 12:00", entry | {"draft": True}),
        )

        told = await board.ask("{ events { nodes { summary } } }")

        assert [each["summary"].removeprefix("The note “Old note” ") for each in told["events"]["nodes"]] == [
            "was drafted",
            "was edited",
            "was published",
            "became a draft again",
        ]


async def test_a_summary_as_of_a_position_names_things_as_they_were_then(pool: Any) -> None:
    async with a_board(pool) as board:
        entry = {"changelog_id": 7, "title": "Old note"}
        await board.tell(
            body("item.create", "2026-05-01 10:00", post(1, title="Old", user=person(1, "ada"))),
            body("vote.create", "2026-05-01 11:00", {"feedback_id": 1, "user": person(1, "ada"), "vote": 1}),
            body("changelog.create", "2026-05-01 12:00", entry),
        )
        query = "query ($at: AsOf) { events(first: 3, asOf: $at) { nodes { summary } } }"
        before = await board.ask(query)

        await board.tell(
            body("item.update", "2026-05-03 10:00", post(1, title="New", user=person(1, "ada_l"))),
            body("changelog.update", "2026-05-03 10:00", entry | {"title": "New note"}),
        )

        assert await board.ask(query, at={"position": 3}) == before
        assert before["events"]["nodes"] == [
            {"summary": "ada submitted “Old”"},
            {"summary": "ada voted for “Old”"},
            {"summary": "The note “Old note” was published"},
        ]
