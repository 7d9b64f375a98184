"""Says what an erasure changes in a body, place by place, and why."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final, Literal, NamedTuple

from projections.rebuild.differences import Difference
from service.operate.words import ERASED, Called, Found, struck

Reason = Literal[
    "identity field of this person",
    "mark that this person was erased",
    "text that this person wrote",
    "their name as a whole word",
    "their address as a whole address",
    "the bytes as they came tell of this person",
    "counted from what changes",
]
Path = tuple[str | int, ...]

CONTEXT_CHARACTERS: Final = 16

# Words for machines, whoever is called like one of them.
_FOR_MACHINES: Final = frozenset(
    ("id", "action", "type", "status", "segment", "segments", "created", "updated", "timestamp")
)
_ADDRESS: Final = re.compile(r"[^\s|]*@[^\s|]*")
_CUT_WORD: Final = re.compile(r"^\S*\s*")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Place(NamedTuple):
    """A place that an erasure changes.

    `context` shows a name or address and a few letters around it, and nothing of what says who somebody is.
    """

    path: Path
    reason: Reason
    context: str | None = None

    @property
    def json_path(self) -> str:
        """The place as JSONPath writes it, `$.data.user.mail`; `$` is the whole body."""
        return "$" + "".join(_step(step) for step in self.path)


class Change(NamedTuple):
    """What comes to stand in a place; None takes the member out."""

    path: Path
    text: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the change as `log.changed` takes it."""
        path = {"path": [str(step) for step in self.path]}
        return path if self.text is None else path | {"text": self.text}


class Members(NamedTuple):
    """The members that tell who somebody is, and those that hold somebody: as the log has them."""

    telling_who: frozenset[str]
    holding_people: frozenset[str]


def gone(before: object, after: object) -> Iterator[Place]:
    """Give the places in which a body differs from what `log.redacted` left of it."""
    waiting: list[tuple[Path, Any, Any]] = [((), before, after)]
    while waiting:
        path, old, new = waiting.pop()
        if isinstance(old, dict):
            for member in old.keys() - new.keys():
                yield Place((*path, member), "identity field of this person")
            for member in new.keys() - old.keys():
                yield Place((*path, member), "mark that this person was erased")
            both = ((member, old[member], new[member]) for member in old.keys() & new.keys())
        elif isinstance(old, list):
            both = ((at, *pair) for at, pair in enumerate(zip(old, new, strict=True)))
        else:
            yield Place(path, "text that this person wrote")
            continue
        waiting += [((*path, step), a, b) for step, a, b in both if a != b]


def named(
    body: object, called: Called, members: Members, *, is_user: bool
) -> Iterator[tuple[Change, list[Place]]]:
    """Give where a body names somebody, each text with its names and addresses.

    Left alone is what tells who another one is, and what is for machines.
    """
    waiting: list[tuple[Path, Any, bool]] = [((), body, False)]
    while waiting:
        path, said, is_person = waiting.pop()
        if isinstance(said, dict):
            skipped = members.telling_who if _who(said, is_person) else ()
            for member, value in said.items():
                if _is_left_alone(member, skipped, members):
                    continue
                here = (*path, member)
                if [found.is_address for found in called.find(member)] == [True]:
                    yield Change(here, None), [Place(here, "their address as a whole address")]
                else:
                    person = member in members.holding_people or (is_user and here == ("data",))
                    waiting.append((here, value, person))
        elif isinstance(said, list):
            waiting += [((*path, at), value, is_person) for at, value in enumerate(said)]
        elif isinstance(said, str) and (found := list(called.find(said))):
            yield Change(path, struck(said, found)), [_place(path, said, each) for each in found]


class Cell(NamedTuple):
    """A place of the read model that an erasure changes: a column of a row, or a row where that is None."""

    table: str
    key: dict[str, Any]
    column: str | None
    reason: Reason


def cell(difference: Difference, called: Called) -> Cell:
    """Return a place of the read model, and why it changes."""
    table, key, column, before, after = difference
    reason: Reason = "counted from what changes"
    if column == "erased":
        reason = "mark that this person was erased"
    elif column is not None and before is not None and after is None:
        reason = "identity field of this person"
    elif isinstance(before, str) and after == struck(before, found := list(called.find(before))):
        reason = _named(found[0])
    elif after == ERASED:
        reason = "text that this person wrote"
    return Cell(table, key, column, reason)


def put(body: Any, change: Change) -> None:
    """Change a body that was read from JSON."""
    *around, last = change.path
    for step in around:
        body = body[step]
    if change.text is None:
        del body[last]
    else:
        body[last] = change.text


def _who(said: dict[str, Any], is_person: bool) -> bool:
    """Tell whether an object is somebody, or somebody's; 0 and nothing are nobody."""
    user = said.get("user")
    nested = [user.get("user_id"), user.get("id")] if isinstance(user, dict) else []
    ids = [said.get("user_id"), said.get("id") if is_person else None, *nested]
    return any(id not in (None, "", 0, "0") for id in ids)


def _is_left_alone(member: str, skipped: Collection[str], members: Members) -> bool:
    is_for_machines = member in _FOR_MACHINES or member.endswith("_id")
    return member in skipped or (is_for_machines and member not in members.telling_who)


def _place(path: Path, text: str, found: Found) -> Place:
    return Place(path, _named(found), _context(text, found))


def _named(found: Found) -> Reason:
    return "their address as a whole address" if found.is_address else "their name as a whole word"


def _context(text: str, found: Found) -> str:
    """Return what was found between ‹ and ›, with some letters around it, but no other address."""
    before = text[max(0, found.start - CONTEXT_CHARACTERS) : found.start]
    behind = text[found.end : found.end + CONTEXT_CHARACTERS]
    if len(before) < found.start:
        before = _CUT_WORD.sub("… ", before, count=1)
    if found.end + len(behind) < len(text):
        behind = _CUT_WORD.sub("… ", behind[::-1], count=1)[::-1]
    around = (" ".join(_ADDRESS.sub("…", f"|{part}|").split())[1:-1] for part in (before, behind))
    return f"‹{text[found.start : found.end]}›".join(around)


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _NAME.fullmatch(step) else f"['{step}']"
