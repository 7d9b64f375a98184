"""Where the fields that hold objects read from: by key, from a block of SQL, or page by page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schema.declare.columns import COLUMNS
from schema.declare.request import Env
from schema.declare.source import (
    BLOCKS,
    ByPosition,
    Differences,
    Inline,
    One,
    Order,
    Page,
    Parameter,
    Rows,
    Single,
)
from schema.objects.values import FieldChange, field_changes, make, parse_json
from service.errors import BadArgument

# Sort orders

ITEM_ORDERS: Final = {
    "CREATED_AT": Order("item.created_at", "timestamptz", index="desc"),
    "UPDATED_AT": Order("item.updated_at", "timestamptz", index="desc"),
    "VOTES": Order("item.votes_net", "int", index="desc", most="votes_most"),
    "TREND": Order("item.trend", "float8", index="desc"),
    "VOTES_IN_WINDOW": Order(":gained", "bigint", nullable=False),
    # The longest in a status are those who entered it first.
    "TIME_IN_STATUS": Order("item.status_since", "timestamptz", inverted=True, index="asc"),
    "LAST_ACTIVITY_AT": Order("item.last_activity_at", "timestamptz", nullable=False),
    "RELEVANCE": Order(":relevance", "float8", nullable=False),
}
USER_ORDERS: Final = {
    "FIRST_SEEN_AT": Order("usr.first_seen_at", "timestamptz", nullable=False, descending=False),
    "LAST_ACTIVE_AT": Order("usr.last_active_at", "timestamptz", index="asc"),
}
VOTE_ORDERS: Final = {"CAST_AT": Order("vote.cast_at", "timestamptz", nullable=False)}
COMMENT_ORDERS: Final = {
    "CREATED_AT": Order("comment.created_at", "timestamptz", descending=False, index="asc"),
    "LIKES": Order("comment.likes", "int"),
}
SUBSCRIPTION_ORDERS: Final = {
    "SINCE": Order("subscription.since", "timestamptz", nullable=False, descending=False)
}
CHANGELOG_ORDERS: Final = {"PUBLISHED_AT": Order("entry.published_at", "timestamptz", index="asc")}
SATISFACTION_ORDERS: Final = {"ANSWERED_AT": Order("answer.answered_at", "timestamptz", nullable=False)}
EVENT_ORDERS: Final = {
    "POSITION": Order("event.position", "bigint", nullable=False, descending=False),
    "OCCURRED_AT": Order("event.occurred_at", "timestamptz", nullable=False, descending=False),
}

# Objects found by key


def _same(alias: str, column: str, type_name: str, key: str, target: str) -> One:
    return One(type_name, f"{target}.product_id = {alias}.product_id and {target}.{key} = {alias}.{column}")


ITEM_AUTHOR: Final = _same("item", "author_id", "User", "user_id", "usr")
VOTE_ITEM: Final = _same("vote", "item_id", "Item", "item_id", "item")
VOTE_USER: Final = _same("vote", "user_id", "User", "user_id", "usr")
COMMENT_ITEM: Final = _same("comment", "item_id", "Item", "item_id", "item")
COMMENT_AUTHOR: Final = _same("comment", "author_id", "User", "user_id", "usr")
SUBSCRIPTION_ITEM: Final = _same("subscription", "item_id", "Item", "item_id", "item")
SUBSCRIPTION_USER: Final = _same("subscription", "user_id", "User", "user_id", "usr")
ENTRY_ITEM: Final = _same("entry", "item_id", "Item", "item_id", "item")
ANSWER_USER: Final = _same("answer", "user_id", "User", "user_id", "usr")
EVENT_ITEM: Final = _same("event", "item_id", "Item", "item_id", "item")
EVENT_USER: Final = _same("event", "user_id", "User", "user_id", "usr")
EVENT_COMMENT: Final = _same("event", "comment_id", "Comment", "comment_id", "comment")
EVENT_ENTRY: Final = _same("event", "changelog_id", "ChangelogEntry", "changelog_id", "entry")
EVENT_ANSWER: Final = _same("event", "satisfaction_id", "SatisfactionAnswer", "satisfaction_id", "answer")


def item_of(alias: str) -> One:
    """Return the source of a derived row's item."""
    return _same(alias, "item_id", "Item", "item_id", "item")


def event_of(alias: str) -> One:
    """Return the source of the event that a derived row comes from."""
    return One("Event", f"event.position = {alias}.position")


