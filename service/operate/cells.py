"""Splits a cell: a replica of its Postgres becomes the Postgres of a second cell, which has some products.

The products are fenced first: from then on the log takes nothing of them, and what is delivered of them is
held in a table beside it, acknowledged. Once the replica has the fence it is promoted, takes the products,
and leaves all others; the router's map is changed; what was held is recorded there. No event is copied.

Each step looks at what is there, so that a walk that was cut off is gone on with by beginning it again.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import asyncpg

from projections.replicas import examine
from service.config import Settings
from service.dsn import Dsn
from service.errors import BatchRefused, ProductElsewhere, SplitRefused
from service.events import EventData, decode
from service.log.database import NO_CONNECTION, Connection, Pool, close_pool, open_pool
from service.log.event_store import EventStore
from service.log.quarantine import Quarantine, refused_event
from service.operate.cells_map import CellsMap, RunningRouter
from service.operate.finding import Finding, fine, problem
from service.sql_files import load

HELD_AT_ONCE: Final = 500
APPEND_SECONDS: Final = 30.0
LOOK_AGAIN_SECONDS: Final = 0.02
_CELL: Final = re.compile(r"[A-Za-z0-9_.-]{1,60}")

_sql = load(__file__, "cells.sql")


class UnderWay(NamedTuple):
    """A split that has not ended."""

    id: UUID
    cell: str
    from_cell: str
    products: list[int]
    fenced_at: datetime
    promoting_at: datetime | None


class Elsewhere(NamedTuple):
    """A product that another cell has, or is about to have where `left_at` is None."""

    product_id: int
    cell: str
    left_at: datetime | None
    released_at: datetime | None
    held: int


@dataclass(frozen=True)
class Split:
    """A split of the cell whose Postgres is `here`; `there` is the replica's.

    Without a `router` that runs, `reloaded` returns once somebody has made it read the file.
    """

    here: Pool
    there: Pool
    settings: Settings
    map: CellsMap
    router: RunningRouter | None
    reloaded: Callable[[], Awaitable[object]]
    wait_seconds: float = 60.0

    async def walk(self, products: Collection[int], cell: str | None) -> AsyncIterator[str]:
        """Go all the way, or the rest of it; gives a line for each step made. Raises SplitRefused."""
        split = await under_way(self.here)
        if split is None:
            split = await self._begin(sorted(set(products)), cell)
            yield f"fenced: deliveries of {_several(split.products)} are held here from now on"
        elif (products and set(products) != set(split.products)) or (cell or split.cell) != split.cell:
            raise SplitRefused(
                f"a split of {_several(split.products)} to cell {split.cell} is under way since "
                f"{split.fenced_at:%Y-%m-%d %H:%M:%S}: go on with it by naming no product, or --undo it"
            )
        if await self._stands_by():
            await self._replayed(split)
            yield "the replica has all that came before the fence"
            await self._promote(split)
            yield f"promoted: it is the Postgres of cell {split.cell}"
        others, held = await self._take(split)
        yield f"cell {split.cell} has {_several(split.products)}, and no longer the {others} others"
        await self._switch(split)
        yield f"{self.map.path} sends them to cell {split.cell}"
        async with self.here.acquire() as connection, connection.transaction():
            await connection.execute(_sql["lock"])
            await connection.execute(_sql["leave"], split.id)
        held += await forward(self.here, self.there, self.settings, split.cell)
        yield f"{held} deliveries that were held meanwhile are recorded there"

    async def undo(self, *, replica_lost: bool = False) -> AsyncIterator[str]:
        """Let the products come back, as long as the replica takes no writes. Raises SplitRefused."""
        split = await under_way(self.here)
        if split is not None:
            if not (replica_lost or split.promoting_at is None) and not await self._stands_by():
                raise SplitRefused(
                    f"the replica was promoted, and cell {split.cell} may have recorded events already: go "
                    "on, by the same command without --undo"
                )
            async with self.here.acquire() as connection, connection.transaction():
                await connection.execute(_sql["lock"])
                await connection.execute(_sql["come_back"], split.id)
                await connection.execute(_sql["forget"], split.id)
            yield f"undone: {_several(split.products)} came back"
        held = await _bring_home(self.here, self.settings)
        if split is None and not held:
            raise SplitRefused("no split is under way: what has ended cannot be undone")
        yield f"{held} deliveries that were held are recorded"

    async def check(self, products: Sequence[int], cell: str | None) -> str:
        """Return the cell that has the products now. Raises SplitRefused for what stands in the way."""
        if not products or cell is None:
            raise SplitRefused("name the products that go, and --cell, the cell that they go to")
        if not _CELL.fullmatch(cell):
            raise SplitRefused(f"{cell!r} is no name of a cell: letters, digits, dot, dash and underscore")
        cells = {row["product_id"]: row["cell"] for row in await self.here.fetch(_sql["products"])}
        for product in products:
            if product not in cells:
                raise SplitRefused(f"the log has no event of product {product}: name products of this cell")
            if cells[product] is not None:
                raise SplitRefused(f"product {product} belongs to cell {cells[product]} already")
        if all(product in products for product, elsewhere in cells.items() if elsewhere is None):
            raise SplitRefused("nothing would stay here: to move a whole cell, promote its replica alone")
        if cell in cells.values():
            raise SplitRefused(
                f"cell {cell} has products of this log already: a replica becomes a cell of its own"
            )
        await self._check_replica()
        from_cell = self.map.cell_of(products)
        if from_cell == cell:
            raise SplitRefused(f"{self.map.path} sends them to cell {cell} already")
        self.map.check_writable()
        if self.router is not None:
            await self.router.check(self.map.path, cell)
        return from_cell

    async def _check_replica(self) -> None:
        try:
            there = await self.there.fetchrow(_sql["server"])
        except NO_CONNECTION:
            raise SplitRefused("the replica does not answer: correct --replica, or start it") from None
        here = await self.here.fetchrow(_sql["server"])
        assert here is not None
        assert there is not None
        if here["system_identifier"] != there["system_identifier"]:
            raise SplitRefused("what --replica names is a copy of another Postgres, not of this cell's")
        if not there["stands_by"]:
            raise SplitRefused("what --replica names takes writes already: it is no replica of this cell")
        found = await examine(self.there, self.here, self.settings.read_lag_seconds_max)
        if found.state == "BEHIND":
            raise SplitRefused(f"the replica is {found.lag_seconds:,.0f} s behind: let it catch up first")
        if found.state != "WELL":
            raise SplitRefused(f"the replica {found}".replace("RECOUNT_READ_URL", "--replica"))
        if not there["may_promote"]:
            raise SplitRefused(
                "this role may not promote: have an administrator of this cell's Postgres run "
                "`grant execute on function pg_promote to` its name"
            )
        if await self.here.fetchval(_sql["waited_for"]) == 1:
            raise SplitRefused(
                "each commit here waits for a replica, and this is the only one: attach another, or empty "
                "synchronous_standby_names"
            )

    # The steps

    async def _begin(self, products: list[int], cell: str | None) -> UnderWay:
        from_cell = await self.check(products, cell)
        async with self.here.acquire() as connection, connection.transaction():
            await connection.execute(_sql["lock"])
            await connection.execute(_sql["begin"], uuid4(), cell, from_cell, products)
        split = await under_way(self.here)
        assert split is not None
        return split

    async def _stands_by(self) -> bool:
        try:
            return bool(await self.there.fetchval(_sql["stands_by"]))
        except NO_CONNECTION:
            raise SplitRefused(
                "the replica does not answer: start it and run this again. Deliveries are held meanwhile; "
                "--undo ends that, with --replica-lost where it will never come back"
            ) from None

    async def _replayed(self, split: UnderWay) -> None:
        flushed = await self.here.fetchval(_sql["flushed"])

        async def there() -> bool:
            return bool(await self.there.fetchval(_sql["replayed"], flushed, split.id))

        await self._until(there, "the replica has not got to the fence")

    async def _promote(self, split: UnderWay) -> None:
        await self.here.execute(_sql["promoting"], split.id)
        if not await self.there.fetchval(_sql["promote"], int(self.wait_seconds)):
            raise SplitRefused(f"the replica was not promoted within {self.wait_seconds:g} s: run this again")

    async def _take(self, split: UnderWay) -> tuple[int, int]:
        """Have the new cell its products and no others, once; return how many others, and what was held."""
        ended = await self.there.fetchval(_sql["known"], split.id)
        if ended is None or await self._is_one():
            raise SplitRefused(
                f"what --replica names is not the Postgres that is to be cell {split.cell}'s: name that one"
            )
        known = await self.there.fetch(_sql["products"])
        others = [row["product_id"] for row in known if row["product_id"] not in split.products]
        if not ended:
            here_only = [row["product_id"] for row in known if row["cell"] is None]
            async with self.there.acquire() as connection, connection.transaction():
                await connection.execute(_sql["lock"])
                await connection.execute(_sql["take"], split.id, split.from_cell, here_only)
        return len(others), await _bring_home(self.there, self.settings)

    async def _is_one(self) -> bool:
        """Whether both addresses lead to one database."""
        number = random.getrandbits(63)
        async with self.here.acquire() as connection, connection.transaction():
            await connection.fetchval(_sql["meet"], number)
            async with self.there.acquire() as other, other.transaction():
                return not await other.fetchval(_sql["meet"], number)

    async def _switch(self, split: UnderWay) -> None:
        router = self.router
        if router is not None:

            async def served() -> bool:
                return await router.is_served(split.cell)

            await self._until(
                served,
                f"HAProxy finds no instance of cell {split.cell} well: start it, with the replica as its "
                "RECOUNT_DATABASE_URL",
            )
        await asyncio.to_thread(self.map.send, frozenset(split.products), split.cell)
        if router is not None:
            await router.send(self.map.path, split.products, split.cell)
        else:
            await self.reloaded()

    async def _until(self, done: Callable[[], Awaitable[bool]], what: str) -> None:
        """Raise SplitRefused, which says what is missing, where it is not done in time."""
        deadline = time.monotonic() + self.wait_seconds
        while not await done():
            if time.monotonic() > deadline:
                raise SplitRefused(
                    f"{what} (waited {self.wait_seconds:g} s). Deliveries are held and acknowledged "
                    "meanwhile; run this again to go on"
                )
            await asyncio.sleep(LOOK_AGAIN_SECONDS)


@asynccontextmanager
async def cell_at(address: str, *, option: str) -> AsyncIterator[Pool]:
    """Give a pool on the Postgres of another cell, or on a replica. Raises SplitRefused, InvalidSetting."""
    hosts = Dsn.read(address, os.environ).apart()
    if len(hosts) > 1:
        raise SplitRefused(f"{option} names {len(hosts)} hosts: name one")
    pool = await open_pool(hosts[0], min_size=0, max_size=3, application_name="recount cells")
    try:
        yield pool
    finally:
        await close_pool(pool)


async def under_way(pool: Pool) -> UnderWay | None:
    """Return the split that has not ended."""
    row = await pool.fetchrow(_sql["under_way"])
    return None if row is None else UnderWay(*row)


async def elsewhere(pool: Pool) -> list[Elsewhere]:
    """Return the products that other cells have, or are about to have."""
    return [Elsewhere(*row) for row in await pool.fetch(_sql["elsewhere"])]


async def mark_released(pool: Pool, products: Sequence[int] | None) -> list[int]:
    """Have what other cells have counted no more: all, or these; return which. Raises SplitRefused."""
    rows = await pool.fetch(_sql["release"], products)
    released = sorted(row["product_id"] for row in rows)
    if missing := sorted(set(products or ()) - set(released)):
        raise SplitRefused(f"product {missing[0]} belongs to this cell: nothing of it is let go of")
    return released


# What was held


async def forward(here: Pool, there: Pool, settings: Settings, cell: str) -> int:
    """Record on another cell what is held for it, and return how many deliveries that were.

    A delivery that is recorded there and was not forgotten here is known again there. What went on from there
    to a third cell is held there. Raises ProductElsewhere where that cell does not have its own yet.
    """

    async def next_ones() -> list[asyncpg.Record]:
        return await here.fetch(_sql["held_for"], cell, HELD_AT_ONCE)

    return await _record(here, next_ones, there, settings, cell)


async def _bring_home(pool: Pool, settings: Settings) -> int:
    """Record what is held of products that are here."""

    async def next_ones() -> list[asyncpg.Record]:
        return await pool.fetch(_sql["held_for_here"], HELD_AT_ONCE)

    return await _record(pool, next_ones, pool, settings)


async def _record(
    source: Pool,
    next_ones: Callable[[], Awaitable[list[asyncpg.Record]]],
    target: Pool,
    settings: Settings,
    cell: str | None = None,
) -> int:
    store = EventStore(target, untimed_window=settings.untimed_window)
    count = 0
    try:
        while rows := await next_ones():
            events = [decode(row["body"], row["received_at"], row["origin"]) for row in rows]
            try:
                await store.append(events, timeout=APPEND_SECONDS)
            except (BatchRefused, ProductElsewhere):
                await _record_each(store, Quarantine(target, store), events, cell)
            await source.execute(_sql["recorded"], [row["id"] for row in rows])
            count += len(rows)
    finally:
        await store.close()
    return count


async def _record_each(
    store: EventStore, quarantine: Quarantine, events: Sequence[EventData], cell: str | None
) -> None:
    for event in events:
        try:
            await store.append([event], timeout=APPEND_SECONDS)
        except ProductElsewhere as error:
            # Held by the cell that it was to be of, it would come round again for ever.
            if error.cells[event.product_id] == cell or not await store.hold([event]):
                raise
        except BatchRefused as error:
            await quarantine.keep(refused_event(event, error))


async def check_cells(_: Settings, connection: Connection) -> AsyncIterator[Finding]:
    """Whether a split was left half way, and whether deliveries wait for another cell."""
    split = await connection.fetchrow(_sql["under_way"])
    if split is not None:
        yield problem(
            "cells",
            f"a split to cell {split['cell']} is under way since {split['fenced_at']:%Y-%m-%d %H:%M:%S}: "
            "what is delivered of its products is held",
            "go on with it, or undo it: recount cells split",
        )
    if left := await connection.fetchval(_sql["left_at_home"]):
        yield problem(
            "cells",
            f"{left} deliveries of products that came back are not recorded yet",
            "go on with what was cut off: recount cells split --undo",
        )
    for row in await connection.fetch(_sql["waiting"]):
        if row["held"] and row["left_for_good"]:
            yield problem(
                "cells",
                f"{row['held']} deliveries of products that cell {row['cell']} has wait here",
                f"recount cells forward --cell {row['cell']} --to its Postgres; correct what sends them here",
            )
        elif row["left_for_good"]:
            yield fine("cells", f"cell {row['cell']} has {row['products']} products that were here")


def _several(products: Sequence[int]) -> str:
    return f"product {products[0]}" if len(products) == 1 else f"{len(products)} products"
