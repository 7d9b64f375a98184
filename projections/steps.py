"""Applies steps of the log to one set of tables: the one form of counting, live and in a rebuild."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from projections.catalogue import STAGING, Projection, fill, staging_of
from service.database import Connection, PooledConnection

AnyConnection: TypeAlias = "Connection | PooledConnection"

_TEMPORARY: Final = {name: f"pg_temp.step_{name}" for name in STAGING}


def tables_of(projections: Iterable[Projection], generation: int) -> dict[str, str]:
    """The tables' own names in a generation."""
    return {
        table: f"read_model.{table}_{generation}" for projection in projections for table in projection.tables
    }


async def create_tables(
    connection: AnyConnection, projections: Iterable[Projection], names: Mapping[str, str]
) -> None:
    """Make the tables, with the indexes that a step needs and without the others."""
    for projection in projections:
        await connection.execute(fill(projection.statements["tables"], names))
        if "keys" in projection.statements:
            await connection.execute(fill(projection.statements["keys"], names))


async def create_indexes(
    connection: AnyConnection, projections: Iterable[Projection], names: Mapping[str, str]
) -> None:
    """Make the indexes that reads and `settle` statements need."""
    for projection in projections:
        if "indexes" in projection.statements:
            await connection.execute(fill(projection.statements["indexes"], names))


class LiveSteps:
    """Steps that follow the log: staged in temporary tables that are emptied at each commit.

    One for a connection and a set of tables. The statements are prepared once and kept by the connection.
    """

    def __init__(
        self, connection: AnyConnection, projections: Iterable[Projection], names: Mapping[str, str]
    ) -> None:
        self._connection = connection
        self._projections = tuple(projections)
        self._names = {**names, **_TEMPORARY}
        self._staging = staging_of(self._projections)
        staged = [fill(f"insert into {{{name}}} {STAGING[name]}", self._names) for name in self._staging]
        applies = [fill(text, self._names) for p in self._projections for text in p.applies]
        settles = [fill(text, self._names) for p in self._projections for text in p.settles]
        self._statements = [*staged, *applies, *settles]

    async def open(self) -> None:
        """Make the temporary tables; on a connection that has them from before, anew."""
        for name in self._staging:
            table = f"step_{name}"
            empty = fill(STAGING[name], self._names).replace("$1", "0").replace("$2", "0").rstrip(" ;\n")
            await self._connection.execute(
                f"drop table if exists pg_temp.{table}; "
                f"create temporary table {table} on commit delete rows as {empty} with no data"
            )

    async def apply(self, first: int, last: int) -> None:
        """Count the events of (first, last] in; inside the caller's transaction."""
        for statement in self._statements:
            await run(self._connection, statement, first, last)


async def run(connection: AnyConnection, statement: str, first: int, last: int) -> None:
    """Run a statement of a step, with as many of its two parameters as it names."""
    if "$2" in statement:
        await connection.fetch(statement, first, last)
    elif "$1" in statement:
        await connection.fetch(statement, first)
    else:
        await connection.fetch(statement)
