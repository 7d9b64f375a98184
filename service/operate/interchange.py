"""Writes the log as JSON lines, and reads them back: `recount export` and `recount import`.

A line of an export is an object with the member `recount`, which says its version; all that makes the event
this event in this log is in it, so that an empty log that imports every line is the same log. Any other line
is a webhook's body, as somebody may have kept it, and is recorded with the origin IMPORT.
"""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BufferedReader
from itertools import groupby
from typing import Any, BinaryIO, Final, NamedTuple

import orjson

from service.errors import ImportLineUnreadable, LogNotEmpty, NotAnEvent
from service.events import EventData, decode
from service.log.database import Pool
from service.log.event_store import UNTIMED_WINDOW, EventStore, RestoredEvent
from service.log.quarantine import Quarantine, Unreadable
from service.operate.demo import demand_made_up
from service.simulator import made_up
from service.sql_files import load

VERSION: Final = 1
PAGE_EVENTS: Final = 2_000
# What is read, decoded and recorded at once: of bodies of 1 KB some 1,000.
BLOCK_BYTES: Final = 1024 * 1024
BATCH_LINES: Final = 2_000
IMPORT_CONNECTIONS: Final = 2
LINE_BYTES_MAX: Final = 64 * 1024 * 1024
APPEND_SECONDS_MAX: Final = 60.0

_EXPORTED: Final = b'{"recount":'
_BODY: Final = b',"body":'

_sql = load(__file__, "interchange.sql")


class Imported(NamedTuple):
    """What became of the lines of an import."""

    recorded: int = 0
    duplicates: int = 0
    quarantined: int = 0

    def plus(self, other: Imported) -> Imported:
        """Add up, count by count."""
        return Imported(
            self.recorded + other.recorded,
            self.duplicates + other.duplicates,
            self.quarantined + other.quarantined,
        )


async def export(
    pool: Pool,
    *,
    after: int = 0,
    product_id: int | None = None,
    advance: Callable[[int, int], None] = lambda *_: None,
) -> AsyncIterator[bytes]:
    """Give the log's events after a position as lines, up to the head that there is at the start.

    Before them who was erased, by id, so that the log which imports them goes on forgetting them.
    """
    for row in await pool.fetch(_sql["suppressions"], product_id):
        head = orjson.dumps({"recount": VERSION, **row, "writings": orjson.Fragment(row["writings"])})
        yield head + b"\n"
    last = await EventStore(pool).head()
    while after < last:
        rows = await pool.fetch(_sql["events"], after, last, PAGE_EVENTS, product_id)
        if not rows:
            break
        for row in rows:
            yield _line(dict(row))
        after = rows[-1]["position"]
        advance(after, last)
    advance(last, last)


async def import_lines(
    lines: BinaryIO,
    pool: Pool,
    *,
    now: datetime,
    anew: bool = False,
    made_up_too: bool = False,
    untimed_window: timedelta = UNTIMED_WINDOW,
    advance: Callable[[int], None] = lambda _: None,
    cut_off: Callable[[Imported], None] = lambda _: None,
) -> Imported:
    """Record each line and return what became of them; `advance` is told how many bytes were read.

    `cut_off` is told what became of those before the one that failed, or that it was interrupted at.

    Lines of an export keep their positions: the log must end right before the first that it does not hold.
    With `anew` they are recorded at the log's end, as plain bodies are. Imported again after a cut, what
    was recorded is known. What `recount simulate` made up goes into an empty log, or one that begins with
    such events; with `made_up_too` into any. Raises ImportLineUnreadable, LogNotEmpty, LogUnavailable,
    MadeUpEvents.
    """
    # Two connections: while Postgres records one run of bodies, the next is decoded and sent, so that it
    # stands behind the lock of the log when its turn comes. A third only costs Postgres more.
    stores = [EventStore(pool, untimed_window=untimed_window) for _ in range(IMPORT_CONNECTIONS)]
    importers = deque(_Import(pool, store, Quarantine(pool, store), now, anew) for store in stores)
    under_way = _Recording()
    last: type | None = None
    number, done = 1, 0
    try:
        while block := await _block(lines):
            if not made_up_too and made_up(block):
                await under_way.fewer_than(1)
                await demand_made_up(pool, stores[0])
                made_up_too = True
            for kind, run in _runs(block, number):
                # Bodies alone go side by side: they take any position, the lines of an export their own.
                await under_way.fewer_than(IMPORT_CONNECTIONS if kind is last is bytes else 1)
                last = kind
                importers.rotate()
                under_way.begin(importers[0].take(kind, run))
                await asyncio.sleep(0)  # it decodes and sends
            number += block.count(b"\n")
            done += len(block)
            advance(done)
        await under_way.fewer_than(1)
    except BaseException:
        cut_off(await under_way.cut_off())
        raise
    finally:
        for store in stores:
            await store.close()
    return under_way.became


