"""A backup is restored under a running service: whoever follows is told to start anew, and nothing spins."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import asyncpg
import pytest

from projections.declare import declare
from projections.follow.projector import Projector
from schema.live.sources import Source
from service.errors import LogUnavailable
from service.log.database import connect, migrate
from service.operate.interchange import export, import_lines
from tests.given.live_board import PATIENCE_SECONDS, Board, live_board, sse_events
from tests.given.postgres_tools import run
from tests.given.waiting import eventually, polled

FOLLOW = "subscription ($after: Position) { events(after: $after) { position action } }"
GO_ON = "subscription ($cursor: String) { events(afterCursor: $cursor) { position } }"
PAGE = "query ($after: String) { items(first: 1, after: $after) { totalCount pageInfo { endCursor } } }"
THEN = "query ($cursor: String) { items(asOf: {cursor: $cursor}) { totalCount } }"


async def backup(database_url: str, *schemas: str) -> str:
    """Return SQL that puts schemas of a database back as they are now."""
    chosen = [f"--schema={schema}" for schema in schemas]
    answer = await run("pg_dump", "--inserts", *chosen, "--dbname", database_url)
    lines = answer.stdout.decode().splitlines()
    kept = "\n".join(line for line in lines if not line.startswith("\\"))  # commands to psql
    return f"begin; drop schema {', '.join(schemas)} cascade; {kept}; commit"


async def restore(database_url: str, kept: str) -> None:
    """Put back what was kept, while the service is connected."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(kept)
    await connection.close()


async def append(board: Board, count: int) -> int:
    """Record updates; a connection that knows types of before fails once, and then is another."""
    with contextlib.suppress(LogUnavailable):
        return await board.append_items(count)
    return await board.append_items(count)


async def told_to_start_anew(board: Board, kept: str, database_url: str, grown_by: int = 0) -> None:
    """Follow, lose what was followed, and be told; then follow what there is."""
    async with board.socket() as client:
        await client.subscribe(FOLLOW, after=0)
        await board.append_items(3)
        assert await client.positions(6) == [1, 2, 3, 4, 5, 6]

        await restore(database_url, kept)
        if grown_by:
            await append(board, grown_by)
        message = await client.message()

        assert message["type"] == "error"
        [error] = message["payload"]
        assert error["extensions"]["code"] == "LOG_WENT_BACK"
        assert "no longer holds what was sent up to position 6" in error["message"]
        assert "after: null" in error["message"]

        await client.subscribe(FOLLOW, "2", after=grown_by + 4)
        [refused] = (await client.message())["payload"]
        assert refused["extensions"]["code"] == "POSITION_BEYOND_HEAD"
        await client.subscribe(FOLLOW, "3")
        await client.began(board, 1)
        position = await append(board, 1)
        assert await client.positions(1) == [position] == [grown_by + 4]


async def test_subscribers_of_a_log_that_went_back_are_told_to_start_anew(database_url: str) -> None:
    async with live_board(database_url) as board:
        await board.append_items(3)
        await board.projected()

        await told_to_start_anew(board, await backup(database_url, "log", "read_model"), database_url)


async def test_they_are_told_too_where_it_has_grown_beyond_what_they_had(database_url: str) -> None:
    """No poll meets it while it is shorter: each event says when it was recorded, which tells it apart."""
    async with live_board(database_url, poll_seconds=3_600) as board:
        await board.append_items(3)
        await board.projected()

        kept = await backup(database_url, "log", "read_model")
        await told_to_start_anew(board, kept, database_url, grown_by=4)


async def test_a_log_that_went_back_is_not_asked_again_and_again(database_url: str) -> None:
    async with live_board(database_url) as board:
        await board.append_items(3)
        await board.projected()
        kept = await backup(database_url, "log", "read_model")
        async with board.socket() as client, board.socket() as other:
            await client.subscribe(FOLLOW, after=0)
            await board.append_items(3)
            await client.positions(6)
            await restore(database_url, kept)
            assert (await client.message())["type"] == "error"

            await other.subscribe(FOLLOW)
            await other.began(board, 1)
            read = board.reader.statements
            async with asyncio.timeout(PATIENCE_SECONDS):
                polls = board.hub.polls
                while board.hub.polls < polls + 4:  # two seconds, by the hub's own clock
                    await board.hub.wait_beyond("head", 100, 0.2)

        assert board.reader.statements - read <= 2


