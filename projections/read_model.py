"""Reads the read model: which tables a statement meant by `{items}`, and at which position it read."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from projections.catalogue import fill
from projections.checkpoints import checkpoints
from projections.steps import AnyConnection
from service.errors import ReadModelChanging
from service.log.database import Pool, leave_as_found
from service.sql_files import load

_sql = load(__file__, "read_model.sql")

PRODUCTS: Final = _sql["products"]
"""A statement of every product that the log knows."""
KNOWN_SINCE: Final = _sql["known_since"]
"""When a log begins, of `:earliest` (a statement of its first moments), `:told` (how many) and `:now`."""
ATTEMPTS_MAX: Final = 5
STATEMENTS_KEPT: Final = 2_000

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
    signature: str = ""
    """Which generation of each projection these are."""
    _filled: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def fill(self, sql: str) -> str:
        """Put the tables' own names in place of `{name}`; filled once and kept, and so are its plans."""
        filled = self._filled.get(sql)
        if filled is None:
            if len(self._filled) >= STATEMENTS_KEPT:
                self._filled.clear()
            filled = self._filled[sql] = fill(sql, self.names)
        return filled


async def tables(connection: AnyConnection | Pool) -> Generation:
    """The tables in use now."""
    return _generation(await checkpoints(connection))


def _generation(rows: list[asyncpg.Record]) -> Generation:
    names = {table: f"read_model.{table}_{row['generation']}" for row in rows for table in row["tables"]}
    position = min((row["position"] for row in rows if row["built_in"]), default=0)
    signature = ",".join(f"{row['projection']}={row['generation']}" for row in rows)
    return Generation(names, position, signature)


class ReadAt(NamedTuple):
    """Where in the log something was read; None where no event stands there, as before the first."""

    position: int
    recorded_at: datetime | None


class Snapshot:
    """Several statements at one position: they see the same rows, whatever is projected meanwhile."""

    def __init__(self, connection: AnyConnection, generation: Generation) -> None:
        self._connection = connection
        self._read_at: ReadAt | None = None
        self.generation = generation

    @property
    def position(self) -> int:
        """The position that all statements of this snapshot read at."""
        return self.generation.position

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Return the rows of a statement with `{name}` for its tables."""
        rows: list[asyncpg.Record] = await self._connection.fetch(self.generation.fill(sql), *args)
        return rows

    async def value(self, sql: str, *args: Any) -> tuple[Any, ReadAt]:
        """Return the `answer` of a statement of one row, and where it was read.

        In a savepoint: a statement that Postgres refuses, for a time zone say, spoils none of the others.
        """
        async with self._connection.transaction():
            rows = await self.fetch(sql, *args)
        if self._read_at is None:
            self._read_at = ReadAt(self.position, await self.recorded_at(self.position))
        return rows[0]["answer"], self._read_at

    async def recorded_at(self, position: int) -> datetime | None:
        """Return when the event at a position was recorded; None where there is none."""
        found: datetime | None = await self._connection.fetchval(_sql["recorded_at"], position)
        return found


class Reader:
    """The one way that all reads go.

    A change of generation is one row that a transaction's snapshot either shows or does not; the tables of
    before stay a while for those who do not see it yet. So a read never meets a mixture.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: Generation | None = None
        self._stated: dict[tuple[str, str], str] = {}

    async def fetch(self, sql: str, *args: Any) -> tuple[list[asyncpg.Record], int]:
        """Return the rows of one statement, and the position that it read at."""
        for _ in range(ATTEMPTS_MAX):
            try:
                async with self.snapshot() as snapshot:
                    return await snapshot.fetch(sql, *args), snapshot.position
            except _CHANGED:
                self._known = None
        raise ReadModelChanging(ATTEMPTS_MAX)

    async def value(self, sql: str, *args: Any) -> tuple[Any, ReadAt]:
        """Return the one value, `answer`, of a statement of one row, and where in the log it read."""
        [row] = await self._read_at("value_read_at", sql, args)
        return row["answer"], ReadAt(row["read_position"], row["recorded_at"])

    async def recorded_at(self, position: int) -> datetime | None:
        """Return when the event at a position was recorded; None where there is none."""
        async with self._pool.acquire() as connection:
            found: datetime | None = await connection.fetchval(_sql["recorded_at"], position)
            leave_as_found(connection)
        return found

    async def rows(self, sql: str, *args: Any) -> tuple[list[asyncpg.Record], int]:
        """Return the rows of one statement in no order, and the position that it read at.

        As `fetch`, in one round trip; the rows have the columns of `rows_read_at` beside their own.
        """
        rows = await self._read_at("rows_read_at", sql, args)
        return [row for row in rows if row["found"]], rows[0]["read_position"]

    async def _read_at(self, form: str, sql: str, args: Sequence[Any]) -> list[asyncpg.Record]:
        """Return the rows of a statement in one of the forms of read_model.sql.

        The statement tells in its own snapshot which generations there are; when they are others than those
        it was written for, it is written anew and run again.
        """
        for _ in range(ATTEMPTS_MAX):
            known = self._known
            if known is None or not known.names:  # none were declared yet
                known = self._known = await tables(self._pool)
            statement = self._stated.get((form, sql))
            if statement is None:
                if len(self._stated) >= STATEMENTS_KEPT:
                    self._stated.clear()
                statement = self._stated[form, sql] = _sql[form].replace(":statement", sql.rstrip(" ;\n"))
            try:
                async with self._pool.acquire() as connection:
                    rows: list[asyncpg.Record] = await connection.fetch(known.fill(statement), *args)
                    leave_as_found(connection)
            except _CHANGED:
                self._known = None
                continue
            if rows[0]["read_generations"] == known.signature:
                return rows
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
                yield Snapshot(connection, self._keep(_generation(await checkpoints(connection))))
            leave_as_found(connection)

    def _keep(self, found: Generation) -> Generation:
        """The generation as found, with the statements that were filled for it before."""
        if self._known is None or self._known.signature != found.signature:
            self._known = found
        return replace(self._known, position=found.position)
