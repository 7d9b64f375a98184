"""A cell that is split while its products are delivered to, asked about and followed, by the real router."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg

from service.events import decode
from service.log.event_store import EventStore
from service.simulator.knobs import Knobs
from service.simulator.traffic import Traffic
from tests.given.asking import a_pool
from tests.given.bodies import a_body
from tests.given.cells import Router, router
from tests.given.outage import Spell
from tests.given.replica import StreamingReplica, a_primary, a_replica
from tests.given.running import Running, recount, running

KEY, TOKEN = "key-of-a-test", "token-of-a-test"
FIRST_PRODUCT: Final = 101
FIRST_NUMBER: Final = 50_000_000
"""Of deliveries meanwhile: no simulated post has an id as high."""
WORKERS: Final = 8
BATCH: Final = 1_000
BEARER: Final = {"Authorization": f"Bearer {TOKEN}"}
LIVE: Final = """
subscription ($of: ID, $after: String) { events(productId: $of, afterCursor: $after) { position } }
"""
BOARD: Final = """
query ($of: ID!, $at: Position!) {
  items(productId: $of, asOf: {position: $at}, first: 10, orderBy: {field: VOTES, direction: DESC}) {
    totalCount
    nodes { id sleekplanId title status { key } votes { up down } commentCount createdAt }
  }
  comments(productId: $of, asOf: {position: $at}, first: 5) { totalCount nodes { id text } }
  events(productId: $of, asOf: {position: $at}, first: 10) { totalCount nodes { position type summary } }
}
"""
ITEM: Final = (
    "query ($id: ID!, $at: Position!) { item(id: $id, asOf: {position: $at}) { title votes { net } } }"
)


@dataclass
class Followed:
    """What one client heard of a product over a socket that it opens anew whenever it is closed."""

    product: int
    positions: list[int] = field(default_factory=list)
    cursor: str | None = None
    sockets: int = 0


class Splitting:
    """The two cells, before and after, and what clients of them met."""

    def __init__(
        self,
        primary: str,
        replica: StreamingReplica,
        instances: tuple[Running, Running],
        before: Router,
        socket: Path,
        products: Sequence[int],
    ) -> None:
        self.primary, self.replica = primary, replica
        self.a, self.b = instances
        self.before, self.socket = before, socket
        self.products = products
        self.going, self.staying = list(products[1::2]), list(products[::2])
        self.head = 0
        self.acknowledged: dict[int, int] = {}
        """The number of each delivery that got a 200, with its product."""
        self.refused: list[str] = []
        self.spooled = 0
        self.slowest = 0.0
        self.followed: list[Followed] = []
        self._numbers = itertools.count(FIRST_NUMBER)
        self._delivering = True

    @property
    def map(self) -> Path:
        """The router's map."""
        return self.before.folder / "cells.map"

    def said_map(self) -> dict[int, str]:
        """Return what the router's map says."""
        lines = (line.split() for line in self.map.read_text().splitlines() if not line.startswith("#"))
        return {int(product): cell for product, cell in lines}

    async def command(
        self, *arguments: str, url: str = "", env: Mapping[str, str] = {}
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of ours on the first cell, or on another."""
        folder = str(self.before.folder / "command")
        settings = {"RECOUNT_DATABASE_URL": url or self.primary, "RECOUNT_DATA_DIR": folder, **env}
        return await recount(*arguments, env=settings)

    async def split(self, *arguments: str, env: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
        """Run the split, from beginning to end unless told otherwise."""
        place = ("--replica", self.replica.dsn, "--map", str(self.map), "--socket", str(self.socket))
        return await self.command("cells", "split", *place, "--yes", *arguments, env=env)

    async def ask(self, session: aiohttp.ClientSession, product: int, query: str, **variables: Any) -> Any:
        """Return what the cell that has a product answers, by way of the router."""
        asked = {"query": query, "variables": variables}
        async with session.post(self.before.of(product, "/graphql"), json=asked, headers=BEARER) as answer:
            return await answer.json(content_type=None)

    async def boards(self, products: Sequence[int]) -> dict[int, Any]:
        """Return what is answered about boards as of the end of their history, and for a link to an item."""
        told: dict[int, Any] = {}
        async with insecure() as session:
            for product in products:
                board = await self.ask(session, product, BOARD, of=str(product), at=self.head)
                link = board["data"]["items"]["nodes"][0]["id"]
                item = await self.ask(session, product, ITEM, id=link, at=self.head)
                told[product] = (board["data"], item["data"])
        return told

    @asynccontextmanager
    async def busy(self, rate: float, follow: Sequence[int]) -> AsyncIterator[None]:
        """Deliver to all products and follow some while the block lasts."""
        self.any, self.direct, self.staying_direct = Spell(), Spell(), Spell()
        async with insecure() as session, asyncio.TaskGroup() as group:
            turns = itertools.cycle(self.products)
            delivering = [group.create_task(self._deliver(session, turns, rate)) for _ in range(WORKERS)]
            following = []
            for product in follow:
                self.followed.append(Followed(product))
                following.append(group.create_task(self._follow(session, self.followed[-1])))
            try:
                yield
                self._delivering = False
                await asyncio.gather(*delivering)
                await self.heard_all()
            finally:
                for task in (*delivering, *following):
                    task.cancel()

    def __str__(self) -> str:
        return (
            f"at most without a direct 200 of those that went {self.direct.longest:.2f} s, of those that "
            f"stayed {self.staying_direct.longest:.2f} s, without any {self.any.longest:.2f} s, slowest "
            f"answer {self.slowest:.2f} s; {len(self.acknowledged)} acknowledged ({self.spooled} held), "
            f"{len(self.refused)} refused"
        )

    async def more(self, deliveries: int = 60) -> None:
        """Return once so many more were recorded at once, of those that go and of those that stay."""
        aims = [spell.times + deliveries for spell in (self.direct, self.staying_direct)]
        async with asyncio.timeout(60):
            while self.direct.times < aims[0] or self.staying_direct.times < aims[1]:
                await asyncio.sleep(0.05)

    async def _deliver(self, session: aiohttp.ClientSession, turns: Any, rate: float) -> None:
        while self._delivering:
            number, product = next(self._numbers), next(turns)
            began = time.monotonic()
            url = self.before.of(product, f"/webhooks?key={KEY}")
            async with session.post(url, data=a_body(number, product_id=product)) as answer:
                text = await answer.text()
            self.slowest = max(self.slowest, time.monotonic() - began)
            if answer.status != 200:
                self.refused.append(f"{answer.status} {text}")
                continue
            self.acknowledged[number] = product
            self.any.well()
            if json.loads(text)["spooled"]:
                self.spooled += 1
            else:
                (self.direct if product in self.going else self.staying_direct).well()
            await asyncio.sleep(max(WORKERS / rate - (time.monotonic() - began), 0))

    async def _follow(self, session: aiohttp.ClientSession, heard: Followed) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                await self._hear(session, heard)
            await asyncio.sleep(0.05)

    async def _hear(self, session: aiohttp.ClientSession, heard: Followed) -> None:
        address = self.before.of(heard.product, "/graphql")
        async with session.ws_connect(address, protocols=("graphql-transport-ws",)) as line:
            heard.sockets += 1
            await line.send_json({"type": "connection_init", "payload": {"token": TOKEN}})
            variables = {"of": str(heard.product), "after": heard.cursor}
            async for sent in line:
                message = sent.json()
                if message["type"] == "connection_ack":
                    payload = {"query": LIVE, "variables": variables}
                    await line.send_json({"type": "subscribe", "id": "1", "payload": payload})
                elif message["type"] == "ping":
                    await line.send_json({"type": "pong"})
                elif message["type"] == "next":
                    heard.positions.append(message["payload"]["data"]["events"]["position"])
                    heard.cursor = message["payload"]["extensions"]["cursor"]
                else:
                    raise AssertionError(message)

    def url_of(self, product: int) -> str:
        """The address of the Postgres that has a product after the split."""
        return self.replica.dsn if product in self.going else self.primary

    async def heard_all(self) -> None:
        """Return once those who follow have the last event of their product."""
        for heard in self.followed:
            connection = await asyncpg.connect(self.url_of(heard.product))
            try:
                async with asyncio.timeout(60):
                    while not heard.positions or heard.positions[-1] < await connection.fetchval(
                        "select max(position) from log.events where product_id = $1", heard.product
                    ):
                        await asyncio.sleep(0.05)
            finally:
                await connection.close()


def insecure() -> aiohttp.ClientSession:
    """Return clients that take the router's certificate, which nobody has signed."""
    limits = aiohttp.ClientTimeout(total=60)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False, limit=0), timeout=limits)


