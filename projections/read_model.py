"""The one way in which the read model is read: whole, at one position, whatever is rebuilt meanwhile."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from projections.catalogue import fill
from projections.steps import AnyConnection
from service.database import Pool
from service.errors import ReadModelChanging
from service.sql_files import load

ATTEMPTS_MAX: Final = 10
STATEMENTS_MAX: Final = 2_000

_sql = load(__file__, "read_model.sql")

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Generation:
    """Which tables hold the read model, and the position to which all built-in projections have got."""

    names: Mapping[str, str]
    """Each table's name in `.sql` files, and its own: {"items": "read_model.items_3"}."""
    version: str
    position: int


async def tables(connection: AnyConnection | Pool) -> Generation:
    """Return the generation that a read sees now."""
    rows = await connection.fetch(_sql["generations"])
    names = {
        table: f"read_model.{table}_{row['generation']}" for row in rows for table in row["tables"]
    }
    reached = [row["position"] for row in rows if row["built_in"]]
    return Generation(names, ",".join(str(row["generation"]) for row in rows), min(reached, default=0))


class Reader:
    """Runs statements whose tables are written `{items}`, against the generation in use.

    Each statement also says, from its own snapshot, which generation and position it was read at. When a
    rebuild changed the generation in between, or has already dropped the tables, the statement is run again
    with the new ones: nobody sees a mixture, or an error.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._generation: Generation | None = None
        self._filled: OrderedDict[str, str] = OrderedDict()

    async def fetch(self, sql: str, *args: object) -> tuple[Rows, int]:
        """Return the rows of one statement, and the position that it was read at.

        Raises ReadModelChanging when the tables changed under it time and again.
        """
        for _ in range(ATTEMPTS_MAX):
            generation = self._generation or await self._look()
            try:
                rows = await self._pool.fetch(self._placed(sql, generation), *args)
            except asyncpg.UndefinedTableError:
                self._forget()
                continue
            if rows[0]["_version"] != generation.version:
                self._forget()
                continue
            position: int = rows[0]["_position"]
            return ([] if rows[0]["_row"] is None else rows), position
        raise ReadModelChanging(ATTEMPTS_MAX)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Give reads that all see one position: one transaction, which changes nothing."""
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Snapshot(connection, await tables(connection))

    async def _look(self) -> Generation:
        self._generation = await tables(self._pool)
        return self._generation

    def _forget(self) -> None:
        self._generation = None
        self._filled.clear()

    def _placed(self, sql: str, generation: Generation) -> str:
        """Return the statement to send: the same text each time, so that Postgres keeps its plan."""
        found = self._filled.get(sql)
        if found is None:
            found = self._filled[sql] = _sql["read"].replace("{statement}", fill(sql, generation.names).rstrip(" ;\n"))
            if len(self._filled) > STATEMENTS_MAX:
                self._filled.popitem(last=False)
        return found


class Snapshot:
    """Reads at one position. For one task at a time, as the connection is."""

    def __init__(self, connection: AnyConnection, generation: Generation) -> None:
        self._connection = connection
        self._generation = generation

    @property
    def position(self) -> int:
        """The position that everything here is read at."""
        return self._generation.position

    async def fetch(self, sql: str, *args: object) -> tuple[Rows, int]:
        """Return the rows of one statement, and the position of the snapshot."""
        return await self._connection.fetch(fill(sql, self._generation.names), *args), self.position