REVISION_BY: Final = One(
    "User",
    "(usr.product_id, usr.user_id) in (select fact.product_id, fact.user_id from {event_facts} as fact"
    " where fact.position = revision.position)",
)

# What subscriptions send, by position

EVENTS_AT: Final = ByPosition("Event", "events_at", "events")
ITEM_AT: Final = ByPosition("ItemChange", "item_changes_at", "item")
ITEMS_AT: Final = ByPosition("ItemChange", "item_changes_at", "items")
_CHANGED_ITEM: Final = "item.product_id = change.product_id and item.item_id = change.item_id"
CHANGE_EVENT: Final = event_of("change")
CHANGE_BEFORE: Final = One("Item", _CHANGED_ITEM, position="(change.position - 1)")
CHANGE_AFTER: Final = One("Item", _CHANGED_ITEM, position="change.position")
COMPARED: Final = {
    "title": "title",
    "description": "description",
    "status": "status",
    "type": "type",
    "effort": "effort",
    "votesUp": "votes_up",
    "votesDown": "votes_down",
    "commentCount": "comments",
    "subscriberCount": "subscribers",
    "deleted": "deleted",
}
"""The fields of an item that a change is told by."""

CHANGE_DIFFERENCES: Final = Differences(
    "Item",
    _CHANGED_ITEM,
    before="(change.position - 1)",
    after="change.position",
    columns=COMPARED,
    convert=field_changes,
)

# Objects made of the same row

ITEM_VOTES: Final = Inline(
    {"up": "item.votes_up", "down": "item.votes_down", "net": "item.votes_net"},
    unless="item.votes_up is not null or item.votes_down is not null",
)
ITEM_KNOWN_VOTES: Final = Inline(
    {"up": "item.known_up", "down": "item.known_down", "net": "(item.known_up - item.known_down)"}
)

# Lists below an item, a user, an event


def _page(
    type_name: str, orders: Mapping[str, Order], default: str, where: str, filter_name: str | None
) -> Page:
    return Page(type_name, orders, default, where=where, filter_name=filter_name, pinned=False)


def _of_item(alias: str) -> str:
    return f"{alias}.product_id = item.product_id and {alias}.item_id = item.item_id"


CAST_VOTES: Final = _page("Vote", VOTE_ORDERS, "CAST_AT", _of_item("vote"), "VoteFilter")
ITEM_COMMENTS: Final = _page("Comment", COMMENT_ORDERS, "CREATED_AT", _of_item("comment"), "CommentFilter")
ITEM_SUBSCRIPTIONS: Final = _page(
    "ItemSubscription", SUBSCRIPTION_ORDERS, "SINCE", _of_item("subscription"), "SubscriptionFilter"
)
VOTERS: Final = _page(
    "User",
    USER_ORDERS,
    "FIRST_SEEN_AT",
    "(usr.product_id, usr.user_id) in (select ballot.product_id, ballot.user_id from :votes() as ballot"
    " where ballot.product_id = item.product_id and ballot.item_id = item.item_id"
    " and ballot.user_id is not null and not ballot.withdrawn and ballot.value is distinct from -1)",
    None,
)
TIMELINE: Final = Page(
    "Event",
    EVENT_ORDERS,
    "OCCURRED_AT",
    where=_of_item("event"),
    base_filter="(:types is null or event.type = any(:types))",
    filter_name="EventFilter",
    parameters={
        "types": Parameter(
            "text[]",
            lambda args: [each.value for each in args["types"]] if args.get("types") is not None else None,
        )
    },
    pinned=False,
)
USER_VOTES: Final = _page(
    "Vote",
    VOTE_ORDERS,
    "CAST_AT",
    "vote.product_id = usr.product_id and vote.user_id = usr.user_id",
    "VoteFilter",
)
USER_COMMENTS: Final = _page(
    "Comment",
    COMMENT_ORDERS,
    "CREATED_AT",
    "comment.product_id = usr.product_id and comment.author_id = usr.user_id",
    "CommentFilter",
)
USER_EVENTS: Final = _page(
    "Event",
    EVENT_ORDERS,
    "OCCURRED_AT",
    "event.product_id = usr.product_id and event.user_id = usr.user_id",
    "EventFilter",
)
USER_SATISFACTION: Final = Rows(
    "SatisfactionAnswer", "user_satisfaction", "answer.answered_at, answer.satisfaction_id"
)
USER_ACTIVITY: Final = Single("ActivityTotals", "user_activity", windowed=True)
IMPACT: Final = Single(
    "Impact", "impact", parameters={"length": Parameter("interval", lambda args: args["window"])}
)