async def numbers(url: str, products: Sequence[int]) -> list[int]:
    """Return the numbers of the deliveries that were recorded of these products meanwhile."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(
        "select (data ->> 'feedback_id')::bigint as number from log.events"
        " where product_id = any ($1::bigint[]) and (data ->> 'feedback_id')::bigint >= $2",
        list(products),
        FIRST_NUMBER,
    )
    await connection.close()
    return [row["number"] for row in rows]


async def positions(url: str, product: int) -> list[int]:
    """Return the positions that a product's events have in a log."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(
        "select position from log.events where product_id = $1 order by position", product
    )
    await connection.close()
    return [row["position"] for row in rows]


async def well_split(cell: Splitting) -> None:
    """Nothing is lost or there twice, each cell has its own, and who follows heard all, once, in order."""
    assert cell.refused == []
    for url, products in ((cell.replica.dsn, cell.going), (cell.primary, cell.staying)):
        acknowledged = sorted(number for number, product in cell.acknowledged.items() if product in products)
        recorded = sorted(await numbers(url, products))
        assert set(acknowledged) - set(recorded) == set(), "lost"
        assert recorded == acknowledged, "twice"
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("select max(position) = count(*) from log.events")
        assert await connection.fetchval("select count(*) from log.held") == 0
        await connection.close()
    for product in cell.going:
        there = await positions(cell.replica.dsn, product)
        here = await positions(cell.primary, product)
        assert there[: len(here)] == here
    for heard in cell.followed:
        told = await positions(cell.url_of(heard.product), heard.product)
        # To the end of what there was when they left; what came late was forwarded after that.
        first = told.index(heard.positions[0])
        assert heard.positions == told[first : first + len(heard.positions)]
        assert heard.sockets == 1 + (heard.product in cell.going)


