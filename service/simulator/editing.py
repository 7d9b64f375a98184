"""Lets items be submitted, edited, moved between statuses, merged and deleted."""

from __future__ import annotations

from service.simulator import board as boards
from service.simulator.board import Idea
from service.simulator.commenting import Commenting
from service.simulator.rhythm import HOUR_SECONDS, MONTH_SECONDS
from service.simulator.scene import Scene

REWORDED_SHARE = 0.5
"""Of the edits that could reword something."""


class Editing:
    """`item.create`, `item.update` and `item.delete`. `shipped` are items that no release note named yet."""

    def __init__(self, scene: Scene, commenting: Commenting) -> None:
        self._scene, self._commenting = scene, commenting
        self._board, self._dice = scene.board, scene.dice
        self.shipped: list[Idea] = []

    def create(self, at: int) -> bytes:
        """Let somebody submit an item; the team answers most, and over the months sooner and sooner."""
        author = self._scene.people.someone(at) or self._scene.people.team[0]
        author.posts += 1
        item = self._board.submit(author, at, self._scene.stamp(at))
        if self._dice.chance(0.7):
            sooner = 1 - 0.7 * min(1.0, self._scene.part_done)
            self._commenting.reply_later(item, "team_first", at, 30 * HOUR_SECONDS * sooner)
        return self._scene.writer.write("item.create", item.post, at)

    def update(self, at: int) -> bytes | None:
        """Move an item whose time has come, else edit one."""
        hurry = self._scene.part_done > 1 and self._dice.chance(0.3)
        item = self._board.due_move(at, hurry)
        if item is not None:
            self._move(item, at)
        else:
            item = self._edit(at)
        return None if item is None else self._updated(item, at)

    def _edit(self, at: int) -> Idea | None:
        """Have a popular item reworded while it has a wording left, else let the team weigh or assign one."""
        popular = self._scene.popular(at)
        if popular is not None and popular.wordings_left and self._dice.chance(REWORDED_SHARE):
            popular.reword(self._dice)
            return popular
        for _ in range(8 if self._board.items else 0):
            item = self._dice.pick(self._board.items)
            if item.status in boards.ON_THE_WAY:
                self._assign(item, at)
                return item
            if item.status != boards.MERGED:
                item.weigh(self._dice)
                return item
        return None

    def _updated(self, item: Idea, at: int) -> bytes:
        item.post["updated"] = self._scene.stamp(at)
        return self._scene.writer.write("item.update", item.post, at)

    def _move(self, item: Idea, at: int) -> None:
        """Give an item its next status, with what follows: attention, a word of the team, a release note."""
        before, status = item.status, self._board.next_status(item)
        item.set_status(status, at)
        self._assign(item, at)
        self._board.plan_move(item, at)
        if status in (*boards.ON_THE_WAY, boards.DONE):
            self._board.heat_up(item, at, self._dice.between(2, 6))
        if status == boards.DONE:
            self.shipped.append(item)
        if self._dice.chance(0.5):
            self._commenting.reply_later(item, _remark_on(before, status), at, 2 * HOUR_SECONDS)

    def _assign(self, item: Idea, at: int) -> None:
        """Give some items on the way an owner and a month; what ends has no month any more."""
        post, rare, team = item.post, self._scene.rare, self._scene.people.team
        owned, expected, months = rare.chance(0.35), rare.chance(0.25), rare.between(1, 5)
        who = rare.pick(team) if team else None
        if item.status in boards.ON_THE_WAY:
            if owned and who is not None:
                post["owner_id"] = who.number
            if expected:
                post["estimated"] = self._scene.stamp(at + int(months * MONTH_SECONDS))[:7]
        elif "estimated" in post:
            post["estimated"] = ""
        if item.status in (boards.DECLINED, boards.CLOSED) and "owner_id" in post:
            post["owner_id"] = 0

    def delete(self, at: int) -> bytes | None:
        """Delete an item, while there are some left."""
        item = self._board.to_delete() if len(self._board.items) > 3 else None
        if item is None:
            return None
        self._board.remove(item)
        name = "id" if self._dice.chance(0.25) else "feedback_id"
        return self._scene.writer.write("item.delete", {name: item.number}, at)

    def merge(self, at: int) -> bytes | None:
        """Close an item in favour of a like one, told as two updates; who voted for both counts once.

        Most of them say in `merge_id` which one that is.
        """
        pair = self._board.to_merge()
        if pair is None:
            return None
        source, target = pair
        self._hand_over(source, target, at)
        source.set_status(boards.MERGED, at)
        if self._scene.rare.chance(0.6):
            source.post["merge_id"] = target.number
        self._scene.later(
            at + 1 + self._dice.below(20),
            lambda then: None if target.gone else self._updated(target, then),
        )
        return self._updated(source, at)

    def _hand_over(self, source: Idea, target: Idea, at: int) -> None:
        """Move votes and comments from one item to another."""
        voters = target.up | target.down
        up = {voter: cast for voter, cast in source.up.items() if voter not in voters}
        down = {voter: cast for voter, cast in source.down.items() if voter not in voters}
        comments = source.post["total_comments"]
        change = self._scene.change_in_silence
        change(source, -len(source.up), -len(source.down), -comments, "merged-away", at)
        change(target, len(up), len(down), comments, "merged-into", at)
        target.up |= up
        target.down |= down
        target.remarks |= source.remarks
        source.up, source.down, source.remarks, source.merged_into = {}, {}, {}, target.number


def _remark_on(before: str, status: str) -> str:
    """Return which kind of remark the team makes when an item moves."""
    if (before, status) in ((boards.DONE, boards.PROGRESS), (boards.PLANNED, boards.REVIEW)):
        return "team_back"
    if status in (boards.PROGRESS, boards.BETA):
        return "team_progress"
    if status in (boards.DECLINED, boards.CLOSED):
        return "team_declined"
    return {boards.PLANNED: "team_planned", boards.DONE: "team_done"}.get(status, "team_other")
