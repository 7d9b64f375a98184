"""A backup is restored under a running service: whoever follows is told to start anew, and nothing spins."""

from __future__ import annotations

import asyncio
import contextlib

import asyncpg

from service.errors import LogUnavailable
from tests.given.live_board import PATIENCE_SECONDS, Board, live_board
from tests.given.postgres_tools import run

FOLLOW = "subscription ($after: Position) { events(after: $after) { position action } }"


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
