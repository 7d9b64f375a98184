"""How often deliveries arrived, as the log counts it."""

from __future__ import annotations

from datetime import datetime

from service.log.database import Pool


async def arrivals(pool: Pool, *positions: int) -> list[tuple[int, datetime | None]]:
    """Return how often each event's delivery arrived, the first time included, and when last."""
    rows = await pool.fetch(
        "select 1 + coalesce(r.copies, 0) as times, r.last_at from log.events e"
        " left join log.redeliveries r using (position, product_id)"
        " where e.position = any ($1::bigint[]) order by e.position",
        positions,
    )
    return [(row["times"], row["last_at"]) for row in rows]
