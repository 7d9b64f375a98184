"""Lets people follow items, and stop, rather where a promise has waited for long."""

from __future__ import annotations

from typing import Any

from service.simulator.board import ON_THE_WAY, Idea
from service.simulator.people import Account
from service.simulator.rhythm import DAY_SECONDS
from service.simulator.scene import Recent, Scene


class Following:
    """`subscription.create` and `subscription.delete`."""

    def __init__(self, scene: Scene) -> None:
        self._scene, self._dice = scene, scene.dice
        self._recent: Recent[tuple[Idea, Account]] = Recent(2_048)

    def follow(self, at: int) -> bytes | None:
        """Let somebody follow a popular item."""
        for _ in range(6):
            item, person = self._scene.popular(at), self._scene.people.someone(at)
            if item is None or person is None:
                return None
            if person.number not in item.followers:
                item.followers[person.number] = at
                item.post["total_subscriber"] += 1
                self._recent.keep((item, person))
                return self._scene.writer.write("subscription.create", self._told(item, person), at)
        return None

    def _told(self, item: Idea, person: Account) -> dict[str, Any]:
        if self._dice.chance(0.75):
            return {"user": person.card, "feedback_item": item.post}
        return {"feedback_id": item.number, "user_id": person.number}

    def unfollow(self, at: int) -> bytes | None:
        """Let somebody stop following."""
        for number in range(16 if self._recent.values else 0):
            item, person = self._dice.pick(self._recent.values)
            if item.gone or person.gone or person.number not in item.followers:
                continue
            waits = item.status in ON_THE_WAY and at - item.moved_at > 40 * DAY_SECONDS
            if waits or number > 4:
                del item.followers[person.number]
                item.post["total_subscriber"] -= 1
                told: dict[str, Any] = {"feedback_id": item.number}
                told |= {"user_id": person.number} if self._dice.chance(0.7) else {"user": person.card}
                return self._scene.writer.write("subscription.delete", told, at)
        return None