class _Recording:
    """The runs that are being recorded, and what `became` of those that were."""

    def __init__(self) -> None:
        self._tasks: deque[asyncio.Task[Imported]] = deque()
        self.became = Imported()

    def begin(self, run: Coroutine[Any, Any, Imported]) -> None:
        """Record a run beside those that are."""
        self._tasks.append(asyncio.create_task(run))

    async def fewer_than(self, count: int) -> None:
        """Wait until so few are left."""
        while len(self._tasks) >= count:
            became = await asyncio.shield(self._tasks[0])  # interrupted, it is recorded and counted below
            self._tasks.popleft()
            self.became = self.became.plus(became)

    async def cut_off(self) -> Imported:
        """Return what became of all, once those that are under way have ended: what was sent is recorded."""
        for became in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(became, Imported):
                self.became = self.became.plus(became)
        return self.became


async def _block(lines: BinaryIO) -> bytes:
    """Return the next lines, none at the end. What is longer than a line may be is cut, and refused."""
    block = b""
    if isinstance(lines, BufferedReader) and not lines.seekable():
        # Only what is there: a read that waits holds up the loop, which then hears of no interrupt.
        while len(block) < BLOCK_BYTES:
            await _readable(lines.fileno())
            if not (more := lines.read1(BLOCK_BYTES - len(block))):
                return block
            block += more
    else:
        block = lines.read(BLOCK_BYTES)
    return block + lines.readline(LINE_BYTES_MAX + 1)


