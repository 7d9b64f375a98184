"""Products that have left a log for another cell, or are on their way, as a split leaves them."""

from __future__ import annotations

import asyncpg


async def depart(pool: asyncpg.Pool, cell: str, *products: int, left: bool = True) -> None:
    """Have products on another cell, or on their way there."""
    async with pool.acquire() as connection, connection.transaction():
        split = await connection.fetchval(
            "insert into log.splits (id, cell, from_cell, products, ended_at)"
            " values (gen_random_uuid(), $1, 'a', $2, case when $3 then clock_timestamp() end) returning id",
            cell, list(products), left,
        )  # fmt: skip
        await connection.executemany(
            "insert into log.departures values ($1, $2, $3, case when $4 then clock_timestamp() end)",
            [(product, cell, split, left) for product in products],
        )
