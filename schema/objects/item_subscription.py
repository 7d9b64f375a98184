"""Who follows which item."""

from __future__ import annotations

from typing import Final

import strawberry

from schema.declare.comparators import DateTimeFilter
from schema.declare.fields import column, moment, nested, rows_of
from schema.declare.filters import Compare, Filter, Flag, Ids
from schema.declare.orders import Order, Orders
from schema.declare.source import Entity, One, Page
from schema.objects.connection import PRODUCT, Node, opaque_id
from schema.objects.names import LazyItem, LazyUser
from schema.scalars import DateTime, Position
from service.sql_files import load

SUBSCRIPTION: Final = Entity(
    "subscription",
    "subscriptions",
    key=(("product_id", "bigint"), ("item_id", "text"), ("subscriber", "text")),
    then=load(__file__, "item_subscription.sql")["then"],
)


@rows_of(SUBSCRIPTION, "Somebody following an item.")
class ItemSubscription(Node):
    id: strawberry.ID = opaque_id(
        "ItemSubscription", "subscription.product_id", "subscription.item_id", "subscription.subscriber"
    )
    product_id: strawberry.ID = column(PRODUCT, "subscription.product_id")
    active: bool = column("Whether they still follow it.", "subscription.active")
    since: DateTime = moment("When they began, or stopped, following it.", "subscription.since")
    at: Position = column("The event that told of it last.", "subscription.position")
    item: LazyItem | None = nested("What is followed.", One("Item", "item_id"))
    user: LazyUser | None = nested("Who follows it; null where it was not told.", One("User", "user_id"))


SUBSCRIPTIONS: Final = Page(
    "ItemSubscription",
    Orders(
        "SubscriptionOrder",
        "What subscriptions can be sorted by.",
        "subscriptions",
        SINCE=Order("When it began.", "subscription.since", "timestamptz", nullable=False, descending=False),
    ),
    "SINCE",
    Filter(
        "SubscriptionFilter",
        "subscriptions",
        "Which subscriptions. Ended ones only where `active` asks for them.",
        itemId=Ids("Item", "To this item: an opaque id.", "subscription.product_id", "subscription.item_id"),
        userId=Ids("User", "By this user: an opaque id.", "subscription.product_id", "subscription.user_id"),
        since=Compare(DateTimeFilter, "When it began or ended.", "subscription.since"),
        active=Flag(
            "Only active ones (true, the default), only ended ones (false), or both (null).",
            "subscription.active",
            "not subscription.active",
            default=True,
        ),
    ),
)
