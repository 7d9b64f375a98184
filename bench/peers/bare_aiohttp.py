"""The ceiling of ingest: an aiohttp handler that parses the JSON, stores nothing and answers."""

from __future__ import annotations

import orjson
from aiohttp import web
from serving import arguments, serve


async def webhook(request: web.Request) -> web.Response:
    """Parse a delivery and forget it."""
    orjson.loads(await request.read())
    return web.Response(body=b'{"position":0}', content_type="application/json")


def main() -> None:
    """Serve until told to end."""
    app = web.Application()
    app.router.add_post("/webhooks", webhook)
    serve(app, arguments().port)


if __name__ == "__main__":
    main()
