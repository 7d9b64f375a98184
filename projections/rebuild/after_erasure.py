"""Counts a product again after a person was erased from its log, and leaves no older rows behind."""

from __future__ import annotations

import asyncio
from typing import Final

from projections.catalogue import all_projections
from projections.read_model import tables
from projections.rebuild.rebuild import Rebuilder, rebuild
from service.log.database import Pool

DROP_ATTEMPTS_MAX: Final = 50
DROP_PAUSE_SECONDS: Final = 0.2
VACUUM_SECONDS_MAX: Final = 3600.0


async def count_again(pool: Pool, product_id: int) -> None:
    """Replay the product, then drop and vacuum whatever still holds what was said before.

    A rebuild that runs is let end first: it may have read the log before the erasure, but what it made is
    replayed too. Tables that were switched away from are not kept for their last readers here.
    """
    await replay_product(pool, product_id)
    await drop_and_vacuum(pool)


async def replay_product(pool: Pool, product_id: int) -> None:
    """Count a product again in the tables of all projections, once no rebuild runs."""
    own = [projection.name for projection in all_projections() if not projection.built_in]
    await rebuild(pool, None, product_id=product_id, wait=True)
    for name in own:
        await rebuild(pool, [name], product_id=product_id, wait=True)


async def drop_and_vacuum(pool: Pool) -> None:
    """Leave nothing of rows that were deleted, or of tables that were switched away from."""
    rebuilder = Rebuilder(pool, grace_seconds=0)
    for _ in range(DROP_ATTEMPTS_MAX):
        await rebuilder.drop_discarded()
        if not await pool.fetchval("select count(*) from read_model.discarded"):
            break
        await asyncio.sleep(DROP_PAUSE_SECONDS)
    names = (await tables(pool)).names
    for table in (table for projection in all_projections() for table in projection.tables):
        await pool.execute(f"vacuum {names[table]}", timeout=VACUUM_SECONDS_MAX)
