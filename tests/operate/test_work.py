"""What goes on beside the requests: it survives whatever happens to Postgres, and says so."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.given.bodies import a_body
from tests.given.proxy import proxy_before
from tests.given.serving import serving

PATIENCE_SECONDS = 30


async def test_a_postgres_that_goes_away_right_after_the_start_ends_no_work(
    database_url: str, tmp_path: Path
) -> None:
    async with proxy_before(database_url) as (proxy, through):
        settings = {"database_url": through, "data_dir": str(tmp_path), "port": "0", "webhook_keys": "key"}
        async with serving(settings) as started:
            proxy.refuses = True
            proxy.cut()
            assert (await started.post(a_body()))[1]["spooled"]
            proxy.refuses = False

            async with asyncio.timeout(PATIENCE_SECONDS):
                while await started.service.hub.wait_beyond("projected", 0, 1) < 1:
                    pass

            answer = await started.ask("{ items { totalCount } }")
            assert answer["data"]["items"]["totalCount"] == 1
