"""Subscriptions: every position once and in order, whoever is slow, cut off, late or not allowed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from socket import SO_RCVBUF, SO_SNDBUF, SOL_SOCKET
from typing import Any, Never

import aiohttp
import pytest

from schema.context import Caller
from schema.live import feed, follow, messages
from schema.live.filter import event_filter
from schema.serve.held import SocketLimits
from service.errors import BadArgument
from service.log.database import Pool
from service.scopes import SCOPES
from tests.given.graphql_service import TOKENS
from tests.given.live_board import PRODUCT, Board, an_update, item_id, live_board, sse_events

EVENTS = """
  subscription($after: Position, $filter: EventFilter) { events(after: $after, filter: $filter) { position } }
"""


@pytest.fixture
async def board(database_url: str) -> AsyncIterator[Board]:
    async with live_board(database_url) as opened:
        yield opened


async def test_a_subscriber_that_resumes_after_41_gets_42_first_and_each_later_once(board: Board) -> None:
    await board.append_items(60)
    await board.projected()

    async with board.socket() as client:
        await client.subscribe(EVENTS, after=41)
        before = await client.positions(19)
        await board.append_items(20)
        after = await client.positions(20)

    assert before + after == list(range(42, 81))


async def test_without_a_position_it_begins_now(board: Board) -> None:
    await board.append_items(10)
    await board.projected()

    async with board.socket() as client:
        await client.subscribe(EVENTS)
        await client.began(board, 1)
        await board.append_items(3)

        assert await client.positions(3) == [11, 12, 13]


async def test_a_position_beyond_the_head_is_refused_with_the_head(board: Board) -> None:
    await board.append_items(10)

    async with board.socket() as client:
        await client.subscribe(EVENTS, after=11)
        refused = await client.message()
        await client.subscribe(EVENTS, after=10)
        await board.append_items(1)

        assert refused["type"] == "error"
        assert refused["payload"][0]["extensions"]["code"] == "POSITION_BEYOND_HEAD"
        assert "(10)" in refused["payload"][0]["message"]
        assert await client.positions(1) == [11]


async def test_events_that_come_while_it_catches_up_are_neither_lost_nor_doubled(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "PAGE_EVENTS", 7)
    monkeypatch.setattr(feed, "RENDER_EVENTS", 3)
    await board.append_items(200)
    await board.projected()

    async with board.socket() as client:
        await client.subscribe(EVENTS, after=0)
        got = await client.positions(5)
        for _ in range(30):
            await board.append_items(5)
            got += await client.positions(10)
        got += await client.positions(350 - len(got))

    assert got == list(range(1, 351))


async def test_a_fault_of_ours_ends_those_who_would_wait_for_ever_and_nobody_after_them(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    await board.append_items(3)
    await board.projected()

    def fail(*_: object) -> Never:
        raise LookupError("secret")

    async with board.socket() as client:
        with monkeypatch.context() as broken:  # of one that catches up
            broken.setattr(messages.Messages, "_make", fail)
            await client.subscribe(EVENTS, "behind", after=0)
            behind = await client.message()
        with monkeypatch.context() as broken:  # of all who follow
            await client.subscribe(EVENTS, "abreast", after=2)
            assert await client.positions(1) == [3]
            broken.setattr(follow.Follower, "_page", fail)
            await board.append_items(1)
            abreast = await client.message()
        await client.subscribe(EVENTS, "anew", after=2)

        assert await client.positions(2) == [3, 4]
    assert [(ended["id"], ended["type"]) for ended in (behind, abreast)] == [
        ("behind", "error"),
        ("abreast", "error"),
    ]
    for ended in (behind, abreast):
        assert ended["payload"][0]["extensions"] == {"code": "INTERNAL_ERROR"}
    assert "secret" not in f"{behind}{abreast}"


async def test_subscribers_that_join_at_any_time_each_get_all_after_their_position(board: Board) -> None:
    await board.append_items(50)
    await board.projected()

    async with board.socket() as client:
        appending = asyncio.create_task(_append_slowly(board, 40))
        for number in range(40):
            await client.subscribe(EVENTS, str(number), after=number)
            await asyncio.sleep(0)
        await appending
        got: dict[str, list[int]] = {str(number): [] for number in range(40)}
        while any(not positions or positions[-1] < 90 for positions in got.values()):
            message = await client.message()
            got[message["id"]].append(message["payload"]["extensions"]["position"])

    assert got == {str(number): list(range(number + 1, 91)) for number in range(40)}


async def _append_slowly(board: Board, count: int) -> None:
    for _ in range(count):
        await board.append_items(1)
        await asyncio.sleep(0)


FILTERS: list[dict[str, Any]] = [
    {},
    {"types": ["ITEM_EDITED"]},
    {"types": ["ITEM_CREATED", "ITEM_STATUS_CHANGED"]},
    {"actions": ["item.create", "vote.create"]},
    {"entity": {"eq": "item"}},
    {"entity": {"ne": "item"}},
    {"entity": {"in": ["vote", "user"]}},
    {"entity": {"startsWith": "VO"}},
    {"itemId": item_id(2)},
    {"itemId": item_id(2, product=1)},
    {"origins": ["WEBHOOK"]},
    {"origins": ["IMPORT"]},
    {"position": {"gt": 5, "lte": 12}},
    {"changedFields": ["title"]},
    {"changedFields": ["status", "nothing"]},
    {"occurred": {"from": "2026-06-14T12:00:05Z", "to": "2026-06-14T12:00:12Z"}},
    {"not": {"changedFields": ["title"]}},
    {"not": {"entity": {"eq": "vote"}}},
    {"or": [{"itemId": item_id(1)}, {"types": ["VOTE_CAST"]}]},
    {"or": []},
    {"and": [{"itemId": item_id(1)}, {"not": {"types": ["ITEM_CREATED"]}}]},
    {"types": ["ITEM_EDITED"], "itemId": item_id(1)},
    {"types": []},
]


async def test_a_filter_lets_through_live_what_the_query_finds(board: Board) -> None:
    """The one is decided in Python, for thousands of filters at once, the other in SQL."""
    for number in range(1, 4):
        await board.append(
            {"action": "item.create", "feedback_id": number, "title": "Idea", "status": "open"},
            an_update(number, title="Better idea"),
            an_update(number, title="Better idea", status="planned"),
            {"action": "vote.create", "feedback_id": number, "user_id": 7, "vote": 1},
            {"action": "unheard.of"},
        )
    await board.projected()
    query = """
      query($filter: EventFilter) {
        events(filter: $filter, first: 500, orderBy: {field: POSITION, direction: ASC}) { nodes { position } }
      }
    """
    found = [await board.ask(query, filter=filter) for filter in FILTERS]
    expected = [[node["position"] for node in each["events"]["nodes"]] for each in found]

    got: list[list[int]] = [[] for _ in FILTERS]
    async with board.socket() as client:
        for number, filter in enumerate(FILTERS):
            await client.subscribe(EVENTS, str(number), after=0, filter=filter)
        for _ in range(sum(map(len, expected))):
            message = await client.message()
            got[int(message["id"])].append(message["payload"]["data"]["events"]["position"])
        await client.settled()

    assert got == expected


@pytest.mark.parametrize(("days_late", "passes"), [(1, True), (2, True), (3, False)])
def test_a_window_back_from_its_recording_lets_an_event_through_whenever_it_is_read(
    days_late: int, passes: bool
) -> None:
    """Counted back from when it is read, as in a query, who resumes later would miss what followers got."""
    recorded = datetime(2020, 1, 31, 12, tzinfo=UTC)
    fact = {"recorded_at": recorded, "occurred_at": recorded - timedelta(days=days_late)}

    assert event_filter({"occurred": {"last": "P2D"}}).matches(fact) is passes
    assert event_filter({"not": {"occurred": {"last": "P2D"}}}).matches(fact) is not passes
    assert event_filter({"recorded": {"last": "PT1H"}}).matches(fact)


def test_a_filter_of_more_than_100_conditions_is_refused_but_one_of_any_number_of_items() -> None:
    """Each event is held against every filter there is, and whoever delivers it waits meanwhile."""
    with pytest.raises(BadArgument, match="holds more than 100"):
        event_filter({"or": [{"changedFields": [f"field-{number}"]} for number in range(100)]})

    items = [{"itemId": item_id(number)} for number in range(1, 1_001)]
    fact = {"item_id": "1000", "product_id": PRODUCT}
    assert event_filter({"or": items}).matches(fact)


async def test_equal_subscriptions_are_executed_and_encoded_once(board: Board) -> None:
    query = "subscription { events { position summary item { title votes { net } } } }"
    async with board.socket() as client:
        for number in range(50):
            await client.subscribe(query, str(number))
        await client.began(board, 50)
        statements, rendered = board.reader.statements, board.live.work.rendered

        await board.append_items(1)
        payloads = await client.take(50)

    assert all(payload == payloads[0] for payload in payloads)
    assert board.live.work.rendered - rendered == 1
    assert board.reader.statements - statements <= 3, "one for the page, one for what is selected"


async def test_different_filters_of_one_selection_are_read_and_encoded_once(board: Board) -> None:
    async with board.socket() as client:
        for number in range(50):
            await client.subscribe(
                EVENTS, str(number), filter={"position": {"lt": 1_000 + number}} if number else None
            )
        await client.began(board, 50)
        rendered, statements = board.live.work.rendered, board.reader.statements

        await board.append_items(1)
        await client.take(50)

    assert board.live.work.rendered - rendered == 1
    assert board.reader.statements - statements <= 3


async def test_what_a_message_selects_is_as_of_its_position(board: Board) -> None:
    query = """
      subscription { events(after: 0) { item { title votes { up } } changes { field before after } } }
    """
    await board.append({"action": "item.create", "feedback_id": 1, "title": "First", "total_up": 1})
    await board.append(an_update(1, 2, title="Second"))
    await board.append(an_update(1, 3, title="Third"))
    await board.projected()

    async with board.socket() as client:
        await client.subscribe(query)
        got = [payload["data"]["events"] for payload in await client.take(3)]

    assert [(each["item"]["title"], each["item"]["votes"]["up"]) for each in got] == [
        ("First", 1),
        ("Second", 2),
        ("Third", 3),
    ]
    assert got[2]["changes"] == [{"field": "title", "before": "Second", "after": "Third"}]


async def test_a_series_of_an_events_item_is_counted_as_of_the_event(board: Board) -> None:
    query = "subscription { events(after: 0) { position item { subscriberSeries(bucket: DAY) { added } } } }"
    await board.append_items(1)
    await board.projected()

    async with board.socket() as client:
        await client.subscribe(query)

        assert (await client.message())["payload"]["data"]["events"]["position"] == 1


async def test_what_counts_back_in_a_message_does_so_from_its_position(board: Board) -> None:
    """Days in a status, a series' last step, a window that is so long: as `asOf` the position has them."""
    fields = """
      { timeInStatus statusHistory { lasted } voteSeries(bucket: DAY) { t up }
        week: voteSeries(bucket: DAY, window: {last: "P7D"}) { t up } }
    """
    told = "position before" + fields + " after" + fields
    live = f"subscription($id: ID!) {{ item(id: $id, after: 0) {{ {told} event {{ item {fields} }} }} }}"
    lists = f'subscription {{ items(after: 0, filter: {{inStatusLongerThan: "PT12H"}}) {{ {told} }} }}'
    then = f"query($id: ID!, $at: Position) {{ item(id: $id, asOf: {{position: $at}}) {fields} }}"
    await board.append({"action": "item.create", "feedback_id": 1, "status": "open", "total_up": 1})
    await board.append_items(150, items=2)
    last = await board.append(an_update(1, 200, at_seconds=60_000))
    await board.projected()
    known = await board.ask(
        "query($id: ID!) { item(id: $id) { timeline(first: 500) { nodes { position } } } }", id=item_id(1)
    )
    positions = [event["position"] for event in known["item"]["timeline"]["nodes"]]

    async with board.socket() as client:
        await client.subscribe(live, id=item_id(1))
        got = [payload["data"]["item"] for payload in await client.take(len(positions))]
        await client.subscribe(lists, "waiting for long")
        long = await client.message()

    for each in got:
        at = each["position"]
        assert each["after"] == (await board.ask(then, id=item_id(1), at=at))["item"]
        assert each["before"] == (await board.ask(then, id=item_id(1), at=at - 1))["item"]
        assert each["event"]["item"] == each["after"]
    assert long["payload"]["data"]["items"] == {
        key: value for key, value in got[-1].items() if key != "event"
    }
    assert got[-1]["position"] == last
    assert [each["position"] for each in got] == positions


