"""Counts a product again after a person was erased from its log, and leaves no older rows behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from typing import Final

import asyncpg

from projections.catalogue import all_projections
from projections.read_model import tables
from projections.rebuild.rebuild import Rebuilder, rebuild
from service.log.database import Pool
from service.sql_files import load

DROP_ATTEMPTS_MAX: Final = 50
DROP_PAUSE_SECONDS: Final = 0.2
VACUUM_SECONDS_MAX: Final = 3600.0

_sql = load(__file__, "after_erasure.sql")


async def count_again(pool: Pool, product_id: int) -> None:
    """Replay the product, then drop and vacuum whatever still holds what was said before.

    A rebuild that runs is let end first: it may have read the log before the erasure, but what it made is
    replayed too. Tables that were switched away from are not kept for their last readers here.
    """
    await replay_product(pool, product_id)
    await drop_and_vacuum(pool, [product_id])


async def replay_product(pool: Pool, product_id: int) -> None:
    """Count a product again in the tables of all projections, once no rebuild runs.

    Every instance looks each minute for erasures after which that was not done, and finds those that another
    one is cleaning up after.
    """
    own = [projection.name for projection in all_projections() if not projection.built_in]
    await rebuild(pool, None, product_id=product_id, unless_done=True)
    for name in own:
        await rebuild(pool, [name], product_id=product_id, unless_done=True)


async def drop_and_vacuum(pool: Pool, products: Collection[int]) -> None:
    """Leave nothing of rows that were deleted, or of products in tables that were switched away from."""
    rebuilder = Rebuilder(pool, grace_seconds=0)
    for _ in range(DROP_ATTEMPTS_MAX):
        await rebuilder.drop_discarded()
        if not await pool.fetchval("select count(*) from read_model.discarded"):
            break
        await asyncio.sleep(DROP_PAUSE_SECONDS)
    else:
        await _take_from_discarded(pool, products)
    names = (await tables(pool)).names
    for table in (table for projection in all_projections() for table in projection.tables):
        await pool.execute(f"vacuum {names[table]}", timeout=VACUUM_SECONDS_MAX)


async def _take_from_discarded(pool: Pool, products: Collection[int]) -> None:
    """Take the rows of products out of tables that somebody's snapshot keeps, who goes on seeing them.

    Whoever comes later, as a pg_dump does, reads these tables without them.
    """
    for row in await pool.fetch(_sql["kept_for_readers"]):
        with contextlib.suppress(asyncpg.UndefinedTableError):  # dropped at last
            await pool.execute(
                f"delete from {row['table_name']} where product_id = any ($1::bigint[])",
                products,
                timeout=VACUUM_SECONDS_MAX,
            )
