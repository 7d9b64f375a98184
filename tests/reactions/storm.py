"""Has a board live while the service, its Postgres and the receivers of its rules are killed in turn."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp

from tests.given.bodies import a_body
from tests.given.folders import ROOT
from tests.given.ports import free_port
from tests.given.processes import kill_with_children, parent_of
from tests.given.receiver import a_file, a_rule
from tests.given.running import Running, running
from tests.given.waiting import eventually

PEOPLE: Final = 4
"""So many deliver at once."""
AHEAD_MAX: Final = 3_000
"""How far the board may be ahead of what is told, so that both go on throughout."""
TURN_SECONDS_MAX: Final = 600.0
STATUSES: Final = ("planned", "in-progress", "complete")


class Hook:
    """A rule's receiver: a process, and the file in which it notes what it took."""

    def __init__(self, name: str, folder: Path, failures: float, seed: int) -> None:
        self.name, self.path = name, folder / f"{name}.taken"
        self.taken: list[str] = []
        self._rest = b""
        self._failures, self._seed = failures, seed
        self._process: asyncio.subprocess.Process | None = None
        self._file = os.open(self.path, os.O_RDONLY | os.O_CREAT, 0o600)
        self.port = free_port()

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self._seed += 1
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.reactions.dying_receiver", str(self.port), str(self.path),
            str(self._failures), str(self._seed), cwd=ROOT,
        )  # fmt: skip
        await eventually(self._listens, 60)

    async def kill(self) -> None:
        """Kill it with -9."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def look(self) -> list[str]:
        """Return all that it took, in order, by id."""
        while block := os.read(self._file, 1 << 20):
            *lines, self._rest = (self._rest + block).split(b"\n")  # a block may end within a line
            self.taken += [line.decode() for line in lines]
        return self.taken

    async def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, "the receiver ended at its start"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


class Storm:
    """A service with rules, one receiver a rule, and whoever kills them."""

    def __init__(self, folder: Path, documents: Mapping[str, str], *, failures: float, seed: int) -> None:
        self.hooks = {name: Hook(name, folder, failures, seed) for name in documents}
        rules = [
            a_rule(folder, f"http://127.0.0.1:{hook.port}/hook", name, documents[name], timeout_seconds=1)
            for name, hook in self.hooks.items()
        ]
        self.path = a_file(folder, *rules)
        self.kills = {"service": 0, "Postgres": 0, "a receiver": 0}
        self._folder, self._dice = folder, random.Random(seed)
        self._running = AsyncExitStack()
        self.service: Running

    async def start(self) -> None:
        """Start all, and wait until the rules have begun."""
        for hook in self.hooks.values():
            await hook.start()
        await self._start_service()
        await eventually(self._have_begun, 60)

    async def end(self) -> None:
        """Leave nothing running."""
        await self._running.aclose()
        for hook in self.hooks.values():
            await hook.kill()

    async def live(self, events: int) -> None:
        """Have so many things happen, one item after the other, each delivered until it is acknowledged."""
        numbers = iter(range(1, events + 1))

        async def deliver_all() -> None:
            async with aiohttp.ClientSession() as session:
                for number in numbers:
                    await eventually(partial(self._tells, number - AHEAD_MAX), TURN_SECONDS_MAX)
                    await self._deliver(session, happening(number))

        async with asyncio.TaskGroup() as group:
            for _ in range(PEOPLE):
                group.create_task(deliver_all())

    async def rage(self, kills: int, events: int) -> None:
        """Kill one after the other while so many events are told by the first rule."""
        share = events // (kills + 1)
        for number in range(kills):
            told = number * share + self._dice.randrange(share // 2, share)
            await eventually(partial(self._tells, told), TURN_SECONDS_MAX)
            victim = list(self.kills)[number % 3]
            self.kills[victim] += 1
            if victim == "service":
                await self.service.stop(signal.SIGKILL)
                await self._running.aclose()
                await self._start_service()
            elif victim == "Postgres":
                await eventually(self._postgres_is_killed, 60)
            else:
                hook = self._dice.choice(list(self.hooks.values()))
                await hook.kill()
                await hook.start()

    async def last(self, number: int) -> int:
        """Have one more thing happen, behind all others; return its position."""
        await eventually(lambda: self._records(number - 1), TURN_SECONDS_MAX)
        status, answer = await self.service.post(happening(number))
        assert (status, answer["spooled"]) == (200, False)
        await eventually(lambda: self._records(number), TURN_SECONDS_MAX)
        return int(answer["position"])

    async def subscribed(self, document: str, last: str) -> list[str]:
        """Return the cursors that a client gets who follows a document from the first event to a place."""
        found = []
        headers = {"Accept": "text/event-stream", "Last-Event-ID": "0"}
        timeout = aiohttp.ClientTimeout(total=TURN_SECONDS_MAX)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.post(self.service.graphql_url, json={"query": document}) as answer,
        ):
            async for line in answer.content:
                if line.startswith(b"id:"):
                    found.append(line[3:].decode().strip())
                    if found[-1].partition("-")[0] == last:
                        return found
        raise AssertionError(f"it ended behind {found[-1:]}, before {last}")

    def _tells(self, messages: int) -> bool:
        """Whether the first rule has told so many."""
        return len(next(iter(self.hooks.values())).look()) >= messages

    async def _start_service(self) -> None:
        env = {"RECOUNT_REACTIONS": str(self.path), "RECOUNT_LOG_LEVEL": "warning"}
        self.service = await self._running.enter_async_context(running(self._folder / "data", env=env))

    async def _have_begun(self) -> bool:
        return len((await self.service.ask("{ reactions { name } }"))["reactions"]) == len(self.hooks)

    async def _deliver(self, session: aiohttp.ClientSession, body: bytes) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with session.post(self.service.webhook_url, data=body) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)

    def _postgres_is_killed(self) -> bool:
        """Kill the service's Postgres alone; False while there is none: it may just be starting."""
        try:
            pid = int((self._folder / "data" / "postgres" / "postmaster.pid").read_text().split()[0])
            if parent_of(pid) != self.service.process.pid:
                return False
        except (OSError, IndexError, ValueError):
            return False
        kill_with_children(pid)
        return True

    async def _records(self, events: int) -> bool:
        """Whether so many events are in the log, and projected."""
        answer = await self.service.ask_whole("{ events(first: 1) { totalCount } }")
        return bool(answer.get("data")) and answer["data"]["events"]["totalCount"] == events


