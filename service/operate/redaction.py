"""Looks for people in the log and the quarantine, and redacts what it finds, in the caller's transaction.

What is said of a person's own id is the business of `log.redacted` in the database, which redacts on arrival
too; where texts name somebody is that of `service.operate.words`. A look gives its finds one after the other,
each with its places; `apply` changes exactly these. A dry run is a look alone.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from itertools import groupby, pairwise
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from projections.rebuild.differences import Difference
from service.errors import NotAnEvent
from service.events import entity_of, product_of, read_exactly
from service.log.database import PooledConnection
from service.operate.mentions import Mentions, Person
from service.operate.places import Cell, Change, Members, Place, cell, gone, named, put
from service.operate.words import Called
from service.sql_files import load

READ_AT_ONCE: Final = 100

_USERS: Final = ("user", "changelog_subscriber")
_sql = load(__file__, "redaction.sql")


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


class Mentioned(NamedTuple):
    """An event that may tell of people by their ids, or by their names."""

    position: int
    by_id: set[int]
    by_name: set[int]


class Redaction:
    """People of one product, looked for by a connection inside a transaction."""

    def __init__(
        self, connection: PooledConnection, product_id: int, people: Sequence[Person], members: Members
    ) -> None:
        self._connection = connection
        self._product_id = product_id
        self.people = people
        self._called = [Called(person.traces) for person in people]
        self._mentions = Mentions(people, self._called)
        self._members = members

    @classmethod
    async def of(
        cls, connection: PooledConnection, product_id: int, user_ids: Sequence[str], texts: bool, last: int
    ) -> Redaction:
        """Return people as the log knows them up to a position."""
        known = await connection.fetchrow(_sql["members"])
        assert known is not None
        members = Members(frozenset(known["telling_who"]), frozenset(known["holding_people"]))
        by_id = cls(connection, product_id, [Person.by_id(id, texts) for id in user_ids], members)
        told = [(who, each.position) async for each in by_id._mentioned(0, last) for who in each.by_id]
        rows = await connection.fetch(_sql["people"], product_id, user_ids, texts, *_columns(told))
        return cls(connection, product_id, [Person(*row) for row in rows], members)

    def and_also(self, later: Redaction) -> Redaction:
        """Return the same people with what became known of them later."""
        people = [ours.and_also(theirs) for ours, theirs in zip(self.people, later.people, strict=True)]
        return Redaction(self._connection, self._product_id, people, self._members)

    def cells(self, differences: Sequence[Difference]) -> list[Cell]:
        """Return the places of the read model that change with the log, where it is of one person."""
        [called] = self._called
        return [cell(difference, called) for difference in differences]

    async def any_named(self, first: int, last: int) -> bool:
        """Tell whether an event after `first` and up to `last` may name any of them by id."""
        people = [Person.by_id(person.user_id, person.texts) for person in self.people]
        by_id = Redaction(self._connection, self._product_id, people, self._members)
        return any([True async for _ in by_id._mentioned(first, last)])

    async def in_events(self, first: int, last: int) -> AsyncIterator[Affected]:
        """Give the events after `first` and up to `last` that tell of them."""
        batch: list[Mentioned] = []
        async for each in self._mentioned(first, last):
            batch.append(each)
            if len(batch) == READ_AT_ONCE:
                for found in await self._looked_at(batch):
                    yield found
                batch.clear()
        for found in await self._looked_at(batch):
            yield found

    async def in_quarantine(self) -> AsyncIterator[Affected]:
        """Give the deliveries of the quarantine that tell of them."""
        async for row in self._connection.cursor(_sql["quarantine"], prefetch=READ_AT_ONCE):
            text = row["body"].decode("utf-8", "replace")
            by_id, by_name = self._mentions.by_id(text), self._mentions.by_name(text)
            if (by_id or by_name) and (found := await self._delivery(row, text, by_id, by_name)):
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

    async def _mentioned(self, first: int, last: int) -> AsyncIterator[Mentioned]:
        """Give the events that may tell of them: one look at what each says, however many they are."""
        async for row in self._connection.cursor(
            _sql["texts"], self._product_id, first, last, prefetch=READ_AT_ONCE
        ):
            said = row["said"] if row["raw"] is None else row["said"] + row["raw"].decode("utf-8", "replace")
            by_id, by_name = self._mentions.by_id(said), self._mentions.by_name(said)
            if by_id or by_name:
                yield Mentioned(row["position"], by_id, by_name)

    async def _looked_at(self, batch: Sequence[Mentioned]) -> list[Affected]:
        """Return what is to change of events that may tell of them."""
        whose = sorted({who for each in batch for who in each.by_id})
        places_of = {who: place for place, who in enumerate(whose, 1)}
        told = [(places_of[who], each.position) for each in batch for who in each.by_id]
        rows = await self._connection.fetch(
            _sql["events"],
            self._product_id,
            [each.position for each in batch],
            [self.people[who] for who in whose],
            *_columns(told),
        )
        affected = []
        for row, each in zip(rows, batch, strict=True):
            steps = [row["said"], *row["steps"]]
            places, changes = self._look(steps, each.by_id, each.by_name, is_user=row["entity"] in _USERS)
            if row["raw"] is not None:
                # Its bytes go with any other place.
                told_by = self._told_by(row["raw"].decode("utf-8", "replace"))
                places += _whole(told_by or [who for who, _ in places[:1]])
            if found := _found(row, row["action"], places, steps[-1], changes):
                affected.append(found)
        return affected

    def _look(
        self, steps: Sequence[str], by_id: Collection[int], by_name: Collection[int], *, is_user: bool
    ) -> tuple[list[tuple[int, Place]], list[Change]]:
        """Return whom each place tells of, and the changes of texts.

        The steps are a body, and what is left of it after each of those whom it may tell of by id.
        """
        bodies = [json.loads(steps[0])]
        for before, now in pairwise(steps):
            bodies.append(bodies[-1] if now == before else json.loads(now))
        places: list[tuple[int, Place]] = []
        for who, (before, after) in zip(sorted(by_id), pairwise(bodies), strict=True):
            places += [(who, place) for place in (gone(before, after) if after is not before else ())]
        changes: list[Change] = []
        for who in sorted(by_name):
            # One after the other: of two in one text, the second is looked for in what is left of it.
            for change, found in list(named(bodies[-1], self._called[who], self._members, is_user=is_user)):
                put(bodies[-1], change)
                changes.append(change)
                places += [(who, place) for place in found]
        return places, changes

    def _told_by(self, text: str) -> list[int]:
        """Return whom the text of a body tells of, be it cut off or no JSON at all."""
        named = {who for who in self._mentions.by_name(text) if any(self._called[who].find(text))}
        return sorted(self._mentions.by_user_id(text) | named)

    async def _delivery(
        self, row: asyncpg.Record, body: str, by_id: Collection[int], by_name: Collection[int]
    ) -> Affected | None:
        """Return what is to change of a delivery: all of it, where nothing says where in it they begin."""
        try:
            text, content, says_less = read_exactly(row["body"])
        except NotAnEvent:
            is_theirs = row["product_id"] in (None, self._product_id)
            return _found(row, None, _whole(self._told_by(body)), None, []) if is_theirs else None
        try:
            product_id = product_of(content)
        except NotAnEvent:  # it may be of any: what it names is none
            product_id = row["product_id"]
        if product_id not in (None, self._product_id):
            return None
        action = content.get("action")
        is_user = isinstance(action, str) and entity_of(action) in _USERS
        steps = await self._connection.fetchval(
            _sql["left_after"], text, is_user, [self.people[who] for who in sorted(by_id)]
        )
        places, changes = self._look([text, *steps], by_id, by_name, is_user=is_user)
        if says_less:
            places += _whole(self._told_by(body))
        return _found(row, action if isinstance(action, str) else None, places, [text, *steps][-1], changes)


def _columns(told: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return whom events tell of as the two columns that SQL takes."""
    return [who for who, _ in told], [position for _, position in told]


def _whole(told: Sequence[int]) -> list[tuple[int, Place]]:
    return [(who, Place((), "the bytes as they came tell of this person")) for who in told]


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
