"""Runs a sweep: fetch a page, compare it with what is projected, compose what differs, append, note the page.

Posts come before what belongs to items, since they say how much of it there is; and once more at the end, for
what moved meanwhile: an item whose totals are others by then, or whose lists brought another number of rows
than it promised, is asked for once more.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, cast

import structlog

from projections.lease import Lease
from projections.read_model import Reader
from service.backfill.compare import Kind, compare
from service.backfill.compose import Composer, Row, basic
from service.backfill.estimate import CHILDREN, promised
from service.backfill.sweeps import PageDone, ScopesCounted, SweepRecord, SweepScope
from service.errors import (
    LogUnavailable,
    NotProjectedInTime,
    SleekplanFailed,
    SleekplanForbidden,
    SleekplanGone,
    SleekplanKeyRefused,
    SleekplanTooMany,
)
from service.events import EventData, as_id
from service.log.database import POSTGRES_FAILURES, Pool
from service.log.event_store import EventStore
from service.log.hub import Hub
from service.sleekplan import listings
from service.sleekplan.client import Sleekplan
from service.sleekplan.walk import Forms, SleekplanList, Walk, WalkedPage

BATCH_EVENTS: Final = 200
"""Appended at once, so that a webhook waits for one short append at most."""
APPEND_SECONDS: Final = 30.0
PROJECTED_SECONDS_MAX: Final = 300.0
POSTGRES_SECONDS: Final = 2.0
FAILED_IN_A_ROW_MAX: Final = 5
GUARD: Final = timedelta(seconds=1)

POSTS_AGAIN: Final = "posts again"
_PHASES: Final = {"users": 1, "posts": 2, "updates": 4, "satisfaction": 4, POSTS_AGAIN: 5}
_CHILDREN_PHASE: Final = 3
_WHOLE: Final = {
    "users": listings.USERS,
    "posts": listings.POSTS,
    "updates": listings.UPDATES,
    "satisfaction": listings.SATISFACTION,
    POSTS_AGAIN: listings.POSTS,
}

_log = structlog.get_logger(__name__)

Watch = Callable[[int, int, str], None]
"""Told how many requests are done, of how many, and what is asked for."""


@dataclass
class SweepReport:
    """How a sweep went."""

    sweep: str
    state: str = "PARTIAL"
    problem: str | None = None
    resumed: bool = False
    requests: int = 0
    recorded: Counter[str] = field(default_factory=Counter)
    scopes: list[ScopesCounted] = field(default_factory=list)
    waiting_seconds: float = 0.0
    dates_ahead: int = 0
    loops: list[str] = field(default_factory=list)


class Sweep:
    """One run over the board of one product."""

    def __init__(
        self,
        pool: Pool,
        hub: Hub,
        client: Sleekplan,
        record: SweepRecord,
        composer: Composer,
        kinds: frozenset[Kind],
        *,
        lease: Lease,
        users_in_full: bool = False,
        watch: Watch = lambda _done, _total, _what: None,
    ) -> None:
        self._pool, self._hub, self._client, self._record = pool, hub, client, record
        self._composer, self._kinds, self._lease = composer, kinds, lease
        self._users_in_full, self._watch = users_in_full, watch
        self._store, self._reader, self._forms = EventStore(pool), Reader(pool), Forms()
        self._forbidden: set[str] = set()
        self._appended_to, self._counted, self._left, self._failed = 0, 0, 0, 0
        self._ended = False
        self.report = SweepReport(str(record.id), resumed=record.resumed)

    async def run(self) -> SweepReport:
        """Walk all scopes, and return how it went: PARTIAL with the `problem` where it was stopped by one.

        Raises SleekplanKeyRefused, after noting it.
        """
        refused: SleekplanKeyRefused | None = None
        try:
            self.report.problem = await self._walk_all()
        except SleekplanKeyRefused as error:
            refused, self.report.problem = error, str(error)
        except SleekplanTooMany as error:
            self.report.problem = str(error)
        finally:
            await self._store.close()
        await self._record.count_up(self._client.requests - self._counted, 0)
        self.report.state = await self._record.finish(self.report.problem)
        self.report.scopes = await self._record.counted()
        self.report.requests = self._client.requests
        self.report.waiting_seconds = self._client.waiting_seconds + self._client.pace.waited_seconds
        self.report.dates_ahead, self.report.loops = self._composer.ahead, sorted(self._forms.loops)
        if refused is not None:
            raise refused
        return self.report

    async def _walk_all(self) -> str | None:
        """Walk the scopes, phase by phase; return what stopped it before the end."""
        if not self._record.resumed:
            await self._open_whole_lists()
        phase = 0
        while scopes := await self._record.next_scopes():
            if scopes[0].phase != phase:
                phase = scopes[0].phase
                await self._all_is_projected()
                self._left = await self._record.requests_left()
            for scope in scopes:
                await self._walk(scope)
                if self._failed >= FAILED_IN_A_ROW_MAX:
                    return f"{self._failed} lists in a row could not be read"
        return None

    async def _open_whole_lists(self) -> None:
        """Note what is to be walked: the lists of the board itself; those of items follow from the posts."""
        needs_posts = "posts" in self._kinds or any(kind in self._kinds for kind in CHILDREN)
        for name, phase in _PHASES.items():
            if name in self._kinds or (needs_posts and name in ("posts", POSTS_AGAIN)):
                await self._record.open_scopes(phase, [(name, "", None)])

    async def _walk(self, scope: SweepScope) -> None:
        """Walk one scope, and note how that ended."""
        if scope.scope in self._forbidden:
            return
        try:
            if scope.scope == "votes":
                await self._votes(scope)
            else:
                await self._list(scope, _list_of(scope))
        except SleekplanForbidden as error:
            self._forbidden.add(scope.scope)
            await self._record.forbidden(scope, str(error))
        except SleekplanGone as error:
            await self._record.ended(scope, "GONE" if scope.item_id else "FAILED", str(error))
        except SleekplanFailed as error:
            self._failed += 1
            _log.warning("list_not_read", list=scope.scope, reason=str(error))
            await self._record.ended(scope, "FAILED", str(error))
            return
        else:
            if not self._ended:
                await self._record.ended(scope, "DONE")
        self._failed = 0

    async def _votes(self, scope: SweepScope) -> None:
        """Walk an item's votes: all at once where that brings what its totals promise, else by direction."""
        rows = 0
        if not self._forms.votes_by_direction:
            try:
                rows = await self._list(scope, listings.votes_of(scope.item_id, "all"))
            except SleekplanFailed as error:
                if error.passing:
                    raise
            if rows == (scope.promised or 0):
                return
            await self._all_is_projected()
        found = await self._list(scope, listings.votes_of(scope.item_id, "upvote"), vote=1)
        found += await self._list(scope, listings.votes_of(scope.item_id, "downvote"), vote=-1, before=found)
        self._forms.votes_by_direction |= found > rows

    async def _list(
        self, scope: SweepScope, listing: SleekplanList, *, vote: int | None = None, before: int = 0
    ) -> int:
        """Walk a list from where it was left, or from its first page; return how many rows it brought."""
        start = scope.next_page if not scope.item_id and scope.next_page else None
        if start is not None:
            start = max(start - 1, self._forms.first_pages.get(listing.name, 1))
        first, count, self._ended = start is None and before == 0, 0, False
        async for page in Walk(self._client, listing, self._forms).pages(start):
            rows = [row for each in page.rows if (row := _as_told(scope, each, vote)) is not None]
            count += len(rows)
            # Votes by direction are two lists, and all of them at once may turn out not to be all.
            self._ended = page.last and (scope.scope != "votes" or vote == -1 or count == scope.promised)
            await self._until_recorded(scope, page, rows, first)
            first = False
        return count

    async def _until_recorded(
        self, scope: SweepScope, page: WalkedPage, rows: list[Row], first: bool
    ) -> None:
        """Record what a page tells that is new; while Postgres is away, wait for it."""
        while True:
            try:
                return await self._record_page(scope, page, rows, first)
            except (LogUnavailable, *POSTGRES_FAILURES) as error:
                _log.warning("sweep_waits_for_postgres", reason=type(error).__name__)
                await asyncio.sleep(POSTGRES_SECONDS)

    async def _record_page(self, scope: SweepScope, page: WalkedPage, rows: list[Row], first: bool) -> None:
        kind = cast(Kind, "posts" if scope.scope == POSTS_AGAIN else scope.scope)
        seen_at = self._seen_at(page.asked_at)
        recorded = 0
        if kind in self._kinds:
            told = rows if kind != "users" or self._users_in_full else [basic(row) for row in rows]
            known = await compare(self._reader, kind, self._composer.product_id, told)
            events = self._composer.events(kind, told, known, seen_at)
            for start in range(0, len(events), BATCH_EVENTS):
                recorded += await self._append(events[start : start + BATCH_EVENTS])
        if kind == "posts":
            await self._record.open_scopes(_CHILDREN_PHASE if scope.phase == 2 else 6, self._children(rows))
        asked = self._client.requests - self._counted
        done = PageDone(page.number + 1, len(rows), seen_at, first, self._ended, asked, recorded)
        await self._record.page_done(scope, done, self._lease)
        self._counted += asked
        self._left = max(self._left - asked, 0)
        what = f"{scope.scope} of item {scope.item_id}" if scope.item_id else scope.scope
        self._watch(self._counted, self._counted + self._left, what)

    async def _append(self, batch: list[EventData]) -> int:
        """Append a batch; return how many of it were new."""
        recorded = 0
        appended = await self._store.append(batch, timeout=APPEND_SECONDS)
        for event, (position, duplicate) in zip(batch, appended, strict=True):
            self._appended_to = max(self._appended_to, position)
            if not duplicate:
                recorded += 1
                self.report.recorded[event.action] += 1
        await asyncio.sleep(0)  # deliveries that came meanwhile go first
        return recorded

    def _children(self, posts: Sequence[Row]) -> list[tuple[str, str, int | None]]:
        """Return the lists of some items that have rows, by what their posts say."""
        return [
            (kind, id, count)
            for post in posts
            if (id := as_id(post.get("feedback_id"))) is not None
            for kind in CHILDREN
            if kind in self._kinds and (count := promised(kind, post)) > 0
        ]

    def _seen_at(self, asked_at: datetime) -> datetime:
        """Return a page's moment by Sleekplan's clock, a second early: what a webhook tells then wins."""
        ahead = self._client.ahead or timedelta()
        return (asked_at + ahead).replace(microsecond=0) - GUARD

    async def _all_is_projected(self) -> None:
        """Wait until what was appended is projected, to be compared with. Raises NotProjectedInTime."""
        reached = await self._hub.wait_beyond("projected", self._appended_to - 1, PROJECTED_SECONDS_MAX)
        if reached < self._appended_to:
            raise NotProjectedInTime(self._appended_to, reached, PROJECTED_SECONDS_MAX)


def _list_of(scope: SweepScope) -> SleekplanList:
    if scope.scope == "comments":
        return listings.comments_of(scope.item_id)
    if scope.scope == "subscribers":
        return listings.votes_of(scope.item_id, "subscribe")
    return _WHOLE[scope.scope]


def _as_told(scope: SweepScope, row: dict[str, Any], vote: int | None) -> Row | None:
    """Return a row with its item, and a vote's direction where its list says it; None for what is no vote."""
    if not scope.item_id:
        return row
    told = {**row, "feedback_id": row.get("feedback_id", scope.item_id)}
    if scope.scope == "votes":
        way = vote or row.get("vote")
        if str(way) not in ("1", "-1"):
            return None
        told["vote"] = way
    return told
