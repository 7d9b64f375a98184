"""A headless Chromium for the tests of what a person sees, spoken to by its DevTools protocol."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest

from tests.given.chromium import program
from tests.given.processes import kill_with_children

_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--window-size=1400,900",
)


class Page:
    """One tab: `evaluate` runs JavaScript in it; `problems` are the errors that it reported."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.session: str | None = None
        self.problems: list[str] = []
        self.requested: list[str] = []

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a DevTools command and return its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        session = {"sessionId": self.session} if self.session else {}
        await self._socket.send_json({"id": number, "method": method, "params": params, **session})
        result = await asyncio.wait_for(answer, 30)
        if "error" in result:
            raise RuntimeError(f"{method}: {result['error']['message']}")
        return dict(result["result"])

    async def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression; a promise is awaited."""
        found = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(json.dumps(found["exceptionDetails"]))
        return found["result"].get("value")

    async def becomes_true(self, condition: str, seconds: float = 20) -> None:
        """Wait until a JavaScript expression is true; the page looks again at each of its frames."""
        waiting = (
            f"new Promise((resolve, reject) => {{ const late = performance.now() + {seconds * 1000};"
            f"const look = () => {{ let met = false; try {{ met = {condition} }} catch (error) {{}}"
            f"if (met) resolve(true); else if (performance.now() > late) resolve(false);"
            f"else setTimeout(look, 20); }}; look(); }})"
        )
        assert await self.evaluate(waiting), f"never true: {condition}; the page said {self.problems}"

    async def listen(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            elif said["method"] == "Runtime.exceptionThrown":
                self.problems.append(json.dumps(said["params"]["exceptionDetails"]))
            elif said["method"] == "Log.entryAdded" and said["params"]["entry"]["level"] == "error":
                self.problems.append(said["params"]["entry"]["text"])
            elif said["method"] == "Network.requestWillBeSent":
                self.requested.append(said["params"]["request"]["url"])


@asynccontextmanager
async def open_page(url: str) -> AsyncIterator[Page]:
    """Open `url` in a Chromium with an empty profile. Skips the test where there is no Chromium."""
    if (found := program()) is None:
        pytest.skip("Chromium is not installed")
    profile = tempfile.mkdtemp(prefix="recount-chromium-")
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    process = await asyncio.create_subprocess_exec(
        found, *_FLAGS, *sandbox, f"--user-data-dir={profile}", stderr=asyncio.subprocess.PIPE
    )
    try:
        endpoint = await asyncio.wait_for(_endpoint(process), 60)
        async with aiohttp.ClientSession() as session, session.ws_connect(endpoint, max_msg_size=0) as socket:
            page = Page(socket)
            listener = asyncio.create_task(page.listen())
            try:
                target = await page.call("Target.createTarget", url="about:blank")
                attached = await page.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
                page.session = attached["sessionId"]
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await page.call(f"{domain}.enable")
                await page.call("Page.navigate", url=url)
                yield page
            finally:
                listener.cancel()
                with suppress(asyncio.CancelledError):
                    await listener
    finally:
        # What is on the path may be a script that waits for the browser.
        kill_with_children(process.pid)
        await process.communicate()
        shutil.rmtree(profile, ignore_errors=True)


async def _endpoint(process: asyncio.subprocess.Process) -> str:
    assert process.stderr
    said = []
    async for line in process.stderr:
        said.append(line.decode(errors="replace"))
        if found := re.search(r"DevTools listening on (ws://\S+)", said[-1]):
            return found[1]
    raise RuntimeError("Chromium ended: " + "".join(said[-5:]))
