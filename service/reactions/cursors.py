"""Keeps how far each reaction has come, in the database, so that another process goes on there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple
from datetime import datetime
from typing import Any, NamedTuple

from projections.lease import Lease
from schema.resume import ResumePoint
from service.errors import PositionBeyondHead, ReactionUnknown
from service.log.database import Pool
from service.sql_files import load

_sql = load(__file__, "cursors.sql")


class Come(NamedTuple):
    """How far a rule has come since it was last noted: its place now, and how many messages were taken."""

    name: str
    revision: int
    place: ResumePoint
    told_to: datetime | None
    sent: int


class SenderTurn(NamedTuple):
    """Who says something of a rule: the sender of one of its revisions, by a lease."""

    name: str
    revision: int
    task: str
    epoch: int


class ReactionState(NamedTuple):
    """A rule as the database has it; see 0014_reactions.sql and 0015_reaction_marks.sql."""

    name: str
    position: int
    ordinal: int
    mark: str | None
    told_to: datetime
    state: str
    revision: int
    in_file: bool
    attempts: int
    failing_since: datetime | None
    problem: str | None
    sent: int
    sent_at: datetime | None
    skipped: int
    head: int

    @property
    def place(self) -> ResumePoint:
        """What the rule has told, all of it up to here."""
        return ResumePoint(self.position, self.ordinal, self.mark)


class Cursors:
    """The places of all rules."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def begin(self, names: Iterable[str]) -> None:
        """Have the rules that are new begin at the head, and mark those that the file has no more."""
        known = list(names)
        await self._pool.execute(_sql["begin"], known)
        await self._pool.execute(_sql["keep_in_file"], known)

    async def all(self) -> dict[str, ReactionState]:
        """Return how far each has come."""
        return {row["name"]: ReactionState(*row) for row in await self._pool.fetch(_sql["all"])}

    async def erasures(self) -> tuple[int, int]:
        """Return what is another once somebody was forgotten, in the log or in what is counted from it."""
        row = await self._pool.fetchrow(_sql["erasures"])
        assert row is not None
        return row[0], row[1]

    # What senders say; it counts only while nobody set the rule meanwhile, and no other instance sends

    async def note(self, come: Iterable[Come], lease: Lease) -> None:
        """Note how far rules have come."""
        rows = [(one.name, one.revision, *astuple(one.place), one.told_to, one.sent) for one in come]
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            await self._pool.execute(_sql["note"], *columns, lease.task, lease.epoch)

    async def failed(self, turn: SenderTurn, problem: str) -> datetime | None:
        """Note that what is to be told next was not taken; return since when it is not."""
        since: datetime | None = await self._pool.fetchval(_sql["failed"], *turn, problem)
        return since

    async def recovered(self, turn: SenderTurn) -> None:
        """Note that it was taken at last."""
        await self._pool.execute(_sql["recovered"], *turn)

    async def skip(self, turn: SenderTurn, place: ResumePoint, reason: str) -> None:
        """Give up the message before a place, and list it."""
        await self._pool.execute(_sql["skip"], *turn, *astuple(place), reason)

    async def stop(self, turn: SenderTurn, place: ResumePoint, problem: str) -> None:
        """End a rule at a place until somebody resumes it."""
        await self._pool.execute(_sql["stop"], *turn, *astuple(place), problem)

    # What people ask for

    async def pause(self, name: str) -> int:
        """Have a rule tell nothing more; return its position. Raises ReactionUnknown."""
        return await self._set_state(name, "PAUSED")

    async def resume(self, name: str) -> int:
        """Have a rule go on where it is; return that position. Raises ReactionUnknown."""
        return await self._set_state(name, "RUNNING")

    async def _set_state(self, name: str, state: str) -> int:
        position: int | None = await self._pool.fetchval(_sql["set_state"], name, state)
        if position is None:
            raise ReactionUnknown(name, await self.all())
        return position

    async def replay(self, name: str, after: int) -> None:
        """Have a rule tell all after a position again. Raises ReactionUnknown, PositionBeyondHead."""
        if await self._pool.fetchval(_sql["replay"], name, after) is None:
            known = await self.all()
            if name not in known:
                raise ReactionUnknown(name, known)
            raise PositionBeyondHead(after, known[name].head)

    async def skipped(self, name: str | None, limit: int) -> list[dict[str, Any]]:
        """Return the newest of what was given up. Raises ReactionUnknown."""
        if name is not None and name not in (known := await self.all()):
            raise ReactionUnknown(name, known)
        return [dict(row) for row in await self._pool.fetch(_sql["skipped"], name, limit)]
