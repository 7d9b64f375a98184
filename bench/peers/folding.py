"""What an event says about items, votes and users: what the peers that build tables in Python have in common.

The simplest rules that give our rows for deliveries in order, which is all that the benches send them: what
comes later wins, an absent member keeps its value, an empty one of an embedded user says nothing. Late
deliveries, erasure, versions and drift, which ours handles, they do not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, NamedTuple

Json = dict[str, Any]

TABLES = """
create table items (
    product_id bigint, item_id text, title text, description text, status text, type text, effort int,
    scoring float8, trend float8, ratio float8, votes_up int, votes_down int, total_sum int, comments int,
    subscribers int, created_at timestamptz, updated_at timestamptz, author_id text,
    deleted boolean, position bigint not null, primary key (product_id, item_id)
);
create table votes (
    product_id bigint, item_id text, voter text, user_id text, value smallint, created_at timestamptz,
    told_at timestamptz, cast_at timestamptz generated always as (coalesce(created_at, told_at)) stored,
    position bigint not null, primary key (product_id, item_id, voter)
);
create table users (
    product_id bigint, user_id text, data_id text, name text, full_name text, mail text, img text,
    admin_id text, weight int, created_at timestamptz, deleted boolean, position bigint not null,
    primary key (product_id, user_id)
);
"""

ITEM_COLUMNS = (
    "title", "description", "status", "type", "effort", "scoring", "trend", "ratio", "votes_up", "votes_down",
    "total_sum", "comments", "subscribers", "created_at", "updated_at", "author_id", "deleted",
)  # fmt: skip
VOTE_COLUMNS = ("user_id", "value", "created_at", "told_at")
USER_COLUMNS = ("data_id", "name", "full_name", "mail", "img", "admin_id", "weight", "created_at", "deleted")

KEYS = {
    "items": ("product_id", "item_id"),
    "votes": ("product_id", "item_id", "voter"),
    "users": ("product_id", "user_id"),
}
COLUMNS = {
    "items": (*KEYS["items"], *ITEM_COLUMNS, "position"),
    "votes": (*KEYS["votes"], *VOTE_COLUMNS, "position"),
    "users": (*KEYS["users"], *USER_COLUMNS, "position"),
}


class Said(NamedTuple):
    """One row as one event tells it; None is what it did not tell."""

    table: str  # items, votes or users
    key: tuple[int, str] | tuple[int, str, str]
    values: tuple[Any, ...]


def said(position: int, product_id: int, action: str, occurred_at: dt.datetime, data: Json) -> Iterator[Said]:
    """Yield what an event says, the rows in the order items, votes, users."""
    entity, _, verb = action.partition(".")
    post = data if entity == "item" else data.get("feedback_item")
    item_id = _id(data.get("feedback_id")) or (_id(post.get("feedback_id")) if post else None)
    if entity == "item" and item_id is None:
        item_id = _id(data.get("id"))
    if item_id is not None and entity in ("item", "vote", "subscription", "comment"):
        deleted = {"item.delete": True, "item.create": False, "item.update": False}.get(action)
        yield Said("items", (product_id, item_id), _item(post or {}, deleted))
    person = data.get("user")
    user_id = _id(data.get("user_id")) or (_id(person.get("user_id")) if isinstance(person, dict) else None)
    if entity == "vote" and item_id is not None:
        takes_back = verb == "delete" or _number(data.get("vote")) == 0
        yield Said(
            "votes",
            (product_id, item_id, user_id or f"p{position}"),
            (
                user_id,
                _number(data.get("vote")),
                _moment(data.get("created")),
                None if takes_back else occurred_at,
            ),
        )
    if entity == "user":
        if user_id is not None:
            yield Said("users", (product_id, user_id), _user(data, whole=True, deleted=verb == "delete"))
        return
    if isinstance(person, dict) and user_id is not None and entity != "item":
        yield Said("users", (product_id, user_id), _user(person))
    elif user_id is not None and entity != "item":
        yield Said("users", (product_id, user_id), _user({}))
    elif action == "changelog.subscribe" and user_id is not None:
        yield Said("users", (product_id, user_id), _user(data))
    author = post.get("user") if post else None
    if isinstance(author, dict) and (author_id := _id(author.get("user_id"))) is not None:
        yield Said("users", (product_id, author_id), _user(author))


def _item(post: Json, deleted: bool | None) -> tuple[Any, ...]:
    author = post.get("user")
    return (
        post.get("title"),
        post.get("description"),
        post.get("status"),
        post.get("type"),
        _number(post.get("effort")),
        _decimal(post.get("scoring")),
        _decimal(post.get("trend")),
        _decimal(post.get("total_ratio")),
        _number(post.get("total_up")),
        _number(post.get("total_down")),
        _number(post.get("total_sum")),
        _number(post.get("total_comments")),
        _number(post.get("total_subscriber")),
        _moment(post.get("created")),
        _moment(post.get("updated")),
        _id(author.get("user_id")) if isinstance(author, dict) else None,
        deleted,
    )


def _user(user: Json, *, whole: bool = False, deleted: bool | None = None) -> tuple[Any, ...]:
    """Return a user's columns; of an embedded one (`whole` false) empty texts say nothing."""

    def text(name: str) -> str | None:
        value = user.get(name)
        return value if isinstance(value, str) and (value or whole) else None

    return (
        _id(user.get("data_id")),
        text("data_name"),
        text("data_full_name"),
        text("data_mail"),
        text("data_img"),
        _id(user.get("admin_id")),
        _number(user.get("weight")),
        _moment(user.get("created")) if whole else None,
        deleted if whole else None,
    )


def _id(value: object) -> str | None:
    return None if value in (None, "", 0, "0") else str(value)


def _number(value: Any) -> int | None:
    return None if value in (None, "") else int(value)


def _decimal(value: Any) -> float | None:
    return None if value in (None, "") else float(value)


def _moment(value: Any) -> dt.datetime | None:
    if not isinstance(value, str) or len(value) != 19:
        return None
    return dt.datetime.fromisoformat(value).replace(tzinfo=dt.UTC)
