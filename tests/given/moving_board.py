"""A board that moves while it is looked at, on a clock of its own; it notes when things are edited and go."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from service.simulator import Knobs, Traffic
from service.simulator.fake import FakeSleekplan
from service.simulator.variant import Variant

Thing = tuple[str, ...]


LIVELY: Final = Knobs(seed=5, events=300, items=12, users=20, months=2, votes_share=0.5, withdrawn_share=0.2)
"""A small board where people comment, withdraw votes and follow, and items are alike enough to be merged."""
RARE: Final = ("item.delete", "item.merge", "comment.delete", "user.delete", "subscription.delete")
EDITS: Final = ("item.update", "comment.update", "user.update")
_MOVES_BY_ITSELF: Final = re.compile(
    r"total_\w+|stats_\w+|trend|scoring|likes|child_count|has_child|user|updated"
)
"""What of things changes without an edit."""


class Move(NamedTuple):
    """Something that happens on a board: after so many hours, told or lost, before this request."""

    hours: int
    action: str
    lost: bool
    request: int


class MovingBoard:
    """A fake whose history was told, less what was lost.

    `went` has the moments at which things went, `edited` those at which they were edited: of its history too.
    """

    def __init__(self, knobs: Knobs, **variant: Any) -> None:
        traffic = Traffic(knobs)
        self.fake = FakeSleekplan(traffic, Variant(**variant))
        self.went: defaultdict[Thing, list[datetime]] = defaultdict(list)
        self.edited: defaultdict[Thing, list[datetime]] = defaultdict(list)
        self._looked = 0
        self._stood, self._was = set[Thing](), dict[Thing, dict[str, Any]]()
        self.bodies = []
        for body in traffic.history():
            self.bodies.append(body)
            self._note(datetime.fromtimestamp(traffic.at, UTC))
        self.at = knobs.ending
        self.fake.now = self.now

    def now(self) -> datetime:
        """The board's clock: it goes on by a tenth of a second at each look, and by hours at each move."""
        self._looked += 1
        return self.at + timedelta(milliseconds=100 * self._looked)

    def move(self, hours: int, action: str = "") -> bytes:
        """Let something happen some hours later, of this action if it can; return the webhook's body."""
        self.at = (self.now() + timedelta(hours=hours)).replace(microsecond=0)
        self._looked = 0
        traffic = self.fake.traffic
        body = (traffic.next_of(action, self.at) if action else None) or self.fake.move(self.at)
        self.at = max(self.at, datetime.fromtimestamp(self.fake.traffic.at, UTC))
        self._note(self.at)
        return body

    def _note(self, at: datetime) -> None:
        """Note what went and what was edited at a moment."""
        stands, said = self.standing(), self._contents()
        for thing in self._stood - stands:
            self.went[thing].append(at)
        for thing, content in said.items():
            if self._was.get(thing, content) != content:
                self.edited[thing].append(at)
        self._stood, self._was = stands, said

    def _contents(self) -> dict[Thing, dict[str, Any]]:
        """What things say that an edit may change."""
        rows = self.fake.rows
        posts, users = rows.posts({}), rows.users({})
        items = [posts.row(source) for source in posts.sources]
        remarks = [rows.comments(str(item["feedback_id"]), {}) for item in items]
        listed = {
            "item": ("feedback_id", items),
            "comment": (
                "comment_id",
                [each.row(source) for each in remarks if each for source in each.sources],
            ),
            "user": ("user_id", [users.row(source) for source in users.sources]),
        }
        return {
            (entity, str(row[id])): {n: v for n, v in row.items() if not _MOVES_BY_ITSELF.fullmatch(n)}
            for entity, (id, found) in listed.items()
            for row in found
        }

    def standing(self) -> set[Thing]:
        """What is on the board, by its ids."""
        scene, found = self.fake.traffic.scene, set[Thing]()
        for item in scene.board.items:
            id = str(item.number)
            found.add(("item", id))
            found |= {("vote", id, str(voter), "1") for voter in item.up}
            found |= {("vote", id, str(voter), "-1") for voter in item.down}
            found |= {("subscription", id, str(follower)) for follower in item.followers}
            found |= {("comment", str(number)) for number in item.remarks}
        found |= {("user", str(person.number)) for person in scene.people.everybody if not person.gone}
        return found

    def moments(self, action: str, data: dict[str, Any]) -> Sequence[datetime]:
        """When what an event tells to be gone went, as far as that was seen to happen."""
        entity, item = action.partition(".")[0], str(data.get("feedback_id"))
        person = str(data.get("user_id"))
        match entity:
            case "vote":
                return [
                    at
                    for way in ("1", "-1")
                    for at in self.went[entity, item, person, way]
                    if "vote_position" not in data
                ]
            case "subscription":
                return self.went[entity, item, person]
            case "comment":
                return self.went[entity, str(data["comment_id"])]
            case "user":
                return self.went[entity, person]
            case _:
                return self.went[entity, item]
