"""Publishes changelog entries, and asks people how satisfied they are, which releases change."""

from __future__ import annotations

from html import escape
from typing import Any

from service.simulator.board import DONE, Idea
from service.simulator.editing import Editing
from service.simulator.people import Account
from service.simulator.rhythm import DAY_SECONDS, HOUR_SECONDS
from service.simulator.scene import Scene
from service.simulator.texts import read

FIRST_ENTRY, FIRST_ANSWER = 101, 1_001  # clear of the ids in the sample payloads

_SCREENS = ("settings", "calendar", "board", "booking", "reports", "timeline")


class Mood:
    """How releases have left people feeling, in points of satisfaction; half is gone after thirty days."""

    def __init__(self) -> None:
        self._level, self._at = 0.0, 0

    def at(self, at: int) -> float:
        """Return the mood of a second."""
        self._level /= 1 + (at - self._at) / (30 * DAY_SECONDS)
        self._at = at
        return self._level

    def shift(self, by: float, at: int) -> None:
        """Please people, or not."""
        self._level = self.at(at) + by


class Releasing:
    """`changelog.create`, `changelog.update` and `changelog.subscribe`."""

    def __init__(self, scene: Scene, editing: Editing, mood: Mood) -> None:
        self._scene, self._dice = scene, scene.dice
        self._editing, self._mood = editing, mood
        self.entries: list[dict[str, Any]] = []
        """All that were published, as they read now."""

    def create(self, at: int) -> bytes:
        """Publish an entry, about the oldest item shipped since the last one if there is one."""
        linked = self._next_shipped()
        if linked is not None:
            title, kind = linked.topic.news, "fix" if linked.topic.type_key == "bug" else "new"
            text = self._dice.pick(read("remarks")["changelog_linked"])
            text = text.replace("{title}", escape(str(linked.post["title"])))
            self._scene.board.heat_up(linked, at, 4)
        else:
            title, text, kind = self._dice.pick(read("remarks")["changelog"])
        entry: dict[str, Any] = {
            "changelog_id": FIRST_ENTRY + len(self.entries),
            "product_id": self._scene.knobs.product_id,
            "feedback_id": linked.number if linked is not None else 0,
            "title": title,
            "description": f"<p>{text}</p>",
            "type": kind,
            "segment": "",
            "draft": False,
            "announcement": kind in ("new", "announcement"),
            "scheduled": 0,
            "created": self._scene.stamp(at),
        }
        self.entries.append(entry)
        self._mood.shift(-0.9 if self._dice.chance(0.25) else 0.3, at)
        if len(self.entries) == 2 or self._dice.chance(0.45):
            self._edit_later(entry, at)
        return self._scene.writer.write("changelog.create", entry, at)

    def _next_shipped(self) -> Idea | None:
        while self._editing.shipped:
            item = self._editing.shipped.pop(0)
            if not item.gone and item.status == DONE:
                return item
        return None

    def _edit_later(self, entry: dict[str, Any], at: int) -> None:
        edited = {**entry, "title": entry["title"] + self._dice.pick(read("remarks")["changelog_tail"])}
        if self._dice.chance(0.3):
            edited["changelog_id"] = str(edited["changelog_id"])
        place = len(self.entries) - 1

        def edit(then: int) -> bytes:
            self.entries[place] = edited
            return self._scene.writer.write("changelog.update", edited, then)

        self._scene.later(at + 60 + int(self._dice.long_tail(2 * HOUR_SECONDS)), edit)

    def subscribe(self, at: int) -> bytes | None:
        """Let somebody subscribe to the changelog."""
        person = self._scene.people.someone(at)
        if person is None:
            return None
        told: dict[str, Any] = {"user": person.card} if self._dice.chance(0.85) else person.card
        return self._scene.writer.write("changelog.subscribe", told, at)


class Answering:
    """`satisfaction.create`: people answer again weeks later, near what they felt before."""

    def __init__(self, scene: Scene, mood: Mood) -> None:
        self._scene, self._dice, self._mood = scene, scene.dice, mood
        self._answered: list[Account] = []
        self.answers: list[tuple[int, Account, dict[str, Any]]] = []
        """All that were given: when, by whom, and what they say."""

    def create(self, at: int) -> bytes | None:
        """Let somebody say from 1 to 5 how satisfied they are."""
        person = self._who(at)
        if person is None:
            return None
        vote = self._score(person, at)
        answer: dict[str, Any] = {
            "satisfaction_id": FIRST_ANSWER + len(self.answers),
            "vote": vote,
            "data": "default",
            "comment": self._dice.pick(read("remarks")["satisfaction"][str(vote)]),
            "meta": {"referrer": f"https://app.example.com/{self._dice.pick(_SCREENS)}"},
        }
        answer |= {"user": person.card} if self._dice.chance(0.4) else {"user_id": person.number}
        answer["updated"] = self._scene.stamp(at)
        self.answers.append((at, person, answer))
        return self._scene.writer.write("satisfaction.create", answer, at)

    def _score(self, person: Account, at: int) -> int:
        mood = self._mood.at(at)
        feels = person.temper + mood + self._dice.between(-0.9, 0.9)
        if person.answered_at:
            feels = (feels + person.score + mood) / 2
        else:
            self._answered.append(person)
        person.score, person.answered_at = feels, at
        person.answers += 1
        return max(1, min(5, int(feels + 0.5)))

    def _who(self, at: int) -> Account | None:
        """Return somebody to answer: in half of all cases one whose last answer is two weeks old or more."""
        if self._answered and self._dice.chance(0.55):
            for _ in range(4):
                person = self._dice.pick(self._answered)
                active = not person.gone and at < person.silent_from
                if active and at - person.answered_at > 14 * DAY_SECONDS:
                    return person
        someone = self._scene.people.someone(at)
        if someone is not None and at - someone.answered_at < 7 * DAY_SECONDS:
            return self._scene.people.someone(at)
        return someone
