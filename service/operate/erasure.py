"""Forgets a person: in the log, the quarantine, the spool's leftovers and the read model, and from then on.

The log is redacted in one transaction: what tells who somebody is goes, positions, ids, votes and counts
stay. `Redaction` finds the places, for a dry run and for the run. The read model is then counted again from
what is left. Whatever arrives of that person later, by webhook, import or restore, is redacted in the
transaction that records it.

What the spool could not read in full (`*.damaged`) cannot be redacted, since nothing says where in it a
record begins: erasing anybody deletes those files, and says so.

A ledger beside the database (`erasures.jsonl` in the data folder) outlives it: after an older dump was
restored, `reapply` forgets again whom that dump still knows.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import structlog

from projections.rebuild.differences import would_change
from service.ending_tasks import rest
from service.errors import RebuildStopped, RecountError, UserAmbiguous, UserUnknown
from service.intake.spool import FOLDER_NAME, damaged_files, delete_damaged
from service.log.database import NOT_MADE, POSTGRES_FAILURES, Pool, taken_back
from service.operate.places import Cell
from service.operate.redaction import Affected, Redaction
from service.private_file import make_private
from service.sql_files import load

LEDGER_NAME: Final = "erasures.jsonl"
LOOK_SECONDS: Final = 60.0
RETRY_SECONDS: Final = 30.0
STOPPED_SECONDS_MAX: Final = 3600.0
"""The longest between two tries to count again what stopped at an event, which takes as long as a rebuild."""
ERASED_AT_ONCE_MAX: Final = 100
ERASE_SECONDS_MAX: Final = 3600.0
CHANGED_AT_ONCE_MAX: Final = 100

_log = structlog.get_logger(__name__)
_sql = load(__file__, "erasure.sql")

Replay = Callable[[int], Awaitable[object]]
"""Counts a product's read model again from the log, and drops tables that are read no longer."""


class Erased(NamedTuple):
    """What an erasure did, as log.erasures keeps it."""

    id: str
    product_id: int
    reason: str
    requested_at: datetime
    texts: bool
    events: int
    quarantined: int


class Preview(NamedTuple):
    """What an erasure would change.

    Events, deliveries of the quarantine, the read model's columns, and damaged files of the spool.
    """

    events: list[Affected]
    quarantined: list[Affected]
    tables: list[Cell]
    files: list[str]


class Suppression(NamedTuple):
    """Somebody who was erased."""

    product_id: int
    user_id: str
    erasure: str
    texts: bool
    since: datetime


