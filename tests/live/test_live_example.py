"""The example that posts status changes to a chat: killed at any time, it leaves none out."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from tests.given.folders import ROOT
from tests.given.live_board import an_update, live_board

EXAMPLE = ROOT / "examples" / "chat-notifier" / "notify.py"


@asynccontextmanager
async def _chat(heard: asyncio.Queue[str]) -> AsyncIterator[str]:
    async def take(request: web.Request) -> web.Response:
        heard.put_nowait((await request.json())["text"])
        return web.Response()

    application = web.Application()
    application.router.add_post("/hook", take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


async def test_it_goes_on_after_being_killed(database_url: str, tmp_path: Path) -> None:
    script = shutil.copy(EXAMPLE, tmp_path)
    place = tmp_path / "last-position"
    place.write_text("0")
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(count: int, url: str, chat_url: str) -> list[str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, script, url, env={"CHAT_URL": chat_url}
        )
        try:
            async with asyncio.timeout(60):
                return [await heard.get() for _ in range(count)]
        finally:
            process.kill()
            await process.wait()

    async with live_board(database_url) as board, _chat(heard) as chat_url:
        await board.append(an_update(1, status="open"), an_update(1, status="planned"))
        first = await hear(1, board.service.url, chat_url)
        await board.append(
            an_update(1, status="progress"), an_update(1, title="Only a title", status="progress")
        )
        place.write_text("2")  # killed between the chat's answer and the note, it would repeat the first
        later = await hear(1, board.service.url, chat_url)

    assert "planned" in first[0]
    assert "progress" in later[0]
    assert heard.empty()
