"""Lists of every kind by filter and order, in plain Python: what is unknown comes last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.given.plain_words import Row

Test = tuple[Mapping[str, Any], Callable[[Row], bool]]


@dataclass(frozen=True)
class Listed:
    """A list's name in the schema and its filter's, orders by what they sort, and what filters let pass."""

    name: str
    filter: str
    orders: Mapping[str, str]
    filters: tuple[Test, ...]

    def chosen(self, rows: Mapping[Any, Row], filter_: int) -> dict[Any, Row]:
        return {key: row for key, row in rows.items() if self.filters[filter_][1](row)}


LISTS: Final[Mapping[str, Listed]] = {
    "votes": Listed(
        "votes",
        "VoteFilter",
        {"CAST_AT": "cast_at"},
        (
            ({"withdrawn": None}, lambda vote: True),
            ({}, lambda vote: not vote["withdrawn"]),
            ({"withdrawn": True}, lambda vote: bool(vote["withdrawn"])),
            ({"value": {"eq": -1}, "withdrawn": None}, lambda vote: vote.get("value") == -1),
            ({"value": {"ne": -1}, "withdrawn": None}, lambda vote: vote.get("value") != -1),
            ({"value": {"isNull": True}}, lambda vote: not vote["withdrawn"] and vote.get("value") is None),
        ),
    ),
    "subscriptions": Listed(
        "subscriptions",
        "SubscriptionFilter",
        {"SINCE": "since"},
        (
            ({"active": None}, lambda subscription: True),
            ({}, lambda subscription: bool(subscription["active"])),
            ({"active": False}, lambda subscription: not subscription["active"]),
        ),
    ),
    "comments": Listed(
        "comments",
        "CommentFilter",
        {"CREATED_AT": "created_at", "LIKES": "likes"},
        (
            ({"deleted": None}, lambda comment: True),
            ({}, lambda comment: not comment["deleted"]),
            ({"deleted": None, "public": False}, lambda comment: comment.get("public") is False),
            ({"deleted": None, "public": True}, lambda comment: comment.get("public") is not False),
            ({"deleted": None, "pinned": False}, lambda comment: not comment.get("pinned")),
            ({"deleted": None, "likes": {"lt": 2}}, lambda comment: comment.get("likes", 9) < 2),
            (
                {"deleted": None, "text": {"notIn": ["a", ""]}},
                lambda comment: comment.get("body") not in (None, "a", ""),
            ),
            ({"deleted": None, "not": {"text": {"eq": "a"}}}, lambda comment: comment.get("body") != "a"),
        ),
    ),
    "users": Listed(
        "users",
        "UserFilter",
        {"FIRST_SEEN_AT": "first_seen_at", "LAST_ACTIVE_AT": "last_active_at"},
        (
            ({"deleted": None}, lambda user: True),
            ({}, lambda user: not user["deleted"]),
            ({"deleted": None, "teamMember": True}, lambda user: bool(user["team_member"])),
            ({"deleted": None, "teamMember": False}, lambda user: not user["team_member"]),
            ({"deleted": None, "name": {"isNull": True}}, lambda user: user.get("name") is None),
            ({"deleted": None, "segment": "pro"}, lambda user: "pro" in (user.get("segments") or ())),
            (
                {"deleted": None, "lastActiveAt": {"isNull": False}},
                lambda user: user.get("last_active_at") is not None,
            ),
        ),
    ),
    "entries": Listed(
        "changelogEntries",
        "ChangelogFilter",
        {"PUBLISHED_AT": "published_at"},
        (
            ({"deleted": None}, lambda entry: True),
            ({}, lambda entry: not entry["deleted"]),
            ({"deleted": None, "draft": True}, lambda entry: bool(entry.get("draft"))),
            ({"deleted": None, "draft": False}, lambda entry: not entry.get("draft")),
            ({"deleted": None, "title": {"in": ["a"]}}, lambda entry: entry.get("title") == "a"),
        ),
    ),
    "answers": Listed(
        "satisfactionAnswers",
        "SatisfactionFilter",
        {"ANSWERED_AT": "answered_at"},
        (
            ({}, lambda answer: True),
            ({"value": {"gte": 4}}, lambda answer: answer.get("value", 0) >= 4),
            ({"group": {"ne": "csat"}}, lambda answer: answer["group"] != "csat"),
        ),
    ),
}


def in_order(rows: Mapping[Any, Row], keys: list[Any], column: str, *, descending: bool) -> bool:
    """Whether things stand in an order: the known values as asked for, then what is unknown."""
    values = [rows[key].get(column) for key in keys]
    known = [value for value in values if value is not None]
    return values == sorted(known, reverse=descending) + [None] * (len(values) - len(known))
