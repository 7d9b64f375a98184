"""Runs the service as its users do: the command, a data folder, a port; and talks to it over HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp

RECOUNT = Path(sys.executable).with_name("recount")
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20


class Running:
    """A service that runs: its address, its process, and the queries that tests ask it."""

    def __init__(self, process: asyncio.subprocess.Process, address: str, data_dir: Path) -> None:
        self.process, self.address, self.data_dir = process, address, data_dir
        self.said = ""

    @property
    def graphql_url(self) -> str:
        return f"{self.address}/graphql"

    @property
    def webhook_url(self) -> str:
        key = (self.data_dir / "webhook-key").read_text().strip()
        return f"{self.address}/webhooks?key={key}"

    async def post(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Deliver a body as Sleekplan would."""
        async with aiohttp.ClientSession() as session, session.post(self.webhook_url, data=body) as answer:
            return answer.status, await answer.json()

    async def ask(self, query: str, **variables: Any) -> Any:
        """Return the data of a GraphQL query, which must have no errors."""
        answer = await self.ask_whole(query, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def ask_whole(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return the whole response to a GraphQL query."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.graphql_url, json={"query": query, "variables": variables}) as answer,
        ):
            content: dict[str, Any] = await answer.json(content_type=None)
            return content

    async def stop(self, number: int = signal.SIGINT) -> int:
        """Tell it to stop, wait until it has, and return its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), STOP_SECONDS_MAX)

    async def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run another command of ours beside the service, on the same data folder."""
        port = self.address.rpartition(":")[2]
        return await recount(*arguments, env={"RECOUNT_DATA_DIR": str(self.data_dir), "RECOUNT_PORT": port})


@asynccontextmanager
async def running(
    data_dir: Path,
    *,
    command: Sequence[str] = ("serve",),
    env: Mapping[str, str] | None = None,
    port: int = 0,
) -> AsyncIterator[Running]:
    """Run `recount serve` on a data folder until the block ends; on any free port."""
    process = await asyncio.create_subprocess_exec(
        str(RECOUNT),
        *command,
        env=environment({"RECOUNT_DATA_DIR": str(data_dir), "RECOUNT_PORT": str(port), **(env or {})}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=data_dir.parent,
    )
    service = Running(process, "", data_dir)
    reading = asyncio.create_task(_listen_to(service))
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            while not service.address:
                if reading.done():
                    raise AssertionError(f"the service ended at its start: {service.said}")
                await asyncio.wait({reading}, timeout=0.02)
        yield service
    finally:
        await service.stop()
        await reading


async def _listen_to(service: Running) -> None:
    """Gather what the service says; its banner tells the address."""
    assert service.process.stderr is not None
    async for line in service.process.stderr:
        service.said += line.decode("utf-8", "replace")
        found = re.search(r"GraphiQL\s+(http://\S+)/graphql", service.said)
        if found:
            service.address = found[1]


async def recount(
    *arguments: str | Path, env: Mapping[str, str] | None = None, stdin: BinaryIO | int = subprocess.DEVNULL
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    process = await asyncio.create_subprocess_exec(
        str(RECOUNT),
        *map(str, arguments),
        env=environment(env or {}),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), START_SECONDS_MAX)
    return subprocess.CompletedProcess(
        [str(argument) for argument in arguments], process.returncode or 0, out.decode(), err.decode()
    )


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this environment with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECOUNT_")}
    return kept | dict(settings)
