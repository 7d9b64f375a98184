"""Composes events of what was listed, each as a webhook's body would say it, with who saw it beside.

Two rules. A birth, at the date that the row says, tells only what cannot have changed since: ids, who, when;
an edit, at its date, what it may have edited. All else is told at the moment at which it was seen. So no
title, text, status, total or name of today stands at a date of the past.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from math import ceil
from typing import Any, Final, Literal, NamedTuple

import orjson

from service.backfill.compare import Kind, Known
from service.events import EventData, Origin, as_id, decode

Row = dict[str, Any]
Told = Literal["created", "updated", "seen"]

AHEAD_MAX: Final = timedelta(minutes=5)
_CARD: Final = ("user_id", "admin_id", "data_name", "data_mail", "data_img")
"""What a row says of whose it is."""
_COUNTED: Final = re.compile(r"total_\w+|trend|scoring|likes|pinned|child_count|has_child|stats_\w+")
"""Members that change without an edit."""
_PERSONAL: Final = ("data_system", "data")
_DATE: Final = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
NAMELESS: Final = "vote_position"
"""Which vote an event is about that came without its voter: it is known by the position that told it."""


class Seen(NamedTuple):
    """Between which moments rows were so, by Sleekplan's clock: `at` a little before, `until` after."""

    at: datetime
    until: datetime


class Absence(NamedTuple):
    """Something that stood and is listed no more: when it was last seen to stand, and when it was gone."""

    kind: Kind
    item_id: str
    id: str
    evidence: str
    not_before: datetime
    seen: Seen