async def test_whoever_does_not_read_delays_nobody_and_misses_nothing(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "LOOK_SECONDS", 0.01)
    query = "subscription { events(after: 0) { position item { title description } } }"
    long = "x" * 20_000
    async with board.socket(max_msg_size=0) as slow, board.socket(max_msg_size=0) as quick:
        await slow.subscribe(query)
        await quick.subscribe(query)
        await slow.began(board, 2)
        # The client's own reading stops, so that kernel and transport fill up.
        slow.socket._response.connection.transport.pause_reading()  # type: ignore[union-attr]
        for number in range(40):
            await board.append(*(an_update(1, number * 10 + each, description=long) for each in range(10)))
            assert len(await quick.positions(10)) == 10
        held = max(
            socket.transport.get_write_buffer_size() for socket in board.service.endpoint.sockets._open
        )
        slow.socket._response.connection.transport.resume_reading()  # type: ignore[union-attr]
        got = await slow.positions(400)

    assert got == list(range(1, 401))
    assert held < 10 * messages.BUFFER_BYTES_MAX, "what is not read is not kept for it: 8 MB were sent"


async def test_a_send_that_stalls_closes_with_the_last_position(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(messages, "STALL_SECONDS", 0.2)
    query = "subscription { events(after: 0) { position item { description } } }"
    limits = SocketLimits(close_seconds=0.2)
    async with (
        live_board(database_url, socket_limits=limits) as board,
        board.socket(max_msg_size=0) as client,
    ):
        await client.subscribe(query)
        await client.began(board, 1)
        client.socket._response.connection.transport.pause_reading()  # type: ignore[union-attr]
        (socket,) = board.service.endpoint.sockets._open
        socket.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, 4_096)
        client.socket.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, 4_096)
        reasons: list[str] = []
        end = socket.end
        socket.end = lambda code, reason: (reasons.append(f"{code} {reason}"), end(code, reason))  # type: ignore[assignment,func-returns-value]
        async with asyncio.timeout(20):
            while not socket.ended.done():
                await board.append(*(an_update(1, each, description="x" * 50_000) for each in range(5)))
                await asyncio.wait([socket.ended], timeout=1)
        # Whoever reads nothing would wait for the answer to its goodbye.
        client.socket._response.connection.transport.abort()  # type: ignore[union-attr]

    assert reasons[0].startswith("4504 Nothing was read for long; resume after ")
    assert int(reasons[0].rsplit(" ", 1)[1]) < board.position


