"""Simulates a feedback board: from one seed, the bodies of months, and then of each moment asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from math import sqrt

from service.simulator.commenting import Commenting
from service.simulator.dice import Dice
from service.simulator.editing import Editing
from service.simulator.following import Following
from service.simulator.joining import Joining
from service.simulator.knobs import Knobs
from service.simulator.people import TEAM_SIZE
from service.simulator.releasing import Answering, Mood, Releasing
from service.simulator.rhythm import MONTH_SECONDS, Rhythm
from service.simulator.scene import Happening, Scene, Unannounced
from service.simulator.voting import Voting

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
_RARE = ("changelog.create", "item.delete", "item.merge", "user.delete")
_RARE_SHARE = 0.004  # of what is drawn once the history is over


class Traffic:
    """A board in motion. `history()` yields its months; `next_body(now)` goes on from there, for ever.

    An event is one of three things: a promise that has come due, something planned for its number
    (arrivals, releases, deletions, and one of each action), or, mostly, a draw by the shares.
    """

    def __init__(self, knobs: Knobs, on_unannounced: Callable[[Unannounced], None] | None = None) -> None:
        self.scene = self._scene = scene = Scene(knobs, on_unannounced)
        self._seed, self._roll, self._writer = knobs.seed, scene.roll, scene.writer
        self._events, self._length = knobs.length, max(1, knobs.length)
        self._users, self._items = knobs.people_and_items()
        ending = int(knobs.ending.timestamp())
        self._rhythm = Rhythm(Dice(knobs.seed, 1), ending - knobs.months * MONTH_SECONDS, ending)
        self.at = self._rhythm.start
        self._number = 0
        self._next_user = self._next_item = 0.0
        self._join(scene)
        self._planned = _planned(self._rhythm, self._length, self._users, self._items, Dice(knobs.seed, 5))
        self._planned_done = 0
        self._draws = self._ranges_of_luck(knobs.votes_share)

    def _join(self, scene: Scene) -> None:
        """Put the happenings together."""
        mood = Mood()
        commenting = Commenting(scene)
        editing = Editing(scene, commenting)
        voting, following, joining = Voting(scene), Following(scene), Joining(scene)
        self.releasing, self.answering = Releasing(scene, editing, mood), Answering(scene, mood)
        self._vote, self._comment = voting.vote, commenting.comment
        self._create_user, self._create_item = joining.create, editing.create
        self._happenings: dict[str, Happening] = {
            "vote.create": voting.vote,
            "comment.create": commenting.comment,
            "comment.update": commenting.update,
            "comment.delete": commenting.delete,
            "item.update": editing.update,
            "item.delete": editing.delete,
            "item.merge": editing.merge,
            "subscription.create": following.follow,
            "subscription.delete": following.unfollow,
            "user.update": joining.update,
            "user.delete": joining.delete,
            "satisfaction.create": self.answering.create,
            "changelog.create": self.releasing.create,
            "changelog.subscribe": self.releasing.subscribe,
        }

    @classmethod
    def resume(cls, knobs: Knobs, ticked: Iterable[datetime] = ()) -> Traffic:
        """Return the traffic as it stood after its history and the bodies since, to go on with `next_body`.

        `ticked` are the moments that `next_body` was called with, or the times that its bodies
        carry, in order. Nothing is stored for this: everything is simulated again, unwritten.
        """
        traffic = cls(knobs)
        traffic._writer.mute = True
        for _ in traffic.history():
            pass
        for moment in ticked:
            traffic.next_body(moment)
        traffic._writer.mute = False
        return traffic

    def history(self) -> Iterator[bytes]:
        """Yield the bodies of the months, in the order of their timestamps. To be gone through once."""
        step, writer = self._step, self._writer
        for moment in self._rhythm.moments(self._events, Dice(self._seed, 6)):
            yield step(moment if moment > writer.not_before else writer.not_before)

    def next_body(self, now: datetime) -> bytes:
        """Return one more body, of this second or, where that would fall behind, of the last one's."""
        self._scene.part_done = self._number / self._length
        return self._step(max(int(now.timestamp()), self._writer.not_before, self.at))

    def next_of(self, action: str, now: datetime) -> bytes | None:
        """Return one more body, of this action; None where it cannot happen."""
        self.at = max(int(now.timestamp()), self._writer.not_before, self.at)
        return self._happenings[action](self.at)

    def _step(self, at: int) -> bytes:
        self.at = at
        number = self._number
        self._number = number + 1
        promised = self._scene.keep_promise(at)
        if promised is not None:
            return promised
        if number >= self._next_user:
            return self._arrival(at)
        if number >= self._next_item:
            return self._submission(at)
        if self._planned_done < len(self._planned) and self._planned[self._planned_done][0] <= number:
            action = self._planned[self._planned_done][1]
            self._planned_done += 1
        else:
            luck = self._roll()
            if luck < self._votes_below:
                return self._vote(at) or self._comment(at) or self._submission(at)
            action = self._drawn(luck)
        body = self._happenings[action](at) or self._vote(at) or self._comment(at)
        return body if body is not None else self._submission(at)

    def _arrival(self, at: int) -> bytes:
        """Let somebody join; the team and a first user come at once."""
        body = self._create_user(at)
        arrived = len(self._scene.people.everybody)
        self._next_user = self._number_of(arrived + 1, self._users) if arrived > TEAM_SIZE else 0
        return body

    def _submission(self, at: int) -> bytes:
        self._scene.part_done = self._number / self._length
        body = self._create_item(at)
        self._next_item = self._number_of(self._scene.board.made + 1, self._items)
        return body

    def _number_of(self, which: int, total: int) -> float:
        """Return the number of the event that brings the next of so many: half come steadily, half early."""
        root = sqrt(0.25 + 2 * which / total) - 0.5
        return root * root * self._length

    def _drawn(self, luck: float) -> str:
        """Return what happens when nothing is planned and it is no vote."""
        for below, action in self._draws:
            if luck < below:
                return action
        return self._scene.dice.pick(_RARE) if self._number > self._length else "vote.create"

    def _ranges_of_luck(self, votes_share: float) -> list[tuple[float, str]]:
        """Return each action with the end of its range, so that planned and drawn ones meet the shares."""
        drawn = 1 - (self._users + self._items + len(self._planned)) / self._length
        below = min(0.97, votes_share / max(0.05, drawn))
        self._votes_below = below
        ranges = []
        unit = (1 - below - _RARE_SHARE) / sum(share for _, share in _SHARES)
        for action, share in _SHARES:
            below += share * unit
            ranges.append((below, action))
        return ranges


def _planned(rhythm: Rhythm, length: int, users: int, items: int, dice: Dice) -> list[tuple[int, str]]:
    """Return what must happen, with the number of its event: releases, deletions, merges, one of each."""
    planned = [(length // 2, "changelog.create")] if not rhythm.releases else []
    planned += [
        (int(rhythm.share_before(moment) * length) + 1, "changelog.create") for moment in rhythm.releases
    ]
    for action, count in (
        ("item.delete", items * 0.05),
        ("item.merge", items * 0.035),
        ("user.delete", users * 0.02),
    ):
        planned += [(int(dice.between(0.2, 0.97) * length), action) for _ in range(1 + int(count))]
    planned += [(int((0.5 + 0.04 * place) * length), action) for place, (action, _) in enumerate(_SHARES)]
    return sorted(planned)
