"""Walks through a list of Sleekplan's from its first page to its last, however they are numbered and end.

Whether the first page is 0 or 1 is disputed, so a walk starts at 0, keeps rows by id and takes an error or an
echo there for what it is. It ends where `has_more` is false, at an empty page, or at one without a row that
was not seen yet; a short page is no end, since `per_page` may be capped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

import orjson

from service.errors import SleekplanFailed, SleekplanGone
from service.events import as_id
from service.sleekplan.answers import Row, rows_of
from service.sleekplan.client import Answered, Sleekplan

PER_PAGE: Final = 100
PAGES_MAX: Final = 100_000


@dataclass(frozen=True)
class SleekplanList:
    """A list of the API: its name, what to send, and which member of a row is its id ("" for none)."""

    name: str
    path: str
    id: str
    query: dict[str, str] = field(default_factory=dict)


class WalkedPage(NamedTuple):
    """Rows that no page before had, between which moments they were so, and whether it is the last."""

    number: int
    rows: list[Row]
    asked_at: datetime
    answered_at: datetime
    last: bool


@dataclass
class Forms:
    """What the lists of one name were found to be like; kept for a sweep, so that it is found out once."""

    first_pages: dict[str, int] = field(default_factory=dict)
    votes_by_direction: bool = False
    loops: set[str] = field(default_factory=set)
    """The lists that gave the same rows again and again, or never said that they end."""


class Walk:
    """One walk through a list, which may be left and begun again behind any page."""

    def __init__(self, client: Sleekplan, listing: SleekplanList, forms: Forms) -> None:
        self._client, self._listing, self._forms = client, listing, forms
        self._seen: set[str] = set()
        self.looped = False
        """Whether it ended with a page that brought nothing new: there may be more behind it."""

    async def pages(self, start: int | None = None) -> AsyncIterator[WalkedPage]:
        """Give the pages from `start` on, from the first where it is None.

        Raises as `Sleekplan.get`, and SleekplanFailed for an answer of another shape than any known.
        """
        number = self._forms.first_pages.get(self._listing.name, 0) if start is None else start
        if number == 0:
            async for page in self._pages_from_zero():
                yield page
                number = page.number + 1
                if page.last:
                    return
        first = max(number, 1) if number == 0 or start is None else number
        for number in range(first, first + PAGES_MAX):
            page = await self._page(number)
            yield page
            if page.last:
                return

    async def _pages_from_zero(self) -> AsyncIterator[WalkedPage]:
        """Give page 0 and, where that decides what the first page is called, page 1."""
        try:
            zero: WalkedPage | None = await self._page(0)
        except (SleekplanFailed, SleekplanGone) as error:
            if isinstance(error, SleekplanFailed) and error.passing:
                raise
            zero = None
        if zero is not None and zero.rows:
            yield zero
            if zero.last:
                return
        one = await self._page(1, echoes=zero is not None)
        began = zero is not None and bool(zero.rows)
        if one.rows or began:
            # Behind a page 0 with rows, one without a new row that is no end is its echo: both are the first.
            echo = began and not one.rows and not one.last
            self._forms.first_pages[self._listing.name] = 0 if began and not echo else 1
        yield one

    async def _page(self, number: int, *, echoes: bool = False) -> WalkedPage:
        """Ask for a page. One that brings nothing new ends the walk, unless it may be an echo of page 0."""
        answer = await self._ask(number)
        found = rows_of(self._listing.path, answer.content)
        known, fresh, when = len(self._seen), [], (answer.asked_at, answer.answered_at)
        for place, (key, row) in enumerate(found.rows):
            id = self._id_of(key, row, place)
            if id not in self._seen:
                self._seen.add(id)
                fresh.append(
                    row if not self._listing.id or self._listing.id in row else {self._listing.id: id, **row}
                )
        if not found.rows:
            return WalkedPage(number, [], *when, number > 0)
        if not fresh and known:
            echo = echoes and found.more is not False
            if not echo:
                self._forms.loops.add(self._listing.name)
                self.looped = True
            return WalkedPage(number, [], *when, not echo)
        return WalkedPage(number, fresh, *when, found.more is False)

    async def _ask(self, number: int) -> Answered:
        query = {**self._listing.query, "per_page": str(PER_PAGE), "page": str(number)}
        return await self._client.get(self._listing.path, query)

    def _id_of(self, key: str | None, row: Row, place: int) -> str:
        """Return what tells a row from others: its id or key, for a vote its user, else all that it says."""
        id = as_id(row.get(self._listing.id)) or (as_id(key) if self._listing.id else None)
        if id is None and not self._listing.id:
            user = row.get("user")
            id = as_id(row.get("user_id")) or (as_id(user.get("user_id")) if isinstance(user, dict) else None)
        return id or f"{place} {orjson.dumps(row, option=orjson.OPT_SORT_KEYS).decode()}"