async def test_a_lost_database_connection_loses_no_event(board: Board, pool: Pool) -> None:
    async with board.socket() as client:
        await client.subscribe(EVENTS, after=0)
        await client.began(board, 1)
        got = []
        for _ in range(5):
            await board.append_items(5)
            await pool.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
                " and application_name in ('recount reads', 'recount hub')"
            )
            got += await client.positions(5)

    assert got == list(range(1, 26))


async def test_a_delivery_taken_by_one_instance_reaches_subscribers_of_all(database_url: str) -> None:
    async with live_board(database_url) as first, live_board(database_url, projecting=False) as second:
        async with second.socket() as client:
            await client.subscribe(EVENTS, after=0)
            await client.began(second, 1)

            await first.append_items(5)

            assert await client.positions(5) == [1, 2, 3, 4, 5]


async def test_idle_subscribers_cost_no_query_of_their_own(board: Board) -> None:
    async with board.socket() as client:
        for number in range(90):
            await client.subscribe(EVENTS, str(number), filter={"position": {"gt": number}})
        await client.began(board, 90)
        statements, polls = board.reader.statements, board.hub.polls

        began = time.monotonic()
        await asyncio.sleep(1.5)
        seconds = time.monotonic() - began

    assert board.reader.statements == statements
    assert board.hub.polls - polls <= 2 * (seconds + 1.5), "one a second and signal for the whole process"


