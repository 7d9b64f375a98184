"""Where the root fields read from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from projections.status import known
from schema.declare.request import Request
from schema.declare.source import BLOCKS, Diff, DiffItems, Lookup, Nodes, One, Page, Parameter, Rows, Single
from schema.objects import specs
from service.errors import BadArgument

NODE: Final = Nodes()
ITEM: Final = Lookup("Item")
USER: Final = Lookup("User")
CHANGELOG_ENTRY: Final = Lookup("ChangelogEntry")

ITEMS: Final = Page("Item", specs.ITEM_ORDERS, "VOTES", filter_name="ItemFilter")
USERS: Final = Page("User", specs.USER_ORDERS, "FIRST_SEEN_AT", filter_name="UserFilter")
VOTES: Final = Page("Vote", specs.VOTE_ORDERS, "CAST_AT", filter_name="VoteFilter")
COMMENTS: Final = Page("Comment", specs.COMMENT_ORDERS, "CREATED_AT", filter_name="CommentFilter")
SUBSCRIPTIONS: Final = Page(
    "ItemSubscription", specs.SUBSCRIPTION_ORDERS, "SINCE", filter_name="SubscriptionFilter"
)
CHANGELOG_ENTRIES: Final = Page(
    "ChangelogEntry", specs.CHANGELOG_ORDERS, "PUBLISHED_AT", filter_name="ChangelogFilter"
)
SATISFACTION_ANSWERS: Final = Page(
    "SatisfactionAnswer",
    specs.SATISFACTION_ORDERS,
    "ANSWERED_AT",
    base_filter="not answer.deleted",
    filter_name="SatisfactionFilter",
)
# The log only grows, and its order never changes: nothing to pin.
EVENTS: Final = Page("Event", specs.EVENT_ORDERS, "POSITION", filter_name="EventFilter", pinned=False)

# Questions about a whole board


def _block(name: str, **texts: str) -> str:
    """Put blocks into a block, under a name of its own, and return that."""
    text = BLOCKS[name]
    for token, inner in texts.items():
        text = inner.join(re.split(rf":{token}\b", text))
    BLOCKS[f"{name}*"] = text
    return f"{name}*"


def _calendar(name: str) -> str:
    """Put the steps into a block, and what it asks of them."""
    calendar = BLOCKS["calendar"].replace(":buckets", _BUCKETS)
    key = _block(name, values_told=BLOCKS["values_told"], calendar=calendar)
    BLOCKS[key] = re.sub(
        r":step_of\((\w+)\)", lambda found: BLOCKS["step_of"].replace(":row", found[1]), BLOCKS[key]
    )
    return key


def _value(when: str) -> str:
    return BLOCKS["value_at"].replace(":when", when)


_BUCKETS: Final = specs.BUCKETS.replace(
    ":earliest",
    "coalesce((select min(first.occurred_at) from {event_facts} as first where :visible(first)), :at)",
)
_STEPS_OF_BOARD: Final = BLOCKS["status_steps"].replace(":which", ":visible(c)")
_METRIC: Final = Parameter("text", lambda args: args["metric"].value)
_FIRST: Final = Parameter("bigint", lambda args: bounded(args, "first"))


def bounded(args: Mapping[str, Any], name: str) -> int:
    """Return how many rows a list without pages shows; raises BadArgument beyond 500."""
    value: int = args[name]
    if not 0 <= value <= 500:
        raise BadArgument(name, value, "is out of bounds; ask for 0 to 500")
    return value


def _keys(*names: str) -> Parameter:
    """The keys of the statuses that have a role: the argument's, or one of these."""

    def keys(args: Mapping[str, Any], request: Request) -> list[str]:
        roles = {args[name].value if name in args else name for name in names}
        return [
            label.key for label in request.labels.values() if label.kind == "status" and label.role in roles
        ]

    return Parameter("text[]", with_request=keys)


def _spans(name: str) -> str:
    spans = f"with steps as ({_STEPS_OF_BOARD}) {BLOCKS[name]}"
    key = f"durations*{name}"
    BLOCKS[key] = BLOCKS["durations"].replace(":spans", spans)
    return key


