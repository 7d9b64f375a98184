"""Concludes what is not on the board any more, from what complete lists do not hold.

A list that was cut must never look like a deletion. So only a walk that reached the end counts, and one that
brought as many rows as the item's totals promise; what it does not hold is noted, and looked for once more.
An item is asked for by itself then. Where nothing promises a number (people, release notes), the list must be
in the order of its dates and hold something on the far side: what was cut off is at its end. And where many
are gone at once, nothing of their kind is recorded, since a key that lost its rights looks the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from projections.read_model import Reader
from service.backfill.compare import Kind
from service.backfill.compose import Absence, Row, Seen, is_nameless_id, read_date, voter_of
from service.backfill.sweeps import SweepRecord, SweepScope
from service.errors import SleekplanFailed, SleekplanForbidden, SleekplanGone
from service.events import as_id
from service.log.database import Pool
from service.sleekplan.answers import one_of
from service.sleekplan.client import Answered, Sleekplan
from service.sleekplan.listings import post_path
from service.sql_files import load

GONE_MAX: Final = 10
GONE_SHARE_MAX: Final = 0.02
VOTES_GONE_MAX: Final = 20
"""Of one item: more than so many, and more than half of those that were known, are not believed."""
NAMED_SECONDS: Final = 5.0
AGAIN: Final = " again"
IDS: Final = {"posts": "feedback_id", "comments": "comment_id", "users": "user_id", "updates": "changelog_id"}
_BEGINNING, _END = "1000-01-01 00:00:00", "9999-12-31 23:59:59"

_sql = load(__file__, "absence.sql")


@dataclass
class Walked:
    """All rows of one walk through a list, whether it came to the end, and between which moments it was."""

    rows: list[Row] = field(default_factory=list)
    """What absences are told by, of each; none in a back-fill, which concludes nothing."""
    ended: bool = False
    count: int = 0
    seen: Seen | None = None

    def add(self, rows: list[Row], count: int, seen: Seen) -> None:
        """Add a page: so many rows, seen then."""
        self.rows += rows
        self.count += count
        self.seen = seen if self.seen is None else Seen(self.seen.at, seen.until)

    def and_then(self, other: Walked) -> Walked:
        """Return this walk and the one after it as one."""
        both = Walked([*self.rows, *other.rows], self.ended and other.ended, self.count + other.count)
        if self.seen and other.seen:
            both.seen = Seen(self.seen.at, other.seen.until)
        return both


class Withheld(NamedTuple):
    """What was not recorded: of one kind, or the votes of one item, how many were gone of how many known."""

    kind: Kind
    item_id: str
    absent: int
    known: int


class Absences:
    """What one sweep found to be gone. `single` is whether one item can be asked for; None: not tried yet."""

    def __init__(self, pool: Pool, reader: Reader, record: SweepRecord, product_id: int) -> None:
        self._pool, self._reader, self._record, self._product_id = pool, reader, record, product_id
        self._single: bool | None = None
        self.spared = 0
        """Votes of people who are gone themselves: those stay, as Sleekplan keeps them without a name."""

    async def first_look(self, kind: Kind, scope: SweepScope, walked: Walked) -> bool:
        """Note what stands and was not listed; return whether there is anything to look for again."""
        if not self._whole(kind, scope, walked):
            return False
        found = await self._absent(kind, scope.item_id, walked, wherever=kind == "users")
        if not found:
            await self._pool.execute(_sql["whole"], self._record.id, kind, scope.item_id)
            return False
        ids, since, _ = zip(*found, strict=True)
        await self._pool.execute(_sql["note"], self._record.id, kind, scope.item_id, ids, since)
        return True

    async def second_look(self, kind: Kind, scope: SweepScope, walked: Walked) -> list[str]:
        """Settle what was noted of a list; return the items that must be asked for one by one before that."""
        noted = {row["id"] for row in await self._pool.fetch(_sql["noted"], *self._place(kind, scope))}
        if not noted:
            return []
        whole = self._whole(kind, scope, walked)
        found = await self._absent(kind, scope.item_id, walked) if whole else []
        still = [each for each in found if each[0] in noted and walked.seen and each[1] < walked.seen.at]
        if whole and kind != "users":
            back = sorted(noted - {each[0] for each in still})
            await self._pool.execute(_sql["came_back"], *self._place(kind, scope), back)
        if kind == "posts":
            return [id for id, *_ in still]
        assert walked.seen is not None
        merged = kind == "votes" and bool(still) and await self._is_merged(scope.item_id)
        evidence = [
            "named" if _has_a_name_now(id, cast_at, walked.rows) else "merge" if merged else "list"
            for id, _, cast_at in still
        ]
        await self._settle(kind, scope.item_id, still, evidence, walked.seen, "GONE")
        if whole:
            await self._pool.execute(_sql["whole"], self._record.id, kind, scope.item_id)
        return []

    def _place(self, kind: Kind, scope: SweepScope) -> tuple[Any, Kind, str]:
        return self._record.id, kind, scope.item_id

    @staticmethod
    def _whole(kind: Kind, scope: SweepScope, walked: Walked) -> bool:
        enough = scope.promised is None or walked.count >= scope.promised
        return (
            walked.ended and enough and (kind in ("posts", "users", "updates") or scope.promised is not None)
        )

    async def _absent(
        self, kind: Kind, item_id: str, walked: Walked, *, wherever: bool = False
    ) -> list[tuple[str, datetime, datetime | None]]:
        """Return what stands and was not listed: its id, when it was seen to stand, when it was cast.

        `wherever` in the list it would be: also where that may have been cut.
        """
        look = await self._pool.fetchrow(_sql["look_before"], self._record.id, kind, item_id) or (None, None)
        listed = [
            id
            for row in walked.rows
            if (id := voter_of(row) if kind not in IDS else as_id(row.get(IDS[kind]))) is not None
        ]
        told = (_BEGINNING, _END) if wherever else _told_beside(kind, walked.rows)
        if told is None:
            return []
        found, _ = await self._reader.rows(
            _standing_of(kind), self._product_id, item_id, listed, *look, *told
        )
        return [(row["id"], row["not_before"], row["cast_at"]) for row in found]

    async def _is_merged(self, item_id: str) -> bool:
        found, _ = await self._reader.rows(_sql["of_items"], self._product_id, [item_id], 0)
        return any(row["merged"] for row in found)

    async def _settle(
        self,
        kind: Kind,
        item_id: str,
        found: Sequence[tuple[str, datetime, Any]],
        evidence: Sequence[str],
        seen: Seen,
        state: str,
    ) -> None:
        if found:
            ids, since = [each[0] for each in found], [each[1] for each in found]
            place = (self._record.id, kind, item_id)
            await self._pool.execute(
                _sql["settle"], *place, ids, since, list(evidence), seen.at, seen.until, state
            )

    async def singly(
        self, client: Sleekplan, id: str, listed: Sequence[Row], seen: Seen
    ) -> tuple[Row, Answered] | None:
        """Ask for one item that is not listed; return it where it is there all the same.

        It is gone where the API has nothing by its id, though it has an item that is listed by its. Where it
        answers oddly, two complete sweeps must have missed it.
        """
        since = await self._pool.fetchval(_sql["noted_since"], self._record.id, "posts", "", id)
        found = [(id, since, None)]
        try:
            if self._single is None:
                self._single = await _answers_singly(client, listed)
            if self._single:
                answer = await client.get(post_path(id))
                row = one_of(post_path(id), answer.content)
                if as_id(row.get(IDS["posts"])) == id:
                    await self._pool.execute(_sql["came_back"], self._record.id, "posts", "", [id])
                    return row, answer
        except SleekplanGone:
            await self._settle("posts", "", found, ["single"], seen, "GONE")
            return None
        except (SleekplanFailed, SleekplanForbidden):
            pass
        twice = await self._pool.fetchval(_sql["unsure_before"], self._record.id, "posts", id)
        dates = _dates_between(listed)
        if twice and dates is not None:
            between, _ = await self._reader.rows(_sql["posts"], self._product_id, "", [], None, None, *dates)
            twice = any(row["id"] == id for row in between)
        sure = bool(twice and dates is not None)
        await self._settle("posts", "", found, ["two sweeps"], seen, "GONE" if sure else "UNSURE")
        return None

    async def posts_are_settled(self) -> None:
        """Note that all items were looked at, where none of them is in doubt."""
        if not await self._pool.fetchval(_sql["unsure"], self._record.id):
            await self._pool.execute(_sql["whole"], self._record.id, "posts", "")

    async def conclude(self, accepted: int) -> tuple[list[Absence], list[Withheld]]:
        """Return what is gone and may be told so, and what is too much to be believed."""
        gone = [
            Absence(
                row["kind"],
                row["item_id"],
                row["id"],
                row["evidence"],
                row["not_before"],
                Seen(row["seen_at"], row["not_after"]),
            )
            for row in await self._pool.fetch(_sql["gone"], self._record.id)
        ]
        if not gone:
            return [], []
        users = {row["id"] for row in await self._pool.fetch(_sql["absent_users"], self._record.id)}
        kept = [each for each in gone if each.kind not in ("votes", "subscribers") or each.id not in users]
        self.spared = len(gone) - len(kept)
        withheld = await self._too_many(kept, accepted)
        for each in withheld:
            await self._pool.execute(_sql["not_whole"], self._record.id, each.kind, each.item_id)
        places = {(each.kind, each.item_id if each.kind == "votes" else "") for each in withheld}
        told = [
            each for each in kept if (each.kind, each.item_id if each.kind == "votes" else "") not in places
        ]
        return await self._standing(told), withheld

    async def _too_many(self, gone: Collection[Absence], accepted: int) -> list[Withheld]:
        [standing], _ = await self._reader.rows(_sql["standing"], self._product_id)
        withheld = []
        for kind in ("posts", "comments", "users", "updates"):
            absent, known = sum(each.kind == kind for each in gone), standing[kind]
            if absent > max(GONE_MAX, known * GONE_SHARE_MAX, accepted):
                withheld.append(Withheld(kind, "", absent, known))
        votes = {each.item_id for each in gone if each.kind == "votes" and each.evidence == "list"}
        found, _ = await self._reader.rows(_sql["of_items"], self._product_id, sorted(votes), 0)
        for row in found:
            absent = sum(each.item_id == row["item_id"] for each in gone if each.kind == "votes")
            if absent > max(VOTES_GONE_MAX, row["votes"] / 2, accepted):
                withheld.append(Withheld("votes", row["item_id"], absent, row["votes"]))
        return withheld

    async def _standing(self, gone: Sequence[Absence]) -> list[Absence]:
        """Return those that stand still: a webhook, or this sweep before it was stopped, may have told it."""
        standing: dict[tuple[Kind, str], set[str]] = {}
        for place in {(each.kind, each.item_id) for each in gone}:
            nothing = Walked([{"public": False}] if place[0] == "comments" else [], ended=True)
            dated = place[0] in ("users", "updates")
            standing[place] = {id for id, *_ in await self._absent(*place, nothing, wherever=dated)}
        return [each for each in gone if each.id in standing[each.kind, each.item_id]]

    async def forget(self) -> None:
        """Drop what is settled."""
        await self._pool.execute(_sql["forget"], self._record.id)


async def of_items(reader: Reader, product_id: int, items: Sequence[str], head: int) -> dict[str, Any]:
    """Return, by item, how many votes, comments and followers are known, and whether totals moved since."""
    found, _ = await reader.rows(_sql["of_items"], product_id, list(items), head)
    return {row["item_id"]: row for row in found}


async def items_not_listed(reader: Reader, product_id: int, listed: Sequence[str]) -> int:
    """Return how many items stand that are not among those that were listed."""
    found, _ = await reader.rows(_sql["posts"], product_id, "", list(listed), None, None, None, None)
    return len(found)


async def before(pool: Pool, record: SweepRecord) -> tuple[int, datetime | None]:
    """Return the newest position when the last complete comparison began, and when that was."""
    row = await pool.fetchrow(_sql["before"], record.id)
    assert row is not None
    return row["head"], row["started_at"]


def _standing_of(kind: Kind) -> str:
    return _sql[kind].replace(":stood", _sql["stood"])


def _told_beside(kind: Kind, rows: Sequence[Row]) -> tuple[str | None, str | None] | None:
    """Return what else of the listed rows tells which of the others were listed; None: nothing is known."""
    match kind:
        case "votes":
            nameless = [str(row.get("created")) for row in rows if voter_of(row) is None]
            return ",".join(nameless), None
        case "comments":
            private = any(row.get("public") in (False, 0, "0", "false") for row in rows)
            return "private" if private else "public", None
        case "users" | "updates":
            return _dates_between(rows)
        case _:
            return None, None


def _dates_between(rows: Sequence[Row]) -> tuple[str, str] | None:
    """Return between which dates a list in their order cannot have been cut; None where it is in none."""
    dates = [date for row in rows if isinstance(date := row.get("created"), str)]
    if len(dates) != len(rows) or not dates:
        return None
    if dates == sorted(dates):
        return _BEGINNING, dates[-1]
    if dates == sorted(dates, reverse=True):
        return dates[-1], _END
    return None


def _has_a_name_now(id: str, cast_at: datetime | None, rows: Sequence[Row]) -> bool:
    """Whether a vote that was told without its voter is listed with one: cast within seconds of it."""
    if cast_at is None or not is_nameless_id(id):
        return False
    return any(
        voter_of(row) is not None
        and (at := read_date(row.get("created"))) is not None
        and abs((at - cast_at).total_seconds()) <= NAMED_SECONDS
        for row in rows
    )


async def _answers_singly(client: Sleekplan, listed: Sequence[Row]) -> bool:
    """Return whether an item that is listed can be asked for by itself."""
    id = next((id for row in listed if (id := as_id(row.get(IDS["posts"]))) is not None), None)
    if id is None:
        return False
    try:
        answer = await client.get(post_path(id))
        return as_id(one_of(post_path(id), answer.content).get(IDS["posts"])) == id
    except (SleekplanFailed, SleekplanForbidden, SleekplanGone):
        return False
