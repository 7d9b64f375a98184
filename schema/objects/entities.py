"""The tables that the schema's objects are rows of, now and as of a moment."""

from __future__ import annotations

from typing import Final

from schema.declare.source import BLOCKS, Entity

_COUNTS: Final = (
    "votes_up",
    "votes_down",
    "total_sum",
    "comments",
    "subscribers",
    "trend",
    "scoring",
    "ratio",
)
_CONTENTS: Final = ("title", "description", "status", "type", "effort", "created_at", "author_id")
_USER_CONTENTS: Final = [
    "data_id",
    "name",
    "full_name",
    "mail",
    "img",
    "admin_id",
    "anonymous",
    "segments",
    "custom",
    "system",
    "weight",
    "notify",
    "stats",
    "created_at",
]
_COMMENT_CONTENTS: Final = ("item_id", "author_id", "body", "status", "type", "likes", "created_at")


def _each(block: str, columns: tuple[str, ...] | list[str]) -> dict[str, str]:
    return {column: BLOCKS[block].replace(":column", column) for column in columns}


def _search(block: str, texts: dict[str, str], *columns: str) -> str:
    found = BLOCKS[block]
    for column in columns:
        found = found.replace(f":{column}", texts[column])
    return found


_counts = _each("item_then.count_of", _COUNTS)
_contents = _each("item_then.content_of", _CONTENTS)
_comment_contents = _each("comment_then.content_of", _COMMENT_CONTENTS)

ITEM: Final = Entity(
    type_name="Item",
    alias="item",
    table="items",
    key=(("product_id", "bigint"), ("item_id", "text")),
    then="item_then",
    then_columns={
        **_counts,
        **_contents,
        "search": _search("item_then.search", _contents, "title", "description"),
        "votes_net": f"({_counts['votes_up']}\n- coalesce({_counts['votes_down']}\n, 0))",
        "updated_at": BLOCKS["item_then.updated_at"],
        "deleted": "(life.occurred_at is not null)",
        "deleted_at": "life.occurred_at",
        "status_since": "since.occurred_at",
        "first_position": "known.first_position",
        "first_seen_at": BLOCKS["item_then.first_seen_at"],
        "last_activity_at": "facts.last_activity_at",
        "position": "facts.position",
        "events": "facts.events",
        "known_up": "known_votes.up",
        "known_down": "known_votes.down",
    },
    then_joins={
        "counts": "item_then.counts",
        "content": "item_then.content",
        "life": "item_then.life",
        "since": "item_then.since",
        "facts": "item_then.facts",
        "known_votes": "item_then.known_votes",
    },
    then_joins_of_few={"life": "item_then.life_of"},
)

USER: Final = Entity(
    type_name="User",
    alias="usr",
    table="users",
    key=(("product_id", "bigint"), ("user_id", "text")),
    then="user_then",
    then_columns={
        **_each("user_then.content_of", list(_USER_CONTENTS)),
        "deleted": "coalesce(life.deleted, false)",
        "deleted_at": "case when life.deleted then life.occurred_at end",
        "erased": "known.erased",
        "first_seen_at": "seen.first_seen_at",
        "last_active_at": "seen.last_active_at",
        "position": "seen.position",
    },
    then_joins={"life": "user_then.life", "seen": "user_then.seen"},
)

COMMENT: Final = Entity(
    type_name="Comment",
    alias="comment",
    table="comments",
    key=(("product_id", "bigint"), ("comment_id", "text")),
    then="comment_then",
    then_columns={
        **_comment_contents,
        "search": _search("comment_then.search", _comment_contents, "body"),
        "updated_at": BLOCKS["comment_then.updated_at"],
        "deleted": "coalesce(life.deleted, false)",
        "deleted_at": "case when life.deleted then life.occurred_at end",
        "position": BLOCKS["comment_then.position"],
    },
    then_joins={"content": "comment_then.content", "life": "comment_then.life"},
    always=("content",),
)

VOTE: Final = Entity(
    type_name="Vote",
    alias="vote",
    table="votes",
    key=(("product_id", "bigint"), ("item_id", "text"), ("voter", "text")),
    then="vote_then",
)

SUBSCRIPTION: Final = Entity(
    type_name="ItemSubscription",
    alias="subscription",
    table="subscriptions",
    key=(("product_id", "bigint"), ("item_id", "text"), ("subscriber", "text")),
    then="subscription_then",
)

ENTRY: Final = Entity(
    type_name="ChangelogEntry",
    alias="entry",
    table="changelog_entries",
    key=(("product_id", "bigint"), ("changelog_id", "text")),
    then="entry_then",
)

ANSWER: Final = Entity(
    type_name="SatisfactionAnswer",
    alias="answer",
    table="satisfaction_answers",
    key=(("product_id", "bigint"), ("satisfaction_id", "text")),
    then="answer_then",
)

EVENT: Final = Entity(
    type_name="Event",
    alias="event",
    table="event_facts",
    key=(("position", "bigint"),),
    then="event_then",
)


def derived(type_name: str, alias: str) -> Entity:
    """Return the entry of a type that only blocks of SQL make."""
    return Entity(type_name=type_name, alias=alias, table="", key=(), then="")


ENTITIES: Final = (ITEM, USER, COMMENT, VOTE, SUBSCRIPTION, ENTRY, ANSWER, EVENT)
