"""Runs the service as its users do: the command, a data folder, a port; and talks to it over HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp

from service.postgres.embedded import EmbeddedPostgres
from tests.given.first_start import begin
from tests.given.forked import Child, start
from tests.given.made_once import copied, made_once

RECOUNT = Path(sys.executable).with_name("recount")
START_SECONDS_MAX = 180
"""Of a busy machine: whoever needs less waits no longer."""
STOP_SECONDS_MAX = 60


class Running:
    """A service that runs: its address, its process, and the queries that tests ask it."""

    def __init__(self, process: Child, address: str, data_dir: Path) -> None:
        self.process, self.address, self.data_dir = process, address, data_dir
        self.said = ""

    @property
    def graphql_url(self) -> str:
        return f"{self.address}/graphql"

    @property
    def webhook_url(self) -> str:
        return self._webhook((self.data_dir / "webhook-key").read_text().strip())

    def _webhook(self, key: str) -> str:
        return f"{self.address}/webhooks?key={key}"

    async def post(self, body: bytes, key: str | None = None) -> tuple[int, dict[str, Any]]:
        """Deliver a body as Sleekplan would; without a key, with the one made at the first start."""
        url = self._webhook(key) if key else self.webhook_url
        async with aiohttp.ClientSession() as session, session.post(url, data=body) as answer:
            return answer.status, await answer.json()

    async def ask(self, query: str, **variables: Any) -> Any:
        """Return the data of a GraphQL query, which must have no errors; its `minPosition` is waited for."""
        async with asyncio.timeout(START_SECONDS_MAX):
            while _is_early(answer := await self.ask_whole(query, **variables)):
                pass  # it has waited for five seconds
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
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), STOP_SECONDS_MAX)

    async def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run another command of ours beside the service, on the same data folder."""
        port = self.address.rpartition(":")[2]
        return await recount(*arguments, env={"RECOUNT_DATA_DIR": str(self.data_dir), "RECOUNT_PORT": port})


def _is_early(answer: Mapping[str, Any]) -> bool:
    codes = {error.get("extensions", {}).get("code") for error in answer.get("errors", [])}
    return codes == {"NOT_YET_PROJECTED"}


@asynccontextmanager
async def running(
    data_dir: Path,
    *,
    command: Sequence[str] = ("serve",),
    env: Mapping[str, str] | None = None,
    port: int = 0,
) -> AsyncIterator[Running]:
    """Run `recount serve` on a data folder until the block ends; on any free port.

    Where it is to make a database there, it finds one as its first start would leave it. Nobody is erased
    unasked: whom the payloads delete was deleted long ago, and would be at any moment of a test.
    """
    settings = {
        "RECOUNT_DATA_DIR": str(data_dir),
        "RECOUNT_PORT": str(port),
        "RECOUNT_ERASE_AFTER_USER_DELETE_DAYS": "never",
        **(env or {}),
    }
    if "RECOUNT_DATABASE_URL" not in settings and "--data-dir" not in command:
        await _have_postgres(Path(settings["RECOUNT_DATA_DIR"]))
    with _nothing() as nothing, _pipe() as (said, saying):
        process = await start(
            command, environment(settings), (nothing, nothing, saying), folder=data_dir.parent
        )
    service = Running(process, "", data_dir)
    reading = asyncio.create_task(_listen_to(service, said))
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


async def _listen_to(service: Running, said: int) -> None:
    """Gather what the service says; its banner tells the address."""
    async with _reader(said) as lines:
        async for line in lines:
            service.said += line.decode("utf-8", "replace")
            found = re.search(r"GraphiQL\s+(http://\S+)/graphql", service.said)
            if found:
                service.address = found[1]


async def recount(
    *arguments: str | Path, env: Mapping[str, str] | None = None, stdin: BinaryIO | int = subprocess.DEVNULL
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    argv = [str(argument) for argument in arguments]
    with _nothing() as nothing, _pipe() as (out, to_out), _pipe() as (err, to_err):
        given = (
            nothing if stdin == subprocess.DEVNULL else stdin if isinstance(stdin, int) else stdin.fileno()
        )
        process = await start(argv, environment(env or {}), (given, to_out, to_err))
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            said, complained, code = await asyncio.gather(_all_of(out), _all_of(err), process.wait())
    finally:
        process.kill()
    return subprocess.CompletedProcess(argv, code, said, complained)


@contextmanager
def _nothing() -> Iterator[int]:
    with open(os.devnull, "r+b", buffering=0) as nothing:
        yield nothing.fileno()


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """Give a pipe whose end to write to is the child's alone once the block has ended."""
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        os.close(writer)


@asynccontextmanager
async def _reader(descriptor: int) -> AsyncIterator[asyncio.StreamReader]:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        yield reader
    finally:
        transport.close()


async def _all_of(descriptor: int) -> str:
    async with _reader(descriptor) as reader:
        return (await reader.read()).decode()


async def _have_postgres(data_dir: Path) -> None:
    """Put into a new data folder the database that a first start makes, which takes most of its time."""
    if (data_dir / "postgres").exists() or not os.access(data_dir.parent, os.W_OK):
        return
    await copied(await made_once("postgres", _begun) / "postgres", data_dir)


async def _begun(folder: Path) -> None:
    async with EmbeddedPostgres(folder) as postgres:
        await begin(postgres.dsn)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this environment with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECOUNT_")}
    return kept | dict(settings)
