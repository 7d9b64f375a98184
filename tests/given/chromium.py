"""A Chromium driven by playwright-core, one script at a time, for tests that use the page as people do."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.given.folders import GIVEN

FOLDER = GIVEN / "npm" / "page"
ANSWER_SECONDS_MAX = 60
ANSWER_BYTES_MAX = 64 * 1024 * 1024
_PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


class Chromium:
    """A browser that runs; it has one tab at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count(1)

    async def tab(self, **options: Any) -> Driver:
        """Open a tab with an empty profile in place of the one before, with options of `newContext`."""
        await self.ask(tab=options)
        return Driver(self)

    async def ask(self, **told: Any) -> Any:
        """Return what the driver makes of a line."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"id": next(self._numbers), **told}).encode() + b"\n")
        answer = await self.answer()
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["value"]

    async def answer(self) -> dict[str, Any]:
        """Return the next line that the driver writes."""
        assert self._process.stdout
        line = await asyncio.wait_for(self._process.stdout.readline(), ANSWER_SECONDS_MAX)
        if not line:
            raise AssertionError("the driver of Chromium ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Driver:
    """One tab. `run` gives a script of playwright's to it, which has what the driver says at hand."""

    def __init__(self, browser: Chromium) -> None:
        self._browser = browser

    async def run(self, script: str, **values: Any) -> Any:
        """Return what a script returns; `values` are its variables."""
        return await self._browser.ask(script=script, values=values)

    async def problems(self) -> list[str]:
        """Return what the page complained of since the last time."""
        found: list[str] = await self.run("return problems.splice(0)")
        return found


def program() -> str | None:
    """Return the Chromium that is installed; rather the one without windows, which costs half as much."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


def missing() -> str | None:
    """Return what this machine lacks to drive a Chromium, in words; None where nothing is."""
    if program() is None:
        return "Chromium is not installed"
    if shutil.which("node") is None:
        return "node is not installed"
    if not (FOLDER / "node_modules" / "playwright-core").exists():
        return "the packages of tests/given/npm/page are not installed (npm ci there)"
    return None


@asynccontextmanager
async def chromium() -> AsyncIterator[Chromium]:
    """Run a Chromium until the block ends.

    Whatever it asks of another machine is refused and told as a problem.

    Skips where Chromium, node or the packages of tests/given/npm/page are missing.
    """
    if why := missing():
        pytest.skip(why)
    process = await asyncio.create_subprocess_exec(
        "node",
        str(FOLDER / "driver.mjs"),
        json.dumps({"executablePath": program()}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=ANSWER_BYTES_MAX,
    )
    running = Chromium(process)
    try:
        await running.answer()
        yield running
    finally:
        assert process.stdin
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
