"""Reads the read model: which tables a statement meant by `{items}`, and at which position it read."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from projections.catalogue import fill as fill_names
from projections.steps import AnyConnection
from service.database import Pool
from service.errors import ReadModelChanging
from service.sql_files import load

_sql = load(__file__, "read_model.sql")

ATTEMPTS_MAX: Final = 5

# What a statement runs into whose tables were dropped, or made anew under a cached plan, meanwhile.
_CHANGED: Final = (
    asyncpg.UndefinedTableError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.UndefinedObjectError,
)


@dataclass(frozen=True)
class Generation:
    """The tables in use, and the position to which all built-in projections have counted the log in."""

    names: Mapping[str, str]
    position: int
    numbers: tuple[int, ...] = ()
    _filled: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def fill(self, sql: str) -> str:
        """Put the tables' own names in place of `{name}`; filled once and kept, and so are its plans."""
        filled = self._filled.get(sql)
        if filled is None:
            filled = self._filled[sql] = fill_names(sql, self.names)
        return filled


async def tables(connection: AnyConnection | Pool) -> Generation:
    """The tables in use now."""
    return _generation(await connection.fetch(_sql["generations"]))


def fill(sql: str, generation: Generation) -> str:
    """Put the tables' own names in place of `{name}`."""
    return generation.fill(sql)


def _generation(rows: list[asyncpg.Record]) -> Generation:
    names = {table: f"read_model.{table}_{row['generation']}" for row in rows for table in row["tables"]}
    position = min((row["position"] for row in rows if row["built_in"]), default=0)
    return Generation(names, position, tuple(row["generation"] for row in rows))


class Snapshot:
    """Several statements at one position: they see the same rows, whatever is projected meanwhile."""

    def __init__(self, connection: AnyConnection, generation: Generation) -> None:
        self._connection = connection
        self.generation = generation

    @property
    def position(self) -> int:
        """The position that all statements of this snapshot read at."""
        return self.generation.position

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Return the rows of a statement with `{name}` for its tables."""
        rows: list[asyncpg.Record] = await self._connection.fetch(self.generation.fill(sql), *args)
        return rows


class Reader:
    """The one way that all reads go.

    A change of generation is one row that a transaction's snapshot either shows or does not; the tables of
    before stay a while for those who do not see it yet. So a read never meets a mixture.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: Generation | None = None

    async def fetch(self, sql: str, *args: Any) -> tuple[list[asyncpg.Record], int]:
        """Return the rows of one statement, and the position that it read at."""
        for _ in range(ATTEMPTS_MAX):
            try:
                async with self.snapshot() as snapshot:
                    return await snapshot.fetch(sql, *args), snapshot.position
            except _CHANGED:
                self._known = None
        raise ReadModelChanging(ATTEMPTS_MAX)

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Several statements at one position.

        One that meets a table already dropped (its snapshot is older than the grace) raises
        asyncpg.UndefinedTableError: take a new snapshot.
        """
        async with self._pool.acquire() as connection:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield Snapshot(
                    connection, self._keep(_generation(await connection.fetch(_sql["generations"])))
                )

    def _keep(self, found: Generation) -> Generation:
        """The generation as found, with the statements that were filled for it before."""
        if (
            self._known is None
            or self._known.numbers != found.numbers
            or self._known.names.keys() != found.names.keys()
        ):
            self._known = found
        return Generation(self._known.names, found.position, found.numbers, self._known._filled)
