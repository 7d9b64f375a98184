"""Shows what a back-fill is for: a second made-up board, which was there before, behind an API of its own.

Its history is in no log at first; a back-fill fetches what still stands of it. Then it moves, by webhooks of
which every fourth gets lost, and a reconcile finds those.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from shlex import quote
from typing import Final

import structlog
from pydantic import SecretStr

from service.backfill.reconcile import WantedReconcile, reconcile
from service.backfill.report import SweepReport
from service.backfill.run import WantedBoard, backfill
from service.config import Settings
from service.errors import RecountError
from service.given_secrets import ApiKey
from service.log.database import Pool
from service.log.hub import Hub
from service.operate.demo import PRODUCT_ID
from service.simulator import Knobs, Traffic
from service.simulator.fake import FakeSleekplan
from service.sql_files import load

OLDER_PRODUCT_ID: Final = PRODUCT_ID + 1
MOVES: Final = 60
LOST_EACH: Final = 4
MOVE_SECONDS: Final = 600
RATE: Final = 25.0
"""Slow enough to see how it goes on."""

Post = Callable[[bytes], Awaitable[None]]

_sql = load(__file__, "demo_api.sql")
_log = structlog.get_logger(__name__)


def older_board(ending: datetime) -> Knobs:
    """Return the board: small, and still a day before the demo's own history ends."""
    day_before = ending - timedelta(days=1)
    return Knobs(seed=8, ending=day_before, events=3_000, items=40, users=250, product_id=OLDER_PRODUCT_ID)


async def show(knobs: Knobs, pool: Pool, hub: Hub, settings: Settings, post: Post) -> None:
    """Serve the board's API for ever; fetch the board, let it move, and find what was lost of that.

    On another start it has moved already: nothing of before is fetched or delivered again.
    """
    moved: bool = await pool.fetchval(_sql["moved"], knobs.product_id)
    fake = FakeSleekplan(await asyncio.to_thread(Traffic.resume, knobs))
    async with fake.serving() as address:
        _log.info("demo_api", to_try=_dry_run(address, fake, settings))
        key = ApiKey(SecretStr(fake.key), knobs.product_id)
        asking = settings.model_copy(update={"sleekplan_api_url": address, "sleekplan_api_key": [key]})
        wanted = WantedBoard(knobs.product_id, rate=RATE)
        try:
            if not moved:
                _tell("BACKFILL", await backfill(pool, hub, asking, wanted))
            for number, body in enumerate(_moves(fake, knobs.ending), 1):
                if not moved and number % LOST_EACH:
                    await post(body)
            compared = WantedReconcile(knobs.product_id, full=True, rate=RATE)
            _tell("RECONCILE", await reconcile(pool, hub, asking, compared))
        except RecountError as error:
            _log.warning("demo_api_stopped", reason=str(error))
        await asyncio.Event().wait()


def _dry_run(address: str, fake: FakeSleekplan, settings: Settings) -> str:
    """Return the command that asks the made-up API what a back-fill would bring."""
    given = f"RECOUNT_SLEEKPLAN_API_URL={address} RECOUNT_SLEEKPLAN_API_KEY={fake.key}"
    folder = quote(str(settings.data_dir.resolve()))
    return f"{given} {_program()} backfill --dry-run --product {OLDER_PRODUCT_ID} --data-dir {folder}"


def _program() -> str:
    """Return what to call this program by in a shell: its path, unless it is found without one."""
    path = Path(sys.executable).with_name("recount")
    return "recount" if shutil.which("recount") == str(path) else quote(str(path))


def _moves(fake: FakeSleekplan, since: datetime) -> Iterator[bytes]:
    """Let the board move through some hours of the day before the demo's end."""
    for number in range(1, MOVES + 1):
        yield fake.move(since + timedelta(seconds=number * MOVE_SECONDS))


def _tell(kind: str, report: SweepReport) -> None:
    recorded = report.recorded.total()
    _log.info("demo_swept", kind=kind, state=report.state, requests=report.requests, recorded=recorded)