async def test_without_subscribers_the_log_is_not_followed(board: Board) -> None:
    async with board.socket() as client:
        await client.subscribe(EVENTS, after=0)
        await client.began(board, 1)
        await client.socket.send_json({"id": "1", "type": "complete"})
        await client.settled()
    statements = board.reader.statements

    await board.append_items(5)
    await board.projected()

    assert not board.live.follower.running
    assert not board.live._feeds
    assert board.reader.statements == statements


async def test_an_item_is_followed_with_before_and_after_and_cause(board: Board) -> None:
    query = """
      subscription($id: ID!) { item(id: $id, after: 0) {
        position before { title } after { title votes { up } } changes { field before after } event { type }
      } }
    """
    await board.append({"action": "item.create", "feedback_id": 1, "title": "First", "total_up": 1})
    await board.append({"action": "item.create", "feedback_id": 2, "title": "Other"})
    await board.append(an_update(1, 2, title="Second"))
    await board.projected()

    async with board.socket() as client:
        await client.subscribe(query, id=item_id(1))
        first, second = [payload["data"]["item"] for payload in await client.take(2)]

    assert (first["position"], first["before"], first["after"]["title"]) == (1, None, "First")
    assert first["event"] == {"type": "ITEM_CREATED"}
    assert (second["position"], second["before"]["title"], second["after"]["title"]) == (3, "First", "Second")
    assert {"field": "title", "before": "First", "after": "Second"} in second["changes"]
    assert {"field": "votesUp", "before": 1, "after": 2} in second["changes"]


