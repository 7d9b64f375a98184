"""Keeps how far each sweep has come, so that it goes on there after a stop."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import asyncpg
import orjson

from projections.lease import Lease
from service.errors import SweepUnknown
from service.log.database import NOT_MADE, Pool, leave_as_found
from service.sleekplan.walk import PER_PAGE
from service.sql_files import load

RESUMED_DAYS_MAX: Final = 7
SWEEP_STATES: Final = ("RUNNING", "STOPPED", "COMPLETE", "PARTIAL", "ABANDONED")

_sql = load(__file__, "sweeps.sql")
STATE_NOW: Final = _sql["state_now"]
"""SQL for the state of a sweep that a statement calls `s`, in place of `:state_now`."""


class SweepScope(NamedTuple):
    """A list to walk: its name, the item it belongs to or "", how many rows were promised, where to go on."""

    scope: str
    item_id: str
    phase: int
    promised: int | None
    next_page: int | None


class PageDone(NamedTuple):
    """What a page was, and how many requests and events it took and brought; see page_done in sweeps.sql."""

    next_page: int
    rows: int
    seen_at: datetime
    first: bool
    last: bool
    requests: int
    recorded: int


class ScopesCounted(NamedTuple):
    """The scopes of one name that ended alike; `otherwise` brought another number of rows than promised."""

    scope: str
    state: str
    scopes: int
    rows: int
    problem: str | None
    otherwise: int


class Fetches(Protocol):
    """A connection, of a pool or its own."""

    async def fetch(self, query: str, /) -> list[asyncpg.Record]: ...


class SweepStanding(NamedTuple):
    """Of a product and kind: what the newest sweep does, what all took, when the last complete one ended."""

    product_id: int
    kind: str
    state: str
    requests: int
    recorded: int
    completed_at: float | None


class SweepRecord:
    """One sweep, as the database has it."""

    def __init__(self, pool: Pool, id: UUID, *, resumed: bool) -> None:
        self._pool, self.id, self.resumed = pool, id, resumed

    @classmethod
    async def begin(
        cls, pool: Pool, product_id: int, kind: str, asked: dict[str, Any], head: int, *, restart: bool
    ) -> SweepRecord:
        """Return the sweep that the same call began lately and that is not complete, else a new one."""
        words = orjson.dumps(asked, option=orjson.OPT_SORT_KEYS).decode()
        found = None
        if not restart:
            found = await pool.fetchval(_sql["unfinished"], product_id, kind, words, RESUMED_DAYS_MAX)
        if found is not None:
            await pool.execute(_sql["resume"], found)
            await pool.execute(_sql["reopen"], found)
            return cls(pool, found, resumed=True)
        return cls(pool, await pool.fetchval(_sql["begin"], product_id, kind, words, head), resumed=False)

    async def open_scopes(self, phase: int, scopes: Sequence[tuple[str, str, int | None]]) -> None:
        """Add scopes, as (name, item, rows promised), to be walked in their order; see open_scopes there."""
        if scopes:
            names, items, promised = zip(*scopes, strict=True)
            await self._pool.execute(_sql["open_scopes"], self.id, names, items, phase, promised)

    async def next_scopes(self) -> list[SweepScope]:
        """Return the next scopes to walk, all of one phase; none when all were walked."""
        return [SweepScope(*row) for row in await self._pool.fetch(_sql["next_scopes"], self.id)]

    async def requests_left(self) -> int:
        """Return how many requests the open scopes take."""
        left: int = await self._pool.fetchval(_sql["left"], self.id, PER_PAGE)
        return left

    async def page_done(self, scope: SweepScope, page: PageDone, lease: Lease) -> None:
        """Note that all of a page is recorded. Raises LostLease."""
        place = (self.id, scope.scope, scope.item_id)
        async with self._pool.acquire() as connection:
            done = await connection.fetchval(_sql["page_done"], *place, *page, lease.task, lease.epoch)
            leave_as_found(connection)
        if not done:
            raise lease.lost()

    async def ended(self, scope: SweepScope, state: str, problem: str | None = None) -> None:
        """Note how the walk through a scope ended."""
        await self._pool.execute(_sql["scope_ended"], self.id, scope.scope, scope.item_id, state, problem)

    async def forbidden(self, scope: SweepScope, problem: str) -> None:
        """Note that the key may not read what has this name, of no item."""
        await self._pool.execute(_sql["kind_forbidden"], self.id, scope.scope, problem)

    async def count_up(self, requests: int, recorded: int) -> None:
        """Add to what was asked and recorded."""
        await self._pool.execute(_sql["count_up"], self.id, requests, recorded)

    async def finish(self, problem: str | None) -> str:
        """End the sweep, and return its state."""
        state: str = await self._pool.fetchval(_sql["finish"], self.id, problem)
        if state == "COMPLETE":
            await self._pool.execute(_sql["drop_scopes"], self.id)
        return state

    async def counted(self) -> list[ScopesCounted]:
        """Return the scopes, counted by name and state."""
        return [ScopesCounted(*row) for row in await self._pool.fetch(_sql["counted"], self.id)]


async def list_sweeps(pool: Pool, limit: int) -> list[dict[str, Any]]:
    """Return the newest sweeps first; STOPPED is one whose process ended before it did."""
    return [dict(row) for row in await pool.fetch(_with_state("list"), limit)]


async def standing(connection: Fetches) -> list[SweepStanding]:
    """Return how the sweeps of each product and kind stand; none before the read model was made."""
    try:
        return [SweepStanding(*row) for row in await connection.fetch(_with_state("standing"))]
    except NOT_MADE:
        return []


def _with_state(statement: str) -> str:
    return _sql[statement].replace(":state_now", STATE_NOW)


async def show_sweep(pool: Pool, id: str) -> tuple[dict[str, Any], list[ScopesCounted]]:
    """Return a sweep by its id or how that begins, and its scopes. Raises SweepUnknown."""
    found = await pool.fetch(_with_state("show"), id.lower())
    if len(found) != 1:
        raise SweepUnknown(id)
    record = SweepRecord(pool, found[0]["id"], resumed=False)
    return {**found[0], "asked": orjson.loads(found[0]["asked"])}, await record.counted()


async def abandon_sweep(pool: Pool, id: str) -> UUID | None:
    """End a sweep that is not to be gone on with; None where it has ended already. Raises SweepUnknown."""
    told, _ = await show_sweep(pool, id)
    abandoned: UUID | None = await pool.fetchval(_sql["abandon"], told["id"])
    return abandoned
