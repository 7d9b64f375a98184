"""Counts the events of one product or one item again, in the tables in use, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg

from projections.catalogue import STAGING, Projection, fill, staging_of
from projections.read_model import tables
from projections.steps import COUNTED, AnyConnection, between, first_refused, group_of, is_lasting, run
from service.sql_files import load

# What can be told by the item alone. Users, comments and the rest are mentioned by events of several items,
# or by events that do not name one: for these there is --product.
OF_AN_ITEM: Final = ("votes", "items", "subscriptions", "events", "inferences")

_sql = load(__file__, "replay.sql")


async def replay_rows(
    connection: AnyConnection,
    projections: Sequence[Projection],
    position: int,
    product_id: int,
    item_id: str | None = None,
) -> int:
    """Take the rows of a product (or of one item) away and count them in again up to `position`.

    In the caller's transaction, which holds the checkpoints. Returns how many events there were.
    """
    names = (await tables(connection)).names
    counted = [names[table] for projection in projections for table in projection.tables]
    await _take_away(connection, counted, product_id, item_id)
    if await connection.fetchval(_sql["released"], product_id):
        return 0  # as `COUNTED` would say of each of its events, once the whole log was read for them
    return await count_into(connection, projections, names, position, product_id, item_id)


async def count_into(
    connection: AnyConnection,
    projections: Sequence[Projection],
    names: Mapping[str, str],
    position: int,
    product_id: int,
    item_id: str | None = None,
) -> int:
    """Count a product (or one of its items) up to `position` into tables that hold nothing of it.

    In the caller's transaction. Returns how many events there were.
    """
    staged = {name: f"pg_temp.replay_{name}" for name in STAGING}
    places = {
        **names,
        **staged,
        "group": group_of(projections),
        "only": f"e.product_id = {int(product_id)} and {COUNTED}",
        "counted": _of(product_id, item_id),
    }
    events = 0
    for name in staging_of(projections):
        sql = between(fill(STAGING[name], places), 0, position)
        await connection.execute(f"create temporary table replay_{name} on commit drop as {sql}")
        if name == "hot":
            if item_id is not None:
                await connection.execute(fill(_sql["of_others"], places), item_id)
            events = await connection.fetchval(f"select count(*) from {staged['hot']}")
        await connection.execute(f"analyze {staged[name]}")
    for statement in [text for projection in projections for text in projection.applies]:
        await run(connection, fill(statement, places), 0, position)
    for statement in [text for projection in projections for text in projection.settles]:
        await run(connection, fill(statement, places), 0, position)
    return events


async def refused_at(
    connection: AnyConnection,
    projections: Sequence[Projection],
    position: int,
    product_id: int,
    item_id: str | None,
) -> int:
    """The first event up to `position` that such a replay stops at; changes nothing."""

    async def takes(_: int, last: int) -> bool:
        tried = connection.transaction()
        await tried.start()
        try:
            await replay_rows(connection, projections, last, product_id, item_id)
        except asyncpg.PostgresError as error:
            if not is_lasting(error):
                raise
            return False
        finally:
            await tried.rollback()
        return True

    return await first_refused(0, position, takes) or position


def _of(product_id: int, item_id: str | None) -> str:
    """Which items `i` are counted: the id is written so that nothing in it means anything."""
    product = f"i.product_id = {int(product_id)}"
    if item_id is None:
        return product
    return f"{product} and i.item_id = convert_from(decode('{item_id.encode().hex()}', 'hex'), 'UTF8')"


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