def _impact_half(begin: str, end: str, name: str) -> Single:
    BLOCKS[name] = BLOCKS["impact_half"].replace(":begin", f"impact.{begin}").replace(":end", f"impact.{end}")
    return Single("ActivityTotals", name)


IMPACT_BEFORE: Final = _impact_half("starts_at", "published_at", "impact_before")
IMPACT_AFTER: Final = _impact_half("published_at", "ends_at", "impact_after")

# An item's history

_STEPS_OF_ITEM: Final = BLOCKS["status_steps"].replace(
    ":which", "c.product_id = item.product_id and c.item_id = item.item_id"
)
for _name in ("status_history", "votes_since"):
    BLOCKS[_name] = BLOCKS[_name].replace(":status_steps", _STEPS_OF_ITEM)
BUCKETS: Final = (
    BLOCKS["buckets"].replace(":starts_of", BLOCKS["starts_of"]).replace(":locals", BLOCKS["local_starts"])
)
for _name in ("vote_series", "subscriber_series"):
    BLOCKS[_name] = BLOCKS[_name].replace(
        # When it was submitted comes without a zone, and may be later than what was told of it.
        ":buckets",
        BUCKETS.replace(":earliest", "least(item.created_at, item.first_seen_at)"),
    )

REVISED_FIELDS: Final = ("title", "description", "status", "type", "effort")
PROVENANCE_FIELDS: Final = (
    *REVISED_FIELDS,
    "createdAt",
    "author",
    "votes",
    "commentCount",
    "subscriberCount",
    "trend",
    "scoring",
)


def _fields(args: Mapping[str, Any]) -> list[str] | None:
    wanted = args.get("fields")
    for name in wanted or ():
        if name not in REVISED_FIELDS:
            raise BadArgument(
                "fields", name, f"is no field with revisions; choose from {', '.join(REVISED_FIELDS)}"
            )
    return list(wanted) if wanted is not None else None


def _provenance_field(args: Mapping[str, Any]) -> str:
    name: str = args["field"]
    if name not in PROVENANCE_FIELDS:
        raise BadArgument("field", name, f"has no provenance; choose from {', '.join(PROVENANCE_FIELDS)}")
    return name


def _since(args: Mapping[str, Any]) -> object:
    if (args.get("time") is None) == (args.get("statusEntered") is None):
        raise BadArgument("votesSince", args.get("time"), "needs either time or statusEntered")
    return args.get("time")


BUCKET: Final = Parameter("text", lambda args: args["bucket"].value.lower())

STATUS_HISTORY: Final = Rows("StatusPeriod", "status_history", "period.place")
REVISIONS: Final = Rows(
    "Revision",
    "revisions",
    "revision.place",
    parameters={"fields": Parameter("text[]", _fields)},
)
PROVENANCE: Final = Single(
    "Provenance", "provenance", parameters={"field": Parameter("text", _provenance_field)}
)
VOTE_SERIES: Final = Rows(
    "VotePoint", "vote_series", "point.starts_at", parameters={"bucket": BUCKET}, windowed=True, zoned=True
)
SUBSCRIBER_SERIES: Final = Rows(
    "CountPoint",
    "subscriber_series",
    "point.starts_at",
    parameters={"bucket": BUCKET},
    windowed=True,
    zoned=True,
)
VOTES_SINCE: Final = Single(
    "VoteTotals",
    "votes_since",
    parameters={
        "time": Parameter("timestamptz", _since),
        "status_entered": Parameter("text", lambda args: args.get("statusEntered")),
    },
)
VOTE_JUMPS: Final = Rows(
    "VoteJump",
    "vote_jumps",
    "jump.place",
    parameters={"min_delta": Parameter("int", lambda args: args["minDelta"])},
)
NEARBY_EVENTS: Final = Rows(
    "Event",
    "nearby_events",
    # Of columns that every event has: below an event, whoever reads that is asked for them as well.
    "abs(extract(epoch from event.occurred_at - jump.occurred_at)), event.position",
    limit="20",
)
ITEM_INFERENCES: Final = Rows("Inference", "item_inferences", "inference.position, inference.ordinal")

# Expressions