MOVERS: Final = Rows(
    "Mover",
    _block(
        "movers",
        newest_value=BLOCKS["newest_value"],
        gone_now=BLOCKS["gone_at"].replace(":when", "span.ends_at"),
        gone_before=BLOCKS["gone_at"].replace(":when", "span.begins_at"),
        value_begin=_value("span.begins_at"),
        value_earlier=_value("span.earlier"),
        value_first=BLOCKS["first_value"],
    ),
    "mover.gained desc, mover.product_id, mover.item_id",
    limit=":first",
    parameters={"metric": _METRIC, "first": _FIRST},
    windowed=True,
)
RANK_HISTORY: Final = Rows(
    "RankSeries",
    _calendar("rank_history"),
    "series.rank_now, series.product_id, series.item_id",
    parameters={
        "metric": _METRIC,
        "bucket": specs.BUCKET,
        "top": Parameter("bigint", lambda args: bounded(args, "top")),
    },
    windowed=True,
    zoned=True,
)
_GROUP_BY: Final = Parameter("text", lambda args: args["groupBy"].value)
CYCLE_TIME: Final = Rows(
    "DurationStat",
    _spans("cycle_spans"),
    "stat.key",
    parameters={"group_by": _GROUP_BY, "from_keys": _keys("from"), "to_keys": _keys("to")},
    windowed=True,
    zoned=True,
)
FIRST_RESPONSE: Final = Rows(
    "DurationStat",
    _spans("response_spans"),
    "stat.key",
    parameters={"group_by": _GROUP_BY},
    windowed=True,
    zoned=True,
)
STATUS_REGRESSIONS: Final = Rows(
    "StatusPeriod",
    _block("status_regressions", status_steps=_STEPS_OF_BOARD),
    "period.entered_at desc, period.product_id, period.item_id, period.place desc",
    limit=":first",
    parameters={
        "first": _FIRST,
        "open_keys": _keys("OPEN"),
        "roadmap_keys": _keys("ROADMAP"),
        "closed_keys": _keys("DONE", "DECLINED"),
    },
    windowed=True,
)
SATISFACTION_SERIES: Final = Rows(
    "ScorePoint",
    _block("satisfaction_series", buckets=_BUCKETS, superseded_at=BLOCKS["superseded_at"]),
    "point.starts_at",
    parameters={"bucket": specs.BUCKET, "group": Parameter("text", lambda args: args["group"])},
    windowed=True,
    zoned=True,
)
STATUS_BACKLOG: Final = Rows(
    "BacklogPoint",
    _calendar("status_backlog"),
    "point.starts_at",
    parameters={"bucket": specs.BUCKET},
    windowed=True,
    zoned=True,
)
EVENT_SERIES: Final = Rows(
    "EventCount",
    _block("event_series", starts_of=BLOCKS["starts_of"].replace(":locals", BLOCKS["local_starts_told"])),
    "point.starts_at",
    parameters={"bucket": specs.BUCKET},
    windowed=True,
    zoned=True,
)
DRIFT: Final = Rows(
    "Inference",
    "drift",
    "inference.position desc, inference.ordinal",
    limit=":first",
    parameters={"first": _FIRST},
)
INGEST: Final = Single("Ingest", "ingest")
PRODUCTS: Final = Rows("Product", "products_heard_of", "product.product_id")
PROJECTIONS: Final = Rows(
    "Projection",
    "projections",
    "projection.name",
    parameters={
        "names": Parameter("text[]", lambda _: known()[0]),
        "fingerprints": Parameter("text[]", lambda _: known()[1]),
    },
)
QUARANTINE: Final = Rows(
    "QuarantinedDelivery",
    "quarantine",
    "delivery.received_at desc, delivery.id",
    limit=":first",
    parameters={
        "first": _FIRST,
        "states": Parameter(
            "text[]",
            lambda args: [each.value.lower() for each in args["states"]] if args.get("states") else None,
        ),
    },
    scope="admin",
)

# The difference of two moments: `diff` is one row an item

_SAME_ITEM: Final = "item.product_id = diff.product_id and item.item_id = diff.item_id"
DIFF: Final = Diff()
DIFF_ADDED: Final = DiffItems("ADDED")
DIFF_REMOVED: Final = DiffItems("REMOVED")
DIFF_CHANGED: Final = DiffItems("CHANGED")
DIFF_BEFORE: Final = One("Item", _SAME_ITEM, moment="before")
DIFF_AFTER: Final = One("Item", _SAME_ITEM, moment="after")
