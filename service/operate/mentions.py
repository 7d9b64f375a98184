"""Tells whom a text may mention, by one look at it however many people there are.

It may find too much, and never too little: what is said of somebody is for `log.redacted`, and where a text
names them for `service.operate.words`. So a text is looked through once for the members that hold ids, and
once, by an automaton of Aho and Corasick, for the longest piece of each name.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import ahocorasick

from service.operate.words import Called, folded

# What a member that holds an id says, as JSON writes it, and such a member. The end of a text may cut it.
_SAID: Final = r'"\s*:\s*("(?:[^"\\]|\\.)*"|[^\s,"}\]]+)'
_ID: Final = re.compile("id" + _SAID)
_MEMBER: Final = re.compile('"((?:user_|feedback_|comment_|satisfaction_)?id)' + _SAID)


class Person(NamedTuple):
    """Somebody who is erased, as the log knows them: `log.person`, member by member."""

    user_id: str
    texts: bool
    items: list[str]
    comments: list[str]
    answers: list[str]
    traces: list[str]

    @classmethod
    def by_id(cls, user_id: str, texts: bool) -> Person:
        """Return somebody of whom no more than the id is known."""
        return cls(user_id, texts, [], [], [], [])

    def and_also(self, later: Person) -> Person:
        """Return the person with what became known later."""
        both = [[*ours, *theirs] for ours, theirs in zip(self[2:], later[2:], strict=True)]
        return Person(self.user_id, self.texts, *both)

    @property
    def ids(self) -> Iterator[tuple[str, str]]:
        """Give the members that tell of this person, with what they hold then."""
        yield from (("user_id", self.user_id), ("id", self.user_id))
        for item in self.items:
            yield from (("feedback_id", item), ("id", item))
        yield from (("comment_id", comment) for comment in self.comments)
        yield from (("satisfaction_id", answer) for answer in self.answers)


class Mentions:
    """Some people, to be looked for in one text after the other; each is told by the place in their list."""

    def __init__(self, people: Sequence[Person], called: Sequence[Called]) -> None:
        self._ids: dict[tuple[str, str], set[int]] = defaultdict(set)
        for who, person in enumerate(people):
            for member, id in person.ids:
                self._ids[member, id].add(who)
                self._ids[member, json.dumps(id, ensure_ascii=False)].add(who)
        self._said = frozenset(said for _, said in self._ids)
        names: dict[str, list[tuple[re.Pattern[str], int]]] = defaultdict(list)
        for who, each in enumerate(called):
            for piece, pattern in each.loosely:
                names[piece].append((pattern, who))
        self._names = list(names.values())
        self._automaton = ahocorasick.Automaton()
        for at, piece in enumerate(names):
            self._automaton.add_word(piece, at)
        self._automaton.make_automaton()

    def by_id(self, text: str) -> set[int]:
        """Return of whom a text says something by an id of theirs, or of what they wrote."""
        if self._said.isdisjoint(_ID.findall(text)):
            return set()
        members = set(_MEMBER.findall(text))
        return {who for member in members & self._ids.keys() for who in self._ids[member]}

    def by_user_id(self, text: str) -> set[int]:
        """Return whom a text names as a user, be it cut off or no JSON at all."""
        members = {member for member in _MEMBER.findall(text) if member[0] == "user_id"}
        return {who for member in members & self._ids.keys() for who in self._ids[member]}

    def by_name(self, text: str) -> set[int]:
        """Return whom a text may name."""
        found: set[int] = set()
        if self._names:
            plainly = folded(text)
            for at in {at for _, at in self._automaton.iter(plainly)}:
                found.update(who for pattern, who in self._names[at] if pattern.search(plainly))
        return found
