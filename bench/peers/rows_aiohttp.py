"""The floor of a query: an aiohttp handler for each question, its rows to orjson, no GraphQL at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import orjson
from aiohttp import web
from serving import arguments, serve
from statements import EVENTS, ITEM_WITH_TIMELINE, ITEMS, ITEMS_WITH_VOTES, PRODUCT

POOL = web.AppKey("pool", asyncpg.Pool)
Record = asyncpg.Record


def items(rows: list[Record]) -> Any:
    """Shape the answer to question A."""
    return {"items": {"nodes": [dict(row) for row in rows]}}


def items_with_votes(rows: list[Record]) -> Any:
    """Shape the answer to question B."""
    nodes: dict[str, list[Any]] = {}
    for item_id, product_id, value, cast_at, withdrawn, at in rows:
        votes = nodes.setdefault(item_id, [])
        if product_id is not None:
            votes.append(
                {
                    "productId": str(product_id),
                    "value": value,
                    "castAt": cast_at,
                    "withdrawn": withdrawn,
                    "at": at,
                }
            )
    return {
        "items": {
            "nodes": [{"sleekplanId": key, "castVotes": {"nodes": votes}} for key, votes in nodes.items()]
        }
    }


def item_with_timeline(rows: list[Record]) -> Any:
    """Shape one item with its events."""
    events = [
        {
            "position": row["position"],
            "type": row["type"],
            "action": row["action"],
            "occurredAt": row["occurredAt"],
            "recordedAt": row["recordedAt"],
            "user": row["user_id"] and {"sleekplanId": row["user_id"], "name": row["user_name"]},
        }
        for row in rows
    ]
    first = rows[0]
    return {
        "item": {
            "sleekplanId": first["sleekplanId"],
            "title": first["title"],
            "votes": {"net": first["votes_net"]},
            "timeline": {"nodes": events},
        }
    }


def events(rows: list[Record]) -> Any:
    """Shape a page of events."""
    nodes = [
        {
            "position": row["position"],
            "type": row["type"],
            "action": row["action"],
            "entity": row["entity"],
            "occurredAt": row["occurredAt"],
            "recordedAt": row["recordedAt"],
            "item": row["item_id"] and {"sleekplanId": row["item_id"], "title": row["item_title"]},
            "user": row["user_id"] and {"sleekplanId": row["user_id"], "name": row["user_name"]},
        }
        for row in rows
    ]
    return {"events": {"nodes": nodes}}


def answering(statement: str, shape: Callable[[list[Record]], Any]) -> Callable[[web.Request], Any]:
    """Return a handler that runs a statement with what the request's JSON gives, and dumps the rows."""

    async def handler(request: web.Request) -> web.Response:
        given = orjson.loads(await request.read())
        rows = await request.app[POOL].fetch(statement, PRODUCT, *given)
        body = orjson.dumps({"data": shape(rows)}, option=orjson.OPT_UTC_Z)
        return web.Response(body=body, content_type="application/json")

    return handler


def main() -> None:
    """Serve until told to end."""
    given = arguments()

    async def with_pool(app: web.Application) -> AsyncIterator[None]:
        async with asyncpg.create_pool(given.dsn, min_size=8, max_size=8) as pool:
            app[POOL] = pool
            yield

    app = web.Application()
    app.cleanup_ctx.append(with_pool)
    app.router.add_post("/items", answering(ITEMS, items))
    app.router.add_post("/items-with-votes", answering(ITEMS_WITH_VOTES, items_with_votes))
    app.router.add_post("/item-with-timeline", answering(ITEM_WITH_TIMELINE, item_with_timeline))
    app.router.add_post("/events", answering(EVENTS, events))
    serve(app, given.port)


if __name__ == "__main__":
    main()
