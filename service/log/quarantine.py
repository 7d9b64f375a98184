"""Keeps authenticated deliveries that are no events, until somebody retries or discards them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from service.errors import BatchRefused, LogUnavailable, NotAnEvent, QuarantineClosed, QuarantineUnknown
from service.events import EventData, Origin, decode
from service.log.database import POSTGRES_FAILURES, Pool
from service.log.event_store import Appended, EventStore
from service.sql_files import load

QUARANTINE_SECONDS_MAX: Final = 1.5

_sql = load(__file__, "quarantine.sql")


class Unreadable(NamedTuple):
    """A delivery on its way into the quarantine: the bytes, and why they are no event."""

    reason: str
    body: bytes
    received_at: datetime
    origin: Origin
    product_id: int | None = None

    @property
    def id(self) -> str:
        """Return the id, which the same bytes for the same product always have.

        So it can be answered before Postgres is there to give one, and a copy finds the first one's row.
        """
        named = f"{self.product_id or ''}\n".encode() + self.body
        return str(UUID(bytes=hashlib.sha256(named).digest()[:16]))


def refused_event(event: EventData, error: BatchRefused) -> Unreadable:
    """Return an event that Postgres would not take by itself, as it goes into the quarantine."""
    reason = f"Postgres refused it: {error.reason}"
    return Unreadable(reason, event.received, event.received_at, event.origin, event.product_id)


class Quarantined(NamedTuple):
    """A delivery in the quarantine. `body` is None in a list; `copies` counts every arrival."""

    id: str
    product_id: int | None
    received_at: datetime
    last_received_at: datetime
    copies: int
    reason: str
    size_bytes: int
    origin: Origin
    state: str
    position: int | None
    closed_at: datetime | None
    body: bytes | None = None


class Quarantine:
    """The quarantine beside the log."""

    def __init__(self, pool: Pool, store: EventStore) -> None:
        self._pool = pool
        self._store = store

    async def keep(self, refused: Unreadable) -> str:
        """Keep a delivery and return its id. Raises LogUnavailable."""
        try:
            # Around all of it: the wait for a connection has no limit of its own.
            async with asyncio.timeout(QUARANTINE_SECONDS_MAX):
                await self._pool.execute(
                    _sql["quarantine"],
                    refused.id,
                    refused.product_id,
                    refused.received_at,
                    refused.reason,
                    refused.body,
                    refused.origin,
                )
        except POSTGRES_FAILURES as error:
            raise LogUnavailable(type(error).__name__) from error
        return refused.id

    async def list(
        self,
        *,
        state: str | None = "open",
        product_id: int | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[Quarantined]:
        """Return deliveries, the newest first, without their bytes; `before` is the id to go on behind."""
        rows = await self._pool.fetch(
            _sql["quarantine_list"], state, product_id, limit, before and _uuid(before)
        )
        return [_quarantined(row) for row in rows]

    async def show(self, id: str) -> Quarantined:
        """Return one delivery with its bytes. Raises QuarantineUnknown."""
        row = await self._pool.fetchrow(_sql["quarantine_show"], _uuid(id))
        if row is None:
            raise QuarantineUnknown(id)
        return _quarantined(row)

    async def retry(self, id: str, *, products: Collection[int] | None = None) -> Appended:
        """Read the delivery once more and record it, with its time of receipt; return where it stands.

        `products` are those that the caller may write to, None for all: the body may name another than the
        key did. Raises NotAnEvent when it still is none (the new reason is noted), QuarantineUnknown,
        QuarantineClosed, LogUnavailable, ProductElsewhere.
        """
        found = await self._open(id, products)
        assert found.body is not None
        try:
            event = decode(found.body, found.received_at, found.origin)
            if products is not None and event.product_id not in products:
                raise NotAnEvent(f"it names product {event.product_id}, which you may not write to")
        except NotAnEvent as error:
            await self._pool.execute(_sql["quarantine_explain"], _uuid(id), error.reason)
            raise
        # Recorded first: cut off here, the next retry finds it recorded and closes the delivery.
        [appended] = await self._store.append([event])
        await self._close(id, "retried", appended.position)
        return appended

    async def discard(self, id: str, *, products: Collection[int] | None = None) -> None:
        """Close the delivery; its bytes are kept. Raises QuarantineUnknown, QuarantineClosed.

        `products` are those that the caller may act on, None for all: what is of another is unknown.
        """
        await self._open(id, products)
        await self._close(id, "discarded", None)

    async def _open(self, id: str, products: Collection[int] | None) -> Quarantined:
        found = await self.show(id)
        if products is not None and found.product_id not in products:
            raise QuarantineUnknown(id)
        if found.state != "open":
            raise QuarantineClosed(id, found.state, found.position)
        return found

    async def _close(self, id: str, state: str, position: int | None) -> None:
        if await self._pool.fetchval(_sql["quarantine_close"], _uuid(id), state, position) is None:
            found = await self.show(id)
            raise QuarantineClosed(id, found.state, found.position)


def _quarantined(row: Any) -> Quarantined:
    return Quarantined(**{**row, "id": str(row["id"])})


def _uuid(id: str) -> UUID:
    try:
        return UUID(id)
    except ValueError:
        raise QuarantineUnknown(id) from None
