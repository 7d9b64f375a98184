"""Filters of every kind for Hypothesis, and which things they let pass, in plain Python."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hypothesis import strategies as st

from tests.given.plain_stages import ROLES
from tests.given.plain_words import Row

FIRST: Final = 1780000000
NOW_SECONDS: Final = int(datetime(2026, 7, 1, tzinfo=UTC).timestamp()) - FIRST
Test = Callable[[Any, Any], bool]


def _known(test: Test) -> Test:
    """A test that what is unknown does not pass."""
    return lambda value, given: value is not None and test(value, given)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _within(value: datetime, window: Mapping[str, str]) -> bool:
    return _time(window["from"]) <= value < _time(window["to"])


_BOTH: Final[dict[str, Test]] = {"isNull": lambda value, given: (value is None) == given}
_EQUAL: Final[dict[str, Test]] = _BOTH | {
    "eq": _known(lambda value, given: value == given),
    "in": _known(lambda value, given: value in given),
}
_NUMBER: Final[dict[str, Test]] = _BOTH | {
    "gt": _known(lambda value, given: value > given),
    "gte": _known(lambda value, given: value >= given),
    "lt": _known(lambda value, given: value < given),
    "lte": _known(lambda value, given: value <= given),
}
COMPARATORS: Final[Mapping[str, Mapping[str, Test]]] = {
    "IdFilter": _EQUAL,
    "StringFilter": _EQUAL
    | {
        "ne": lambda value, given: value != given,
        "notIn": _known(lambda value, given: value not in given),
        "contains": _known(lambda value, given: given.lower() in value.lower()),
        "startsWith": _known(lambda value, given: value.lower().startswith(given.lower())),
    },
    "IntFilter": _EQUAL | _NUMBER | {"ne": lambda value, given: value != given},
    "FloatFilter": _NUMBER,
    "PositionFilter": {name: test for name, test in _NUMBER.items() if name != "isNull"},
    "DateTimeFilter": _BOTH
    | {
        name: _known(lambda value, given, test=test: test(value, _time(given)))  # type: ignore[misc]
        for name, test in _NUMBER.items()
        if name != "isNull"
    }
    | {"within": _known(_within)},
    "StringListFilter": _BOTH
    | {
        "has": _known(lambda value, given: given in value),
        "hasAny": _known(lambda value, given: not set(given).isdisjoint(value)),
        "hasAll": _known(lambda value, given: set(given) <= set(value)),
        "isEmpty": _known(lambda value, given: (value == []) == given),
    },
}
_MANY: Final = ("in", "notIn", "hasAny", "hasAll")


@dataclass(frozen=True)
class Compared:
    """A field of a filter: what of a row it looks at, how, and with which values it is tried."""

    column: str
    kind: str
    values: st.SearchStrategy[Any]

    def drawn(self) -> st.SearchStrategy[Any]:
        if self.kind not in COMPARATORS:
            return self.values

        def given(name: str) -> st.SearchStrategy[Any]:
            if name in ("isNull", "isEmpty"):
                return st.booleans()
            if name == "within":
                return windows
            return st.lists(self.values, max_size=2) if name in _MANY else self.values

        return st.sampled_from(sorted(COMPARATORS[self.kind])).flatmap(
            lambda name: given(name).map(lambda value: {name: value})
        )

    def passes(self, value: Any, given: Any) -> bool:
        """Whether a value passes; what is no comparator is a test by itself."""
        if self.kind in COMPARATORS:
            return all(COMPARATORS[self.kind][name](value, each) for name, each in given.items())
        return ALONE[self.kind](value, given)


ALONE: Final[Mapping[str, Test]] = {
    "flag": lambda value, given: given is None or bool(value) == given,
    "any of": _known(lambda value, given: value in given),
    "one of": lambda value, given: not set(value or ()).isdisjoint(given),
    "id": lambda value, given: value == given,
    "has": lambda value, given: given in (value or ()),
    "roles": lambda value, given: ROLES.get(value) in given,
    "inside": _known(_within),
    "any inside": lambda value, given: any(_within(each, given) for each in value),
    "longer than": _known(lambda value, given: value > timedelta(seconds=int(given[2:-1]))),
    "words": lambda value, given: finds(given, value),
}


@dataclass(frozen=True)
class Filters:
    """The fields of a filter, and which flag holds at its top unless it is named or implied."""

    fields: Mapping[str, Compared]
    flag: str | None = None
    default: bool = False
    implied: Mapping[str, bool] = field(default_factory=dict)

    def drawn(self) -> st.SearchStrategy[dict[str, Any]]:
        one = st.sampled_from(sorted(self.fields)).flatmap(
            lambda name: self.fields[name].drawn().map(lambda value: {name: value})
        )
        both = st.tuples(one, one).map(lambda two: two[0] | two[1])
        joined = st.one_of(
            st.lists(one, min_size=1, max_size=2).map(lambda tests: {"and": tests}),
            st.lists(one, min_size=1, max_size=2).map(lambda tests: {"or": tests}),
            one.map(lambda test: {"not": test}),
        )
        top = st.just({self.flag: None}) if self.flag else st.just({})
        return st.tuples(top | st.just({}), one | both | joined).map(lambda parts: parts[0] | parts[1])

    def lets_pass(self, given: Mapping[str, Any], row: Row) -> bool:
        if self.flag is not None and self.flag not in given:
            flag = next((value for name, value in self.implied.items() if name in given), self.default)
            if bool(row[self.fields[self.flag].column]) != flag:
                return False
        return self._passes(given, row)

    def _passes(self, given: Mapping[str, Any], row: Row) -> bool:
        return all(self._test(name, value, row) for name, value in given.items())

    def _test(self, name: str, value: Any, row: Row) -> bool:
        match name:
            case "and":
                return all(self._passes(each, row) for each in value)
            case "or":
                return any(self._passes(each, row) for each in value)
            case "not":
                return not self._passes(value, row)
        compared = self.fields[name]
        return compared.passes(row.get(compared.column), value)


# Searching -------------------------------------------------------------------------------------------


def words_of(text: str) -> list[str]:
    """Return the words of a text, in whatever case and with or without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"\w+", "".join(each for each in plain if not unicodedata.combining(each)))