@dataclass
class Composer:
    """Whose events these are. `ahead` counts dates that lie ahead of when they were seen: they are none."""

    sweep: str
    origin: Origin
    product_id: int
    zone: tzinfo = UTC
    ahead: int = 0
    _seen: Seen = field(default_factory=lambda: Seen(_NEVER, _NEVER))
    _named: set[int] = field(default_factory=set)
    _directed: set[tuple[object, str]] = field(default_factory=set)
    _introduced: set[str] = field(default_factory=set)

    def events(self, kind: Kind, rows: list[Row], known: list[Known], seen: Seen) -> list[EventData]:
        """Return what is to be recorded of some rows, in their order; nothing of those that are known."""
        self._seen = seen
        compose: Callable[[Row, Known], Iterator[EventData]] = getattr(self, f"_{kind}")
        return [
            event
            for row, found in zip(rows, known, strict=True)
            if not found.same and not (found.known and found.older and found.born)
            for event in (*self._introduction(row, found), *compose(row, found))
        ]

    def _introduction(self, row: Row, known: Known) -> Iterator[EventData]:
        """Tell how somebody is called now who is known by an id alone: guests are in no list of people."""
        who, card = voter_of(row), row.get("user")
        if not known.stranger or who is None or who in self._introduced or not isinstance(card, Mapping):
            return
        self._introduced.add(who)
        said = {name: value for name in _CARD if (value := card.get(name)) not in (None, "", 0, "0")}
        if said.keys() > {"user_id"}:
            yield self._event("user.snapshot", said, "seen", row)

    # What is listed

    def _posts(self, row: Row, known: Known) -> Iterator[EventData]:
        if not known.born:
            first = ("title", "description", "type") if row.get("updated") == row.get("created") else ()
            birth = _taken(row, "feedback_id", "product_id", "created", "user", *first)
            yield self._event("item.create", birth, "created", row)
            yield self._event("item.snapshot", row, "seen", row)
        elif known.edited or not known.known:
            yield from self._edit("item", row, known)
        else:
            yield self._event("item.snapshot", row, "seen", row)

    def _users(self, row: Row, known: Known) -> Iterator[EventData]:
        if not known.born:
            yield self._event("user.create", _taken(row, "user_id", "data_id", "created"), "created", row)
            yield self._event("user.snapshot", row, "seen", row)
        else:
            yield from self._edit("user", row, known)

    def _comments(self, row: Row, known: Known) -> Iterator[EventData]:
        whole = row.get("modified") in (False, 0, "0", "false") or row.get("updated") == row.get("created")
        if not known.born:
            fixed = ("comment_id", "feedback_id", "product_id", "created", "parent", "public", "user")
            yield self._event(
                "comment.create", _edited(row) if whole else _taken(row, *fixed), "created", row
            )
            if not whole and (known.edited or not known.known):
                yield from self._edit("comment", row, known)
            elif known.counts or _is_pinned(row):
                yield self._event("comment.snapshot", row, "seen", row)
        elif known.edited or not known.known:
            yield from self._edit("comment", row, known)
        else:
            yield self._event("comment.snapshot", row, "seen", row)

    def _votes(self, row: Row, known: Known) -> Iterator[EventData]:
        item = row.get("feedback_id")
        undirected = (voter for voter in known.undirected if (item, voter) not in self._directed)
        if (voter := next(undirected, None)) is not None:
            self._directed.add((item, voter))
            whose = {NAMELESS: int(voter[1:])} if is_nameless_id(voter) else {"user": {"user_id": voter}}
            # What was told of it says no direction, and may be some milliseconds later than its date.
            yield self._event("vote.create", row | whose, "seen", row)
            return
        free = (place for place in range(len(known.nameless)) if known.nameless[place] not in self._named)
        place = next(free, None)
        if place is None:
            yield self._cast("vote.create", row, known)
            return
        nameless, told_at = known.nameless[place], known.nameless_at[place]
        self._named.add(nameless)
        yield self._cast("vote.create", {**row, NAMELESS: nameless}, known)
        named = _taken(row, "feedback_id") | {"user": {"user_id": voter_of(row)}, NAMELESS: nameless}
        yield self._event("vote.named", named, "created", row, at=told_at)

    def _subscribers(self, row: Row, known: Known) -> Iterator[EventData]:
        yield self._cast("subscription.create", {n: v for n, v in row.items() if n != "vote"}, known)

    def _updates(self, row: Row, known: Known) -> Iterator[EventData]:
        if known.born:
            yield self._event("changelog.update", row, "seen", row)
            return
        scheduled = self._moment(row, "scheduled") or datetime.fromtimestamp(
            _seconds(row.get("scheduled")), UTC
        )
        if row.get("draft") in (None, False, 0, "0", "false", "") and scheduled <= self._seen.at:
            birth = _taken(row, "changelog_id", "feedback_id", "product_id", "created")
            yield self._event("changelog.create", birth, "created", row)
        elif known.known and not known.fields:
            return  # a draft that is known as one
        yield self._event("changelog.snapshot", row, "seen", row)

    def _satisfaction(self, row: Row, known: Known) -> Iterator[EventData]:
        yield self._event("satisfaction.create", row, "updated", row)

    # What is listed no more

    def gone(self, absence: Absence) -> EventData:
        """Return the event that something is not there any more, which it was `not_before`."""
        self._seen = absence.seen
        action, member = _GONE[absence.kind]
        if absence.evidence in _TOLD_OTHERWISE:
            action = _TOLD_OTHERWISE[absence.evidence]
        data: Row = {} if absence.kind in ("posts", "users", "updates") else {"feedback_id": absence.item_id}
        nameless = absence.kind == "votes" and is_nameless_id(absence.id)
        data |= {NAMELESS: int(absence.id[1:])} if nameless else {member: absence.id}
        # A vote that has its name now is counted under that from when it was told without one.
        at = absence.not_before if absence.evidence == "named" else None
        told: Told = "seen" if at is None else "created"
        return self._event(action, data, told, {}, absence.not_before, at=at, evidence=absence.evidence)

    # How it is told

    def _cast(self, action: str, row: Row, known: Known) -> EventData:
        """At its date, unless what is known was told later: then what is listed came after that."""
        created = self._moment(row, "created")
        late = known.last_told is not None and (created is None or created <= known.last_told)
        return self._event(action, row, "seen" if late else "created", row, known.last_told)

    def _edit(self, entity: str, row: Row, known: Known) -> Iterator[EventData]:
        """At the date of the row's last edit, where that is news; else at the moment at which it was seen.

        What changes without an edit is told as it was seen.
        """
        updated = self._moment(row, "updated")
        news = updated is not None and (known.last_told is None or updated > known.last_told) and known.known
        if updated is None or not (news or not known.born):
            yield self._event(f"{entity}.update", row, "seen", row, known.last_told)
            return
        # What was told of that very edit is no look before it.
        since = known.last_told if news else None
        yield self._event(f"{entity}.update", _edited(row), "updated", row, since)
        if known.counts or "pinned" in known.fields or (not known.born and _is_pinned(row)):
            yield self._event(f"{entity}.snapshot", row, "seen", row)

    def _event(
        self,
        action: str,
        data: Row,
        told: Told,
        row: Row,
        not_before: datetime | None = None,
        *,
        at: datetime | None = None,
        evidence: str = "list",
    ) -> EventData:
        at = at or (None if told == "seen" else self._moment(row, told))
        told = "seen" if at is None else told
        if not_before is not None and not_before >= self._seen.at:
            not_before = None  # told while we asked: no look before this one
        if told != "seen" and "user" in data:
            data = _by_id_alone(data)
        body = {
            "product_id": self.product_id,
            "action": action,
            **({} if at is None else {"timestamp": ceil(at.timestamp() * 1000)}),
            "data": data,
            "observed": {
                "sweep": self.sweep,
                "origin": self.origin,
                "seen_at": self._seen.at.isoformat(),
                "not_before": None if not_before is None else not_before.isoformat(),
                "not_after": self._seen.until.isoformat(),
                "clock": told,
                "evidence": evidence,
            },
        }
        # Without a timestamp, an event happened when it was received: for what was seen, that is the moment.
        return decode(orjson.dumps(body), self._seen.at if at is None else datetime.now(UTC), self.origin)

    def _moment(self, row: Row, member: str) -> datetime | None:
        """Return the moment of a row's date; None where it cannot be read or lies ahead of what was seen."""
        at = read_date(row.get(member), self.zone)
        if at is None:
            return None
        if at > self._seen.at + AHEAD_MAX:
            self.ahead += 1
            return None
        return at


