"""Votes that events told of."""

from __future__ import annotations

from typing import Final

import strawberry

from schema.declare.blocks import put, taking
from schema.declare.comparators import DateTimeFilter, IntFilter
from schema.declare.fields import column, moment, nested, rows_of
from schema.declare.filters import Compare, Filter, Ids, unless_asked
from schema.declare.orders import Order, Orders
from schema.declare.source import Entity, One, Page
from schema.objects.connection import PRODUCT, Node, opaque_id
from schema.objects.names import LazyItem, LazyUser
from schema.scalars import DateTime, Position
from service.sql_files import load

_SQL: Final = load(__file__, "vote.sql")

direction_of: Final = taking("row", _SQL["direction"])
"""What gives the direction that a vote had once the event of a row had told of it."""

VOTE: Final = Entity(
    "vote",
    "votes",
    key=(("product_id", "bigint"), ("item_id", "text"), ("voter", "text")),
    then=put(_SQL["then"], direction=direction_of("v")),
)


@rows_of(VOTE, "A vote that an event told of. Who voted and which way is not always told.")
class Vote(Node):
    id: strawberry.ID = opaque_id("Vote", "vote.product_id", "vote.item_id", "vote.voter")
    product_id: strawberry.ID = column(PRODUCT, "vote.product_id")
    value: int | None = column("1 for, -1 against; null where it was not told.", "vote.value")
    cast_at: DateTime = moment("When it was cast.", "vote.cast_at")
    withdrawn: bool = column("Whether it was taken back.", "vote.withdrawn")
    withdrawn_at: DateTime | None = moment(
        "When it was taken back.", "(case when vote.withdrawn then vote.occurred_at end)"
    )
    at: Position = column("The event that told of it last.", "vote.position")
    item: LazyItem | None = nested("What was voted for.", One("Item", "item_id"))
    user: LazyUser | None = nested("Who voted; null where it was not told.", One("User", "user_id"))


VOTES: Final = Page(
    "Vote",
    Orders(
        "VoteOrder",
        "What votes can be sorted by.",
        "votes",
        CAST_AT=Order("When it was cast.", "vote.cast_at", "timestamptz", nullable=False),
    ),
    "CAST_AT",
    Filter(
        "VoteFilter",
        "votes",
        "Which votes. Withdrawn ones only where `withdrawn` asks for them.",
        itemId=Ids("Item", "On this item: an opaque id.", "vote.product_id", "vote.item_id"),
        userId=Ids("User", "By this user: an opaque id.", "vote.product_id", "vote.user_id"),
        value=Compare(IntFilter, "1 for, -1 against.", "vote.value"),
        castAt=Compare(DateTimeFilter, "When it was cast.", "vote.cast_at"),
        withdrawn=unless_asked("withdrawn", "vote.withdrawn"),
    ),
)
