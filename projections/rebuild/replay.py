"""Counts one product again beside the tables in use, and puts its rows in place of those there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg

from projections.catalogue import STAGING, Projection, fill, staging_of
from projections.checkpoints import furthest, lock
from projections.lease import Lease
from projections.read_model import tables
from projections.steps import (
    COUNTED,
    AnyConnection,
    between,
    create_indexes,
    create_tables,
    drop_tables,
    first_refused,
    group_of,
    is_lasting,
    run,
)
from service.log.database import Pool, taken_back
from service.sql_files import load

# What can be told by the item alone. Users, comments and the rest are mentioned by events of several items,
# or by events that do not name one: for these there is --product.
OF_AN_ITEM: Final = ("votes", "items", "subscriptions", "events", "inferences")

# While the rows of so many events are put in, the projector waits, some seconds. With a larger product that
# is much of the log, all of it is sooner rebuilt, and nothing waits (500,000 events: 101 s, not 115 and 45).
PUT_IN_EVENTS_MAX: Final = 100_000
PUT_IN_SHARE_MAX: Final = 0.125

_ROOM: Final = "set local work_mem = '64MB'"
OF_PRODUCT: Final = "product_id = $1"
# Which tables list the ids of a product that those columns hold.
_IDS: Final = {"item_id": "item_states", "user_id": "users"}

_sql = load(__file__, "replay.sql")


async def is_most(pool: Pool, product_id: int) -> bool:
    """Whether a product is so large, and so much of the log, that all of it is counted again instead."""
    if await pool.fetchval(_sql["released"], product_id):  # nothing of it is counted, nor looked for
        return False
    return bool(await pool.fetchval(_sql["is_most"], product_id, PUT_IN_EVENTS_MAX, PUT_IN_SHARE_MAX))


class Aside:
    """A product counted into temporary tables, in the caller's transaction.

    Statements that settle look at all there is from the first event on: in the tables in use they would go
    through every other product as well. Nobody waits for it until `put_in`.
    """

    def __init__(self, connection: AnyConnection, projections: Sequence[Projection], product_id: int) -> None:
        self._connection = connection
        self._projections = projections
        self._product_id = product_id
        self._counted = [table for projection in projections for table in projection.tables]
        self._made = False
        self._position = 0
        self._events = 0
        self.names = {
            name: f"pg_temp.aside_{name}" for projection in projections for name in projection.relations
        }

    async def count_up_to(self, position: int) -> None:
        """Count what follows up to a position."""
        if not self._made:
            await self._connection.execute(_ROOM)
            await create_tables(self._connection, self._projections, self.names)
            self._made = True
        # Of a product that was let go of none is counted, as `COUNTED` says once the whole log was read.
        if self._position < position and not await self._connection.fetchval(
            _sql["released"], self._product_id
        ):
            await self._step(self._position, position)
        self._position = position

    async def _step(self, first: int, last: int) -> None:
        staged = {name: f"pg_temp.staged_{name}" for name in staging_of(self._projections)}
        places = {
            **(await tables(self._connection)).names,
            **self.names,
            **staged,
            "group": group_of(self._projections),
            "only": f"e.product_id = {int(self._product_id)} and {COUNTED}",
        }
        for name, table in staged.items():
            sql = between(fill(STAGING[name], places), first, last)
            await self._connection.execute(f"create temporary table {table} as {sql}; analyze {table}")
        self._events += await self._connection.fetchval(f"select count(*) from {staged['hot']}")
        for statement in [text for projection in self._projections for text in projection.applies]:
            await run(self._connection, fill(statement, places), first, last)
        await drop_tables(self._connection, staged.values())
        if first == 0:
            await create_indexes(self._connection, self._projections, self.names)
            for table in self._counted:
                await self._connection.execute(f"analyze {self.names[table]}")
        for statement in [text for projection in self._projections for text in projection.settles]:
            await run(self._connection, fill(statement, places), first, last)

    async def hold(self, turn: Lease) -> int:
        """Count while the projector goes on, then hold the checkpoints; return the position they have got to.

        Raises LostLease where another one may have counted since: it would be taken back.
        """
        await self.count_up_to(await furthest(self._connection, self._projections))
        held = await lock(self._connection, self._projections)
        await turn.check(self._connection)
        return int(max(row["position"] for row in held))

    async def put_in(self, position: int, item_id: str | None = None) -> int:
        """Put the rows as of a position, at which the checkpoints are held, in place of those in use.

        With `item_id`, those of this item alone, of the tables that say the item. Returns how many events
        of the product were counted.
        """
        await self.count_up_to(position)
        in_use = (await tables(self._connection)).names
        if item_id is not None:
            for table in self._counted:
                if "item_id" in await self.columns(table):
                    await self._put_in(in_use[table], table, f"{OF_PRODUCT} and item_id = $2", item_id)
        else:
            found = {table: await self.rows_in(in_use, table) for table in self._counted}
            # First what is found by the ids that other tables have, while these are as they were.
            for table in sorted(found, key=lambda table: found[table] == OF_PRODUCT):
                await self._put_in(in_use[table], table, found[table])
        await drop_tables(self._connection, self.names.values())
        return self._events

    async def rows_in(self, in_use: Mapping[str, str], table: str) -> str:
        """Which rows of a table in use are the product's ($1), in words that an index of it answers.

        The indexes of large tables start with the id of an item or a person: else they were read whole.
        """
        column = await self._connection.fetchval(_sql["found_by"], in_use[table])
        lists = _IDS.get(column)
        if lists is None or lists not in self.names:
            return OF_PRODUCT
        return (
            f"{OF_PRODUCT} and {column} in (select {column} from {self.names[lists]} union all "
            f"select {column} from {in_use[lists]} where {OF_PRODUCT})"
        )

    async def columns(self, table: str) -> list[str]:
        """The columns of a table that are written."""
        return list(await self._connection.fetchval(_sql["columns"], self.names[table]))

    async def key(self, table: str) -> list[str]:
        """The columns that tell a table's rows apart: of its shortest unique index, else none."""
        return list(await self._connection.fetchval(_sql["key"], self.names[table]) or [])

    async def _put_in(self, in_use: str, table: str, which: str, *more: str) -> None:
        aside, columns = self.names[table], ", ".join(map(_quoted, await self.columns(table)))
        # Of a projection of one's own that reads the log itself, every product is there.
        of_which = which if more else OF_PRODUCT
        gone = added = "true"
        if key := await self.key(table):
            # Most rows are as they were: to see that takes half as long as to write them, and no table grows.
            same = (
                " and ".join(f"o.{column} = t.{column}" for column in map(_quoted, key)) + " and o.* *= t.*"
            )
            gone = f"not exists (select from {aside} o where {same})"
            added = f"not exists (select from {in_use} o where {which} and {same})"
        whose = (self._product_id, *more)
        await self._connection.execute(f"delete from {in_use} t where {which} and {gone}", *whose)
        await self._connection.execute(
            f"insert into {in_use} ({columns}) select {columns} from {aside} t where {of_which} and {added}",
            *whose,
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def refused_at(
    connection: AnyConnection, projections: Sequence[Projection], position: int, product_id: int
) -> int:
    """The first event up to `position` that counting the product again stops at; changes nothing."""

    async def takes(_: int, last: int) -> bool:
        try:
            async with taken_back(connection):
                await Aside(connection, projections, product_id).count_up_to(last)
        except asyncpg.PostgresError as error:
            if not is_lasting(error):
                raise
            return False
        return True

    return await first_refused(0, position, takes) or position