class Erasure:
    """Erases, and keeps what has to be kept about it.

    `replay` counts a product again; it comes from outside because the projections stand above the log.
    `counted` is told how many events each erasure redacted.
    """

    def __init__(
        self,
        pool: Pool,
        replay: Replay,
        *,
        data_dir: Path | None = None,
        counted: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._pool = pool
        self._replay = replay
        self._data_dir = data_dir
        self._counted = counted

    async def preview(self, product_id: int, user_id: str, *, texts: bool = False) -> Preview:
        """Return what an erasure would change, place by place; change nothing.

        The log is redacted and the product counted beside the tables in use, in a transaction that is taken
        back. Other erasures wait meanwhile, and nobody else.
        """
        async with (
            self._pool.acquire() as connection,
            taken_back(connection, isolation="repeatable_read"),
        ):
            await connection.execute(_sql["one_after_another"])
            ids = [str(uuid.uuid4())]
            await connection.execute(_sql["begin"], product_id, [user_id], texts, "dry run", ids)
            head = await connection.fetchval(_sql["head"])
            redaction = await Redaction.of(connection, product_id, [user_id], texts, head)
            await connection.execute(_sql["suppress"], product_id, redaction.people, ids)
            events = [found async for found in _applied(redaction, redaction.in_events(0, head))]
            quarantined = [found async for found in _applied(redaction, redaction.in_quarantine())]
            tables = redaction.cells(await would_change(connection, product_id))
        files = damaged_files(self._data_dir / FOLDER_NAME) if self._data_dir else []
        return Preview(events, quarantined, tables, [path.name for path in files])

    async def erase(self, product_id: int, user_id: str, *, texts: bool = False, reason: str) -> Erased:
        """Forget a person and return what was done; with `texts`, what they wrote as well.

        The ledger is written first: cut off afterwards, the next start finds the erasure missing in the log
        and does it. Erasing twice does no harm. Raises OSError when the ledger cannot be written.
        """
        (erased,) = await self._redact(product_id, [user_id], texts, reason)
        await self._count_again(product_id, [erased.id])
        return erased

    async def lift(self, product_id: int, user_id: str) -> bool:
        """Let a person be known again from the next delivery on; return whether they were erased."""
        return await self._pool.fetchval(_sql["lift"], product_id, user_id) is not None

    async def suppressions(self) -> list[Suppression]:
        """Return everybody who was erased."""
        rows = await self._pool.fetch(_sql["suppressions"])
        return [Suppression(**{**row, "erasure": str(row["erasure"])}) for row in rows]

    async def find(self, text: str, product_id: int | None = None) -> tuple[int, str]:
        """Return whom `text` names (an id, the customer's own id, an address) as product and Sleekplan's id.

        An id with its product is taken as it is, known or not. Raises UserUnknown, UserAmbiguous.
        """
        table = await self._users_table()
        rows = (
            await self._pool.fetch(_sql["find_user"].replace("{users}", table), text, product_id)
            if table
            else []
        )
        if len(rows) > 1:
            raise UserAmbiguous(len(rows), sorted({row["product_id"] for row in rows}))
        if rows:
            return rows[0]["product_id"], rows[0]["user_id"]
        if product_id is not None and "@" not in text:
            return product_id, text
        raise UserUnknown

    # What has to be done again, and what comes due

    async def reapply(self, ledger: Path | None = None) -> list[Erased]:
        """Finish what was cut off, and erase again whom the ledger names and the log does not know of.

        The latter happens when an older dump was restored. However many they are, each product is counted
        again once.
        """
        to_count: dict[int, list[str]] = {}
        for row in await self._pool.fetch(_sql["not_replayed"]):
            to_count.setdefault(row["product_id"], []).append(str(row["id"]))
        entries = list(self.read_ledger(ledger))
        rows = await self._pool.fetch(_sql["known"], [entry["id"] for entry in entries])
        known = {str(row["id"]) for row in rows}
        again: list[Erased] = []
        for (product_id, texts, reason), people in _alike(
            entry for entry in entries if entry["id"] not in known
        ):
            again += await self._redact(product_id, list(people.values()), texts, reason, list(people))
        for erased in again:
            to_count.setdefault(erased.product_id, []).append(erased.id)
        await self._count_all_again(to_count)
        return again

    def read_ledger(self, ledger: Path | None = None) -> Iterator[dict[str, Any]]:
        """Give the ledger's lines; a last line that a crash cut off is none."""
        path = ledger or self._ledger
        if path is None or not path.exists():
            return
        for line in path.read_bytes().splitlines():
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:
                _log.warning("erasure_ledger_line_unreadable", bytes=len(line))

    async def honour_deletions(self, delay: timedelta) -> int:
        """Erase whom Sleekplan deleted at least `delay` ago; return how many that were.

        All are redacted in the log before any product is counted again, which may not be possible.
        """
        table = await self._users_table()
        if table is None:
            return 0
        rows = await self._pool.fetch(_sql["due"].replace("{users}", table), delay, ERASED_AT_ONCE_MAX)
        to_count: dict[int, list[str]] = {}
        for product_id, group in groupby(rows, key=lambda row: int(row["product_id"])):
            people = [row["user_id"] for row in group]
            done = await self._redact(product_id, people, False, "deleted in Sleekplan")
            to_count[product_id] = [erased.id for erased in done]
        await self._count_all_again(to_count)
        return len(rows)

    async def keep_honouring(self, delay: timedelta | None, *, every_seconds: float = LOOK_SECONDS) -> None:
        """Finish what was cut off and, unless `delay` is None, erase whom Sleekplan deleted; for ever.

        Whatever goes wrong is told and tried again: this runs beside the projector, which it must not end.
        """
        stopped_pause = RETRY_SECONDS
        while True:
            pause = every_seconds
            try:
                await self._all_that_is_due(delay)
                stopped_pause = RETRY_SECONDS
            except RebuildStopped as stopped:
                told = {"projection": stopped.projection, "position": stopped.position}
                _log.error("erasure_waits", reason="RebuildStopped", **told)
                pause, stopped_pause = stopped_pause, min(2 * stopped_pause, STOPPED_SECONDS_MAX)
            except (*POSTGRES_FAILURES, RecountError) as error:
                _log.warning("erasure_waits", reason=type(error).__name__)
                pause = min(RETRY_SECONDS, every_seconds)
            await rest(pause)

    # Inside

    async def _all_that_is_due(self, delay: timedelta | None) -> None:
        """Finish what was cut off, and erase whom Sleekplan deleted also where that stops at an event."""
        stopped: RebuildStopped | None = None
        try:
            await self.reapply()
        except RebuildStopped as error:
            stopped = error
        while delay is not None and await self.honour_deletions(delay) == ERASED_AT_ONCE_MAX:
            pass
        if stopped is not None:
            raise stopped

    @property
    def _ledger(self) -> Path | None:
        return self._data_dir and self._data_dir / LEDGER_NAME

    def _note(self, id: str, product_id: int, user_id: str, texts: bool, reason: str) -> None:
        """Add a line to the ledger and have it on the disk. It names the id only, which the log keeps too."""
        if self._ledger is None:
            return
        entry = {"id": id, "product_id": product_id, "user_id": user_id, "texts": texts, "reason": reason}
        make_private(self._ledger.parent)
        file = os.open(self._ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, orjson.dumps(entry) + b"\n")
            os.fsync(file)
        finally:
            os.close(file)

    async def _redact(
        self,
        product_id: int,
        user_ids: Sequence[str],
        texts: bool,
        reason: str,
        ids: Sequence[str] | None = None,
    ) -> list[Erased]:
        """Redact people in one look at the log. `ids` are those of erasures which the ledger has already."""
        known_as = ids or [str(uuid.uuid4()) for _ in user_ids]
        if ids is None:
            for new, user_id in zip(known_as, user_ids, strict=True):
                self._note(new, product_id, user_id, texts, reason)
        if self._data_dir:
            delete_damaged(self._data_dir / FOLDER_NAME)
        done = await self._redact_log(product_id, user_ids, texts, reason, known_as)
        for erased in done:
            self._counted(erased.events)
        told = {
            "events": sum(erased.events for erased in done),
            "quarantined": sum(erased.quarantined for erased in done),
        }
        if len(done) == 1:
            _log.info("person_erased", erasure=done[0].id, **told)
        else:  # as at a demo's first start, or after an older dump was restored
            _log.info("people_erased", people=len(done), **told)
        return done

    async def _redact_log(
        self, product_id: int, user_ids: Sequence[str], texts: bool, reason: str, ids: Sequence[str]
    ) -> list[Erased]:
        """Redact people in one transaction, and have them redacted on arrival after it.

        Whatever is appended meanwhile is either seen by the second look, which holds off the appends and is
        short, or comes after it and finds the suppressions. So is what goes to the quarantine, which is held
        before anything in it is changed: whoever waits there for a row that we changed waits for us, and we
        would for them.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_sql["one_after_another"])
            await connection.execute(_sql["begin"], product_id, user_ids, texts, reason, ids)
            seen_to = await connection.fetchval(_sql["head"])
            redaction = await Redaction.of(connection, product_id, user_ids, texts, seen_to)
            await connection.execute(_sql["suppress"], product_id, redaction.people, ids)
            events = await _apply(redaction, redaction.in_events(0, seen_to))
            await connection.execute(_sql["hold_quarantine"])
            quarantined = await _apply(redaction, redaction.in_quarantine())

            await connection.execute(_sql["hold_appends"])
            head = await connection.fetchval(_sql["head"])
            first = seen_to
            if await redaction.any_named(seen_to, head):
                # Named meanwhile, perhaps by another name: a look at everything finds that as well.
                redaction = redaction.and_also(
                    await Redaction.of(connection, product_id, user_ids, texts, head)
                )
                await connection.execute(_sql["suppress"], product_id, redaction.people, ids)
                first = 0
                quarantined += await _apply(redaction, redaction.in_quarantine())
            events += await _apply(redaction, redaction.in_events(first, head))
            who = range(len(user_ids))
            rows = await connection.fetch(
                _sql["end"], ids, [events[one] for one in who], [quarantined[one] for one in who]
            )
        return [Erased(**{**row, "id": str(row["id"])}) for row in rows]

    async def _count_all_again(self, erasures: Mapping[int, Sequence[str]]) -> None:
        """Count each product again, whatever another one stops at; raise that in the end."""
        stopped: RebuildStopped | None = None
        for product_id, ids in erasures.items():
            try:
                await self._count_again(product_id, ids)
            except RebuildStopped as error:
                stopped = error
        if stopped is not None:
            raise stopped

    async def _count_again(self, product_id: int, erasures: Sequence[str | uuid.UUID]) -> None:
        await self._replay(product_id)
        await self._clear_files(product_id)
        await self._pool.execute(_sql["replayed"], erasures)

    async def _users_table(self) -> str | None:
        try:
            name: str | None = await self._pool.fetchval(_sql["users_table"])
        except NOT_MADE:
            return None
        return name

    async def _clear_files(self, product_id: int) -> None:
        """Vacuum what was redacted: until then the old rows are still in the tables' files."""
        tables = [row["name"] for row in await self._pool.fetch(_sql["partitions"], product_id)]
        for table in [*tables, "log.quarantine"]:
            await self._pool.execute(f"vacuum {table}", timeout=ERASE_SECONDS_MAX)


def _alike(
    entries: Iterable[Mapping[str, Any]],
) -> Iterator[tuple[tuple[int, bool, str], dict[str, str]]]:
    """Give lines of the ledger together that one look at the log can do: people by their erasures' ids.

    Somebody who is named twice is in two of them.
    """
    found: dict[tuple[int, bool, str], list[dict[str, str]]] = {}
    for entry in entries:
        groups = found.setdefault((entry["product_id"], entry["texts"], entry["reason"]), [])
        for group in groups:
            if len(group) < ERASED_AT_ONCE_MAX and entry["user_id"] not in group.values():
                group[entry["id"]] = entry["user_id"]
                break
        else:
            groups.append({entry["id"]: entry["user_id"]})
    for alike, groups in found.items():
        for group in groups:
            yield alike, group


async def _applied(redaction: Redaction, looking: AsyncIterator[Affected]) -> AsyncIterator[Affected]:
    """Change what a look finds, some at a time, and give it without its content."""
    batch: list[Affected] = []
    async for found in looking:
        batch.append(found)
        if len(batch) == CHANGED_AT_ONCE_MAX:
            await redaction.apply(batch)
            batch.clear()
        yield found.without_content()
    await redaction.apply(batch)


async def _apply(redaction: Redaction, looking: AsyncIterator[Affected]) -> Counter[int]:
    """Change what a look finds; return how many events or deliveries told of whom."""
    return Counter([who async for found in _applied(redaction, looking) for who in set(found.of)])
