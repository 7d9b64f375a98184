"""A live board as Strawberry's documentation would have it: one LISTEN, a queue for each subscriber.

A webhook inserts its event and notifies in one statement; whoever listens reads the event once and hands it
to every subscriber's queue, and Strawberry executes the subscription for each of them.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, AsyncIterator
from typing import NewType

import asyncpg
import orjson
import strawberry
from aiohttp import web
from deliveries import occurred_at
from insert_aiohttp import CONNECTIONS, POOL, TABLE
from serving import arguments, serve
from strawberry.aiohttp.views import GraphQLView
from strawberry.schema.config import StrawberryConfig
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

INSERT = """
with stored as (
    insert into events (product_id, action, occurred_at, data) values ($1, $2, $3, $4) returning position
)
select position, pg_notify('events', position::text) from stored
"""
READ = "select position, action, occurred_at from events where position = $1"
Position = NewType("Position", int)


@strawberry.type
class Event:
    """A stored delivery."""

    position: Position
    action: str
    occurred_at: dt.datetime


QUEUES: set[asyncio.Queue[Event]] = set()


@strawberry.type
class Query:
    """There must be one."""

    ok: bool = True


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription
    async def events(self) -> AsyncGenerator[Event, None]:
        """Every event from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        QUEUES.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            QUEUES.discard(queue)


async def webhook(request: web.Request) -> web.Response:
    """Store a delivery, tell the listeners, answer its position."""
    body = orjson.loads(await request.read())
    position = await request.app[POOL].fetchval(
        INSERT,
        int(body["product_id"]),
        body["action"],
        occurred_at(body.get("timestamp")),
        orjson.dumps(body["data"]).decode(),
    )
    return web.Response(body=b'{"position":%d}' % position, content_type="application/json")


async def hand_out(positions: asyncio.Queue[int], pool: asyncpg.Pool) -> None:
    """Read each event once, in the order of the notifications, and put it into every queue."""
    while True:
        row = await pool.fetchrow(READ, await positions.get())
        assert row
        event = Event(position=row[0], action=row[1], occurred_at=row[2])
        for queue in QUEUES:
            queue.put_nowait(event)


def main() -> None:
    """Serve until told to end."""
    given = arguments()

    async def with_pool(app: web.Application) -> AsyncIterator[None]:
        async with asyncpg.create_pool(given.dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
            await pool.execute(TABLE)
            app[POOL] = pool
            listener = await asyncpg.connect(given.dsn)
            positions: asyncio.Queue[int] = asyncio.Queue()
            await listener.add_listener("events", lambda *told: positions.put_nowait(int(told[3])))
            task = asyncio.create_task(hand_out(positions, pool))
            yield
            task.cancel()
            await listener.close()

    schema = strawberry.Schema(
        Query,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map={Position: strawberry.scalar(name="Position", serialize=int)}),
    )
    app = web.Application()
    app.cleanup_ctx.append(with_pool)
    app.router.add_post("/webhooks", webhook)
    view = GraphQLView(schema=schema, subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL])
    app.router.add_route("*", "/graphql", view)
    serve(app, given.port)


if __name__ == "__main__":
    main()
