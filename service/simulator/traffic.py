"""Simulates a feedback board: from one seed, the webhook bodies of months, and then of each moment asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heappop, heappush
from html import escape
from math import sqrt
from typing import Any, NamedTuple

from service.simulator import board as boards
from service.simulator.board import Board, Item
from service.simulator.dice import Dice
from service.simulator.payloads import Writer
from service.simulator.people import TEAM_SIZE, People, Person
from service.simulator.rhythm import DAY_SECONDS, HOUR_SECONDS, MONTH_SECONDS, Rhythm
from service.simulator.texts import read

DEFAULT_ENDING = datetime(2026, 11, 1, tzinfo=UTC)
"""Where a history ends when nobody says: a fixed moment, so that a seed means the same bytes on every day."""

_FIRST_COMMENT, _FIRST_ENTRY, _FIRST_ANSWER = 10_001, 101, 1_001  # clear of the ids in the sample payloads
_RECENT_VOTES, _RECENT_COMMENTS, _RECENT_FOLLOWS = 4_096, 2_048, 2_048
_PAIRS_USED_MOST = 0.12  # votes as a share of users times items; beyond, pairs that have not voted get rare

# How the bodies that are neither votes nor planned divide among the actions.
_SHARES = (
    ("comment.create", 0.096),
    ("item.update", 0.081),
    ("subscription.create", 0.041),
    ("satisfaction.create", 0.030),
    ("user.update", 0.019),
    ("subscription.delete", 0.011),
    ("comment.update", 0.009),
    ("changelog.subscribe", 0.005),
    ("comment.delete", 0.004),
)
_RARE = ("changelog.create", "item.delete", "merge", "user.delete")


class Unannounced(NamedTuple):
    """A change of an item's totals that no body tells of; the next post of that item shows it."""

    item: int
    up: int
    down: int
    comments: int
    why: str  # withdrawn | switched | merged-away | merged-into


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """How large and how lively a board is. The same knobs and the same seed give the same bytes.

    `events` is the length of the history; without it, `rate` events a day over the months. `users`
    and `items` are how many there are at its end; a short history has fewer, and where the votes
    would not fit there are more, in the same proportion. `votes_share` is the part of all events
    that are votes; `withdrawn_share` how many totals change in silence for each vote.
    """

    seed: int
    events: int | None = None
    months: int = 18
    users: int = 900
    items: int = 400
    rate: float = 91.3
    votes_share: float = 0.675
    withdrawn_share: float = 0.008
    ending: datetime = DEFAULT_ENDING
    product_id: int = 647288130

    @property
    def length(self) -> int:
        """How many events the history has."""
        return self.events if self.events is not None else round(self.rate * self.months * MONTH_SECONDS / DAY_SECONDS)

    def people_and_items(self) -> tuple[int, int]:
        """Return how many users and items the history ends with."""
        users = min(self.users, max(12, self.length // 10))
        items = min(self.items, max(8, self.length // 30))
        crowding = self.length * self.votes_share / (users * items * _PAIRS_USED_MOST)
        more = sqrt(crowding) if crowding > 1 else 1.0
        return int(users * more), int(items * more)


class Comment(NamedTuple):
    """What later edits and deletions of a comment need to know of it."""

    number: int
    item: Item
    author: Person
    text: str
    kind: str
    created: str


class Traffic:
    """A board in motion. `history()` yields its months; `next_body(now)` goes on from there, for ever."""

    def __init__(self, knobs: Knobs, on_unannounced: Callable[[Unannounced], None] | None = None) -> None:
        dice = Dice(knobs.seed)
        self.knobs, self._dice, self._roll = knobs, dice, dice.roll
        self._tell = on_unannounced
        self._length = max(1, knobs.length)
        self._users, self._items = knobs.people_and_items()
        ending = int(knobs.ending.timestamp())
        self._rhythm = Rhythm(Dice(knobs.seed, 1), ending - knobs.months * MONTH_SECONDS, ending)
        self._people = People(Dice(knobs.seed, 2))
        self._board = Board(Dice(knobs.seed, 3), knobs.product_id)
        self._writer = Writer(knobs.product_id, Dice(knobs.seed, 4))
        self._slot = 0
        self.at = self._rhythm.start
        self._today, self._today_text = -1, ""
        self._votes: list[tuple[Item, Person, int]] = []
        self._votes_seen = 0
        self._comments: list[Comment] = []
        self._comments_seen = 0
        self._follows: list[tuple[Item, Person]] = []
        self._follows_seen = 0
        self._replies: list[tuple[int, int, Item, str]] = []
        self._later: list[tuple[int, int, Callable[[int], bytes | None]]] = []
        self._promised = 0
        self._shipped: list[Item] = []
        self._answered: list[Person] = []
        self._entries = self._answers = 0
        self._mood, self._mood_at = 0.0, self.at
        self._next_user = self._next_item = 0.0
        self._makers: dict[str, Callable[[int], bytes | None]] = {
            "vote.create": self._vote,
            "comment.create": self._comment,
            "comment.update": self._comment_update,
            "comment.delete": self._comment_delete,
            "item.update": self._item_update,
            "item.delete": self._item_delete,
            "merge": self._merge,
            "subscription.create": self._follow,
            "subscription.delete": self._unfollow,
            "user.update": self._user_update,
            "user.delete": self._user_delete,
            "satisfaction.create": self._answer,
            "changelog.create": self._release,
            "changelog.subscribe": self._changelog_subscribe,
        }
        self._agenda = self._planned_slots(Dice(knobs.seed, 5))
        self._agenda_next = 0
        self._draws = self._shares()

    @classmethod
    def resume(
        cls,
        knobs: Knobs,
        ticked: Iterable[datetime] = (),
        on_unannounced: Callable[[Unannounced], None] | None = None,
    ) -> Traffic:
        """Return the traffic as it stood after its history and after the bodies since, to go on with `next_body`.

        `ticked` are the moments that `next_body` was called with, or the times which its bodies
        carry, in order. Nothing is stored for this: everything is simulated again, unwritten.
        """
        traffic = cls(knobs, on_unannounced)
        traffic._writer.mute = True
        for _ in traffic.history():
            pass
        for moment in ticked:
            traffic.next_body(moment)
        traffic._writer.mute = False
        return traffic

    def history(self) -> Iterator[bytes]:
        """Yield the bodies of the months, in the order of their timestamps."""
        step, writer = self._step, self._writer
        for moment in self._rhythm.moments(self._length, Dice(self.knobs.seed, 6)):
            yield step(moment if moment > writer.not_before else writer.not_before)

    def next_body(self, now: datetime) -> bytes:
        """Return one more body, of this second or, if that would fall behind the last one, of the last one's."""
        return self._step(max(int(now.timestamp()), self._writer.not_before, self.at))

    # What happens next

    def _step(self, at: int) -> bytes:
        self.at = at
        slot = self._slot
        self._slot = slot + 1
        if self._later and self._later[0][0] <= at:
            body = heappop(self._later)[2](at)
            if body is not None:
                return body
        if slot >= self._next_user:
            return self._user_create(at)
        if slot >= self._next_item:
            return self._item_create(at)
        if self._agenda_next < len(self._agenda) and self._agenda[self._agenda_next][0] <= slot:
            action = self._agenda[self._agenda_next][1]
            self._agenda_next += 1
        else:
            action = self._draw()
        return self._makers[action](at) or self._vote(at) or self._comment(at) or self._item_create(at)

    def _draw(self) -> str:
        """Return what happens when nothing is planned: mostly a vote."""
        luck = self._roll()
        for below, action in self._draws:
            if luck < below:
                return action
        return self._dice.pick(_RARE) if self._slot > self._length else "vote.create"

    def _shares(self) -> list[tuple[float, str]]:
        """Return the actions with the end of their range of luck, so that planned ones and these meet the shares."""
        planned = (self._users + self._items + len(self._agenda)) / self._length
        drawn = max(0.05, 1 - planned)
        votes = min(0.97, self.knobs.votes_share / drawn)
        usual = sum(share for _, share in _SHARES)
        draws, below = [(votes, "vote.create")], votes
        for action, share in _SHARES:
            below += share / usual * (1 - votes)
            draws.append((below - 0.004, action))  # the last sliver: what is rare, once the history is over
        return draws

    def _planned_slots(self, dice: Dice) -> list[tuple[int, str]]:
        """Return what must happen and when, by number of the event: releases, deletions, merges, one of each."""
        length = self._length
        planned = [(int(self._rhythm.share_before(moment) * length) + 1, "changelog.create") for moment in self._rhythm.releases]
        for action, share in (("item.delete", self._items * 0.05), ("merge", self._items * 0.035), ("user.delete", self._users * 0.02)):
            planned += [(int(dice.between(0.2, 0.97) * length), action) for _ in range(1 + int(share))]
        planned += [(int((0.5 + 0.04 * number) * length), action) for number, (action, _) in enumerate(_SHARES)]
        if not self._rhythm.releases:
            planned.append((length // 2, "changelog.create"))
        return sorted(planned)

    def _slot_of(self, number: int, total: int) -> float:
        """Return when the next of so many arrives: half of them steadily, half rather early."""
        part = number / total
        root = (sqrt(0.25 + 2 * part) - 0.5)
        return root * root * self._length

    def _stamp(self, at: int) -> str:
        """Return a moment as Sleekplan writes it inside `data`."""
        day, second = divmod(at, DAY_SECONDS)
        if day != self._today:
            self._today = day
            self._today_text = time.strftime("%Y-%m-%d ", time.gmtime(at))
        return self._today_text + _CLOCK[second // 60] + _SECONDS[second % 60]

    # People

    def _user_create(self, at: int) -> bytes:
        person = self._people.arrive(at, self._stamp(at))
        arrived = len(self._people.everybody)
        self._next_user = self._slot_of(arrived + 1, self._users) if arrived > TEAM_SIZE + 1 else 0
        return self._writer.write("user.create", person.full(), at)

    def _user_update(self, at: int) -> bytes | None:
        person = self._people.someone(at)
        if person is None:
            return None
        person.change(self._dice, self._stamp(at))
        return self._writer.write("user.update", person.full(), at)

    def _user_delete(self, at: int) -> bytes | None:
        person = self._people.someone(at)
        if person is None:
            return None
        person.forget()
        return self._writer.write("user.delete", {"user_id": person.number}, at)

    # Items

    def _item_create(self, at: int) -> bytes:
        author = self._people.someone(at) or self._people.team[0]
        author.posts += 1
        item = self._board.submit(author, at, self._stamp(at))
        self._next_item = self._slot_of(self._board.made + 1, self._items)
        if self._dice.chance(0.7):
            sooner = 1 - 0.7 * min(1.0, self._slot / self._length)  # the team learns to answer faster
            self._reply_later(item, "team_first", at, 30 * HOUR_SECONDS * sooner)
        return self._writer.write("item.create", item.post, at)

    def _item_update(self, at: int) -> bytes | None:
        hurry = self._slot > self._length and self._dice.chance(0.3)
        item = self._board.due_move(at, hurry)
        if item is not None:
            self._move(item, at)
        else:
            item = self._popular(at)
            if item is None:
                return None
            item.rewrite(self._dice)
        item.post["updated"] = self._stamp(at)
        return self._writer.write("item.update", item.post, at)

    def _move(self, item: Item, at: int) -> None:
        """Give an item its next status, with what follows: attention, a word of the team, a release note."""
        before, status = item.status, self._board.next_status(item)
        item.set_status(status, at)
        self._board.plan_move(item, at)
        if status in (*boards.ON_THE_WAY, boards.DONE):
            self._board.heat_up(item, at, self._dice.between(2, 6))
        if status == boards.DONE:
            self._shipped.append(item)
        if self._dice.chance(0.5):
            self._reply_later(item, _remark_on(before, status), at, 2 * HOUR_SECONDS)

    def _item_delete(self, at: int) -> bytes | None:
        if len(self._board.items) < 4:
            return None
        item = self._board.to_delete()
        if item is None:
            return None
        self._board.remove(item)
        name = "id" if self._dice.chance(0.25) else "feedback_id"
        return self._writer.write("item.delete", {name: item.number}, at)

    def _merge(self, at: int) -> bytes | None:
        """Close an item in favour of a like one; who voted for both counts once."""
        pair = self._board.to_merge()
        if pair is None:
            return None
        source, target = pair
        voters = target.up | target.down
        up, down, comments = source.up - voters, source.down - voters, source.post["total_comments"]
        self._change(source, -len(source.up), -len(source.down), -comments, "merged-away", at)
        self._change(target, len(up), len(down), comments, "merged-into", at)
        target.up |= up
        target.down |= down
        source.up, source.down = set(), set()
        source.set_status(boards.MERGED, at)
        source.post["updated"] = self._stamp(at)

        def update_target(then: int) -> bytes | None:
            if target.gone:
                return None
            target.post["updated"] = self._stamp(then)
            return self._writer.write("item.update", target.post, then)

        self._do_later(at + 1 + self._dice.below(20), update_target)
        return self._writer.write("item.update", source.post, at)

    def _change(self, item: Item, up: int, down: int, comments: int, why: str, at: int) -> None:
        """Change totals without a word."""
        item.count(up, down, at)
        item.post["total_comments"] += comments
        if self._tell is not None:
            self._tell(Unannounced(item.number, up, down, comments, why))

    # Votes

    def _vote(self, at: int) -> bytes | None:
        if self._roll() < self.knobs.withdrawn_share:
            self._withdraw_or_switch(at)
        someone, everybody = self._people.someone, len(self._people.everybody)
        for _ in range(10):
            item = self._popular(at)
            if item is None:
                return None
            if len(item.up) + len(item.down) > item.reach * everybody + 3:
                continue
            for _ in range(3):
                person = someone(at)
                if person is None:
                    return None
                if person.number not in item.up and person.number not in item.down:
                    return self._cast(item, person, at)
        return None

    def _cast(self, item: Item, person: Person, at: int) -> bytes:
        if self._roll() < item.contested:
            way = -1
            item.down.add(person.number)
            item.count(0, 1, at)
        else:
            way = 1
            item.up.add(person.number)
            item.count(1, 0, at)
        person.votes += 1
        self._votes_seen = _keep(self._votes, (item, person, way), self._votes_seen, _RECENT_VOTES)
        luck = self._roll()
        data: dict[str, Any]
        if luck < 0.8:
            data = {"vote": way, "user": person.card, "created": self._stamp(at), "feedback_item": item.post}
        elif luck < 0.88:
            data = {"feedback_item": item.post}
        elif luck < 0.94:
            data = {"feedback_id": item.number, "user_id": person.number, "vote": way}
        else:
            data = {"feedback_id": item.number, "user_id": person.number, "vote": way, "feedback_item": item.post}
        return self._writer.write("vote.create", data, at)

    def _withdraw_or_switch(self, at: int) -> None:
        """Take back or turn round one of the recent votes; Sleekplan tells nobody."""
        if not self._votes:
            return
        place = self._dice.below(len(self._votes))
        item, person, way = self._votes[place]
        mine, other = (item.up, item.down) if way > 0 else (item.down, item.up)
        if item.gone or person.number not in mine:
            return
        mine.discard(person.number)
        if self._dice.chance(0.25):
            other.add(person.number)
            self._votes[place] = (item, person, -way)
            self._change(item, -way, way, 0, "switched", at)
        else:
            self._change(item, -(way > 0), -(way < 0), 0, "withdrawn", at)

    def _popular(self, at: int) -> Item | None:
        """Return an item that draws attention: who has votes gets more, what is new or was moved gets some."""
        items, votes, roll = self._board.items, self._votes, self._roll
        if not items:
            return None
        for _ in range(16):
            luck = roll()
            if luck < 0.5 and votes:
                item = votes[int(luck * 2 * len(votes))][0]
            elif luck < 0.62:
                hot = self._board.hot_item(at)
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

    # Comments

    def _comment(self, at: int) -> bytes | None:
        if self._replies and self._replies[0][0] <= at:
            _, _, item, topic = heappop(self._replies)
            if not item.gone and item.pull:
                return self._say(item, self._dice.pick(self._people.team), self._dice.pick(read("remarks")[topic]), at)
        item_or_none, person = self._popular(at), self._people.someone(at)
        if item_or_none is None or person is None:
            return None
        if self._dice.chance(0.12):
            self._reply_later(item_or_none, "team_other", at, 8 * HOUR_SECONDS)
        text = self._dice.pick(read("remarks")["user"]).replace("{topic}", item_or_none.topic.short)
        return self._say(item_or_none, person, text, at)

    def _say(self, item: Item, author: Person, text: str, at: int) -> bytes:
        item.post["total_comments"] += 1
        author.comments += 1
        luck = self._roll()
        kind = "comment" if luck < 0.8 else "value" if luck < 0.92 else "text"
        comment = Comment(_FIRST_COMMENT + self._comments_seen, item, author, text, kind, self._stamp(at))
        self._comments_seen = _keep(self._comments, comment, self._comments_seen, _RECENT_COMMENTS)
        return self._writer.write("comment.create", self._comment_object(comment, 0, comment.created), at)

    def _comment_object(self, comment: Comment, likes: int, updated: str) -> dict[str, Any]:
        return {
            "comment_id": comment.number,
            "feedback_id": comment.item.number,
            "product_id": self.knobs.product_id,
            comment.kind: comment.text,
            "status": "open",
            "type": "comment",
            "likes": likes,
            "created": comment.created,
            "updated": updated,
            "user": comment.author.card,
        }

    def _comment_update(self, at: int) -> bytes | None:
        place = self._recent_comment()
        if place is None:
            return None
        comment = self._comments[place]
        if self._dice.chance(0.6) and len(comment.text) < 300:
            comment = comment._replace(text=comment.text + self._dice.pick(read("remarks")["comment_edit"]))
            self._comments[place] = comment
        body = self._comment_object(comment, int(self._dice.long_tail(2)), self._stamp(at))
        return self._writer.write("comment.update", body, at)

    def _comment_delete(self, at: int) -> bytes | None:
        place = self._recent_comment()
        if place is None:
            return None
        comment = self._comments[place]
        self._comments[place] = comment._replace(kind="")
        comment.item.post["total_comments"] -= 1
        data = {"comment_id": comment.number}
        if self._dice.chance(0.4):
            data["feedback_id"] = comment.item.number
        return self._writer.write("comment.delete", data, at)

    def _recent_comment(self) -> int | None:
        """Return the place of a comment that still stands where it was written; None when none is found."""
        for _ in range(8):
            if not self._comments:
                return None
            place = self._dice.below(len(self._comments))
            comment = self._comments[place]
            if comment.kind and not comment.item.gone and comment.item.status != boards.MERGED:
                return place
        return None

    def _reply_later(self, item: Item, topic: str, at: int, median_seconds: float) -> None:
        self._promised += 1
        due = at + int(self._dice.long_tail(median_seconds))
        heappush(self._replies, (due, self._promised, item, topic))

    def _do_later(self, due: int, action: Callable[[int], bytes | None]) -> None:
        self._promised += 1
        heappush(self._later, (due, self._promised, action))

    # Subscriptions

    def _follow(self, at: int) -> bytes | None:
        for _ in range(6):
            item, person = self._popular(at), self._people.someone(at)
            if item is None or person is None:
                return None
            if person.number in item.followers:
                continue
            item.followers.add(person.number)
            item.post["total_subscriber"] += 1
            self._follows_seen = _keep(self._follows, (item, person), self._follows_seen, _RECENT_FOLLOWS)
            if self._dice.chance(0.75):
                data: dict[str, Any] = {"user": person.card, "feedback_item": item.post}
            else:
                data = {"feedback_id": item.number, "user_id": person.number}
            return self._writer.write("subscription.create", data, at)
        return None

    def _unfollow(self, at: int) -> bytes | None:
        """Let somebody stop following, rather where a promise has waited for long."""
        for number in range(16):
            if not self._follows:
                return None
            item, person = self._dice.pick(self._follows)
            if item.gone or person.gone or person.number not in item.followers:
                continue
            waits = item.status in boards.ON_THE_WAY and at - item.moved_at > 40 * DAY_SECONDS
            if waits or number > 4:
                item.followers.discard(person.number)
                item.post["total_subscriber"] -= 1
                who: dict[str, Any] = {"user_id": person.number} if self._dice.chance(0.7) else {"user": person.card}
                return self._writer.write("subscription.delete", {"feedback_id": item.number, **who}, at)
        return None

    # Changelog

    def _release(self, at: int) -> bytes:
        """Publish an entry, about the oldest item shipped since the last one if there is one; an edit may follow."""
        linked = None
        while self._shipped and linked is None:
            shipped = self._shipped.pop(0)
            linked = shipped if not shipped.gone and shipped.status == boards.DONE else None
        if linked is not None:
            title, kind = linked.topic.news, "fix" if linked.topic.type_key == "bug" else "new"
            text = self._dice.pick(read("remarks")["changelog_linked"])
            text = text.replace("{title}", escape(str(linked.post["title"])))
            self._board.heat_up(linked, at, 4)
        else:
            title, text, kind = self._dice.pick(read("remarks")["changelog"])
        entry: dict[str, Any] = {
            "changelog_id": _FIRST_ENTRY + self._entries,
            "product_id": self.knobs.product_id,
            "feedback_id": linked.number if linked is not None else 0,
            "title": title,
            "description": f"<p>{text}</p>",
            "type": kind,
            "segment": "",
            "draft": False,
            "announcement": kind in ("new", "announcement"),
            "scheduled": 0,
            "created": self._stamp(at),
        }
        self._entries += 1
        self._mood = self._mood_now(at) + (-0.9 if self._dice.chance(0.25) else 0.3)
        if self._entries == 2 or self._dice.chance(0.45):
            edited = {**entry, "title": title + self._dice.pick(read("remarks")["changelog_tail"])}
            if self._dice.chance(0.3):
                edited["changelog_id"] = str(edited["changelog_id"])
            wait = int(self._dice.long_tail(2 * HOUR_SECONDS)) + 60
            self._do_later(at + wait, lambda then: self._writer.write("changelog.update", edited, then))
        return self._writer.write("changelog.create", entry, at)

    def _changelog_subscribe(self, at: int) -> bytes | None:
        person = self._people.someone(at)
        if person is None:
            return None
        data: dict[str, Any] = {"user": person.card} if self._dice.chance(0.85) else person.card
        return self._writer.write("changelog.subscribe", data, at)

    # Satisfaction

    def _mood_now(self, at: int) -> float:
        """Return how releases have left people feeling; half of it is gone after thirty days."""
        mood = self._mood / (1 + (at - self._mood_at) / (30 * DAY_SECONDS))
        self._mood_at = at
        return mood

    def _answer(self, at: int) -> bytes | None:
        person = self._who_answers(at)
        if person is None:
            return None
        self._mood = self._mood_now(at)
        feels = person.temper + self._mood + self._dice.between(-0.9, 0.9)
        if person.answered_at:
            feels = 0.5 * feels + 0.5 * (person.score + self._mood)
        else:
            self._answered.append(person)
        person.score, person.answered_at = feels, at
        person.answers += 1
        vote = max(1, min(5, int(feels + 0.5)))
        data: dict[str, Any] = {
            "satisfaction_id": _FIRST_ANSWER + self._answers,
            "vote": vote,
            "data": "default",
            "comment": self._dice.pick(read("remarks")["satisfaction"][str(vote)]),
            "meta": {"referrer": f"https://app.example.com/{self._dice.pick(_SCREENS)}"},
        }
        self._answers += 1
        data |= {"user": person.card} if self._dice.chance(0.4) else {"user_id": person.number}
        data["updated"] = self._stamp(at)
        return self._writer.write("satisfaction.create", data, at)

    def _who_answers(self, at: int) -> Person | None:
        """Return somebody to answer: in half of all cases one whose last answer is two weeks old or more."""
        if self._answered and self._dice.chance(0.55):
            for _ in range(4):
                person = self._dice.pick(self._answered)
                if not person.gone and at < person.silent_from and at - person.answered_at > 14 * DAY_SECONDS:
                    return person
        person_or_none = self._people.someone(at)
        if person_or_none is not None and at - person_or_none.answered_at < 7 * DAY_SECONDS:
            return self._people.someone(at)
        return person_or_none


_SCREENS = ("settings", "calendar", "board", "booking", "reports", "timeline")
_CLOCK = [f"{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1_440)]
_SECONDS = [f"{second:02d}" for second in range(60)]


def _keep(recent: list[Any], value: Any, seen: int, limit: int) -> int:
    """Put a value into a list of the newest `limit`, over the oldest; return how many there have been."""
    if seen < limit:
        recent.append(value)
    else:
        recent[seen % limit] = value
    return seen + 1


def _remark_on(before: str, status: str) -> str:
    """Return which kind of remark the team makes when an item moves."""
    if (before, status) in ((boards.DONE, boards.PROGRESS), (boards.PLANNED, boards.REVIEW)):
        return "team_back"
    if status in (boards.PROGRESS, boards.BETA):
        return "team_progress"
    return {boards.PLANNED: "team_planned", boards.DONE: "team_done"}.get(
        status, "team_declined" if status in (boards.DECLINED, boards.CLOSED) else "team_other"
    )
