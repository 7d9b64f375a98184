"""The log in Postgres: records events, and gives them back in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import repeat
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from service.errors import BatchRefused, LogNotEmpty, LogUnavailable, ProductElsewhere
from service.events import EventData
from service.log.database import POSTGRES_FAILURES, Pool, PooledConnection
from service.sql_files import load

UNTIMED_WINDOW: Final = timedelta(minutes=10)
APPEND_SECONDS_MAX: Final = 1.5
RESTORE_SECONDS_MAX: Final = 60.0

# All that Postgres can object to in a body: text that it does not take as JSON, characters and numbers that
# jsonb has no room for, more of them than it holds. Whatever else it says (a position is taken, a table is
# missing, a setting does not fit) is no fault of the body and passes, or is mended, with time.
_REFUSALS: Final = frozenset(
    {
        "22003",  # numeric_value_out_of_range
        "22021",  # character_not_in_repertoire
        "22P02",  # invalid_text_representation
        "22P05",  # untranslatable_character
        "54000",  # program_limit_exceeded
    }
)
_NOT_WHERE_THE_LOG_ENDS: Final = "RC001"
_ELSEWHERE: Final = "RC003"

_sql = load(__file__, "event_store.sql")


class Appended(NamedTuple):
    """Where a delivery stands in the log, and whether it was there before."""

    position: int
    duplicate: bool


class RecordedEvent(NamedTuple):
    """An event of the log. `envelope` and `data` are JSON text; see log.events for the columns' meaning."""

    position: int
    product_id: int
    action: str
    entity: str
    entity_id: str | None
    occurred_at: datetime
    occurred_assumed: bool
    recorded_at: datetime
    origin: str
    digest: bytes
    envelope: str
    data: str
    raw: bytes | None
    erased_at: datetime | None


class RestoredEvent(NamedTuple):
    """An event of an export, in the order of the parameters of log.restore."""

    position: int
    product_id: int
    action: str
    entity: str
    entity_id: str | None
    occurred_at: datetime
    occurred_assumed: bool
    recorded_at: datetime
    origin: str
    digest: bytes
    body: str
    raw: bytes | None
    erased_at: datetime | None
    copies: int
    copies_last_at: datetime | None