@asynccontextmanager
async def storming(
    folder: Path, documents: Mapping[str, str], *, failures: float, seed: int = 20
) -> AsyncIterator[Storm]:
    """Start a service with a rule for each document, until the block ends."""
    storm = Storm(folder, documents, failures=failures, seed=seed)
    try:
        await storm.start()
        yield storm
    finally:
        await storm.end()


def happening(number: int) -> bytes:
    """What happens as the n-th: an item is open, moves, and is closed; every tenth is loved then."""
    item, step = divmod(number, 3)
    data = {"feedback_id": item + 1, "title": f"Idea {item}", "total_up": 0}
    data["status"] = ("open", STATUSES[item % 3], "closed")[step]
    if step == 2 and item % 10 == 0:
        data["total_up"] = 12
    return a_body(number, action="item.update", data=data)


def as_ids(name: str, cursors: list[str]) -> list[str]:
    """Return the ids by which a rule tells what has these cursors."""
    return [f"{name}_{re.sub('[:-]', '_', cursor)}" for cursor in cursors]


def said(storm: Storm, expected: Mapping[str, list[str]]) -> str:
    """Say what was told, and how much of it twice."""
    sums = {
        name: f"{len(ids):,} messages, {len(storm.hooks[name].look()) - len(ids)} of them again"
        for name, ids in expected.items()
    }
    return json.dumps({"kills": storm.kills, **sums})
