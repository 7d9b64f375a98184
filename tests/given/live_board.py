"""A board that is followed live: a log, the projector, and an endpoint with the real schema."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

import aiohttp
import orjson

from projections.follow.projector import Projector
from projections.read_model import Reader
from schema.build import build_schema
from schema.context import Services
from schema.ids import encode_id
from service.log.database import open_pool
from service.log.event_store import EventStore
from service.log.hub import POLL_SECONDS, Hub
from tests.given.bodies import NOON_SECONDS, an_event
from tests.given.graphql_service import Served, served

PRODUCT = 5456534244
PATIENCE_SECONDS = 60


class CountingReader(Reader):
    """The reader, counting its statements."""

    statements = 0

    async def fetch(self, sql: str, *args: Any) -> Any:
        self.statements += 1
        return await super().fetch(sql, *args)

    async def rows(self, sql: str, *args: Any) -> Any:
        self.statements += 1
        return await super().rows(sql, *args)

    async def value(self, sql: str, *args: Any) -> Any:
        self.statements += 1
        return await super().value(sql, *args)


class Board:
    """A service in this process: append to its log, and listen to what it sends."""

    def __init__(self, service: Served, store: EventStore, hub: Hub, reader: CountingReader) -> None:
        self.service, self.store, self.hub, self.reader = service, store, hub, reader
        self.live = service.endpoint.live
        self.position = 0
        self._numbers: Iterator[int] = iter(range(1, 10**9))

    async def append(self, *data: Mapping[str, Any], product: int = PRODUCT) -> int:
        """Record events, each given as `{"action": …, **data}`; return the last position."""
        events = []
        for each in data:
            number = next(self._numbers)
            members = dict(each)
            action = members.pop("action")
            at = NOON_SECONDS + members.pop("at_seconds", number)
            events.append(an_event(number, product_id=product, action=action, data=members, timestamp=at))
        appended = await self.store.append(events)
        self.position = appended[-1].position
        return self.position

    async def append_items(self, count: int, items: int = 5) -> int:
        """Record item updates, spread over a few items."""
        return await self.append(*(an_update(number % items + 1, number) for number in range(count)))

    async def projected(self, position: int | None = None) -> None:
        """Wait until a position, by default the last appended here, is projected."""
        wanted = self.position if position is None else position
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.hub.wait_beyond("projected", wanted - 1, 5) < wanted:
                pass

    @asynccontextmanager
    async def socket(self, token: str | None = None, **options: Any) -> AsyncIterator[Client]:
        """A WebSocket that has begun."""
        async with self.service.socket(**options) as socket:
            await socket.send_json({"type": "connection_init", "payload": {"token": token} if token else {}})
            assert await socket.receive_json() == {"type": "connection_ack"}
            yield Client(socket)

    async def ask(self, query: str, **variables: Any) -> Any:
        """Return the data of a query."""
        _, answer, _ = await self.service.post({"query": query, "variables": variables})
        assert "errors" not in answer, answer
        return answer["data"]


class Client:
    """One WebSocket's client: subscribes, and takes messages as they come."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def subscribe(self, query: str, operation_id: str = "1", **variables: Any) -> None:
        payload = {"query": query, "variables": variables}
        await self.socket.send_json({"id": operation_id, "type": "subscribe", "payload": payload})

    async def message(self) -> dict[str, Any]:
        """Return the next message that is no ping."""
        received: dict[str, Any] = orjson.loads(await self.socket.receive_str(timeout=PATIENCE_SECONDS))
        return received

    async def take(self, count: int) -> list[Any]:
        """Return the payloads of the next messages."""
        got = []
        for _ in range(count):
            message = await self.message()
            assert message["type"] == "next", message
            got.append(message["payload"])
        return got

    async def positions(self, count: int) -> list[int]:
        """Return the positions of the next messages."""
        return [payload["extensions"]["position"] for payload in await self.take(count)]

    async def settled(self) -> None:
        """Return once the server has read all that was sent to it."""
        await self.socket.send_json({"type": "ping"})
        assert (await self.message())["type"] == "pong"

    async def began(self, board: Board, subscribers: int) -> None:
        """Wait until so many subscriptions run."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while board.live.work.subscribers < subscribers:
                await self.settled()


def an_update(item: int, number: int = 0, **members: Any) -> dict[str, Any]:
    """An edit of an item that `number` tells from others."""
    return {
        "action": "item.update",
        "feedback_id": item,
        "title": f"Idea {item}",
        "total_up": number,
        "total_down": 0,
    } | members


def item_id(item: int, product: int = PRODUCT) -> str:
    return encode_id("Item", product, str(item))


@asynccontextmanager
async def live_board(
    database_url: str,
    *,
    projecting: bool = True,
    tokens: bool = False,
    poll_seconds: float = POLL_SECONDS,
    **options: Any,
) -> AsyncIterator[Board]:
    """Run hub, projector and endpoint on a database until the block ends."""
    pool = await open_pool(database_url, min_size=1, max_size=4)
    reads = await open_pool(database_url, min_size=1, max_size=4, application_name="recount reads")
    try:
        async with Hub(database_url, poll_seconds=poll_seconds) as hub:
            projector = asyncio.create_task(Projector(pool, hub).run()) if projecting else None
            reader = CountingReader(reads)
            store = EventStore(pool)
            services = Services(reads, reader, store, hub, settings=None)  # type: ignore[arg-type]
            try:
                async with served(build_schema(), services, tokens=tokens, **options) as service:
                    board = Board(service, store, hub, reader)
                    yield board
            finally:
                if projector is not None:
                    projector.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await projector
    finally:
        pool.terminate()
        reads.terminate()


async def sse_events(content: aiohttp.StreamReader, count: int) -> list[tuple[int | None, str, Any]]:
    """Return the next events of a stream as the position of its id, name and data; comments are skipped."""
    found: list[tuple[int | None, str, Any]] = []
    lines: dict[str, str] = {}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found) < count:
            received = await content.readline()
            assert received, f"the stream ended after {found}"
            line = received.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(":")
                lines[name] = value.removeprefix(" ")
            elif "event" in lines:
                data = json.loads(lines["data"]) if lines["data"] else None
                position = int(lines["id"].partition("-")[0]) if "id" in lines else None
                found.append((position, lines["event"], data))
                lines = {}
            else:
                lines = {}
    return found


def chunks(values: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """Give a sequence in pieces."""
    iterator = iter(values)
    while piece := list(islice(iterator, size)):
        yield piece