class EventStore:
    """The log behind one pool.

    Appends of this process go one after the other over a connection that is kept for them: they wait for
    each other in Postgres anyway, and a pool's clean-up after each use would cost a round trip.
    """

    def __init__(self, pool: Pool, *, untimed_window: timedelta = UNTIMED_WINDOW) -> None:
        self._pool = pool
        self._untimed_window = untimed_window
        self._appending = asyncio.Lock()
        self._connection: PooledConnection | None = None

    async def append(
        self, batch: Sequence[EventData], *, timeout: float = APPEND_SECONDS_MAX
    ) -> list[Appended]:
        """Record a batch, in its order, and return what became of each delivery.

        Either the whole batch is committed when this returns, or nothing of it may be relied on. Raises
        LogUnavailable when Postgres cannot take it within `timeout` seconds or its answer was lost (the
        batch may have been recorded; appending it again does no harm), BatchRefused when Postgres objects to
        what the batch holds, and ProductElsewhere where another cell has a product of it.
        """
        appended = await self._record(batch, timeout)
        return appended if isinstance(appended, list) else [Appended(each, False) for each in appended]

    async def append_counted(self, batch: Sequence[EventData], *, timeout: float = APPEND_SECONDS_MAX) -> int:
        """Record a batch as `append` does, and return only how many deliveries were known before."""
        appended = await self._record(batch, timeout)
        return sum(one.duplicate for one in appended) if isinstance(appended, list) else 0

    async def _record(self, batch: Sequence[EventData], timeout: float) -> list[Appended] | range:
        """Record a batch; the bare positions are returned where all of it was new."""
        if not batch:
            return []
        outcomes: list[Appended | None] = [None] * len(batch)
        waiting = list(range(len(batch)))
        while waiting:
            # EventData has the members of log.delivery, in its order.
            again = batch if len(waiting) == len(batch) else [batch[index] for index in waiting]
            [(first, positions, duplicates)] = await self._call(
                _sql["append"], again, self._untimed_window, timeout=timeout
            )
            if first is not None:
                if again is batch:
                    return range(first, first + len(batch))
                positions, duplicates = range(first, first + len(again)), repeat(False)
            for index, position, duplicate in zip(waiting, positions, duplicates, strict=False):
                if position is not None:
                    outcomes[index] = Appended(position, duplicate)
            waiting = [index for index in waiting if outcomes[index] is None]
        return [outcome for outcome in outcomes if outcome is not None]

    async def hold(self, batch: Sequence[EventData], *, timeout: float = APPEND_SECONDS_MAX) -> bool:
        """Keep deliveries of products that other cells have, until they are recorded there.

        Returns whether they are kept; they are not where one of the products has come back. Raises
        LogUnavailable as `append` does.
        """
        rows = [(event.product_id, event.received_at, event.origin, event.received) for event in batch]
        [(held,)] = await self._call(_sql["hold"], *zip(*rows, strict=True), timeout=timeout)
        return bool(held)

    async def restore(self, batch: Sequence[RestoredEvent]) -> None:
        """Record a batch of an export as it was: it must go on where the log ends.

        Raises LogNotEmpty where it does not, else as `append`.
        """
        if batch:
            await self._call(_sql["restore"], *zip(*batch, strict=True), timeout=RESTORE_SECONDS_MAX)

    async def read_after(self, after: int, limit: int) -> list[RecordedEvent]:
        """Return the next events after a position, oldest first; fewer than `limit` are the last."""
        rows = await self._pool.fetch(_sql["read_after"], after, limit)
        return [RecordedEvent(*row) for row in rows]

    async def head(self) -> int:
        """Return the newest position; 0 while the log is empty."""
        position: int = await self._pool.fetchval(_sql["head"])
        return position

    async def ping(self) -> None:
        """Return if Postgres answers over the connection for appends. Raises LogUnavailable."""
        await self._call(_sql["head"], timeout=APPEND_SECONDS_MAX)

    async def close(self) -> None:
        """Give the connection for appends back."""
        async with self._appending:
            await self._drop_connection()

    async def _call(self, statement: str, *arguments: Any, timeout: float) -> list[Any]:
        async with self._appending:
            try:
                async with asyncio.timeout(timeout):
                    if _is_closed(self._connection):
                        await self._drop_connection()
                        self._connection = await self._pool.acquire()
                    assert self._connection is not None
                    rows: list[Any] = await self._connection.fetch(statement, *arguments)
                    return rows
            except asyncpg.PostgresError as error:
                state = error.sqlstate or ""
                if state == _NOT_WHERE_THE_LOG_ENDS:
                    head, position = (int(number) for number in (error.detail or "").split())
                    raise LogNotEmpty(head, position) from error
                if state == _ELSEWHERE:
                    cells: dict[str, str] = orjson.loads(error.detail or "{}")
                    raise ProductElsewhere({int(product): cells[product] for product in cells}) from error
                if state in _REFUSALS:
                    raise BatchRefused(error.message or state) from error
                await self._drop_connection()
                raise LogUnavailable(f"{type(error).__name__} {state}") from error
            except POSTGRES_FAILURES as error:
                await self._drop_connection()
                raise LogUnavailable(type(error).__name__) from error
            except BaseException:
                # Cancelled half way, the connection may still be in the middle of an answer.
                await self._drop_connection()
                raise

    async def _drop_connection(self) -> None:
        """Let go of the connection, without a word to a server that may not answer."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if not _is_closed(connection):
                connection.terminate()
            await self._pool.release(connection)


def _is_closed(connection: PooledConnection | None) -> bool:
    """Tell whether there is no connection to use; a pool takes those that were lost out of our hands."""
    try:
        return connection is None or connection.is_closed()
    except asyncpg.InterfaceError:
        return True
