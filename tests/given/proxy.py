"""A TCP proxy that does to a connection what networks do: cut it, delay it, reset it, go silent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

_RESET: Final = struct.pack("ii", 1, 0)


class Proxy:
    """Stands before a server; what is set on it holds for bytes that pass from then on."""

    def __init__(self, connect: Callable[[], object]) -> None:
        self._connect = connect
        self._server: asyncio.Server | None = None
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.refuses = False
        """New connections are closed at once."""
        self.delay_seconds = 0.0
        """Each piece waits so long, both ways."""
        self.swallows = False
        """Nothing passes, and nobody is told: a half-open connection."""
        self.reset_before_answer: Callable[[bytes], bool] | None = None
        """Once this says yes to a piece from the server, the client gets a reset instead of it."""
        self.resets = 0
        self.said_besides: Callable[[bytes], bytes] | None = None
        """What the client gets behind a piece from the server, in one with it."""

    @property
    def connections(self) -> int:
        """How many stand."""
        return len(self._pairs)

    @property
    def port(self) -> int:
        """The port to connect to instead of the server's."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Cut everything and stop listening."""
        assert self._server is not None
        self._server.close()
        self.delay_seconds = 0.0
        self.cut()
        # Not cancelled: asyncio's streams complain of a handler that was.
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Cut every connection that there is."""
        for client, server in list(self._pairs):
            client.transport.abort()
            server.transport.abort()

    def heal(self) -> None:
        """Let everything pass again; what was swallowed stays lost, so those connections are cut."""
        if self.swallows:
            self.cut()
        self.refuses = self.swallows = False
        self.delay_seconds = 0.0
        self.reset_before_answer = self.said_besides = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.refuses:
            writer.transport.abort()
            return
        try:
            there: tuple[asyncio.StreamReader, asyncio.StreamWriter] = await self._connect()  # type: ignore[misc]
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, there[1])
        self._pairs.add(pair)
        try:
            await asyncio.gather(
                self._pump(reader, there[1], writer, answers=False),
                self._pump(there[0], writer, writer, answers=True),
            )
        finally:
            self._pairs.discard(pair)
            for end in pair:
                end.transport.abort()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        *,
        answers: bool,
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(65_536):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if self.swallows:
                    continue
                if answers and self.reset_before_answer is not None and self.reset_before_answer(piece):
                    self.resets += 1
                    _reset(client)
                    return
                if answers and self.said_besides is not None:
                    piece += self.said_besides(piece)
                target.write(piece)
                await target.drain()
        with contextlib.suppress(OSError, RuntimeError):
            target.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, so that what was in flight is lost."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@asynccontextmanager
async def proxy_before(dsn: str) -> AsyncIterator[tuple[Proxy, str]]:
    """Give a proxy before a Postgres, and the address that leads through it."""
    parts = urlsplit(dsn)
    folder = parse_qs(parts.query).get("host", [""])[0]
    port = parts.port or int(parse_qs(parts.query).get("port", ["5432"])[0])

    async def connect() -> object:
        if folder.startswith("/"):
            return await asyncio.open_unix_connection(str(Path(folder) / f".s.PGSQL.{port}"))
        return await asyncio.open_connection(parts.hostname or "127.0.0.1", port)

    proxy = Proxy(connect)
    await proxy.start()
    user = (
        f"{quote(parts.username)}{f':{parts.password}' if parts.password else ''}@" if parts.username else ""
    )
    through = urlunsplit((parts.scheme, f"{user}127.0.0.1:{proxy.port}", parts.path, "sslmode=disable", ""))
    try:
        yield proxy, through
    finally:
        await proxy.stop()