async def record(url: str, products: Sequence[int], events: int) -> int:
    """Record a history of each product, all in turn, and return where the log ends then."""
    now = datetime.now(UTC)
    async with a_pool(url) as pool:
        store = EventStore(pool)
        each = events // len(products)
        knobs = [
            Knobs(seed=number, events=each, users=60, items=20, product_id=number) for number in products
        ]
        bodies = (Traffic(board).history() for board in knobs)
        batch = []
        for body in itertools.chain.from_iterable(itertools.zip_longest(*bodies)):
            if body is not None:
                batch.append(decode(body, now, "IMPORT"))
            if len(batch) == BATCH:
                await store.append(batch, timeout=60)
                batch.clear()
        await store.append(batch, timeout=60)
        head = await store.head()
        await store.close()
    return head


@asynccontextmanager
async def a_cell(folder: Path, products: int, events: int) -> AsyncIterator[Splitting]:
    """A cell with a replica, a router before it, and an instance that waits for its promotion."""
    which = range(FIRST_PRODUCT, FIRST_PRODUCT + products)
    secrets = {"RECOUNT_WEBHOOK_KEYS": KEY, "RECOUNT_API_TOKENS": TOKEN}
    # Else people whom the history deletes are redacted meanwhile, which answers tell.
    secrets["RECOUNT_ERASE_AFTER_USER_DELETE_DAYS"] = "3650"
    async with AsyncExitStack() as stack:
        primary = await stack.enter_async_context(a_primary())
        head = await record(primary.dsn, which, events)
        replica = await stack.enter_async_context(a_replica(primary))
        of_a = {"RECOUNT_DATABASE_URL": primary.dsn, **secrets}
        of_b = {"RECOUNT_DATABASE_URL": replica.dsn, "RECOUNT_STAND_BY": "true", **secrets}
        a = await stack.enter_async_context(running(folder / "a", env=of_a))
        b = await stack.enter_async_context(running(folder / "b", env=of_b))
        instances = {"a": [a.address], "b": [b.address]}
        before = await stack.enter_async_context(
            router(folder / "router", instances, dict.fromkeys(which, "a"))
        )
        # The path of a socket has 107 bytes at most.
        short = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recount-")))
        (short / "admin.sock").symlink_to(before.folder / "admin.sock")
        splitting = Splitting(primary.dsn, replica, (a, b), before, short / "admin.sock", which)
        splitting.head = head
        async with insecure() as session, asyncio.timeout(600):
            asked = "query ($at: Position!) { events(minPosition: $at, first: 1) { totalCount } }"
            while "errors" in await splitting.ask(session, which[0], asked, at=head):
                pass  # it has waited for five seconds
        yield splitting