RANK: Final = BLOCKS["rank"]
TEAM_MEMBER: Final = "coalesce(usr.admin_id, '0') not in ('0', '')"
DELIVERIES: Final = BLOCKS["deliveries"]
SUPERSEDED_AT: Final = BLOCKS["superseded_at"]
RAW_PAYLOAD: Final = (
    "(select stored.envelope::text from log.events as stored"
    " where stored.position = event.position and stored.product_id = event.product_id)",
    "(select stored.data::text from log.events as stored"
    " where stored.position = event.position and stored.product_id = event.product_id)",
)
SUMMARY: Final = (
    "event.type",
    "event.action",
    "event.changed_fields",
    "(select about.title from {items} as about"
    " where about.product_id = event.product_id and about.item_id = event.item_id)",
    "event.item_id",
    "(select who.name from {users} as who"
    " where who.product_id = event.product_id and who.user_id = event.user_id)",
    "(select said.status from {item_contents} as said where said.product_id = event.product_id"
    " and said.item_id = event.item_id and said.occurred_at = event.occurred_at"
    " and said.position = event.position)",
    "(select said.title from {changelog_entries} as said"
    " where said.product_id = event.product_id and said.changelog_id = event.changelog_id)",
    "case when event.entity = 'vote' then (select said.value from {vote_versions} as said"
    " where said.product_id = event.product_id and said.item_id = event.item_id"
    " and said.position = event.position) end",
)


def whole_body(_: Env, envelope: str | None, data: str | None) -> object:
    """Return the body of an event as it was sent, put together from its two stored parts."""
    if envelope is None or data is None:
        return None
    body = parse_json(envelope)
    return {**body, "data": parse_json(data)} if isinstance(body, dict) else parse_json(data)


_PERSONAL: Final = frozenset({"data_id", "full_name", "mail", "custom", "system", "notify"})


def _change_of(table: str, key: str, columns: tuple[str, ...]) -> str:
    befores, afters = [], []
    for column in columns:
        before = BLOCKS["change_before"].replace(":column", column)
        after = f"own.{column}"
        if column in _PERSONAL and table == "user_versions":
            before, after = (f"case when :personal then {each} end" for each in (before, after))
        befores.append(f"'{column}', {before}")
        afters.append(f"'{column}', {after}")
    text = BLOCKS["change_of"].replace(":befores", ",\n".join(befores)).replace(":afters", ", ".join(afters))
    return text.replace(":table", table).replace(":key", key)


EVENT_CHANGES: Final = (
    "case when event.type in ('VOTE_CHANGED', 'VOTE_WITHDRAWN') then "
    + BLOCKS["change_of_vote"]
    + "\nwhen event.changed_fields is null or event.changed_fields = '{}' then null"
    + "\nwhen event.entity = 'item' then "
    + _change_of(
        "item_contents",
        "item_id",
        ("title", "description", "status", "type", "effort", "created_at", "author_id"),
    )
    + "\nwhen event.entity = 'comment' then "
    + _change_of(
        "comment_versions",
        "comment_id",
        ("item_id", "author_id", "body", "status", "type", "likes", "created_at"),
    )
    + "\nwhen event.entity = 'changelog' then "
    + _change_of(
        "changelog_versions",
        "changelog_id",
        (
            "title",
            "description",
            "type",
            "segment",
            "draft",
            "announcement",
            "scheduled_at",
            "item_id",
            "created_at",
        ),
    )
    + "\nwhen event.entity = 'user' then "
    + _change_of(
        "user_versions",
        "user_id",
        (
            *("data_id", "name", "full_name", "mail", "img", "admin_id", "anonymous", "segments", "custom"),
            *("system", "weight", "notify", "stats", "created_at"),
        ),
    )
    + " end",
)


NAMES: Final = {column: name for name, column in COLUMNS.items()}
"""What columns are called in the schema, where it is not the same."""


def shown_names(_: Env, columns: list[str]) -> list[str]:
    """Return the names of changed fields as the schema has them."""
    return [NAMES.get(column, column) for column in columns]


def event_changes(_: Env, changed: list[Any] | None) -> list[FieldChange]:
    """Return what an event changed, from the names, the values before and the values after."""
    if changed is None:
        return []
    columns, before, after = changed
    return [
        make(FieldChange, field=NAMES.get(column, column), before=before.get(column), after=after.get(column))
        for column in columns
    ]


def revision_changes(
    _: Env, names: list[str], before: dict[str, Any], after: dict[str, Any]
) -> list[FieldChange]:
    """Return what a revision changed."""
    return field_changes(names, before, after)
