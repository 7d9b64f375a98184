"""Lists of every kind by filter and order, in plain Python: what is unknown comes last, ties go by id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tests.given.plain_events import facts
from tests.given.plain_model import Moment, board, homes, merged
from tests.given.plain_words import Event, Row, Said, actor_of, posts

Rows = dict[Any, Row]


@dataclass(frozen=True)
class Listed:
    """A list's name in the schema and its filter's, orders by what they sort, and the type of its ids."""

    name: str
    filter: str
    orders: Mapping[str, str]


LISTS: Final[Mapping[str, Listed]] = {
    "items": Listed(
        "items",
        "ItemFilter",
        {
            "CREATED_AT": "created_at",
            "UPDATED_AT": "updated_at",
            "VOTES": "votes_net",
            "TREND": "trend",
            "TAG_COUNT": "tag_count",
            "VOTES_IN_WINDOW": "gained",
            "TIME_IN_STATUS": "time_in_status",
            "LAST_ACTIVITY_AT": "last_activity_at",
        },
    ),
    "votes": Listed("votes", "VoteFilter", {"CAST_AT": "cast_at"}),
    "subscriptions": Listed("subscriptions", "SubscriptionFilter", {"SINCE": "since"}),
    "comments": Listed("comments", "CommentFilter", {"CREATED_AT": "created_at", "LIKES": "likes"}),
    "users": Listed(
        "users", "UserFilter", {"FIRST_SEEN_AT": "first_seen_at", "LAST_ACTIVE_AT": "last_active_at"}
    ),
    "entries": Listed("changelogEntries", "ChangelogFilter", {"PUBLISHED_AT": "published_at"}),
    "answers": Listed("satisfactionAnswers", "SatisfactionFilter", {"ANSWERED_AT": "answered_at"}),
    "events": Listed("events", "EventFilter", {"POSITION": "position", "OCCURRED_AT": "occurred_at"}),
}


def rows_of(
    events: list[Event], known: Moment, at: datetime, window: tuple[datetime, datetime]
) -> dict[str, Rows]:
    """Return what a product's lists are made of, each row with all that can be filtered and sorted by."""
    seen = [event for event in events if known.knows(event)]
    told = board(events, known)
    found: dict[str, Rows] = {kind: dict(getattr(told, kind)) for kind in LISTS if kind != "events"}
    for key, item in found["items"].items():
        texts = [item.get("title"), item.get("description")] + [
            comment.get("body")
            for comment in told.comments.values()
            if comment.get("item_id") == key and not comment["deleted"]
        ]
        item["texts"] = [text for text in texts if text is not None]
        item["tag_count"] = len(item["tags"]) if "tags" in item else None
        item["gained"] = _gained(posts(seen).get(key, []), *window)
        if item["status_since"] is not None:
            item["time_in_status"] = at - item["status_since"]
    for key, user in found["users"].items():
        user["acted"] = [event.occurred_at for event in seen if actor_of(event) == key]
        if "last_active_at" in user:
            user["silent"] = at - user["last_active_at"]
    for comment in found["comments"].values():
        comment["is_public"] = comment.get("public") is not False
    found["events"] = _events(events, seen)
    for kind, rows in found.items():
        for key, row in rows.items():
            row["key"] = str(key)
            for name, of_type, column in (
                ("item", "Item", "item_id"),
                ("user", "User", "user_id"),
                ("author", "User", "author_id"),
                ("owner", "User", "_owner"),
                ("merged", "Item", "_merged"),
                ("parent", "Comment", "parent_id"),
            ):
                if kind != "events" and row.get(column) is not None:
                    row[name] = f"{of_type}:{row[column]}"
    return found


def _events(events: list[Event], seen: list[Event]) -> Rows:
    kinds, about = facts(events), homes(events)
    return {
        str(event.position): {
            "position": event.position,
            "type": kinds[event.position].type,
            "action": event.action,
            "entity": event.entity,
            "item": f"Item:{about[event.position]}",
            "user": f"User:{actor_of(event)}",
            "origin": "WEBHOOK",
            "occurred_at": event.occurred_at,
            "recorded_at": event.recorded_at,
            "changed": [*kinds[event.position].changes],
        }
        for event in seen
    }


def _gained(said: list[Said], begins: datetime, until: datetime) -> int:
    """Return the net votes gained in a window: from none if submitted in it, else from the first told."""

    def net(row: Row) -> int | None:
        return row["votes_up"] - row.get("votes_down", 0) if "votes_up" in row else None

    in_order = sorted(said, key=lambda one: one.key)
    last = net(merged(one for one in in_order if one.event.occurred_at < until))
    first = net(merged(one for one in in_order if one.event.occurred_at < begins))
    if last is None:
        return 0
    if first is None:
        created = merged(in_order).get("created_at")
        if created is not None and created >= begins:
            first = 0
        else:
            nets = (net(merged(in_order[: number + 1])) for number in range(len(in_order)))
            first = next(each for each in nets if each is not None)
    return last - first


def in_order(rows: Rows, column: str, *, descending: bool) -> list[Any]:
    """Return the keys of rows in an order: what is unknown last, ties by key."""
    keys = sorted(rows)
    known = [key for key in keys if rows[key].get(column) is not None]
    known.sort(key=lambda key: rows[key][column], reverse=descending)
    return known + [key for key in keys if rows[key].get(column) is None]
