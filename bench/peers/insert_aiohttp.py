"""What most would write: aiohttp and asyncpg, one INSERT and its commit for each request.

It stores less than we do: no digest, so copies are recorded twice; positions from a sequence, so a reader
that follows them can skip events. The pool of 20 connections was the best of 10, 20 and 40.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import orjson
from aiohttp import web
from deliveries import occurred_at
from serving import arguments, serve

TABLE = """
create table if not exists events (
    position     bigint generated always as identity primary key,
    product_id   bigint not null,
    action       text not null,
    occurred_at  timestamptz not null,
    recorded_at  timestamptz not null default now(),
    data         jsonb not null
)
"""
INSERT = (
    "insert into events (product_id, action, occurred_at, data) values ($1, $2, $3, $4) returning position"
)
POOL = web.AppKey("pool", asyncpg.Pool)
CONNECTIONS = 20


async def webhook(request: web.Request) -> web.Response:
    """Store a delivery and answer its position."""
    body = orjson.loads(await request.read())
    position = await request.app[POOL].fetchval(
        INSERT,
        int(body["product_id"]),
        body["action"],
        occurred_at(body.get("timestamp")),
        orjson.dumps(body["data"]).decode(),
    )
    return web.Response(body=b'{"position":%d}' % position, content_type="application/json")


def main() -> None:
    """Serve until told to end."""
    given = arguments()

    async def with_pool(app: web.Application) -> AsyncIterator[None]:
        async with asyncpg.create_pool(given.dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
            await pool.execute(TABLE)
            app[POOL] = pool
            yield

    app = web.Application()
    app.cleanup_ctx.append(with_pool)
    app.router.add_post("/webhooks", webhook)
    serve(app, given.port)


if __name__ == "__main__":
    main()
