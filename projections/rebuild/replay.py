"""Counts the events of one product or one item again, in the tables in use, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg

from projections.catalogue import STAGING, Projection, fill, staging_of
from projections.read_model import tables
from projections.rebuild.report import RebuildReport, Watch
from projections.steps import AnyConnection, between, group_of, run
from service.log.database import Pool
from service.sql_files import load

# What can be told by the item alone. Users, comments and the rest are mentioned by events of several items,
# or by events that do not name one: for these there is --product.
OF_AN_ITEM: Final = ("votes", "items", "vote_history", "subscriptions", "events", "inferences")

_sql = load(__file__, "replay.sql")
_rebuild = load(__file__, "rebuild.sql")
_follow = load(__file__, "../follow/projector.sql")


async def replay(
    pool: Pool, request: asyncpg.Record, chosen: Sequence[Projection], progress: Watch | None
) -> RebuildReport:
    """Take the product's (or item's) rows away and count them in again, while the checkpoints stand still.

    Readers see the rows of before until the transaction commits. Appends go on; the projector waits.
    """
    product_id, item_id = request["product_id"], request["item_id"]
    if item_id is not None:
        chosen = [projection for projection in chosen if projection.name in OF_AN_ITEM]
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            _rebuild["start"],
            request["rebuild"],
            request["generation"],
            [0],
            [False],
            False,
            0,
            [projection.name for projection in chosen],
            request["fingerprint"],
        )
        rows = await connection.fetch(_rebuild["lock_live"], [projection.name for projection in chosen])
        position = max(row["position"] for row in rows)
        generations = {row["projection"]: row["generation"] for row in rows}
        events = await replay_rows(connection, chosen, position, product_id, item_id)
        await connection.execute(_rebuild["finish"], request["rebuild"], "DONE", None, position)
        await connection.execute(_follow["notify_projected"], str(position))
    return RebuildReport(
        request["rebuild"],
        tuple(projection.name for projection in chosen),
        max(generations.values()),
        events,
        loop.time() - began,
        0,
        loop.time() - began,
    )


async def replay_rows(
    connection: AnyConnection,
    projections: Sequence[Projection],
    position: int,
    product_id: int,
    item_id: str | None = None,
) -> int:
    """Do so in the caller's transaction, which holds the checkpoints; return how many events there were."""
    names = (await tables(connection)).names
    counted = [names[table] for projection in projections for table in projection.tables]
    await _take_away(connection, counted, product_id, item_id)
    staged = {name: f"pg_temp.replay_{name}" for name in STAGING}
    places = {**names, **staged, "group": group_of(projections), "only": f"e.product_id = {int(product_id)}"}
    events = 0
    for name in staging_of(projections):
        sql = between(fill(STAGING[name], places), 0, position)
        await connection.execute(f"create temporary table replay_{name} on commit drop as {sql}")
        if name == "hot":
            if item_id is not None:
                await connection.execute(
                    f"delete from {staged['hot']} where item_id is distinct from $1", item_id
                )
            events = await connection.fetchval(f"select count(*) from {staged['hot']}")
        await connection.execute(f"analyze {staged[name]}")
    for statement in [text for projection in projections for text in projection.applies]:
        await run(connection, fill(statement, places), 0, position)
    for statement in [text for projection in projections for text in projection.settles]:
        await run(connection, fill(statement, places), 0, position)
    return events


async def _take_away(
    connection: AnyConnection, counted: list[str], product_id: int, item_id: str | None
) -> None:
    columns = ["product_id"] if item_id is None else ["product_id", "item_id"]
    for row in await connection.fetch(_sql["tables_with"], counted, columns):
        if item_id is None:
            await connection.execute(f"delete from {row['table_name']} where product_id = $1", product_id)
        else:
            await connection.execute(
                f"delete from {row['table_name']} where product_id = $1 and item_id = $2", product_id, item_id
            )