def basic(row: Row) -> Row:
    """Return a user without what the customer added and without addresses and places: the default."""
    return {name: value for name, value in row.items() if name not in _PERSONAL}


def voter_of(row: Row) -> str | None:
    """Return who voted or follows; None where it is not told."""
    user = row.get("user")
    return as_id(user.get("user_id") if isinstance(user, Mapping) else None) or as_id(row.get("user_id"))


def is_nameless_id(voter: str) -> bool:
    """Whether it stands for a vote that came without its voter: known by the position that told of it."""
    return voter[:1] == "p" and voter[1:].isdecimal()


def read_date(said: object, zone: tzinfo = UTC) -> datetime | None:
    """Return the moment of a date inside an object; None where it is none.

    It names no zone; `read_model.moment_of` takes the same of a webhook for UTC.
    """
    if not isinstance(said, str) or not _DATE.fullmatch(said):
        return None
    try:
        return datetime.fromisoformat(said).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


_GONE: Final[Mapping[Kind, tuple[str, str]]] = {
    "posts": ("item.delete", "feedback_id"),
    "comments": ("comment.delete", "comment_id"),
    "votes": ("vote.delete", "user_id"),
    "subscribers": ("subscription.delete", "user_id"),
    "users": ("user.delete", "user_id"),
    "updates": ("changelog.delete", "changelog_id"),
}
_TOLD_OTHERWISE: Final = {"named": "vote.named", "merge": "vote.moved"}
"""What a vote that left its place is told as where it was not withdrawn, by the evidence for that."""


def _taken(row: Row, *names: str) -> Row:
    return {name: row[name] for name in names if name in row}


def _edited(row: Row) -> Row:
    return {name: value for name, value in row.items() if not _COUNTED.fullmatch(name)}


def _is_pinned(row: Row) -> bool:
    return row.get("pinned") not in (None, False, 0, "0", "false")


def _by_id_alone(data: Row) -> Row:
    """What is told at a date of the past, with whose it is by the id: their name may have changed since."""
    user = data["user"]
    id = user.get("user_id") if isinstance(user, Mapping) else None
    return data | {"user": {} if as_id(id) is None else {"user_id": id}}


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else 0


def _seconds(value: object) -> int:
    number = _number(value)
    return number if 10**8 <= number < 10**11 else 0
