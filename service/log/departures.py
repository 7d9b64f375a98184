"""Knows which products other cells have, so that nobody is answered from what was left behind of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import asyncpg
import structlog

from service.ending_tasks import ended, rest
from service.log.database import POSTGRES_FAILURES, Pool
from service.sql_files import load

REFRESH_SECONDS: Final = 2.0
_ANSWER_SECONDS_MAX: Final = 5.0

_log = structlog.get_logger(__name__)
_sql = load(__file__, "departures.sql")

DEPARTING: Final = _sql["departing"]
"""A statement of the products of which nothing is recorded here, with the cell of each."""


class Departures:
    """The products that left this cell: `cells` has the cell of each.

    Appends ask the database themselves; this is for what is read, and may be some seconds late: until then a
    product is answered for as it was when it left. `moved` is told of those that have left since.
    """

    def __init__(self, pool: Pool) -> None:
        self.cells: Mapping[int, str] = {}
        self.moved: list[Callable[[frozenset[int]], object]] = []
        self._pool = pool
        self._state: asyncpg.Record | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Departures:
        await self._try_refresh()
        self._task = asyncio.create_task(self._follow(), name="departures")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await ended(self._task)

    async def refresh(self) -> None:
        """Look whether products have left, or come back."""
        state = await self._pool.fetchrow(_sql["state"], timeout=_ANSWER_SECONDS_MAX)
        if state == self._state:
            return
        rows = await self._pool.fetch(_sql["departed"], timeout=_ANSWER_SECONDS_MAX)
        before, self.cells = self.cells, {row["product_id"]: row["cell"] for row in rows}
        first, self._state = self._state is None, state
        left = frozenset(self.cells) - frozenset(before)
        if left and not first:
            _log.info("products_left", products=len(left), cells=sorted({self.cells[each] for each in left}))
            for tell in self.moved:
                tell(left)

    async def _follow(self) -> None:
        while True:
            await rest(REFRESH_SECONDS)
            await self._try_refresh()

    async def _try_refresh(self) -> None:
        """Refresh; without Postgres it stays as it was known."""
        try:
            await self.refresh()
        except POSTGRES_FAILURES as error:
            _log.debug("departures_not_refreshed", reason=type(error).__name__)
