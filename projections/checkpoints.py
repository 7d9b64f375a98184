"""How far each projection has got in the log, and which generation of its tables is read."""

from __future__ import annotations

from collections.abc import Iterable

import asyncpg

from projections.catalogue import Projection
from projections.steps import AnyConnection
from service.log.database import Pool
from service.sql_files import load

_sql = load(__file__, "checkpoints.sql")


async def checkpoints(connection: AnyConnection | Pool) -> list[asyncpg.Record]:
    """One row a projection, by name."""
    return list(await connection.fetch(_sql["checkpoints"]))


async def furthest(connection: AnyConnection, projections: Iterable[Projection]) -> int:
    """The position to which the furthest of some projections has got."""
    names = {projection.name for projection in projections}
    rows = await checkpoints(connection)
    return max((row["position"] for row in rows if row["projection"] in names), default=0)


async def lock(connection: AnyConnection, projections: Iterable[Projection]) -> list[asyncpg.Record]:
    """Those of some projections, which nobody moves until the caller's transaction has ended."""
    return list(await connection.fetch(_sql["lock"], [projection.name for projection in projections]))


async def tell(connection: AnyConnection, position: int) -> None:
    """Wake whoever waits for a position to be projected, once the caller's transaction is committed."""
    await connection.execute(_sql["tell"], position)


async def projected(connection: AnyConnection | Pool) -> int:
    """The position to which all built-in projections have got."""
    return int(await connection.fetchval(_sql["projected"]))


async def head(connection: AnyConnection | Pool) -> int:
    """The newest position of the log."""
    return int(await connection.fetchval(_sql["head"]))


async def next_generation(connection: AnyConnection) -> int:
    """A number that no table's name carries yet."""
    return int(await connection.fetchval(_sql["next_generation"]))
