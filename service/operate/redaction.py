"""Looks for people in the log and the quarantine, and redacts what it finds, in the caller's transaction.

What is said of a person's own id is the business of `log.redacted` in the database, which redacts on arrival
too; where texts name somebody is that of `service.operate.words`. A look gives its finds one after the other,
each with its places; `apply` changes exactly these. A dry run is a look alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from itertools import groupby, pairwise
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from service.errors import NotAnEvent
from service.events import as_id, entity_of, read_exactly
from service.log.database import PooledConnection
from service.operate.places import Change, Members, Place, gone, named, put
from service.operate.words import Called
from service.sql_files import load

READ_AT_ONCE: Final = 100

_USERS: Final = ("user", "changelog_subscriber")
_sql = load(__file__, "redaction.sql")


class Person(NamedTuple):
    """Somebody who is erased, as the log knows them: `log.person`, member by member."""

    user_id: str
    texts: bool
    items: list[str]
    comments: list[str]
    answers: list[str]
    traces: list[str]

    def and_also(self, later: Person) -> Person:
        """Return the person with what became known later."""
        both = [[*ours, *theirs] for ours, theirs in zip(self[2:], later[2:], strict=True)]
        return Person(self.user_id, self.texts, *both)


class Affected(NamedTuple):
    """An event or a delivery of the quarantine that an erasure changes.

    `of` says, place by place, whom it tells of, by their place in the list of people.
    """

    position: int | None
    quarantined: UUID | None
    action: str | None
    at: datetime
    places: list[Place]
    of: list[int]
    left: str | None  # what the database left of it; None where all goes
    changes: list[Change]  # of texts in that

    def without_content(self) -> Affected:
        """Return the places alone, for whoever keeps many."""
        return self._replace(left=None, changes=[])


class Redaction:
    """People of one product, looked for by a connection inside a transaction."""

    def __init__(
        self, connection: PooledConnection, product_id: int, people: Sequence[Person], members: Members
    ) -> None:
        self._connection = connection
        self._product_id = product_id
        self.people = people
        self._called = [Called(person.traces) for person in people]
        self._ids = [
            re.compile(rf'"user_id"\s*:\s*(?:"{re.escape(id)}"|{re.escape(id)}(?![0-9]))')
            for id in (person.user_id for person in people)
        ]
        self._members = members

    @classmethod
    async def of(
        cls, connection: PooledConnection, product_id: int, user_ids: Sequence[str], texts: bool, last: int
    ) -> Redaction:
        """Return people as the log knows them up to a position."""
        rows = await connection.fetch(_sql["people"], product_id, user_ids, texts, last)
        told = await connection.fetchrow(_sql["members"])
        assert told is not None
        members = Members(frozenset(told["telling_who"]), frozenset(told["holding_people"]))
        return cls(connection, product_id, [Person(*row) for row in rows], members)

    def and_also(self, later: Redaction) -> Redaction:
        """Return the same people with what became known of them later."""
        people = [ours.and_also(theirs) for ours, theirs in zip(self.people, later.people, strict=True)]
        return Redaction(self._connection, self._product_id, people, self._members)

    async def in_events(self, first: int, last: int) -> AsyncIterator[Affected]:
        """Give the events after `first` and up to `last` that tell of them."""
        async for row in self._connection.cursor(
            _sql["events"], self._product_id, self.people, first, last, prefetch=READ_AT_ONCE
        ):
            whose = [ordinal - 1 for ordinal in row["ordinals"]]
            steps = [row["said"], *row["steps"]]
            places, changes = self._look(steps, whose, is_user=row["entity"] in _USERS)
            if row["raw"] is not None:
                places = self._with_bytes(row["raw"], places)
            if found := _found(row, row["action"], places, steps[-1], changes):
                yield found

    async def in_quarantine(self) -> AsyncIterator[Affected]:
        """Give the deliveries of the quarantine that tell of them."""
        async for row in self._connection.cursor(_sql["quarantine"], prefetch=READ_AT_ONCE):
            told = self._told_by(row["body"])
            if told and (found := await self._delivery(row, told)):
                yield found

    async def apply(self, founds: Sequence[Affected]) -> None:
        """Change what was found, and nothing else."""
        for of_events, group in groupby(founds, key=lambda found: found.position is not None):
            changed = list(group)
            await self._connection.execute(
                _sql["redact_events" if of_events else "redact_quarantine"],
                [found.position or found.quarantined for found in changed],
                [found.left for found in changed],
                [orjson.dumps([change.as_json() for change in found.changes]).decode() for found in changed],
            )

    # Inside

    def _look(
        self, steps: Sequence[str], whose: Sequence[int], *, is_user: bool
    ) -> tuple[list[tuple[int, Place]], list[Change]]:
        """Return whom each place tells of, and the changes of texts.

        The steps are a body, and what is left of it after each of them.
        """
        bodies = [json.loads(steps[0])]
        for before, now in pairwise(steps):
            bodies.append(bodies[-1] if now == before else json.loads(now))
        places: list[tuple[int, Place]] = []
        for who, (before, after) in zip(whose, pairwise(bodies), strict=True):
            places += [(who, place) for place in (gone(before, after) if after is not before else ())]
        changes: list[Change] = []
        for who in whose:
            # One after the other: of two in one text, the second is looked for in what is left of it.
            for change, found in list(named(bodies[-1], self._called[who], self._members, is_user=is_user)):
                put(bodies[-1], change)
                changes.append(change)
                places += [(who, place) for place in found]
        return places, changes

    def _told_by(self, body: bytes) -> list[int]:
        """Return whom bytes tell of, be they cut off or no JSON at all."""
        text = body.decode("utf-8", "replace")
        return [
            who
            for who, (id, called) in enumerate(zip(self._ids, self._called, strict=True))
            if id.search(text) or any(called.find(text))
        ]

    def _with_bytes(self, raw: bytes, places: list[tuple[int, Place]]) -> list[tuple[int, Place]]:
        """Return the places of an event with that of its bytes, which go with any other."""
        told = self._told_by(raw) or [who for who, _ in places[:1]]
        return [*places, *((who, Place((), "the bytes as they came tell of this person")) for who in told)]

    async def _delivery(self, row: asyncpg.Record, told: Sequence[int]) -> Affected | None:
        """Return what is to change of a delivery: all of it, where nothing says where in it they begin."""
        whole = [(who, Place((), "the bytes as they came tell of this person")) for who in told]
        try:
            text, content, says_less = read_exactly(row["body"])
        except NotAnEvent:
            is_theirs = row["product_id"] in (None, self._product_id)
            return _found(row, None, whole, None, []) if is_theirs else None
        if (as_id(content.get("product_id")) or str(row["product_id"])) not in (
            "None",
            str(self._product_id),
        ):
            return None
        action = content.get("action")
        is_user = isinstance(action, str) and entity_of(action) in _USERS
        steps = await self._connection.fetchval(
            _sql["left_after"], text, is_user, [self.people[who] for who in told]
        )
        places, changes = self._look([text, *steps], told, is_user=is_user)
        if says_less:
            places += whole
        return _found(row, action if isinstance(action, str) else None, places, steps[-1], changes)


def _found(
    row: asyncpg.Record,
    action: str | None,
    places: list[tuple[int, Place]],
    left: str | None,
    changes: list[Change],
) -> Affected | None:
    if not places:
        return None
    of, found = [who for who, _ in places], [place for _, place in places]
    return Affected(row.get("position"), row.get("id"), action, row["at"], found, of, left, changes)
