"""Shows the tables in use under names that stay, for views that others read while generations change.

A view cannot be pointed at other tables while somebody reads it, and the catalog is read as it is now, not
as a snapshot has it. So nothing of a view changes at a switch. Each table of a generation becomes a child
of a parent that holds no row itself: that waits for nobody who reads the parent. A row of
`read_model.shown` says which child is read, and `shown_…`, a view of the parent, looks it up in the
reader's own snapshot. The switch updates that row.

What the tables are is in the parents' names, by a digest of the statement that makes them: other tables of
a later version get parents of their own, beside those that older views read. Where they fit under these as
well, they are shown there, too; else the older views show the older tables until they were made anew, and
these stay until then.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import asyncpg

from projections.catalogue import BUILT_IN, Projection, fill
from projections.checkpoints import checkpoints
from projections.steps import AnyConnection, drop_tables, tables_of
from service.log.database import Pool
from service.sql_files import load

_sql = load(__file__, "shown.sql")

_VIEW: Final = re.compile(r"^create view .*?;", re.MULTILINE | re.DOTALL)
WAIT_MILLISECONDS: Final = 100
"""How long a change that readers would have to wait for may wait for them itself."""
PLANNED_SECONDS_MAX: Final = 1.0
"""What takes longer to read has taken its snapshot long since."""


def _version(projection: Projection) -> str:
    return hashlib.sha256(projection.statements["tables"].encode()).hexdigest()[:8]


def _parent(projection: Projection, table: str) -> str:
    return f"read_model.each_{_version(projection)}_{table}"


def _versions() -> list[str]:
    return [_version(projection) for projection in BUILT_IN]


def shown_names() -> dict[str, str]:
    """What the tables and views in use are called, whichever generation they are of."""
    return {
        relation: f"read_model.shown_{_version(projection)}_{relation}"
        for projection in BUILT_IN
        for relation in projection.relations
    }


async def attach(
    connection: AnyConnection, projections: Iterable[Projection], names: Mapping[str, str]
) -> list[str]:
    """Put the tables of a generation under the names that stay, and return them; `show` shows them."""
    chosen = [projection for projection in projections if projection.built_in]
    tables = [table for projection in chosen for table in projection.tables]
    for projection in chosen:
        if not await connection.fetchval(_sql["known"], _parent(projection, projection.tables[0])):
            await _make(connection, projection, names)
        for table in projection.tables:
            await _adopt(connection, names[table], _parent(projection, table))
    # All of them or none: older views are to show one generation.
    with contextlib.suppress(asyncpg.SyntaxOrAccessError):
        async with connection.transaction():
            today = [table for projection in BUILT_IN for table in projection.tables]
            for row in await connection.fetch(_sql["older"], tables, _versions(), today):
                await _adopt(connection, names[row["table_name"]], row["parent"])
    return [names[table] for table in tables]


async def _make(connection: AnyConnection, projection: Projection, names: Mapping[str, str]) -> None:
    """Make the parents of a projection's tables, and the views that show one child of each.

    A parent may be left of when this version was known before: tables of another, which were shown by it as
    well, are its children for as long as they are in use, so it stays. By its name it is the same.
    """
    for table in projection.tables:
        parent = _parent(projection, table)
        await connection.execute(
            f"create table if not exists {parent} (like {names[table]} including generated)"
        )
        await connection.execute(
            f"create view {shown_names()[table]} as select each.* from {parent} as each "
            f"where each.tableoid = (select child from read_model.shown where parent = '{parent}'::regclass)"
        )
        await connection.execute(_sql["add"], parent, _version(projection), table)
    for text in _VIEW.findall(projection.statements["tables"]):
        await connection.execute(fill(text, shown_names()))


async def _adopt(connection: AnyConnection, table: str, parent: str) -> None:
    if not await connection.fetchval(_sql["is_child"], table, parent):
        await connection.execute(f"alter table {table} inherit {parent}")


async def show(connection: AnyConnection, tables: Sequence[str]) -> None:
    """Have these attached tables read from the caller's commit on: locks nothing that anybody reads."""
    await connection.execute(_sql["show"], list(tables))


async def let_plans_pass(connection: AnyConnection) -> None:
    """Return once nobody is about to read by a plan that was made before what is attached was.

    A query looks up the children of a parent when it is planned, and takes its snapshot after that: between
    the two, a switch would leave it with the child that is shown no more. Usually there is nobody, and this
    takes no time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PLANNED_SECONDS_MAX
    readers = await connection.fetchval(_sql["readers"])
    while readers and await connection.fetchval(_sql["at_work"], readers) and loop.time() < deadline:
        await asyncio.sleep(0.01)


async def show_current(connection: AnyConnection) -> None:
    """Show what is in use already, where that was not done when it was made; in the caller's transaction.

    Waits for readers no longer than a moment, and then leaves it to the next time.
    """
    complete = {row["version"] for row in await connection.fetch(_sql["complete"])}
    missing = [projection for projection in BUILT_IN if _version(projection) not in complete]
    if not missing:
        return
    known = {row["projection"]: row for row in await checkpoints(connection)}
    with contextlib.suppress(asyncpg.LockNotAvailableError):
        async with connection.transaction():
            await wait_briefly(connection)
            for projection in missing:
                row = known[projection.name]
                if row["fingerprint"] == projection.fingerprint:
                    names = tables_of([projection], row["generation"])
                    await show(connection, await attach(connection, [projection], names))


async def is_complete(connection: AnyConnection | Pool) -> bool:
    """Whether everything that `shown_names` names shows tables."""
    complete = {row["version"] for row in await connection.fetch(_sql["complete"])}
    return complete >= set(_versions())


async def forget_others(connection: AnyConnection) -> None:
    """Let go of what views of other versions read, once nothing reads it; in the caller's transaction."""
    views = [row["name"] for row in await connection.fetch(_sql["views_of_others"], _versions())]
    if views:
        await connection.execute(f"drop view {', '.join(views)}")
    await connection.execute(_sql["forget"], _versions())


async def drop_childless(connection: AnyConnection) -> None:
    """Drop the parents of other versions whose last child is gone."""
    await drop_tables(connection, [row["name"] for row in await connection.fetch(_sql["childless"])])


async def wait_briefly(connection: AnyConnection) -> None:
    """Have the caller's transaction give up where it would have to wait for a lock."""
    await connection.execute(f"set local lock_timeout = '{WAIT_MILLISECONDS}ms'")