async def test_items_are_followed_into_a_filter_and_out_of_it(board: Board) -> None:
    query = """
      subscription { items(filter: {status: {eq: "planned"}}, after: 0) {
        before { status { key } } after { status { key } }
      } }
    """
    for status in ("open", "planned", "planned", "complete", "closed"):
        await board.append(an_update(1, status=status))
    await board.projected()

    async with board.socket() as client:
        await client.subscribe(query)
        got = await client.take(3)

    assert [payload["extensions"]["position"] for payload in got] == [2, 3, 4]


async def test_a_total_that_reaches_a_bound_is_told_once(board: Board) -> None:
    query = """
      subscription($rules: [Threshold!]!) { thresholds(rules: $rules, after: 0) {
        position rule metric value gte crossedAt item { title } event { type }
      } }
    """
    await board.append(
        {"action": "item.create", "feedback_id": 1, "title": "Idea", "total_up": 0, "total_down": 0}
    )
    for up in (3, 5, 6, 4, 5, 9):
        await board.append(an_update(1, up))
    await board.append(an_update(2, 100))
    await board.projected()

    async with board.socket() as client:
        rules = [{"metric": "UPVOTES", "gte": 5}, {"metric": "UPVOTES", "gte": 4, "within": "PT2S"}]
        await client.subscribe(query, rules=rules)
        hits = [payload["data"]["thresholds"] for payload in await client.take(4)]

    assert [(hit["position"], hit["rule"], hit["value"]) for hit in hits] == [
        (3, 0, 5),
        (3, 1, 5),
        (6, 0, 5),
        (7, 1, 5),
    ]
    assert hits[0]["item"]["title"] == "Idea 1"