def finds(search: str, texts: list[str]) -> bool:
    """Whether texts, taken as one, have all words and phrases of an alternative, and none excluded."""
    told = [words_of(text) for text in texts]

    def stands(phrase: list[str]) -> bool:
        size = len(phrase)
        return any(words[n : n + size] == phrase for words in told for n in range(len(words) - size + 1))

    def holds(alternative: str) -> bool:
        terms = re.findall(r'(-?)("[^"]*"|\S+)', alternative)
        return all(stands(words_of(term)) != (without == "-") for without, term in terms)

    return any(holds(alternative) for alternative in search.split(" or "))


# What is tried ---------------------------------------------------------------------------------------


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(FIRST + seconds, UTC).isoformat()


moments = st.integers(-2, 8).map(_moment) | st.just("2026-05-01T10:00:00+00:00")
windows = st.tuples(st.integers(-2, 8), st.integers(0, 9)).map(
    lambda ends: {"from": _moment(ends[0]), "to": _moment(ends[0] + ends[1])}
)
lengths = st.integers(0, 8).map(lambda seconds: f"PT{NOW_SECONDS - seconds}S") | st.integers(0, 8).map(
    lambda seconds: f"PT{seconds}S"
)
keys = st.sampled_from(["1", "2", "3"])
people = st.sampled_from(["1", "2", "5", "6"])
numbers = st.integers(0, 4)
texts = st.sampled_from(["a", "b", "A", "", "Grüße 🎉"])


def of_items(column: str, kind: str = "IdFilter") -> Compared:
    return Compared(column, kind, keys.map(lambda key: f"Item:{key}"))


def of_users(column: str, kind: str = "IdFilter") -> Compared:
    return Compared(column, kind, people.map(lambda key: f"User:{key}"))


def when(column: str) -> Compared:
    return Compared(column, "DateTimeFilter", moments)


def how_many(column: str) -> Compared:
    return Compared(column, "IntFilter", numbers)


def flag(column: str) -> Compared:
    return Compared(column, "flag", st.none() | st.booleans())