async def _readable(file: int) -> None:
    """Return once a read of a pipe would not wait."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(file, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(file)


@dataclass(frozen=True)
class _Erased:
    said: dict[str, Any]


class _Import:
    """Takes runs of lines of one kind."""

    def __init__(
        self, pool: Pool, store: EventStore, quarantine: Quarantine, now: datetime, anew: bool
    ) -> None:
        self._pool, self._store, self._quarantine = pool, store, quarantine
        self._now, self._anew = now, anew

    async def take(self, kind: type, run: list[Any]) -> Imported:
        """Record a run and return what became of it."""
        if kind is bytes:
            return await self._bodies(run)
        if kind is _Erased:
            for erased in run:
                await self._suppress(erased.said)
            return Imported()
        if kind is RestoredEvent:
            return await (
                self._append([_as_new(event) for event in run]) if self._anew else self._restore(run)
            )
        return Imported()

    async def _bodies(self, bodies: list[bytes]) -> Imported:
        events, refused = [], 0
        for body in bodies:
            try:
                events.append(decode(body, self._now, "IMPORT"))
            except NotAnEvent as error:
                await self._quarantine.keep(Unreadable(error.reason, body, self._now, "IMPORT"))
                refused += 1
        return (await self._append(events))._replace(quarantined=refused)

    async def _append(self, events: list[EventData]) -> Imported:
        duplicates = await self._store.append_counted(events, timeout=APPEND_SECONDS_MAX)
        return Imported(len(events) - duplicates, duplicates)

    async def _restore(self, events: list[RestoredEvent]) -> Imported:
        """Restore the events that the log does not hold yet; those that it holds must be the same."""
        head = await self._store.head()
        held = [event for event in events if event.position <= head]
        if held:
            rows = await self._pool.fetch(_sql["digests"], held[0].position, held[-1].position)
            there = {row["position"]: row["digest"] for row in rows}
            other = [event.position for event in held if there.get(event.position) != event.digest]
            if other:
                raise LogNotEmpty(head, other[0])
        fresh = events[len(held) :]
        await self._store.restore(fresh)
        return Imported(len(fresh), len(held))

    async def _suppress(self, said: dict[str, Any]) -> None:
        kinds = [kind for kind, _ in said["writings"]]
        ids = [id for _, id in said["writings"]]
        since = datetime.fromisoformat(said["since"])
        await self._pool.execute(
            _sql["suppress"],
            said["product_id"],
            said["user_id"],
            said["erasure"],
            said["texts"],
            since,
            kinds,
            ids,
        )


def _line(event: dict[str, Any]) -> bytes:
    body, raw, digest = event.pop("body"), event.pop("raw"), event.pop("digest")
    event["digest"] = digest.hex()
    event["raw"] = None if raw is None else base64.b64encode(raw).decode()
    # The body as Postgres wrote it: read and written again, a long number would become another one.
    return orjson.dumps({"recount": VERSION, **event, "body": orjson.Fragment(body)}) + b"\n"


def _runs(block: bytes, number: int) -> Iterator[tuple[type, list[Any]]]:
    """Give a block's lines, read, as runs of one kind; `number` is that of its first line."""
    lines = block.split(b"\n")
    for start in range(0, len(lines), BATCH_LINES):
        some = lines[start : start + BATCH_LINES]
        if _EXPORTED not in block and len(block) <= LINE_BYTES_MAX:
            yield bytes, [body for body in map(bytes.strip, some) if body]
        else:
            for kind, run in groupby(map(_read, enumerate(some, number + start)), type):
                yield kind, list(run)


def _read(numbered: tuple[int, bytes]) -> bytes | _Erased | RestoredEvent | None:
    """Return what a line is: a body, a line of an export, or None for an empty one."""
    number, line = numbered
    if len(line) > LINE_BYTES_MAX:
        raise ImportLineUnreadable(number, f"it is longer than {LINE_BYTES_MAX} bytes")
    line = line.strip()
    if not line.startswith(_EXPORTED):
        return line or None
    try:
        said = orjson.loads(line)
        if said["recount"] != VERSION:
            raise ImportLineUnreadable(
                number, f"it is of version {said['recount']} of the form, this is {VERSION}"
            )
        if "writings" in said:
            return _Erased(said)
        return _restored(said, line)
    except (KeyError, TypeError, ValueError) as error:
        raise ImportLineUnreadable(number, f"{type(error).__name__} in it") from None


def _restored(said: dict[str, Any], line: bytes) -> RestoredEvent:
    return RestoredEvent(
        position=said["position"],
        product_id=said["product_id"],
        action=said["action"],
        entity=said["entity"],
        entity_id=said["entity_id"],
        occurred_at=datetime.fromisoformat(said["occurred_at"]),
        occurred_assumed=said["occurred_assumed"],
        recorded_at=datetime.fromisoformat(said["recorded_at"]),
        origin=said["origin"],
        digest=bytes.fromhex(said["digest"]),
        body=line[line.index(_BODY) + len(_BODY) : -1].decode(),
        raw=said["raw"] and base64.b64decode(said["raw"]),
        erased_at=said["erased_at"] and datetime.fromisoformat(said["erased_at"]),
        copies=said["copies"],
        copies_last_at=said["copies_last_at"] and datetime.fromisoformat(said["copies_last_at"]),
    )


def _as_new(event: RestoredEvent) -> EventData:
    """The event as a delivery received now; by its digest it is known where it was recorded before."""
    return EventData(
        event.product_id,
        event.action,
        event.entity,
        event.entity_id,
        event.occurred_at,
        event.occurred_assumed,
        event.digest,
        event.body,
        event.raw,
        event.recorded_at,
        "IMPORT",
    )