async def test_what_was_gained_counts_from_what_was_told_first_of_an_older_item(board: Board) -> None:
    rules = [{"metric": "UPVOTES", "gte": bound, "within": "P1D"} for bound in (10, 60)]
    rules.append({"metric": "ACTIVITY", "gte": 1})
    for up in (50, 61):
        await board.append(an_update(1, up))
    await board.append({"action": "vote.create", "feedback_id": 2, "user_id": 5})
    await board.append(an_update(1, 110))
    await board.projected()

    async with board.socket() as client:
        await client.subscribe(THRESHOLDS, rules=rules)
        hits = [_hit(payload) for payload in await client.take(4)]

    assert hits == [(1, 2), (2, 0), (3, 2), (4, 1)]


THRESHOLDS = """
  subscription($rules: [Threshold!]!, $cursor: String, $after: Position = 0) {
    thresholds(rules: $rules, afterCursor: $cursor, after: $after) { position rule }
  }
"""
RULES = [{"metric": "UPVOTES", "gte": bound} for bound in (5, 6, 7)]


async def test_bounds_reached_by_one_event_are_each_resumed_exactly_where_it_was_cut(board: Board) -> None:
    """The event at 2 reaches two bounds, that at 3 a third; each cut falls behind another message."""
    for up in (0, 6, 9):
        await board.append(an_update(1, up))
    await board.projected()

    async with board.socket() as client:
        await client.subscribe(THRESHOLDS, rules=RULES)
        whole = await client.take(3)
    assert [_hit(payload) for payload in whole] == [(2, 0), (2, 1), (3, 2)]
    for cut in range(3):
        async with board.socket() as client:
            await client.subscribe(THRESHOLDS, rules=RULES, cursor=whole[cut]["extensions"]["cursor"])
            assert await client.take(2 - cut) == whole[cut + 1 :]
    async with board.socket() as client:
        await client.subscribe(THRESHOLDS, rules=RULES, cursor=whole[-1]["extensions"]["cursor"])
        await board.append(an_update(1, 0))
        await board.append(an_update(1, 5))
        assert [_hit(payload) for payload in await client.take(1)] == [(5, 0)]


def _hit(payload: dict[str, Any]) -> tuple[int, int]:
    hit = payload["data"]["thresholds"]
    return hit["position"], hit["rule"]


async def test_an_event_streams_last_id_resumes_between_two_bounds_of_one_event(board: Board) -> None:
    for up in (0, 6):
        await board.append(an_update(1, up))
    await board.projected()
    body = {"query": THRESHOLDS, "variables": {"rules": RULES}}
    headers = {"Accept": "text/event-stream"}

    async with board.service.session.post(board.service.url, json=body, headers=headers) as response:
        ids = [await _next_id(response.content), await _next_id(response.content)]
    headers["Last-Event-ID"] = ids[0]
    async with board.service.session.post(board.service.url, json=body, headers=headers) as response:
        again = await _next_id(response.content)

    assert [id.partition("-")[0] for id in ids] == ["2:1", "2:2"]
    assert again == ids[1]


async def _next_id(content: aiohttp.StreamReader) -> str:
    async for line in content:
        if line.startswith(b"id: "):
            return line[4:].decode().strip()
    raise EOFError


@pytest.mark.parametrize("cursor", ["", "2:", ":1", "2:-1", "x", "2:1:1", "٢"])
async def test_what_is_no_cursor_is_refused(board: Board, cursor: str) -> None:
    async with board.socket() as client:
        await client.subscribe(THRESHOLDS, rules=RULES, cursor=cursor)
        refused = await client.message()

    assert refused["type"] == "error"
    assert "afterCursor" in refused["payload"][0]["message"]


