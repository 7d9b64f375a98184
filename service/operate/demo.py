"""Fills an empty log with the back-dated history of a made-up board, and lets it live on.

The history is recorded as what it is: origin IMPORT, `occurredAt` of months ago, `recordedAt` of now. What
happens afterwards goes where Sleekplan's own deliveries do once they are read, without a request for each:
the service's log tells of those that somebody sent.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from service.config import Settings
from service.errors import DemoNeedsEmptyLog, MadeUpEvents
from service.events import EventData, decode
from service.labels import Labels, load_labels
from service.log.database import Pool
from service.log.event_store import EventStore
from service.simulator import LABELS, Knobs, Traffic, made_up
from service.sql_files import load

SEED = 20_260
PRODUCT_ID = 9_000_000_001
"""A product of its own, so that payloads sent to try things do not mix with the made-up board."""

BATCH_EVENTS = 1_000
BATCH_SECONDS_MAX = 60.0
TICK_SECONDS_MEAN = 3.0
TICK_SECONDS_MAX = 12.0

_sql = load(__file__, "demo.sql")

Advance = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo's board in one log: its knobs, and whether its history is recorded in full."""

    knobs: Knobs
    finished: bool

    @property
    def events(self) -> int:
        """How many events the history has."""
        return self.knobs.length


async def find(pool: Pool) -> Demo | None:
    """Return the demo that this log holds, or None."""
    row = await pool.fetchrow(_sql["read"])
    if row is None:
        return None
    return Demo(_knobs(row["seed"], row["ending"], row["events"]), row["finished"])


async def demand_made_up(pool: Pool, store: EventStore) -> None:
    """Refuse a log that made-up events must not enter: one that begins with others. Raises MadeUpEvents."""
    if await find(pool) is not None:
        return
    head = await store.head()
    said = "\n".join(row["said"] for row in await pool.fetch(_sql["beginning"]))
    if head and not made_up(said.encode()):
        raise MadeUpEvents(head)


async def labels(pool: Pool, settings: Settings) -> Labels:
    """Return what keys and products are called, as a command says it that reads this log."""
    return labels_of(settings, is_demo=await find(pool) is not None)


def labels_of(settings: Settings, *, is_demo: bool) -> Labels:
    """Return the labels of the settings' file; without one, in a demo's log, those of its board."""
    boards = {board.product_id: board.address for board in settings.board_url}
    return load_labels(LABELS if settings.labels is None and is_demo else settings.labels, boards)


async def begin(pool: Pool, store: EventStore, now: datetime) -> Demo:
    """Return this log's demo, begun where the log is empty. Raises DemoNeedsEmptyLog."""
    found = await find(pool)
    if found is not None:
        return found
    head = await store.head()
    if head:
        raise DemoNeedsEmptyLog(head)
    ending = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    knobs = _knobs(SEED, ending, None)
    await pool.execute(_sql["begin"], knobs.seed, knobs.ending, knobs.length)
    return Demo(knobs, finished=False)


def _knobs(seed: int, ending: datetime, events: int | None) -> Knobs:
    return Knobs(seed=seed, ending=ending, events=events, product_id=PRODUCT_ID)


async def write_history(demo: Demo, pool: Pool, store: EventStore, advance: Advance) -> None:
    """Record what is missing of the history, calling `advance(done, total)`; killed, it goes on from there.

    The same knobs give the same bytes again, so what is recorded is skipped, and a batch that was
    recorded without our learning of it is known by its digests.
    """
    done = await pool.fetchval(_sql["recorded"], PRODUCT_ID)
    advance(done, demo.events)
    received_at = datetime.now(UTC)
    for batch in _batches(islice(Traffic(demo.knobs).history(), done, None), received_at):
        await store.append(batch, timeout=BATCH_SECONDS_MAX)
        done += len(batch)
        advance(done, demo.events)
    await pool.execute(_sql["finish"])


def _batches(bodies: Iterator[bytes], received_at: datetime) -> Iterator[list[EventData]]:
    while batch := [decode(body, received_at, "IMPORT") for body in islice(bodies, BATCH_EVENTS)]:
        yield batch


async def tick(demo: Demo, pool: Pool, take: Callable[[bytes], Awaitable[None]]) -> None:
    """Have `take` keep one more event of the board every few seconds, for ever.

    The board is first brought to where the log has it, by simulating again what was recorded.
    """
    moments = [row["occurred_at"] for row in await pool.fetch(_sql["ticked"], PRODUCT_ID, demo.events)]
    traffic = await asyncio.to_thread(Traffic.resume, demo.knobs, moments)
    pauses = random.Random()
    while True:
        await asyncio.sleep(min(pauses.expovariate(1 / TICK_SECONDS_MEAN), TICK_SECONDS_MAX))
        await take(traffic.next_body(datetime.now(UTC)))
