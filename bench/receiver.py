"""The receiving half of `recount serve` alone: webhook, appender, spool and log, no projector, no GraphQL.

`python -m bench.receiver --port PORT --dsn DSN --folder FOLDER`. The other servers of the bench of ingest are
compared with this, since they project nothing either; the whole service is measured beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
from pathlib import Path

import uvloop
from aiohttp import web
from pydantic import SecretStr

from bench.ours import KEY
from service.given_secrets import WebhookKey
from service.intake.appender import Appender
from service.intake.spool import Spool
from service.intake.webhook import Webhook
from service.lines import set_up_lines
from service.log.database import connect, migrate, open_pool
from service.log.event_store import EventStore
from service.log.quarantine import Quarantine
from service.web.keys import WebhookKeys
from service.web.metrics import Metrics
from service.web.request_log import METRICS, AccessLog
from service.web.runner import Runner


async def serve(port: int, dsn: str, folder: Path) -> None:
    """Take deliveries until told to end, with the log lines and the metrics that the service has."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    set_up_lines()
    connection = await connect(dsn)
    await migrate(connection)
    await connection.close()
    pool = await open_pool(dsn)
    store, metrics = EventStore(pool), Metrics()
    async with Spool(folder / "spool", 10**9) as spool:
        async with Appender(store, Quarantine(pool, store), spool, metrics=metrics) as appender:
            app = web.Application()
            app[METRICS] = metrics
            keys = WebhookKeys.of([WebhookKey(SecretStr(KEY))])
            Webhook(appender, keys, metrics=metrics).add_to(app)
            runner = Runner(app, access_log_class=AccessLog)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            gc.freeze()
            await stop.wait()
            await runner.cleanup()
    await pool.close()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    uvloop.run(serve(given.port, given.dsn, given.folder))


if __name__ == "__main__":
    main()
