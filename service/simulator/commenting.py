"""Lets people comment, edit and delete comments, and lets the team reply when it gets round to it."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any, NamedTuple

from service.simulator.board import MERGED, Idea
from service.simulator.people import Account
from service.simulator.rhythm import HOUR_SECONDS
from service.simulator.scene import Recent, Scene
from service.simulator.texts import read

# What a comment is made of, and how likely: words of their own, or who says it, how it is, what they want.
_FORMS: tuple[tuple[tuple[str, ...], float], ...] = (
    (("user",), 0.2),
    (("stance",), 0.12),
    (("stance", "case"), 0.18),
    (("stance", "who", "case"), 0.1),
    (("who", "case"), 0.12),
    (("who", "case", "ask"), 0.13),
    (("stance", "ask"), 0.1),
    (("case", "ask"), 0.05),
)
FIRST_COMMENT = 10_001  # clear of the ids in the sample payloads


class Remark(NamedTuple):
    """What later edits and deletions of a comment need to know of it. `member` is where its text stands.

    `parent` is the comment that it answers, `public` false of a note between the team, and `pinned` None
    until somebody pinned it.
    """

    number: int
    item: Idea
    author: Account
    text: str
    member: str
    created: str
    parent: int = 0
    public: bool = True
    pinned: bool | None = None
    deleted: bool = False


class Commenting:
    """`comment.create`, `comment.update` and `comment.delete`."""

    def __init__(self, scene: Scene) -> None:
        self._scene, self._dice = scene, scene.dice
        self._recent: Recent[Remark] = Recent(2_048)
        self._replies: list[tuple[int, int, Idea, str]] = []
        self._promised = 0

    def reply_later(self, item: Idea, remark: str, at: int, median_seconds: float) -> None:
        """Promise a word of the team; it is said when a comment is due and its time has come."""
        self._promised += 1
        heappush(
            self._replies, (at + int(self._dice.long_tail(median_seconds)), self._promised, item, remark)
        )

    def comment(self, at: int) -> bytes | None:
        """Let the team say what it has promised, else somebody comment on a popular item."""
        team = self._scene.people.team
        if self._replies and self._replies[0][0] <= at and team:
            _, _, item, remark = heappop(self._replies)
            if not item.gone and item.pull:
                return self._say(item, self._dice.pick(team), self._dice.pick(read("remarks")[remark]), at)
        popular, person = self._scene.popular(at), self._scene.people.someone(at)
        if popular is None or person is None:
            return None
        if self._dice.chance(0.12):
            self.reply_later(popular, "team_other", at, 8 * HOUR_SECONDS)
        return self._say(popular, person, self._words(popular), at)

    def _words(self, item: Idea) -> str:
        """Return what somebody says of an item, which hardly ever is what somebody has said of it before."""
        for _ in range(4):
            parts, remarks = self._dice.pick_weighted(_FORMS), read("remarks")
            text = " ".join(self._dice.pick(remarks[part]) for part in parts)
            if text not in item.said:
                break
        item.said.add(text)
        text = text.replace("{topic}", item.topic.short)
        return text[:1].upper() + text[1:]

    def _say(self, item: Idea, author: Account, text: str, at: int) -> bytes:
        item.post["total_comments"] += 1
        author.comments += 1
        member = self._dice.pick_weighted((("comment", 0.8), ("value", 0.12), ("text", 0.08)))
        number = FIRST_COMMENT + self._recent.seen
        comment = self._placed(Remark(number, item, author, text, member, self._scene.stamp(at)))
        self._recent.keep(comment)
        told = item.remarks[number] = self._object(comment, 0, comment.created)
        return self._scene.writer.write("comment.create", told, at)

    def _placed(self, comment: Remark) -> Remark:
        """Let some words of the team answer the comment before, and a few be for the team alone."""
        rare, before = self._scene.rare, next(reversed(comment.item.remarks.values()), None)
        answers, hidden = rare.chance(0.3), rare.chance(0.06)
        if not comment.author.card["admin_id"]:
            return comment
        if answers and before is not None and before.get("public", True):
            comment = comment._replace(parent=before["comment_id"])
        return comment._replace(public=not hidden)

    def _object(self, comment: Remark, likes: int, updated: str) -> dict[str, Any]:
        told: dict[str, Any] = {"parent": comment.parent} if comment.parent else {}
        if not comment.public:
            told["public"] = False
        if comment.pinned is not None:
            told["pinned"] = comment.pinned
        return told | {
            "comment_id": comment.number,
            "feedback_id": comment.item.number,
            "product_id": self._scene.knobs.product_id,
            comment.member: comment.text,
            "status": "open",
            "type": "comment",
            "likes": likes,
            "created": comment.created,
            "updated": updated,
            "user": comment.author.card,
        }

    def update(self, at: int) -> bytes | None:
        """Change the text of a comment, or only its likes; now and then pin it."""
        place = self._standing()
        if place is None:
            return None
        comment = self._recent.values[place]
        if self._dice.chance(0.6) and len(comment.text) < 300:
            edits = read("remarks")["team_edit" if comment.author.card["admin_id"] else "comment_edit"]
            comment = comment._replace(text=comment.text + self._dice.pick(edits))
        if self._scene.rare.chance(0.25 if comment.author.card["admin_id"] else 0.03):
            comment = comment._replace(pinned=not comment.pinned)
        self._recent.values[place] = comment
        changed = self._object(comment, int(self._dice.long_tail(2)), self._scene.stamp(at))
        comment.item.remarks[comment.number] = changed
        return self._scene.writer.write("comment.update", changed, at)

    def delete(self, at: int) -> bytes | None:
        """Take a comment away; its item has one less, which only the item's next post shows."""
        place = self._standing()
        if place is None:
            return None
        comment = self._recent.values[place]
        self._recent.values[place] = comment._replace(deleted=True)
        comment.item.post["total_comments"] -= 1
        del comment.item.remarks[comment.number]
        data = {"comment_id": comment.number}
        if self._dice.chance(0.4):
            data["feedback_id"] = comment.item.number
        return self._scene.writer.write("comment.delete", data, at)

    def _standing(self) -> int | None:
        """Return the place of a comment that still stands where it was written; None when none is found."""
        comments = self._recent.values
        for _ in range(8 if comments else 0):
            place = self._dice.below(len(comments))
            comment = comments[place]
            if not comment.deleted and not comment.item.gone and comment.item.status != MERGED:
                return place
        return None