searches = st.sampled_from(
    [
        "a",
        "b",
        "gruße",
        "GRÜSSE",
        "a b",
        '"a b"',
        "a -b",
        "-a",
        "a or b",
        "a or gruße b",
        "b -gruße",
        "nothing",
    ]
)
FILTERS: Final[Mapping[str, Filters]] = {
    "items": Filters(
        {
            "sleekplanId": Compared("key", "IdFilter", keys),
            "title": Compared("title", "StringFilter", texts),
            "status": Compared("status", "StringFilter", st.sampled_from(["open", "planned", "merged"])),
            "statusRole": Compared(
                "status", "roles", st.lists(st.sampled_from(sorted(set(ROLES.values()))), max_size=2)
            ),
            "type": Compared("type", "StringFilter", texts),
            "effort": how_many("effort"),
            "tags": Compared("tags", "StringListFilter", st.sampled_from(["a", "b", "c"])),
            "scoring": Compared("scoring", "FloatFilter", st.sampled_from([0.25, 0.55, 0.81])),
            "trend": Compared("trend", "FloatFilter", st.sampled_from([0.5, 0.55, 0])),
            "votesUp": how_many("votes_up"),
            "votesDown": how_many("votes_down"),
            "votesNet": how_many("votes_net"),
            "commentCount": how_many("comments"),
            "subscriberCount": how_many("subscribers"),
            "createdAt": when("created_at"),
            "updatedAt": when("updated_at"),
            "statusSince": when("status_since"),
            "lastActivityAt": when("last_activity_at"),
            "inStatusLongerThan": Compared("time_in_status", "longer than", lengths),
            "authorId": of_users("author"),
            "ownerId": of_users("owner"),
            "mergedIntoId": Compared("merged", "IdFilter", keys.map(lambda key: f"Item:{key}")),
            "estimated": Compared("estimated", "StringFilter", texts),
            "deleted": flag("deleted"),
            "deletedIn": Compared("deleted_at", "inside", windows),
            "search": Compared("texts", "words", searches),
        },
        flag="deleted",
        implied={"deletedIn": True},
    ),
    "users": Filters(
        {
            "sleekplanId": Compared("key", "IdFilter", people),
            "name": Compared("name", "StringFilter", st.sampled_from(["ana", "ben", "a"])),
            "teamMember": flag("team_member"),
            "segment": Compared("segments", "has", st.sampled_from(["pro", "eu"])),
            "firstSeenAt": when("first_seen_at"),
            "lastActiveAt": when("last_active_at"),
            "activeIn": Compared("acted", "any inside", windows),
            "silentSince": Compared("silent", "longer than", lengths),
            "deleted": flag("deleted"),
        },
        flag="deleted",
    ),
    "votes": Filters(
        {
            "itemId": of_items("item"),
            "userId": of_users("user"),
            "value": Compared("value", "IntFilter", st.sampled_from([1, -1])),
            "castAt": when("cast_at"),
            "withdrawn": flag("withdrawn"),
        },
        flag="withdrawn",
    ),
    "subscriptions": Filters(
        {
            "itemId": of_items("item"),
            "userId": of_users("user"),
            "since": when("since"),
            "active": flag("active"),
        },
        flag="active",
        default=True,
    ),
    "comments": Filters(
        {
            "itemId": of_items("item"),
            "authorId": of_users("author"),
            "text": Compared("body", "StringFilter", texts),
            "parentId": Compared("parent", "IdFilter", keys.map(lambda key: f"Comment:{key}")),
            "likes": how_many("likes"),
            "createdAt": when("created_at"),
            "pinned": flag("pinned"),
            "public": flag("is_public"),
            "deleted": flag("deleted"),
        },
        flag="deleted",
    ),
    "entries": Filters(
        {
            "title": Compared("title", "StringFilter", texts),
            "type": Compared("type", "StringFilter", texts),
            "itemId": of_items("item"),
            "draft": flag("draft"),
            "publishedAt": when("published_at"),
            "deleted": flag("deleted"),
        },
        flag="deleted",
    ),
    "answers": Filters(
        {
            "userId": of_users("user"),
            "group": Compared("group", "StringFilter", st.sampled_from(["csat", "default"])),
            "value": how_many("value"),
            "answeredAt": when("answered_at"),
        },
    ),
    "events": Filters(
        {
            "types": Compared(
                "type",
                "any of",
                st.lists(
                    st.sampled_from(["VOTE_CAST", "VOTE_WITHDRAWN", "ITEM_EDITED", "OTHER"]), max_size=2
                ),
            ),
            "actions": Compared(
                "action", "any of", st.lists(st.sampled_from(["item.update", "vote.create"]), max_size=2)
            ),
            "entity": Compared("entity", "StringFilter", st.sampled_from(["item", "vote", "nps"])),
            "itemId": of_items("item", "id"),
            "userId": of_users("user", "id"),
            "origins": Compared(
                "origin", "any of", st.lists(st.sampled_from(["WEBHOOK", "IMPORT"]), max_size=2)
            ),
            "occurred": Compared("occurred_at", "inside", windows),
            "recorded": Compared("recorded_at", "inside", windows),
            "position": Compared("position", "PositionFilter", st.integers(0, 60)),
            "changedFields": Compared(
                "changed", "one of", st.lists(st.sampled_from(["title", "status", "value"]), max_size=2)
            ),
        },
    ),
}
"""The filter of each list, by the plain model's names."""