async def test_projections_that_fell_behind_after_a_crash_end_no_subscription(database_url: str) -> None:
    """A crash of Postgres may take their last steps; the log has all, and they catch up with it."""
    async with live_board(database_url) as board, board.socket() as client:
        await board.append_items(3)
        await board.projected()
        kept = await backup(database_url, "read_model")
        await client.subscribe(FOLLOW, after=0)
        await board.append_items(3)
        assert await client.positions(6) == [1, 2, 3, 4, 5, 6]

        await restore(database_url, kept)
        await append(board, 1)

        assert await client.positions(1) == [7]


async def test_an_event_that_is_counted_in_again_before_its_frame_was_made_is_still_sent(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read on a server that is lost, made on the one that was promoted, which lacks the last step."""
    met, going_on = asyncio.Event(), asyncio.Event()
    load = Source.load

    async def load_later(*args: Any) -> Any:
        met.set()
        await going_on.wait()
        return await load(*args)

    async with live_board(database_url, projecting=False) as board, board.socket() as client:
        projector = Projector(board.store._pool)
        await client.subscribe(FOLLOW, after=0)
        await board.append_items(3)
        await projector.catch_up()
        assert await client.positions(3) == [1, 2, 3]
        kept = await backup(database_url, "read_model")

        monkeypatch.setattr(Source, "load", load_later)
        await board.append_items(1)
        await projector.catch_up()
        await met.wait()
        await restore(database_url, kept)
        statements = board.reader.statements
        going_on.set()
        await eventually(lambda: board.reader.statements > statements)
        for _ in range(2):
            with contextlib.suppress(asyncpg.PostgresError):  # a cached plan of the tables of before
                await projector.catch_up()
        await append(board, 1)
        await projector.catch_up()

        assert await client.positions(2) == [4, 5]


async def test_min_position_holds_for_what_is_read_where_the_hub_has_heard_of_more(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a crash of Postgres that took the last steps of the projections."""
    monkeypatch.setattr("schema.answer.reader.MIN_POSITION_WAIT_SECONDS", 60)
    async with live_board(database_url, projecting=False) as board:
        await polled(board.hub)  # else its first look finds less than what it is told
        await board.append_items(3)
        board.hub.advance("projected", 3)
        asked = asyncio.create_task(_asked(board, "{ events(minPosition: 3) { totalCount } }"))
        await eventually(lambda: board.reader.statements > 2)
        await Projector(board.store._pool).catch_up()

        assert (await asked)["data"]["events"]["totalCount"] == 3


async def lost_its_end(board: Board, database_url: str, grown_by: int) -> list[str]:
    """Let a log of three get three more, lose them and get others; return the cursors of the first six."""
    await board.append_items(3)
    await board.projected()
    kept = await backup(database_url, "log", "read_model")
    async with board.socket() as client:
        await client.subscribe(FOLLOW, after=0)
        await board.append_items(3)
        cursors = [payload["extensions"]["cursor"] for payload in await client.take(6)]
    await restore(database_url, kept)
    if grown_by:
        await append(board, grown_by)
        await board.projected()
    return cursors


async def test_a_cursor_of_what_the_log_lost_is_refused_and_an_earlier_one_goes_on(database_url: str) -> None:
    async with live_board(database_url) as board:
        cursors = await lost_its_end(board, database_url, grown_by=4)
        async with board.socket() as client:
            await client.subscribe(GO_ON, cursor=cursors[4])
            [refused] = (await client.message())["payload"]
            assert refused["extensions"]["code"] == "LOG_WENT_BACK"
            assert cursors[4] in refused["message"]
            assert "an earlier cursor that is taken is safe to go on from" in refused["message"]

            await client.subscribe(GO_ON, "2", cursor=cursors[2])
            assert await client.positions(4) == [4, 5, 6, 7]


async def test_a_bare_position_is_taken_by_its_number_alone(database_url: str) -> None:
    """The control: this is what nobody can notice without a cursor."""
    async with live_board(database_url) as board:
        await lost_its_end(board, database_url, grown_by=4)
        async with board.socket() as client:
            await client.subscribe(FOLLOW, after=5)
            assert await client.positions(2) == [6, 7]


async def test_an_event_stream_sends_a_cursor_as_its_id_and_is_refused_with_one_of_what_was_lost(
    database_url: str,
) -> None:
    async with live_board(database_url) as board:
        cursors = await lost_its_end(board, database_url, grown_by=4)
        headers = {"Accept": "text/event-stream", "Last-Event-ID": cursors[4]}
        query = {"query": "subscription { events { position } }"}
        async with board.service.session.post(board.service.url, json=query, headers=headers) as response:
            assert "LOG_WENT_BACK" in await response.text()

        headers["Last-Event-ID"] = cursors[2]
        async with board.service.session.post(board.service.url, json=query, headers=headers) as response:
            assert [event[0] for event in await sse_events(response.content, 2)] == [4, 5]


@pytest.mark.parametrize(("grown_by", "poll_seconds"), [(0, 0.05), (0, 3_600), (4, 0.05)])
async def test_pages_and_links_to_what_the_log_lost_are_refused_and_earlier_ones_answer(
    database_url: str, grown_by: int, poll_seconds: float
) -> None:
    """Whether the hub has heard of it already, or never does."""
    async with live_board(database_url, poll_seconds=poll_seconds) as board:
        await board.append_items(3)
        await board.projected()
        kept = await backup(database_url, "log", "read_model")
        early = await _asked(board, PAGE)
        await board.append_items(3)
        await board.projected()
        late = await _asked(board, PAGE)
        then = await _asked(board, THEN, cursor=late["extensions"]["cursor"])
        assert then["data"]["items"]["totalCount"] == 3

        await restore(database_url, kept)
        if grown_by:
            await append(board, grown_by)
            await board.projected()

        for answer in (
            await _asked(board, PAGE, after=_end(late)),
            await _asked(board, THEN, cursor=late["extensions"]["cursor"]),
        ):
            assert [error["extensions"]["code"] for error in answer["errors"]] == ["LOG_WENT_BACK"], answer
        page = await _asked(board, PAGE, after=_end(early))
        assert page["data"]["items"]["totalCount"] == 3
        then = await _asked(board, THEN, cursor=early["extensions"]["cursor"])
        assert then["data"]["items"]["totalCount"] == 3


async def test_cursors_and_links_are_good_in_a_log_that_was_exported_and_imported(
    database_url: str, empty_database_url: str
) -> None:
    async with live_board(database_url) as board:
        await board.append_items(3)
        await board.projected()
        cursor = (await _asked(board, PAGE))["extensions"]["cursor"]
        lines = b"".join([line async for line in export(board.store._pool)])
    connection = await connect(empty_database_url)
    await migrate(connection)
    await declare(connection)
    await connection.close()
    async with live_board(empty_database_url) as other:
        await import_lines(BytesIO(lines), other.store._pool, now=datetime.now(UTC))
        await other.projected(3)

        then = await _asked(other, THEN, cursor=cursor)
        assert then["data"]["items"]["totalCount"] == 3
        assert then["extensions"]["cursor"] == cursor


async def test_what_is_no_cursor_is_refused_with_what_to_give(database_url: str) -> None:
    async with live_board(database_url) as board:
        await board.append_items(1)
        await board.projected()

        [error] = (await _asked(board, THEN, cursor="41-x"))["errors"]

        assert error["extensions"]["code"] == "BAD_ARGUMENT"
        assert "extensions.cursor" in error["message"]


async def _asked(board: Board, query: str, **variables: str) -> Any:
    _, answer, _ = await board.service.post({"query": query, "variables": variables})
    return answer


def _end(answer: Any) -> str:
    end: str = answer["data"]["items"]["pageInfo"]["endCursor"]
    return end
