"""What it cost to kill or starve what takes deliveries, and which of those acknowledged are in the log."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import asyncpg


@dataclass
class Toll:
    """What a storm cost."""

    kills: dict[str, int] = field(default_factory=dict)
    in_flight: list[int] = field(default_factory=list)
    """Deliveries sent and not yet answered, at each kill."""
    acknowledged: int = 0
    spooled: int = 0
    refused: int = 0
    lost: list[int] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)
    gaps: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        flights = sorted(self.in_flight) or [0]
        return (
            f"{sum(self.kills.values())} kills {self.kills}, in flight at a kill: least {flights[0]}, "
            f"median {flights[len(flights) // 2]}, at least 32 at {sum(n >= 32 for n in flights)}; "
            f"{self.acknowledged} acknowledged ({self.spooled} spooled), {self.refused} refused; "
            f"{len(self.lost)} lost, {len(self.twice)} twice, {self.gaps} gaps; {self.seconds:.0f} s"
        )


async def count(dsn: str, acknowledged: set[int], toll: Toll) -> None:
    """Look for each acknowledged delivery in the log."""
    connection = await _connect(dsn)
    try:
        rows = await connection.fetch(
            "select entity_id::bigint as number, count(*) as times from log.events group by 1"
        )
        times = {row["number"]: row["times"] for row in rows}
        toll.lost = sorted(acknowledged - times.keys())
        toll.twice = sorted(number for number, count in times.items() if count > 1)
        toll.gaps = await connection.fetchval("select coalesce(max(position), 0) - count(*) from log.events")
    finally:
        await connection.close()


async def _connect(dsn: str) -> asyncpg.Connection[Any]:
    """Connect to a Postgres that may just be recovering."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await asyncpg.connect(dsn)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
