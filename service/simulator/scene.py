"""Holds what all happenings share: the board, its people, the pen, the clock, and promises for later."""

from __future__ import annotations

import time
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Generic, NamedTuple, TypeVar

from service.simulator.board import Board, Idea
from service.simulator.dice import Dice
from service.simulator.knobs import Knobs
from service.simulator.payloads import Writer
from service.simulator.people import Account, People
from service.simulator.rhythm import DAY_SECONDS

T = TypeVar("T")

Happening = Callable[[int], bytes | None]
"""Lets something happen at a second: returns its body, or None when nothing could."""

_CLOCK = [f"{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1_440)]
_SECONDS = [f"{second:02d}" for second in range(60)]


class Unannounced(NamedTuple):
    """A change of an item's totals that no body tells of; the next post of that item shows it."""

    item: int
    up: int
    down: int
    comments: int
    why: str  # withdrawn | switched | merged-away | merged-into


class Recent(Generic[T]):
    """The newest of something, up to a limit; the oldest gives way."""

    __slots__ = ("_limit", "seen", "values")

    def __init__(self, limit: int) -> None:
        self.values: list[T] = []
        self.seen = 0
        self._limit = limit

    def keep(self, value: T) -> None:
        """Put in one more."""
        if self.seen < self._limit:
            self.values.append(value)
        else:
            self.values[self.seen % self._limit] = value
        self.seen += 1


class Scene:
    """One board in motion, as the happenings see it."""

    def __init__(self, knobs: Knobs, on_unannounced: Callable[[Unannounced], None] | None) -> None:
        self.knobs, self.dice = knobs, Dice(knobs.seed)
        self.roll = self.dice.roll
        # Of a stream of its own: what is rare and changes nothing else leaves all other rolls as they are.
        self.rare = Dice(knobs.seed, 8)
        self.people = People(Dice(knobs.seed, 2))
        self.board = Board(Dice(knobs.seed, 3), knobs.product_id)
        self.writer = Writer(knobs.product_id, Dice(knobs.seed, 4))
        self.votes: Recent[tuple[Idea, Account, int]] = Recent(4_096)
        self.part_done = 0.0
        self._on_unannounced = on_unannounced
        self._today, self._today_text = -1, ""
        self._promises: list[tuple[int, int, Happening]] = []
        self._promised = 0

    def stamp(self, at: int) -> str:
        """Return a moment as Sleekplan writes it inside `data`."""
        day, second = divmod(at, DAY_SECONDS)
        if day != self._today:
            self._today = day
            self._today_text = time.strftime("%Y-%m-%d ", time.gmtime(at))
        return self._today_text + _CLOCK[second // 60] + _SECONDS[second % 60]

    def popular(self, at: int) -> Idea | None:
        """Return an item that draws attention: what has votes gets more, what is new or moved gets some."""
        items, votes, roll = self.board.items, self.votes.values, self.roll
        if not items:
            return None
        for _ in range(16):
            luck = roll()
            if luck < 0.5 and votes:
                item = votes[int(luck * 2 * len(votes))][0]
            elif luck < 0.62:
                hot = self.board.hot_item(at)
                if hot is None:
                    continue
                if roll() < 0.8:
                    return hot
                item = hot
            else:
                item = items[int(roll() * len(items))]
            if roll() < item.pull:
                return item
        return None

    def change_in_silence(self, item: Idea, up: int, down: int, comments: int, why: str, at: int) -> None:
        """Change totals without a body that says so."""
        item.count(up, down, at)
        item.post["total_comments"] += comments
        if self._on_unannounced is not None:
            self._on_unannounced(Unannounced(item.number, up, down, comments, why))

    def later(self, due: int, happening: Happening) -> None:
        """Promise that something happens as the first event from a second on."""
        self._promised += 1
        heappush(self._promises, (due, self._promised, happening))

    def keep_promise(self, at: int) -> bytes | None:
        """Return the body of what was promised for now; None when nothing was, or nothing came of it."""
        if self._promises and self._promises[0][0] <= at:
            return heappop(self._promises)[2](at)
        return None
