"""The receiving half of the service as a process to be killed, and broken designs of it as controls.

`python -m tests.torture.service DSN FOLDER PORT [VARIANT]` takes deliveries with the key "key". GET /pending
answers how many deliveries wait in the spool.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import uvloop
from aiohttp import web
from pydantic import SecretStr

from service.given_secrets import WebhookKey
from service.intake.appender import Appender, Arrival, Receipt, Told
from service.intake.spool import Spool
from service.intake.webhook import Webhook
from service.log import database
from service.log.event_store import EventStore
from service.log.quarantine import Quarantine
from service.web.keys import WebhookKeys
from service.web.runner import Runner

AS_DESIGNED: Final = "as designed"
ACK_FIRST: Final = "ack before commit"
NOT_SYNCHRONOUS: Final = "synchronous_commit=off"

GATHERING_SECONDS: Final = 0.02


class AckFirst(Appender):
    """Broken: answers as soon as the delivery waits, and lets more of them gather before it writes."""

    def offer(self, arrival: Arrival, told: Told) -> None:
        super().offer(arrival, lambda _: None)
        asyncio.get_running_loop().call_soon(told, Receipt(0, False))

    async def _make_safe(self, arrivals: Sequence[Arrival]) -> list[Receipt | Exception]:
        # Whoever answers first has no reason to hurry.
        await asyncio.sleep(GATHERING_SECONDS)
        return await super()._make_safe(arrivals)


async def serve(dsn: str, folder: Path, port: int, variant: str) -> None:
    """Take deliveries until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if variant == NOT_SYNCHRONOUS:
        pins = database._sql["pin_session"].replace("synchronous_commit = on", "synchronous_commit = off")
        database._sql = {**database._sql, "pin_session": pins}
    pool = await database.open_pool(dsn, min_size=0, max_size=4)
    store = EventStore(pool)
    spool = Spool(folder / "spool", 10**9, segment_bytes=200_000)
    make = AckFirst if variant == ACK_FIRST else Appender
    async with spool, make(store, Quarantine(pool, store), spool) as appender:
        app = web.Application()
        Webhook(appender, WebhookKeys.of([WebhookKey(SecretStr("key"))])).add_to(app)

        async def pending(_: web.Request) -> web.Response:
            return web.json_response({"pending": spool.pending, "ready": appender.ready})

        app.router.add_get("/pending", pending)
        runner = Runner(app, access_log=None, shutdown_timeout=5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await stop.wait()
        await runner.cleanup()
    await pool.close()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), (sys.argv[4:] or [AS_DESIGNED])[0]))
