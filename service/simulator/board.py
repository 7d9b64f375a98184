"""Holds the items of the simulated board: their posts, who voted, and which status comes next, and when."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

from service.simulator.dice import Dice
from service.simulator.people import Account
from service.simulator.rhythm import DAY_SECONDS
from service.simulator.texts import Topic, Topics, description, read

FIRST_ITEM = 1_001  # clear of the ids in the sample payloads, which people send to a running demo

OPEN, REVIEW, PLANNED, PROGRESS, DONE = "open", "under-review", "planned", "in-progress", "complete"
CLOSED, MERGED = "closed", "merged"
DETAILS, BETA, DECLINED = "s68dfa8421c534", "s68e0b71c93f2a", "s68e4419f02b7d"

# Which status follows, and how likely; some lead back.
_NEXT: dict[str, tuple[tuple[str, float], ...]] = {
    OPEN: ((REVIEW, 0.54), (DETAILS, 0.16), (PLANNED, 0.14), (DECLINED, 0.1), (CLOSED, 0.06)),
    DETAILS: ((REVIEW, 0.62), (CLOSED, 0.22), (OPEN, 0.16)),
    REVIEW: ((PLANNED, 0.62), (DECLINED, 0.18), (DETAILS, 0.12), (OPEN, 0.08)),
    PLANNED: ((PROGRESS, 0.76), (REVIEW, 0.17), (DECLINED, 0.07)),
    PROGRESS: ((BETA, 0.4), (DONE, 0.5), (PLANNED, 0.1)),
    BETA: ((DONE, 0.85), (PROGRESS, 0.15)),
    DONE: ((PROGRESS, 1.0),),
    DECLINED: ((REVIEW, 1.0),),
    CLOSED: ((OPEN, 1.0),),
}
# How many days until then: at least, and the median of what comes on top.
_DWELL_DAYS = {
    OPEN: (2, 30),
    DETAILS: (4, 14),
    REVIEW: (3, 18),
    PLANNED: (10, 45),
    PROGRESS: (6, 22),
    BETA: (6, 9),
    DONE: (5, 14),
    DECLINED: (20, 40),
    CLOSED: (20, 40),
}
_STAYS = {DONE: 0.9, DECLINED: 0.93, CLOSED: 0.95, MERGED: 1.0}
_PULL = {DONE: 0.14, DECLINED: 0.06, CLOSED: 0.03, MERGED: 0.0, PROGRESS: 0.8}
ON_THE_WAY = (PLANNED, PROGRESS, BETA)


class Idea:
    """One item. `post` is the object that bodies carry; it changes in place and has the totals of now.

    `up`, `down` and `followers` say who, by number, and since which second; `remarks` are the comments, and
    `said` the words that people have found for it there.
    """

    __slots__ = (
        *("appeal", "contested", "down", "followers", "gone", "heat", "heat_at", "markup", "merged_into"),
        *(
            "moved_at",
            "number",
            "post",
            "pull",
            "reach",
            "remarks",
            "said",
            "says",
            "titles_used",
            "topic",
            "up",
        ),
        "wordings_left",
    )

    def __init__(
        self, dice: Dice, number: int, topic: Topic, author: Account, product_id: int, created: str
    ) -> None:
        self.number, self.topic = number, topic
        self.markup = "html" if dice.chance(0.4) else "markdown"
        self.says = list(topic.says)
        self.titles_used = 1
        self.wordings_left = 1 + dice.below(3)
        self.said: set[str] = set()
        self.up: dict[int, int] = {}
        self.down: dict[int, int] = {}
        self.followers: dict[int, int] = {}
        self.remarks: dict[int, dict[str, Any]] = {}
        self.merged_into = 0
        luck = dice.roll()
        self.appeal = 0.05 + 0.95 * luck * luck * luck * luck
        self.reach = 0.05 + 0.35 * luck * luck + 0.3 * dice.roll() * self.appeal
        self.contested = 0.25 if dice.chance(0.07) else 0.025
        self.pull = self.appeal
        self.heat, self.heat_at, self.moved_at = 0.0, 0, 0
        self.gone = False
        self.post: dict[str, Any] = {
            "feedback_id": number,
            "product_id": product_id,
            "title": topic.titles[0],
            "description": description(self.says, self.markup),
            "status": OPEN,
            "trend": 0,
            "type": topic.type_key,
            "total_up": 0,
            "total_down": 0,
            "total_sum": 0,
            "total_comments": 0,
            "total_ratio": 0,
            "total_subscriber": 0,
            "scoring": 0.0,
            "effort": 0,
            "created": created,
            "updated": created,
            "user": author.card,
        }

    @property
    def status(self) -> str:
        """The status key as the post has it."""
        return str(self.post["status"])

    def count(self, up: int, down: int, at: int) -> None:
        """Add votes to the totals (fewer than none: take away) and let the trend follow."""
        post = self.post
        if up > 0:
            self.heat = self.heat / (1 + (at - self.heat_at) / (10 * DAY_SECONDS)) + up
            self.heat_at = at
        post["total_up"] += up
        post["total_down"] += down
        post["total_sum"] += up + down
        post["total_ratio"] += up - down
        post["trend"] = int(self.heat)
        net = post["total_ratio"] if post["total_ratio"] > 0 else 0
        post["scoring"] = round(net / (net + 40), 2)

    def set_status(self, status: str, at: int) -> None:
        """Move to a status; how much the item still draws votes depends on it."""
        self.post["status"] = status
        self.pull = self.appeal * _PULL.get(status, 1.0)
        self.moved_at = at

    def reword(self, dice: Dice) -> None:
        """Say it in other words: an `item.update` of the few that an item has in its time."""
        self.wordings_left -= 1
        what, titles, remarks = dice.roll(), self.topic.titles, read("remarks")
        if what < 0.45 and self.titles_used < len(titles):
            self.post["title"] = titles[self.titles_used]
            self.titles_used += 1
            return
        if what < 0.6:
            self.says = [dice.pick(remarks["post_rewrites"]), *self.topic.says[-2:]]
        else:
            self.says.append(_unsaid(dice, self.says, remarks["post_edit" if what < 0.8 else "post_notes"]))
        self.post["description"] = description(self.says, self.markup)

    def weigh(self, dice: Dice) -> None:
        """Set another effort: an `item.update` that touches no words."""
        self.post["effort"] = (self.post["effort"] + 1 + dice.below(3)) % 4


def _unsaid(dice: Dice, said: list[str], choices: list[str]) -> str:
    """Return a sentence that the text does not have yet, if one of two tries finds it."""
    sentence = dice.pick(choices)
    return dice.pick(choices) if sentence in said else sentence


class Board:
    """All items, those that draw attention now, and the status moves to come."""

    def __init__(self, dice: Dice, product_id: int) -> None:
        self._dice, self._product_id = dice, product_id
        self._topics = Topics(dice)
        self.made = 0
        self.items: list[Idea] = []
        self._by_group: dict[int, list[Idea]] = {}
        self._hot: list[tuple[Idea, int]] = []
        self._moves: list[tuple[int, int, Idea, int]] = []

    def submit(self, author: Account, at: int, created: str) -> Idea:
        """Return a new item, open and without votes."""
        item = Idea(
            self._dice, FIRST_ITEM + self.made, self._topics.next(), author, self._product_id, created
        )
        self.made += 1
        self.items.append(item)
        self._by_group.setdefault(item.topic.group, []).append(item)
        item.moved_at = at
        self.heat_up(item, at, self._dice.between(1, 5))
        self.plan_move(item, at)
        return item

    def remove(self, item: Idea) -> None:
        """Take an item off the board: it is deleted, and nothing refers to it any more."""
        item.gone = True
        item.pull = 0.0
        self.items.remove(item)
        self._by_group[item.topic.group].remove(item)

    def heat_up(self, item: Idea, at: int, days: float) -> None:
        """Let an item draw attention for some days, after a status move or a release."""
        if len(self._hot) >= 24:
            self._hot.pop(0)
        self._hot.append((item, at + int(days * DAY_SECONDS)))

    def hot_item(self, at: int) -> Idea | None:
        """Return one of the items that draw attention; None when there are none."""
        while self._hot:
            place = self._dice.below(len(self._hot))
            item, until = self._hot[place]
            if at < until and not item.gone:
                return item
            self._hot.pop(place)
        return None

    def plan_move(self, item: Idea, at: int) -> None:
        """Decide how long the item waits in its status, unless it stays there for good."""
        if self._dice.chance(_STAYS.get(item.status, 0.0)):
            return
        least, median = _DWELL_DAYS[item.status]
        days = least + self._dice.long_tail(median)
        heappush(self._moves, (at + int(days * DAY_SECONDS), item.number, item, item.moved_at))

    def due_move(self, at: int, hurry: bool = False) -> Idea | None:
        """Return an item whose time in its status is over (in a hurry: the next one), or None."""
        while self._moves and (hurry or self._moves[0][0] <= at):
            _, _, item, planned_at = heappop(self._moves)
            if item.gone or item.moved_at != planned_at or item.status == MERGED:
                continue
            if item.status == OPEN and item.post["total_up"] < 20 and self._dice.chance(0.6):
                self.plan_move(item, at)  # nobody looks at what few have asked for
                continue
            return item
        return None

    def next_status(self, item: Idea) -> str:
        """Return where an item goes from its status; what many want is rarely turned down."""
        status = self._dice.pick_weighted(_NEXT[item.status])
        if status in (DECLINED, CLOSED) and item.post["total_up"] > 60 and self._dice.chance(0.8):
            return self._dice.pick_weighted(_NEXT[item.status])
        return status

    def to_delete(self) -> Idea | None:
        """Return an item to delete: mostly one that few have voted for."""
        found = None
        for _ in range(12):
            item = self._dice.pick(self.items)
            if item.status in (OPEN, DETAILS, CLOSED, DECLINED):
                found = item
                if item.post["total_up"] < 12 or self._dice.chance(0.05):
                    break
        return found

    def to_merge(self) -> tuple[Idea, Idea] | None:
        """Return a source and a target that ask for much the same; the target has more votes."""
        for _ in range(24):
            source = self._dice.pick(self.items)
            if source.status not in (OPEN, REVIEW, DETAILS) or source.post["total_up"] < 3:
                continue
            kin = [item for item in self._by_group[source.topic.group] if item is not source and item.pull]
            if not kin:
                continue
            target = max(kin, key=lambda item: (item.post["total_up"], -item.number))
            if (
                target.status in (CLOSED, DECLINED, MERGED)
                or target.post["total_up"] < source.post["total_up"]
            ):
                continue
            return source, target
        return None
