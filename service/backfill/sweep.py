"""Runs a sweep: fetch a page, compare it with what is projected, compose what differs, append, note the page.

Posts come before what belongs to items, since they say how much of it there is; and once more at the end, for
what moved meanwhile: an item whose totals are others by then, or whose lists brought another number of rows
than it promised, is asked for once more.

A comparison (`Comparing`) concludes as well what is gone, see absence.py: what a list does not hold is looked
for again at the end, and told only then. A light one asks for what belongs to an item only where its totals
are others than what is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import asyncpg
import structlog

from projections.lease import Lease
from projections.read_model import Reader
from projections.steps import failure_of, is_lasting
from service.backfill.absence import AGAIN, Absences, Walked, of_items
from service.backfill.compare import Kind, Known, compare
from service.backfill.compose import Composer, Row, Seen, basic, read_date, voter_of
from service.backfill.estimate import CHILDREN, promised
from service.backfill.report import SweepReport
from service.backfill.sweeps import PageDone, SweepRecord, SweepScope
from service.errors import (
    BatchRefused,
    LogUnavailable,
    NotProjectedInTime,
    ProductElsewhere,
    SleekplanFailed,
    SleekplanForbidden,
    SleekplanGone,
    SleekplanKeyRefused,
    SleekplanTooMany,
    SweepNotRecorded,
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

POSTS_AGAIN: Final = "posts" + AGAIN
_PHASES: Final = {"users": 1, "posts": 2, "updates": 4, "satisfaction": 4, POSTS_AGAIN: 5}
_CHILDREN_PHASE: Final = 3
_SECOND_LOOK_PHASE: Final = 7
_WHOLE: Final = {
    "users": listings.USERS,
    "posts": listings.POSTS,
    "updates": listings.UPDATES,
    "satisfaction": listings.SATISFACTION,
}
ANSWERS_DAYS: Final = 31
"""How long an answer may be replaced by a newer one, and a day."""
_LOOKED_AT: Final = ("feedback_id", "comment_id", "user_id", "changelog_id", "created", "public")

_log = structlog.get_logger(__name__)

Watch = Callable[[int, int], None]
"""Told how many requests are done, of how many."""


def unwatched(_done: int, _total: int) -> None:
    """Nobody waits for it: `sweeps` and the page show how far it is."""


@dataclass
class Comparing:
    """What makes a sweep a comparison: it concludes what is gone, and if light, asks for little."""

    absences: Absences
    full: bool
    accept_deletions: int
    head_before: int
    """The newest position when the last comparison began that was complete."""
    looked_at: datetime | None
    """When that was: whoever changed before it was seen by it."""


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
        users_in_full: bool,
        comparing: Comparing | None,
        watch: Watch,
    ) -> None:
        self._pool, self._hub, self._client, self._record = pool, hub, client, record
        self._composer, self._kinds, self._lease = composer, kinds, lease
        self._users_in_full, self._watch, self._comparing = users_in_full, watch, comparing
        self._store, self._reader, self._forms = EventStore(pool), Reader(pool), Forms()
        self._forbidden: set[str] = set()
        self._appended_to, self._counted, self._left, self._failed = 0, 0, 0, 0
        self._ended = False
        self._answered, self._concluded, self._failure = False, False, ""
        self.report = SweepReport(str(record.id), resumed=record.resumed)

    async def run(self) -> SweepReport:
        """Walk all scopes, and return how it went: PARTIAL with the `problem` where it was stopped by one.

        Raises SleekplanKeyRefused, after noting it.
        """
        refused: SleekplanKeyRefused | None = None
        try:
            self.report.problem = await self._walk_all() or await self._conclude()
        except SleekplanKeyRefused as error:
            refused, self.report.problem = error, str(error)
        except (ProductElsewhere, SleekplanTooMany, SweepNotRecorded) as error:
            self.report.problem = str(error)
        finally:
            await self._store.close()
        await self._record.count_up(self._client.requests - self._counted, 0)
        self.report.state = await self._record.finish(self.report.problem)
        self.report.scopes = await self._record.counted()
        if self._comparing is not None and self._concluded:
            await self._comparing.absences.forget()
        self.report.requests = self._client.requests
        self.report.waiting_seconds = self._client.waiting_seconds + self._client.pace.waited_seconds
        self.report.dates_ahead, self.report.loops = self._composer.ahead, sorted(self._forms.loops)
        if refused is not None:
            raise refused
        await self._all_is_projected()  # whoever looks next, sees what was found
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
                if self._failed and not self._answered:
                    return f"nothing could be read: {self._failure}"
        return None

    async def _open_whole_lists(self) -> None:
        """Note what is to be walked: the lists of the board itself; those of items follow from the posts."""
        needs_posts = "posts" in self._kinds or any(kind in self._kinds for kind in CHILDREN)
        again = self._comparing is None or self._comparing.full
        for name, phase in _PHASES.items():
            if name in self._kinds or (needs_posts and (name == "posts" or (again and name == POSTS_AGAIN))):
                await self._record.open_scopes(phase, [(name, "", None)])

    async def _walk(self, scope: SweepScope) -> None:
        """Walk one scope, and note how that ended."""
        if scope.scope in self._forbidden:
            return
        kind = _kind_of(scope)
        try:
            if kind == "votes":
                walked = await self._votes(scope)
            else:
                walked = await self._list(scope, self._list_of(scope))
            self._answered = True
            if self._comparing is not None and kind != "satisfaction":
                await self._look_for_gone(self._comparing.absences, kind, scope, walked)
        except SleekplanForbidden as error:
            self._forbidden.add(scope.scope)
            await self._record.forbidden(scope, str(error))
        except SleekplanGone as error:
            await self._record.ended(scope, "GONE" if scope.item_id else "FAILED", str(error))
        except SleekplanFailed as error:
            self._failed, self._failure = self._failed + 1, str(error)
            _log.info("list_not_read", list=scope.scope, reason=str(error))
            await self._record.ended(scope, "FAILED", str(error))
            return
        else:
            if not self._ended:
                await self._record.ended(scope, "DONE")
        self._failed = 0

    async def _votes(self, scope: SweepScope) -> Walked:
        """Walk an item's votes: all at once where that brings what its totals promise, else by direction."""
        walked = Walked()
        if not self._forms.votes_by_direction:
            try:
                walked = await self._list(scope, listings.votes_of(scope.item_id, "all"))
            except SleekplanFailed as error:
                if error.passing:
                    raise
            if walked.count == (scope.promised or 0):
                return walked
            await self._all_is_projected()
        up = await self._list(scope, listings.votes_of(scope.item_id, "upvote"), vote=1)
        down = await self._list(scope, listings.votes_of(scope.item_id, "downvote"), vote=-1, before=up.count)
        both = up.and_then(down)
        self._forms.votes_by_direction |= both.count > walked.count
        return both

    async def _list(
        self, scope: SweepScope, listing: SleekplanList, *, vote: int | None = None, before: int = 0
    ) -> Walked:
        """Walk a list from where it was left, or from its first page, and record what is new.

        A comparison begins at the first again: it needs all rows at once.
        """
        start = scope.next_page if not scope.item_id and scope.next_page and not self._comparing else None
        if start is not None:
            start = max(start - 1, self._forms.first_pages.get(listing.name, 1))
        first, walked, self._ended = start is None and before == 0, Walked(), False
        walk = Walk(self._client, listing, self._forms)
        async for page in walk.pages(start):
            rows = [row for each in page.rows if (row := _as_told(scope, each, vote)) is not None]
            walked.add([_slim(row) for row in rows] if self._comparing else [], len(rows), self._seen(page))
            # Votes by direction are two lists, and all of them at once may turn out not to be all.
            all_told = _kind_of(scope) != "votes" or vote == -1 or walked.count == scope.promised
            self._ended = page.last and all_told and self._comparing is None
            await self._until_recorded(scope, page, rows, first)
            first, walked.ended = False, page.last and not walk.looped
            if self._old_enough(listing, page):
                walked.ended = False
                break
        return walked

    def _old_enough(self, listing: SleekplanList, page: WalkedPage) -> bool:
        """Whether a light comparison has seen everybody who changed since the last: the newest come first."""
        if listing is not listings.USERS_CHANGED or self._comparing is None or not page.rows:
            return False
        dates = [read_date(row.get("updated"), self._composer.zone) for row in page.rows]
        known = [date for date in dates if date is not None]
        looked_at = self._comparing.looked_at
        return (
            looked_at is not None
            and len(known) == len(dates)
            and known == sorted(known, reverse=True)
            and known[-1] < looked_at - timedelta(hours=1)
        )

    async def _look_for_gone(self, absences: Absences, kind: Kind, scope: SweepScope, walked: Walked) -> None:
        """Conclude from a list that was walked what it does not hold: at the second look at it."""
        await self._all_is_projected()
        if not scope.scope.endswith(AGAIN):
            if await absences.first_look(kind, scope, walked):
                phase = _PHASES[POSTS_AGAIN] if kind == "posts" else _SECOND_LOOK_PHASE
                await self._record.open_scopes(phase, [(kind + AGAIN, scope.item_id, scope.promised)])
            return
        for id in await absences.second_look(kind, scope, walked):
            assert walked.seen is not None
            found = await absences.singly(self._client, id, walked.rows, walked.seen)
            if found is not None:
                row, answer = found
                page = WalkedPage(0, [row], answer.asked_at, answer.answered_at, False)
                known, recorded = await self._record_rows("posts", page, [row])
                await self._record.open_scopes(6, await self._children([row], known))
                await self._record.count_up(0, recorded)
        if kind == "posts":
            await absences.posts_are_settled()

    async def _conclude(self) -> str | None:
        """Record what is gone; return what to say where too much is."""
        if self._comparing is None:
            return None
        await self._all_is_projected()
        absences = self._comparing.absences
        gone, withheld = await absences.conclude(self._comparing.accept_deletions)
        self.report.withheld, self.report.spared = withheld, absences.spared
        for start in range(0, len(gone), BATCH_EVENTS):
            events = [self._composer.gone(each) for each in gone[start : start + BATCH_EVENTS]]
            await self._record.count_up(0, await self._append(events))
        self._concluded = True
        if not withheld:
            return None
        told = ", ".join(
            f"{each.absent:,} of {each.known:,} {each.kind}"
            + (f" of item {each.item_id}" if each.item_id else "")
            for each in withheld
        )
        return (
            f"too much is gone to be believed: {told}; the key may have lost rights, or a board was hidden. "
            f"Where it is so, run it again with --accept-deletions {max(each.absent for each in withheld)}"
        )

    async def _until_recorded(
        self, scope: SweepScope, page: WalkedPage, rows: list[Row], first: bool
    ) -> None:
        """Record what a page tells that is new; while Postgres is away, wait for it.

        Raises SweepNotRecorded where it is not away, and would say the same again.
        """
        while True:
            try:
                return await self._record_page(scope, page, rows, first)
            except (BatchRefused, LogUnavailable, *POSTGRES_FAILURES) as error:
                told = error if isinstance(error, asyncpg.PostgresError) else error.__cause__
                if isinstance(told, asyncpg.PostgresError) and is_lasting(told):
                    raise SweepNotRecorded(failure_of(told)) from error
                _log.warning("sweep_waits_for_postgres", reason=type(error).__name__)
                await asyncio.sleep(POSTGRES_SECONDS)

    async def _record_page(self, scope: SweepScope, page: WalkedPage, rows: list[Row], first: bool) -> None:
        kind = _kind_of(scope)
        known, recorded = await self._record_rows(kind, page, rows)
        if kind == "posts":
            await self._record.open_scopes(
                _CHILDREN_PHASE if scope.phase == 2 else 6, await self._children(rows, known)
            )
        asked = self._client.requests - self._counted
        done = PageDone(page.number + 1, len(rows), self._seen(page).at, first, self._ended, asked, recorded)
        await self._record.page_done(scope, done, self._lease)
        self._counted += asked
        self._left = max(self._left - asked, 0)
        self._watch(self._counted, self._counted + self._left)

    async def _record_rows(self, kind: Kind, page: WalkedPage, rows: list[Row]) -> tuple[list[Known], int]:
        """Record what some rows tell that is new; return what was known of each, and how much that was."""
        if kind not in self._kinds:
            return [], 0
        told = rows if kind != "users" or self._users_in_full else [basic(row) for row in rows]
        known = await compare(self._reader, kind, self._composer.product_id, told)
        events, recorded = self._composer.events(kind, told, known, self._seen(page)), 0
        for start in range(0, len(events), BATCH_EVENTS):
            recorded += await self._append(events[start : start + BATCH_EVENTS])
        return known, recorded

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

    async def _children(
        self, posts: Sequence[Row], known: Sequence[Known]
    ) -> list[tuple[str, str, int | None]]:
        """Return the lists of some items that have rows by what their posts say, or are to be compared."""
        items = [as_id(post.get("feedback_id")) for post in posts]
        have: dict[str, Any] = {}
        if self._comparing is not None:
            ids = [id for id in items if id is not None]
            have = await of_items(self._reader, self._composer.product_id, ids, self._comparing.head_before)
        return [
            (kind, id, promised(kind, post))
            for place, (id, post) in enumerate(zip(items, posts, strict=True))
            if id is not None
            for kind in CHILDREN
            if kind in self._kinds
            and self._is_asked_for(kind, promised(kind, post), have.get(id), known[place : place + 1])
        ]

    def _is_asked_for(self, kind: Kind, told: int, has: Any, known: Sequence[Known]) -> bool:
        """Whether a list of an item is walked, which has so many rows by its post, and as many are known."""
        if has is None:
            return told > 0
        if self._comparing is None or self._comparing.full or (known and not known[0].same):
            return told > 0 or has[kind] > 0
        # Totals may count those of people who are gone, or not.
        least = has[kind] - (0 if kind == "comments" else has[f"spared_{kind}"])
        return not least <= told <= has[kind] or (kind == "votes" and has["moved"])

    def _list_of(self, scope: SweepScope) -> SleekplanList:
        kind = _kind_of(scope)
        if kind == "comments":
            return listings.comments_of(scope.item_id)
        if kind == "subscribers":
            return listings.votes_of(scope.item_id, "subscribe")
        if self._comparing is not None and not self._comparing.full:
            if scope.scope == "users":
                return listings.USERS_CHANGED
            if kind == "satisfaction":
                return listings.satisfaction_since(datetime.now(UTC) - timedelta(days=ANSWERS_DAYS))
        return _WHOLE[kind]

    def _seen(self, page: WalkedPage) -> Seen:
        """Return between which moments a page was so, by Sleekplan's clock, a second more on either side.

        What is told stands at the earlier one: what a webhook tells of the same moment wins.
        """
        ahead = self._client.ahead or timedelta()
        return Seen(
            (page.asked_at + ahead).replace(microsecond=0) - GUARD,
            (page.answered_at + ahead).replace(microsecond=0) + 2 * GUARD,
        )

    async def _all_is_projected(self) -> None:
        """Wait until what was appended is projected, to be compared with. Raises NotProjectedInTime.

        A comparison waits for all that webhooks brought as well: it would conclude what they have told.
        """
        if self._comparing is not None:
            self._appended_to = max(self._appended_to, await self._store.head())
        reached = await self._hub.wait_beyond("projected", self._appended_to - 1, PROJECTED_SECONDS_MAX)
        if reached < self._appended_to:
            raise NotProjectedInTime(self._appended_to, reached, PROJECTED_SECONDS_MAX)


def _kind_of(scope: SweepScope) -> Kind:
    return cast(Kind, scope.scope.removesuffix(AGAIN))


def _slim(row: Row) -> Row:
    """Return what absences are told by."""
    return {**{name: row[name] for name in _LOOKED_AT if name in row}, "user_id": voter_of(row)}


def _as_told(scope: SweepScope, row: dict[str, Any], vote: int | None) -> Row | None:
    """Return a row with its item, and a vote's direction where its list says it; None for what is no vote."""
    if not scope.item_id:
        return row
    told = {**row, "feedback_id": row.get("feedback_id", scope.item_id)}
    if _kind_of(scope) == "votes":
        way = vote or row.get("vote")
        if str(way) not in ("1", "-1"):
            return None
        told["vote"] = way
    return told
