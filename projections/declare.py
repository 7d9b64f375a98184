"""Declares the read model: bookkeeping, functions, and the first generation of tables not there yet."""

from __future__ import annotations

import hashlib

from projections.catalogue import SCHEMA, Projection, all_projections
from projections.checkpoints import checkpoints, next_generation
from projections.shown import show_current
from projections.status import FUNCTION
from projections.steps import AnyConnection, create_indexes, create_lookups, create_tables, tables_of
from service.log.database import make_missing
from service.sql_files import load

_sql = load(__file__, "declare.sql")


async def declare(connection: AnyConnection) -> None:
    """Make what is missing of the read model. Several processes may do so at once.

    Projections that are new to this database start with empty tables at position 0; when built-in ones of a
    database are further already, a rebuild brings new ones to where those are (see `stale`).
    """
    await make_missing(connection, SCHEMA["bookkeeping"])
    async with connection.transaction():
        await connection.execute(_sql["lock"])
        await _declare_functions(connection)
        known = {row["projection"] for row in await checkpoints(connection)}
        missing = [projection for projection in all_projections() if projection.name not in known]
        if missing:
            await _create(connection, missing, await next_generation(connection), fresh=not known)
        await show_current(connection)


async def _declare_functions(connection: AnyConnection) -> None:
    functions = (SCHEMA["functions"], FUNCTION)
    fingerprint = hashlib.sha256("\0".join(functions).encode()).hexdigest()
    if await connection.fetchval(_sql["declared"]) == fingerprint:
        return
    await connection.execute(_sql["drop_functions"])
    for text in functions:
        await connection.execute(text)
    await connection.execute(_sql["note_declared"], fingerprint)


async def _create(
    connection: AnyConnection, projections: list[Projection], generation: int, *, fresh: bool
) -> None:
    names = tables_of(projections, generation)
    await create_tables(connection, projections, names)
    await create_indexes(connection, projections, names)
    await create_lookups(connection, projections, names)
    for projection in projections:
        await connection.execute(
            _sql["add_checkpoint"],
            projection.name,
            projection.built_in,
            # One that is new where others are further already is behind: a rebuild brings it there.
            projection.fingerprint if fresh or not projection.built_in else "",
            list(projection.relations),
            generation,
        )
