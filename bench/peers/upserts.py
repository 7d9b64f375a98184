"""The upsert of each table, for the peers that write row by row."""

from __future__ import annotations

from collections.abc import Callable

from folding import COLUMNS, KEYS


def upsert(table: str, mark: Callable[[int], str]) -> str:
    """Return the statement that puts one row over what is known of it; a null keeps the known value.

    `mark` writes the placeholder of a parameter: `$1` for asyncpg, `%s` for psycopg.
    """
    keys, columns = KEYS[table], COLUMNS[table]
    marks = ", ".join(mark(number) for number in range(1, len(columns) + 1))
    kept = ", ".join(
        f"{name} = coalesce(excluded.{name}, {table}.{name})" for name in columns if name not in keys
    )
    return (
        f"insert into {table} ({', '.join(columns)}) values ({marks})\n"
        f"on conflict ({', '.join(keys)}) do update set {kept}"
    )
