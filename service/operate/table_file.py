"""Writes rows as a file of typed columns, piece by piece: Parquet, or CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, Final, Literal, NamedTuple, Protocol

import orjson

from service.errors import ParquetNotInstalled

FileFormat = Literal["parquet", "csv"]


class FileColumn(NamedTuple):
    """A column's name, and its type as Postgres calls it."""

    name: str
    type: str


class TableFile(Protocol):
    """A file that is written from its beginning to its end, to whatever takes bytes."""

    def write(self, rows: Sequence[Iterable[Any]]) -> None:
        """Write some more rows."""

    def finish(self) -> None:
        """Write what comes after the last row."""

    def abandon(self) -> None:
        """Write nothing more: the file is lost."""


def table_file(kind: FileFormat, file: BinaryIO, columns: Sequence[FileColumn]) -> TableFile:
    """Begin a file. Raises ParquetNotInstalled."""
    return ParquetFile(file, columns) if kind == "parquet" else CsvFile(file, columns)


class ParquetFile:
    """Each piece is a row group. Moments are of UTC, lengths of time seconds, what is JSON is its text."""

    def __init__(self, file: BinaryIO, columns: Sequence[FileColumn]) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise ParquetNotInstalled from None
        types = {
            "bool": pyarrow.bool_(),
            "float8": pyarrow.float64(),
            "int2": pyarrow.int16(),
            "int4": pyarrow.int32(),
            "int8": pyarrow.int64(),
            "interval": pyarrow.float64(),
            "text[]": pyarrow.list_(pyarrow.string()),
            "timestamptz": pyarrow.timestamp("us", tz="UTC"),
        }
        fields = [(column.name, types.get(column.type, pyarrow.string())) for column in columns]
        self._arrow, self._schema = pyarrow, pyarrow.schema(fields)
        self._made = [
            _seconds if column.type == "interval" else None if column.type in types else _text
            for column in columns
        ]
        self._file = _Counted(file)
        self._writer = parquet.ParquetWriter(self._file, self._schema, compression="zstd")

    def write(self, rows: Sequence[Iterable[Any]]) -> None:
        """Write some more rows."""
        columns = zip(zip(*rows, strict=True), self._made, self._schema.types, strict=True)
        pieces = [
            self._arrow.array(values if made is None else map(made, values), type)
            for values, made, type in columns
        ]
        self._writer.write_batch(self._arrow.record_batch(pieces, self._schema))

    def finish(self) -> None:
        """Write where everything is in the file."""
        self._writer.close()

    def abandon(self) -> None:
        """Write nothing more, which the writer would do at its own end."""
        self._file.is_lost = True
        self._writer.close()


class CsvFile:
    """Texts are quoted and what is null is empty, so that either is told from the other."""

    def __init__(self, file: BinaryIO, columns: Sequence[FileColumn]) -> None:
        self._file = file
        self.write([[column.name for column in columns]])

    def write(self, rows: Sequence[Iterable[Any]]) -> None:
        """Write some more rows."""
        self._file.write("".join(",".join(map(_cell, row)) + "\n" for row in rows).encode())

    def finish(self) -> None:
        """There is nothing more."""

    def abandon(self) -> None:
        """Nothing is kept back."""


class _Counted:
    """A file that knows how much was written, which a pipe does not tell."""

    closed: Final = False

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._bytes, self.is_lost = file, 0, False

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if not self.is_lost:
            self._file.write(data)
        self._bytes += size
        return size

    def tell(self) -> int:
        return self._bytes

    def flush(self) -> None:
        if not self.is_lost:
            self._file.flush()

    def close(self) -> None:
        """Whoever opened it closes it."""


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        case timedelta():
            return repr(value.total_seconds())
        case list():
            return _cell(orjson.dumps(value).decode())
    quoted = str(value).replace('"', '""')
    return f'"{quoted}"'
