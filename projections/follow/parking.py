"""Events that a projection could not apply: set aside with the error, so that one stops no board."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from projections.catalogue import BUILT_IN, all_projections
from projections.checkpoints import tell
from projections.lease import Lease
from projections.rebuild.rebuild import stale, turn_to_rebuild
from projections.rebuild.replay import Aside
from projections.steps import AnyConnection, group_of, groups_of, is_data_error, said_by
from service.errors import ParkedUnknown, TablesOutdated, UnknownProjection
from service.log.database import Pool
from service.sql_files import load

_sql = load(__file__, "parking.sql")


@dataclass(frozen=True)
class Parked:
    """A parked event; `waiting` when it only waits for an earlier one of its entity."""

    projection: str
    position: int
    product_id: int
    entity: str
    entity_id: str | None
    waiting: bool
    error: str
    parked_at: datetime
    waiting_events: int = 0


@dataclass(frozen=True)
class Retried:
    """What a retry came to: the positions counted in, or the error that it met again."""

    positions: tuple[int, ...]
    error: str | None

    @property
    def done(self) -> bool:
        """Whether nothing of the entity is parked any more."""
        return self.error is None


async def park(connection: AnyConnection, group: str, position: int, error: asyncpg.PostgresError) -> None:
    """Set an event aside; in the transaction that holds the checkpoints."""
    await connection.execute(_sql["park"], group, position, said_by(error))


async def hold_back(connection: AnyConnection, group: str, first: int, last: int) -> None:
    """Note the events of (first, last] that wait for a parked one of their entity."""
    await connection.execute(_sql["wait"], group, first, last)


async def parked_list(
    pool: Pool, *, limit: int | None = 100, waiting: bool = False, projection: str | None = None
) -> list[Parked]:
    """The parked events, oldest first; with those that wait if so asked; of one projection if it is named."""
    group = "*" if projection in {each.name for each in BUILT_IN} else projection
    return [Parked(**dict(row)) for row in await pool.fetch(_sql["list"], limit, waiting, group)]


async def parked_show(pool: Pool, position: int, group: str | None = None) -> Parked:
    """One parked event, of the group that parked it if that is named. Raises ParkedUnknown."""
    row = await pool.fetchrow(_sql["show"], position, group)
    if row is None:
        raise ParkedUnknown(position)
    return Parked(**dict(row))


async def parked_retry(pool: Pool, position: int, group: str | None = None) -> Retried:
    """Count a parked event and those that wait for it in, in their places in the order.

    What came after them has been counted already, so the product is counted again, in one transaction, once
    no rebuild runs: it would have read the log without them. When the event cannot be applied still,
    everything stays as it was. Raises ParkedUnknown, TablesOutdated, LostLease, and UnknownProjection where
    the one that parked it is installed here no more.
    """
    turn = turn_to_rebuild()
    async with turn.awaited(pool):
        return await _retried(pool, turn, await parked_show(pool, position, group))


async def _retried(pool: Pool, turn: Lease, found: Parked) -> Retried:
    try:
        async with pool.acquire() as connection, connection.transaction():
            return Retried(await _retry(connection, turn, found), None)
    except asyncpg.PostgresError as error:
        if not is_data_error(error):
            raise
        async with pool.acquire() as connection:
            await park(connection, found.projection, found.position, error)
        return Retried((), said_by(error))


async def _retry(connection: AnyConnection, turn: Lease, found: Parked) -> tuple[int, ...]:
    groups = {group_of(group): group for group in groups_of(all_projections())}
    if found.projection not in groups:
        raise UnknownProjection(found.projection, sorted(groups))
    projections = groups[found.projection]
    if outdated := {projection.name for projection in projections} & set(await stale(connection)):
        raise TablesOutdated(sorted(outdated))
    released = await _release(connection, found)
    aside = Aside(connection, projections, found.product_id)
    reached = await aside.hold(turn)
    released |= await _release(connection, found)  # and more may have come to wait
    await aside.put_in(reached)
    await tell(connection, reached)
    return tuple(sorted(released))


async def _release(connection: AnyConnection, found: Parked) -> set[int]:
    rows = await connection.fetch(
        _sql["release"],
        found.projection,
        found.product_id,
        found.entity,
        found.entity_id,
        found.position,
    )
    return {row["position"] for row in rows}
