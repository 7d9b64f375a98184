"""Tells what counting a product again would change in the tables in use, and leaves them as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from projections.catalogue import Projection, all_projections, fill
from projections.checkpoints import furthest
from projections.read_model import tables
from projections.rebuild.replay import Aside
from projections.steps import AnyConnection, groups_of
from service.log.database import taken_back
from service.sql_files import load

_sql = load(__file__, "differences.sql")


class Difference(NamedTuple):
    """A column of a row that would change, or a row that would come or go: then `column` is None."""

    table: str
    key: dict[str, Any]
    column: str | None
    before: Any
    after: Any


async def would_change(connection: AnyConnection, product_id: int) -> list[Difference]:
    """Return what a replay of the product would change, were it made now.

    In the caller's transaction, whose one snapshot both are read in; the product is counted into temporary
    tables, which are taken back. Nobody waits for it.
    """
    in_use = (await tables(connection)).names
    found: list[Difference] = []
    for group in groups_of(all_projections()):
        if all(name in in_use for projection in group for name in projection.relations):
            async with taken_back(connection):
                found += await _compared(connection, group, in_use, product_id)
    return found


async def _compared(
    connection: AnyConnection, group: Sequence[Projection], in_use: Mapping[str, str], product_id: int
) -> list[Difference]:
    aside = Aside(connection, group, product_id)
    await aside.count_up_to(await furthest(connection, group))
    found: list[Difference] = []
    for table in (table for projection in group for table in projection.tables):
        key = await aside.key(table) or await aside.columns(table)
        places = {
            "in_use": in_use[table],
            "anew": aside.names[table],
            "which": await aside.rows_in(in_use, table),
        }
        rows = await connection.fetch(fill(_sql["rows"], places), product_id)
        old, new = (
            [json.loads(row["line"]) for row in rows if row["in_use"] is is_old] for is_old in (True, False)
        )
        found += _differences(table, key, old, new)
    return found


def _differences(
    table: str, key: Sequence[str], old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]
) -> list[Difference]:
    """Return where rows differ that one of two tables has alone."""

    def by_key(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {json.dumps([row[column] for column in key]): row for row in rows}

    before, after = by_key(old), by_key(new)
    found: list[Difference] = []
    for each in sorted(before.keys() | after.keys()):
        row, now = before.get(each), after.get(each)
        named = {column: (row or now or {})[column] for column in key if column != "product_id"}
        if row is None or now is None:
            found.append(Difference(table, named, None, row, now))
        else:
            found += [
                Difference(table, named, column, row[column], now[column])
                for column in row
                if row[column] != now[column]
            ]
    return found