async def test_a_cursor_between_messages_is_refused_by_what_gives_one_an_event(board: Board) -> None:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "2:1"}
    body = {"query": EVENTS, "variables": {"after": 0}}
    async with board.service.session.post(board.service.url, json=body, headers=headers) as response:
        assert "is the cursor of another subscription" in await response.text()


async def test_projections_are_told_at_once_and_after_each_change(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schema.live.sources.Shared.every_seconds", 0.05)
    async with board.socket() as client:
        await client.subscribe("subscription { projections { name position head } }")
        (first,) = await client.take(1)
        await board.append_items(3)
        async with asyncio.timeout(20):
            while True:
                (later,) = await client.take(1)
                if all(each["position"] == 3 for each in later["data"]["projections"]):
                    break

    assert all(each["position"] == 0 for each in first["data"]["projections"])


async def test_a_token_of_one_product_hears_of_no_other(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOKENS, "one", Caller(SCOPES, frozenset({1})))
    async with live_board(database_url, tokens=True) as board:
        await board.append(an_update(1), product=2)
        await board.append(an_update(1), product=1)
        await board.append(an_update(2), product=2)
        await board.append(an_update(2), product=1)
        await board.projected()
        async with board.socket("one") as client:
            await client.subscribe(EVENTS, after=0)
            own = await client.positions(2)
            refused = []
            for query in (
                'subscription { events(productId: "2") { position } }',
                'subscription { items(productId: "2") { position } }',
                f'subscription {{ item(id: "{item_id(1, 2)}") {{ position }} }}',
            ):
                await client.subscribe(query, "2")
                refused.append((await client.message())["payload"][0]["extensions"]["code"])

    assert own == [2, 4]
    assert refused == ["FOREIGN_PRODUCT"] * 3


async def test_one_document_follows_each_product_that_its_variable_names(board: Board) -> None:
    of_one = "subscription ($p: ID) { events(productId: $p, after: 0) { position } }"
    await board.append(an_update(1), product=1)
    await board.append(an_update(1), product=2)
    await board.projected()

    async with board.socket() as first, board.socket() as second:
        await first.subscribe(of_one, p="1")
        await second.subscribe(of_one, p="2")
        own = await first.positions(1), await second.positions(1)
        await board.append(an_update(2), product=2)
        await board.append(an_update(2), product=1)
        later = await first.positions(1), await second.positions(1)

    assert own == ([1], [2])
    assert later == ([4], [3])


async def test_what_a_scope_guards_is_refused_before_the_first_event(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOKENS, "reads", Caller(frozenset({"read"})))
    async with live_board(database_url, tokens=True) as board, board.socket("reads") as client:
        await client.subscribe("subscription { events { rawPayload } }")
        refused = await client.message()

    assert refused["type"] == "error"
    assert refused["payload"][0]["extensions"]["code"] == "MISSING_SCOPE"


WRONG_VALUES = {
    'items(filter: {authorId: {eq: "x"}}) { position }': "BAD_ID",
    'events { item { comments(filter: {authorId: {in: ["x"]}}) { totalCount } } }': "BAD_ID",
    'events { item { provenance(field: "nonsense") { value } } }': "BAD_ARGUMENT",
    'events { item { voteSeries(bucket: DAY, timeZone: "Mars/Olympus") { t } } }': "BAD_ARGUMENT",
    'events { item(asOf: {cursor: "nonsense"}) { id } }': "BAD_ARGUMENT",
}


async def test_what_is_wrong_with_an_argument_is_said_before_the_first_event(board: Board) -> None:
    async with board.socket() as client:
        refused = {}
        for selection in WRONG_VALUES:
            await client.subscribe(f"subscription {{ {selection} }}")
            refused[selection] = (await client.message())["payload"][0]

    assert {each: error["extensions"]["code"] for each, error in refused.items()} == WRONG_VALUES
    assert [error["path"] for error in refused.values()] == [["items"], *[["events"]] * 4]


ONLY_THE_LOG_TELLS = {
    'asOf: {cursor: "1-00000000"}': "LOG_WENT_BACK",
    "asOf: {position: 99}": "POSITION_AHEAD",
    r'filter: {text: {eq: "\u0000"}}': "BAD_ARGUMENT",
}


@pytest.mark.parametrize(("arguments", "code"), ONLY_THE_LOG_TELLS.items(), ids=ONLY_THE_LOG_TELLS.values())
async def test_what_only_the_log_can_tell_ends_a_subscription_with_its_reason(
    board: Board, arguments: str, code: str
) -> None:
    await board.append_items(2)
    await board.projected()

    async with board.socket() as client:
        await client.subscribe(
            f"subscription {{ events(after: 0) {{ item {{ comments({arguments}) {{ totalCount }} }} }} }}"
        )
        ended = await client.message()

    assert ended["type"] == "error"
    assert ended["payload"][0]["extensions"]["code"] == code


@pytest.mark.parametrize(
    "selection",
    ["__typename", "events @include(if: false) { position }", "...{ projections @skip(if: true) { name } }"],
)
async def test_a_subscription_that_follows_nothing_is_refused(board: Board, selection: str) -> None:
    async with board.socket() as client:
        await client.subscribe(f"subscription {{ {selection} }}")
        refused = await client.message()

    assert refused["type"] == "error"
    assert "Subscription must" in refused["payload"][0]["message"]


async def test_callers_who_may_see_different_things_share_no_answer(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOKENS, "one", Caller(SCOPES, frozenset({1})))
    monkeypatch.setitem(TOKENS, "two", Caller(SCOPES, frozenset({2})))
    async with live_board(database_url, tokens=True) as board:
        async with (
            board.socket("one") as one,
            board.socket("two") as two,
            board.socket("good") as all_of_them,
        ):
            for client in (one, two, all_of_them):
                await client.subscribe(EVENTS)
            await one.began(board, 3)
            await board.append(an_update(1), product=1)
            await board.append(an_update(1), product=2)

            assert await one.positions(1) == [1]
            assert await two.positions(1) == [2]
            assert await all_of_them.positions(2) == [1, 2]


async def test_several_subscriptions_of_a_socket_end_one_by_one(board: Board) -> None:
    async with board.socket() as client:
        await client.subscribe(EVENTS, "a", after=0)
        await client.subscribe(EVENTS, "b", after=0)
        await client.began(board, 2)
        await client.socket.send_json({"id": "a", "type": "complete"})
        await client.settled()

        await board.append_items(2)

        messages = [await client.message() for _ in range(2)]
    assert [message["id"] for message in messages] == ["b", "b"]


async def test_an_event_stream_says_its_position_as_id_and_resumes_after_the_last(board: Board) -> None:
    await board.append_items(5)
    await board.projected()
    body = {"query": EVENTS, "variables": {"after": 0}}
    headers = {"Accept": "text/event-stream"}

    async with board.service.session.post(board.service.url, json=body, headers=headers) as response:
        first = await sse_events(response.content, 2)
    params = {"query": "subscription { events(after: 0) { position } }"}
    headers["Last-Event-ID"] = str(first[-1][0])
    async with board.service.session.get(board.service.url, params=params, headers=headers) as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        rest = await sse_events(response.content, 3)
        await board.append_items(1)
        live = await sse_events(response.content, 1)

    assert [event[0] for event in first + rest + live] == [1, 2, 3, 4, 5, 6]
    assert live[0][2]["data"] == {"events": {"position": 6}}
    assert live[0][2]["extensions"]["position"] == 6


async def test_a_rebuild_goes_unnoticed_by_whoever_follows(board: Board, pool: Pool) -> None:
    from projections.rebuild.rebuild import rebuild

    async with board.socket() as client:
        await client.subscribe(EVENTS, after=0)
        await board.append_items(10)
        got = await client.positions(10)
        await rebuild(pool)
        await board.append_items(10)
        got += await client.positions(10)

    assert got == list(range(1, 21))
