"""Declares the read model: bookkeeping, functions, and the first generation of tables not there yet.

What is left of a projection that is installed no more is dropped here as well.
"""

from __future__ import annotations

import hashlib
from functools import cache

import asyncpg

from projections.catalogue import SCHEMA, Projection, all_projections
from projections.checkpoints import checkpoints, next_generation
from projections.shown import show_current
from projections.status import FUNCTION
from projections.steps import (
    AnyConnection,
    create_indexes,
    create_lookups,
    create_tables,
    drop_tables,
    tables_of,
)
from service.errors import CountedByAnother, ProjectionNotDropped, UnknownProjection
from service.log.database import Pool, make_missing
from service.sql_files import load

_sql = load(__file__, "declare.sql")


async def declare(connection: AnyConnection, *, arriving: bool = False) -> None:
    """Make what is missing of the read model. Several processes may do so at once.

    Projections that are new to this database start with empty tables at position 0; when built-in ones of a
    database are further already, a rebuild brings new ones to where those are (see `stale`).

    Of two versions side by side, that of the service which started last (`arriving`) counts for as long as it
    runs, lest each rebuild what the other has rebuilt. Raises CountedByAnother where that is not ours.
    """
    await make_missing(connection, SCHEMA["bookkeeping"])
    async with connection.transaction():
        await connection.execute(_sql["lock"])
        if not arriving and await another_counts(connection):
            raise CountedByAnother
        await _declare_functions(connection)
        await connection.execute(_sql["come"], _version())
        known = {row["projection"] for row in await checkpoints(connection)}
        missing = [projection for projection in all_projections() if projection.name not in known]
        if missing:
            await _create(connection, missing, await next_generation(connection), fresh=not known)
        await show_current(connection)


async def came_another(connection: AnyConnection | Pool) -> bool:
    """Whether another version was started on this database after ours."""
    return bool(await connection.fetchval(_sql["came_another"], _version()))


async def another_counts(connection: AnyConnection | Pool, within_seconds: float = 0.0) -> bool:
    """Whether that version is at work, or was within some seconds."""
    return await came_another(connection) and await connection.fetchval(_sql["counts"], within_seconds)


@cache
def _version() -> str:
    fingerprints = (projection.fingerprint for projection in all_projections() if projection.built_in)
    return hashlib.sha256("".join(fingerprints).encode()).hexdigest()[:16]


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


async def check_absent(connection: AnyConnection | Pool, name: str) -> None:
    """Raise ProjectionNotDropped for a projection of this process, UnknownProjection for one of nobody."""
    if name in {projection.name for projection in all_projections()}:
        raise ProjectionNotDropped(
            name, "it is installed here; uninstall its package first, on every instance"
        )
    known = [row["projection"] for row in await checkpoints(connection)]
    if name not in known:
        raise UnknownProjection(name, known)


async def drop_absent(pool: Pool, name: str) -> list[str]:
    """Drop the tables of a projection that is installed here no more, and return what they were called.

    Raises as `check_absent` does, and ProjectionNotDropped where a view of somebody else stands on them.
    """
    try:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(_sql["lock"])
            await check_absent(connection, name)
            row = await connection.fetchrow(_sql["drop_checkpoint"], name)
            assert row is not None
            names = [f"read_model.{table}_{row['generation']}" for table in row["tables"]]
            await drop_tables(connection, names)
            return names
    except asyncpg.DependentObjectsStillExistError:
        raise ProjectionNotDropped(name, "a view of somebody's own reads them; drop that first") from None
