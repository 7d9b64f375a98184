"""Receives a rule's webhooks in a process of its own, as badly as a receiver can, until it is killed.

`python -m tests.reactions.dying_receiver PORT FILE FAILURES SEED`. What is taken is written into the file
before it is answered: a line with the id of each message whose signature was verified, or what was wrong.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys

from aiohttp import web
from standardwebhooks import Webhook

from tests.given.receiver import SECRET


class DyingReceiver:
    """Takes most messages, and fails in every way in which it may not take one."""

    def __init__(self, path: str, failures: float, seed: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._failures, self._dice = failures, random.Random(seed)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one message."""
        body = await request.read()
        try:
            Webhook(SECRET).verify(body, dict(request.headers))
        except Exception as error:
            self._note(f"forged: {type(error).__name__}")
            return web.Response(status=401)
        if request.path != "/hook":
            self._note(f"redirected: {request.path}")
        if self._dice.random() < self._failures:
            return await self._fail(request)
        id = json.loads(body)["id"]
        self._note(id if id == request.headers["webhook-id"] else f"another id: {id}")
        return web.Response()

    async def _fail(self, request: web.Request) -> web.Response:
        match self._dice.randrange(5):
            case 0:
                return web.Response(status=self._dice.choice((400, 404, 500, 503)))
            case 1:
                return web.Response(status=429, headers={"Retry-After": "1"})
            case 2:
                return web.Response(status=302, headers={"Location": "/elsewhere"})
            case 3:
                assert request.transport is not None
                request.transport.abort()
        await asyncio.sleep(1.5)  # longer than the rule waits
        return web.Response(status=500)

    def _note(self, line: str) -> None:
        os.write(self._file, f"{line}\n".encode())


async def serve(port: int, path: str, failures: float, seed: int) -> None:
    """Receive until the process is ended."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", DyingReceiver(path, failures, seed).handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    given_port, given_path, given_failures, given_seed = sys.argv[1:]
    asyncio.run(serve(int(given_port), given_path, float(given_failures), int(given_seed)))
