"""Lets people vote, and now and then take a vote back or turn it round, which Sleekplan tells nobody."""

from __future__ import annotations

from typing import Any

from service.simulator.board import Idea
from service.simulator.people import Account
from service.simulator.scene import Scene


class Voting:
    """`vote.create`, in the shapes that receivers have seen and those that they guess."""

    def __init__(self, scene: Scene) -> None:
        self._scene, self._roll = scene, scene.roll
        self._withdrawn_share = scene.knobs.withdrawn_share

    def vote(self, at: int) -> bytes | None:
        """Let somebody vote for an item that they have not voted for and that can still get votes."""
        if self._roll() < self._withdrawn_share:
            self._withdraw_or_switch(at)
        scene = self._scene
        someone, everybody = scene.people.someone, len(scene.people.everybody)
        for _ in range(10):
            item = scene.popular(at)
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

    def _cast(self, item: Idea, person: Account, at: int) -> bytes:
        scene = self._scene
        if self._roll() < item.contested:
            way = -1
            item.down[person.number] = at
            item.count(0, 1, at)
        else:
            way = 1
            item.up[person.number] = at
            item.count(1, 0, at)
        person.votes += 1
        scene.votes.keep((item, person, way))
        luck = self._roll()
        data: dict[str, Any]
        if luck < 0.8:
            data = {"vote": way, "user": person.card, "created": scene.stamp(at), "feedback_item": item.post}
        elif luck < 0.88:
            data = {"feedback_item": item.post}
        else:
            data = {"feedback_id": item.number, "user_id": person.number, "vote": way}
            if luck >= 0.94:
                data["feedback_item"] = item.post
        return scene.writer.write("vote.create", data, at)

    def _withdraw_or_switch(self, at: int) -> None:
        scene, votes = self._scene, self._scene.votes.values
        if not votes:
            return
        place = scene.dice.below(len(votes))
        item, person, way = votes[place]
        mine, other = (item.up, item.down) if way > 0 else (item.down, item.up)
        if item.gone or person.number not in mine:
            return
        del mine[person.number]
        if scene.dice.chance(0.25):
            other[person.number] = at
            votes[place] = (item, person, -way)
            scene.change_in_silence(item, -way, way, 0, "switched", at)
        else:
            scene.change_in_silence(item, -(way > 0), -(way < 0), 0, "withdrawn", at)
