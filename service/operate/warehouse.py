"""Writes a table of the board as a file, for notebooks and warehouses: `recount export --format parquet`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, BinaryIO, Final, NamedTuple

from schema.views import declare_views
from service.errors import PositionAhead, ViewsNotMade
from service.log.database import Pool
from service.operate.table_file import FileColumn, FileFormat, table_file
from service.sql_files import load

PIECE_ROWS: Final = 10_000
"""So many rows are in memory at once."""

_SQL: Final = load(__file__, "warehouse.sql")


class WantedTable(NamedTuple):
    """Which rows are written: those of a view, or items as of a position or a time by one of the clocks."""

    table: str
    personal: bool = False
    product_id: int | None = None
    after: int = 0
    at: int | datetime | None = None
    clock: str = "OCCURRED"

    def statement(self) -> tuple[str, tuple[Any, ...]]:
        """Return the statement, and its arguments."""
        view = f"{self.table}_personal" if self.personal else self.table
        match self.at:
            case int():
                return _SQL["items_at"], (self.product_id, self.at)
            case datetime():
                return _SQL["items_as_of"], (self.product_id, self.at, self.clock)
        if self.table == "events":
            return _SQL["events"].format(view=view), (self.product_id, self.after)
        return _SQL["view"].format(view=view), (self.product_id,)


class Written(NamedTuple):
    """How many rows were written, and up to which position of the log they are counted."""

    rows: int
    position: int


async def write_table(pool: Pool, wanted: WantedTable, kind: FileFormat, file: BinaryIO) -> Written:
    """Write the rows, all as of one moment, and return how many.

    They come by a cursor of Postgres's, so that memory does not grow with them. Raises ViewsNotMade,
    PositionAhead, ParquetNotInstalled.
    """
    statement, arguments = wanted.statement()
    rows_written = 0
    async with pool.acquire() as connection:
        if not await declare_views(connection):
            raise ViewsNotMade
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            position = await connection.fetchval(_SQL["read_at"])
            if isinstance(wanted.at, int) and wanted.at > position:
                raise PositionAhead(wanted.at, position)
            prepared = await connection.prepare(statement)
            columns = [FileColumn(each.name, each.type.name) for each in prepared.get_attributes()]
            table = table_file(kind, file, columns)
            try:
                cursor = await prepared.cursor(*arguments)
                while rows := await cursor.fetch(PIECE_ROWS):
                    table.write(rows)
                    rows_written += len(rows)
                table.finish()
            except BaseException:
                table.abandon()
                raise
    return Written(rows_written, position)
