"""Clients of instances whose Postgres fails: what each went without, and what was lost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from service.log.database import POSTGRES_FAILURES
from tests.given.bodies import a_body
from tests.given.patroni import PATIENCE_SECONDS, Cluster, Node
from tests.given.running import Running, running
from tests.given.toll import Toll, count
from tests.given.waiting import eventually

WORKERS: Final = 8
LIVE: Final = "subscription ($after: Position) { events(after: $after) { position } }"
_WRONG: Final = (OSError, aiohttp.ClientError, TimeoutError)


@dataclass
class Spell:
    """How often something went well, and the longest time for which it did not."""

    times: int = 0
    longest: float = 0.0
    last: float = field(default_factory=time.monotonic)

    def well(self) -> None:
        """Note that it went well just now."""
        now = time.monotonic()
        self.longest = max(self.longest, now - self.last)
        self.last = now
        self.times += 1


class Watch:
    """What clients meet meanwhile: deliveries, each made until it is acknowledged, queries, subscriptions."""

    def __init__(self, cluster: Cluster, database: str, instances: Sequence[Running], rate: float) -> None:
        self.cluster, self.database, self.instances = cluster, database, instances
        self._pause = WORKERS * len(instances) / rate
        self._numbers = itertools.count(1)
        self._delivering = True
        self.acknowledged: set[int] = set()
        self.spooled = 0
        self.positions: list[list[int]] = []
        self.codes: set[str] = set()
        self.any, self.direct, self.postgres = Spell(), Spell(), Spell()
        self.graphql: list[Spell] = []
        self.live: list[Spell] = []
        self.toll = Toll()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Deliver, ask and follow while the block lasts; then count."""
        connection = await self.cluster.connect(await self.cluster.leader(), self.database)
        await connection.execute("create table public.probe as select 0 as number")
        await connection.close()
        limits = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(timeout=limits) as self._session, asyncio.TaskGroup() as group:
            delivering, others = [], []
            for instance in self.instances:
                positions: list[int] = []
                asked, heard = Spell(), Spell()
                self.positions.append(positions)
                self.graphql.append(asked)
                self.live.append(heard)
                delivering += [group.create_task(self._deliver(instance)) for _ in range(WORKERS)]
                others.append(group.create_task(self._ask(instance, asked)))
                others.append(group.create_task(self._follow(instance, positions, heard)))
            others += [group.create_task(self._probe(node)) for node in self.cluster.nodes]
            try:
                await self.more()
                yield
                self._delivering = False
                await asyncio.gather(*delivering)
                await self._count()
            finally:
                for task in (*delivering, *others):
                    task.cancel()

    async def more(self, times: int = 20) -> None:
        """Return once all has gone well so often again."""
        each = [self.direct, *self.graphql, *self.live]
        aims = [spell.times + times for spell in each]
        await eventually(
            lambda: all(spell.times >= aim for spell, aim in zip(each, aims, strict=True)), PATIENCE_SECONDS
        )

    def __str__(self) -> str:
        asked, heard = (max(spell.longest for spell in each) for each in (self.graphql, self.live))
        return (
            f"at most without any 200 {self.any.longest:.2f} s, a direct 200 {self.direct.longest:.1f} s, "
            f"GraphQL {asked:.1f} s, a live frame {heard:.1f} s, "
            f"Postgres itself {self.postgres.longest:.1f} s; "
            f"{len(self.acknowledged)} acknowledged ({self.spooled} spooled), {len(self.toll.lost)} lost, "
            f"{len(self.toll.twice)} twice, {self.toll.gaps} gaps"
        )

    async def _deliver(self, instance: Running) -> None:
        while self._delivering:
            number = next(self._numbers)
            while not await self._acknowledges(instance, number):
                await asyncio.sleep(0.05)
            await asyncio.sleep(self._pause)

    async def _acknowledges(self, instance: Running, number: int) -> bool:
        url = f"{instance.address}/webhooks?key=key"
        try:
            async with self._session.post(url, data=a_body(number)) as answer:
                if answer.status != 200:
                    return False
                spooled = (await answer.json())["spooled"]
        except _WRONG:
            return False
        self.acknowledged.add(number)
        self.any.well()
        if spooled:
            self.spooled += 1
        else:
            self.direct.well()
        return True

    async def _ask(self, instance: Running, asked: Spell) -> None:
        query = {"query": "{ items(first: 1) { totalCount } }"}
        limit = aiohttp.ClientTimeout(total=2)
        while True:
            with contextlib.suppress(*_WRONG):
                async with self._session.post(instance.graphql_url, json=query, timeout=limit) as answer:
                    if "errors" not in await answer.json(content_type=None):
                        asked.well()
            await asyncio.sleep(0.1)

    async def _follow(self, instance: Running, positions: list[int], heard: Spell) -> None:
        while "LOG_WENT_BACK" not in self.codes:
            with contextlib.suppress(*_WRONG):
                await self._hear(instance, positions, heard)
            await asyncio.sleep(0.1)

    async def _hear(self, instance: Running, positions: list[int], heard: Spell) -> None:
        protocols = ("graphql-transport-ws",)
        async with self._session.ws_connect(instance.graphql_url, protocols=protocols) as line:
            await line.send_json({"type": "connection_init"})
            after = {"after": positions[-1] if positions else 0}
            subscribe = {"type": "subscribe", "id": "1", "payload": {"query": LIVE, "variables": after}}
            async for sent in line:
                message = sent.json()
                if message["type"] == "connection_ack":
                    await line.send_json(subscribe)
                elif message["type"] == "ping":
                    await line.send_json({"type": "pong"})
                elif message["type"] == "next":
                    positions.append(message["payload"]["data"]["events"]["position"])
                    heard.well()
                else:
                    self.codes |= {each["extensions"]["code"] for each in message.get("payload", ())}
                    return

    async def _probe(self, node: Node) -> None:
        """Commit over and over, where it can be done: nobody can be better off than this."""
        while True:
            with contextlib.suppress(*POSTGRES_FAILURES):
                async with asyncio.timeout(2):
                    connection = await self.cluster.connect(node, self.database)
                try:
                    while True:
                        async with asyncio.timeout(2):
                            await connection.execute("update public.probe set number = number + 1")
                        self.postgres.well()
                        await asyncio.sleep(0.1)
                finally:
                    connection.terminate()
            await asyncio.sleep(0.2)

    async def _count(self) -> None:
        """Count once nothing is in a spool, and all who follow have what there is."""
        await eventually(self._is_drained, PATIENCE_SECONDS)
        url = self.cluster.url(self.database, first=await self.cluster.leader())
        self.toll = Toll(acknowledged=len(self.acknowledged), spooled=self.spooled)
        await count(f"{url}&target_session_attrs=read-write", self.acknowledged, self.toll)
        if not self.toll.lost:
            head = len(self.acknowledged)
            await eventually(lambda: all(each[-1] >= head for each in self.positions), PATIENCE_SECONDS)

    async def _is_drained(self) -> bool:
        for instance in self.instances:
            async with self._session.get(f"{instance.address}/metrics") as answer:
                lines = (await answer.text()).splitlines()
            [waiting] = [line for line in lines if line.startswith("recount_spool_events ")]
            if float(waiting.split()[-1]):
                return False
        return True


@asynccontextmanager
async def watched(
    cluster: Cluster,
    folder: Path,
    *,
    instances: int = 1,
    rate: float = 40,
    first: Node | None = None,
    through: str | None = None,
) -> AsyncIterator[Watch]:
    """Run instances on a whole cluster, with clients, until the block ends; then the watch has counted."""
    await cluster.whole()
    database = await cluster.database()
    address = cluster.url(database, first=first, through=through)
    env = {"RECOUNT_DATABASE_URL": address, "RECOUNT_WEBHOOK_KEYS": "key"}
    async with AsyncExitStack() as stack:
        served = [
            await stack.enter_async_context(running(folder / f"instance-{number}", env=env))
            for number in range(instances)
        ]
        watch = Watch(cluster, database, served, rate)
        async with watch.watching():
            yield watch
