"""Lets people join, change what is known of them, and go."""

from __future__ import annotations

from service.simulator.scene import Scene


class Joining:
    """`user.create`, `user.update` and `user.delete`."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def create(self, at: int) -> bytes:
        """Let somebody new arrive; the first few are the team."""
        person = self._scene.people.arrive(at, self._scene.stamp(at))
        return self._scene.writer.write("user.create", person.full(), at)

    def update(self, at: int) -> bytes | None:
        """Rename, move or upgrade somebody."""
        person = self._scene.people.someone(at)
        if person is None:
            return None
        person.change(self._scene.dice, self._scene.stamp(at))
        return self._scene.writer.write("user.update", person.full(), at)

    def delete(self, at: int) -> bytes | None:
        """Delete somebody; their votes and posts stay, under a blank card."""
        person = self._scene.people.someone(at)
        if person is None:
            return None
        person.forget()
        return self._scene.writer.write("user.delete", {"user_id": person.number}, at)
