"""A board that moves while it is looked at, on a clock of its own, and when each thing on it went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from service.simulator import Knobs, Traffic
from service.simulator.fake import FakeSleekplan
from service.simulator.variant import Variant

Thing = tuple[str, ...]


LIVELY: Final = Knobs(seed=5, events=300, items=8, users=20, months=2, votes_share=0.3, withdrawn_share=0.2)
"""A small board on which people comment, withdraw votes and follow."""
RARE: Final = ("item.delete", "item.merge", "comment.delete", "user.delete", "subscription.delete")
EDITS: Final = ("item.update", "comment.update", "user.update")


class Move(NamedTuple):
    """Something that happens on a board: after so many hours, told or lost, before this request."""

    hours: int
    action: str
    lost: bool
    request: int


class MovingBoard:
    """A fake whose history was told, less what was lost. `went` has the moments at which things went."""

    def __init__(self, knobs: Knobs, **variant: Any) -> None:
        traffic = Traffic(knobs)
        self.bodies = list(traffic.history())
        self.fake = FakeSleekplan(traffic, Variant(**variant))
        self.at = knobs.ending
        self.fake.now = self.now
        self.went: defaultdict[Thing, list[datetime]] = defaultdict(list)
        self._looked = 0

    def now(self) -> datetime:
        """The board's clock: it goes on by a tenth of a second at each look, and by hours at each move."""
        self._looked += 1
        return self.at + timedelta(milliseconds=100 * self._looked)

    def move(self, hours: int, action: str = "") -> bytes:
        """Let something happen some hours later, of this action if it can; return the webhook's body."""
        before = self.standing()
        self.at = (self.now() + timedelta(hours=hours)).replace(microsecond=0)
        self._looked = 0
        traffic = self.fake.traffic
        body = (traffic.next_of(action, self.at) if action else None) or self.fake.move(self.at)
        self.at = max(self.at, datetime.fromtimestamp(self.fake.traffic.at, UTC))
        for thing in before - self.standing():
            self.went[thing].append(self.at)
        return body

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
