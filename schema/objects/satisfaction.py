"""Satisfaction answers (CSAT)."""

from __future__ import annotations

from typing import Final

import strawberry

from schema.declare.blocks import put, taking
from schema.declare.comparators import DateTimeFilter, IntFilter, StringFilter
from schema.declare.fields import column, moment, nested, rows_of
from schema.declare.filters import Compare, Filter, Ids
from schema.declare.orders import Order, Orders
from schema.declare.source import Entity, One, Page
from schema.objects.connection import PRODUCT, SLEEKPLAN, Node, opaque_id
from schema.objects.names import LazyUser
from schema.objects.values import json_value
from schema.scalars import JSON, DateTime, Position
from service.sql_files import load

_SQL: Final = load(__file__, "satisfaction.sql")
SUPERSEDED_AT: Final = _SQL["superseded_at"]

ANSWER: Final = Entity(
    "answer",
    "satisfaction_answers",
    key=(("product_id", "bigint"), ("satisfaction_id", "text")),
    then=put(_SQL["then"], newest_said=taking("column", _SQL["newest_said"])),
)


@rows_of(ANSWER, "A satisfaction answer (CSAT).")
class SatisfactionAnswer(Node):
    id: strawberry.ID = opaque_id("SatisfactionAnswer", "answer.product_id", "answer.satisfaction_id")
    sleekplan_id: strawberry.ID = column(SLEEKPLAN, "answer.satisfaction_id")
    product_id: strawberry.ID = column(PRODUCT, "answer.product_id")
    value: int | None = column("1 to 5.", "answer.score")
    comment: str | None = column("What they wrote with it.", "answer.comment")
    group: str | None = column("The survey's group key.", "answer.grp")
    meta: JSON | None = column(
        "What Sleekplan sent beside it. Needs the scope `personal`.",
        "answer.meta::text",
        convert=json_value,
        scope="personal",
    )
    answered_at: DateTime = moment("When it was given.", "answer.answered_at")
    superseded_at: DateTime | None = moment(
        "When a newer answer of the same user, within 30 days, replaced it.", SUPERSEDED_AT
    )
    at: Position = column("The event that told of it last.", "answer.position")
    user: LazyUser | None = nested("Who answered; null where it was not told.", One("User", "user_id"))


SATISFACTION_ANSWERS: Final = Page(
    "SatisfactionAnswer",
    Orders(
        "SatisfactionOrder",
        "What satisfaction answers can be sorted by.",
        "satisfaction answers",
        ANSWERED_AT=Order("When it was given.", "answer.answered_at", "timestamptz", nullable=False),
    ),
    "ANSWERED_AT",
    Filter(
        "SatisfactionFilter",
        "answers",
        "Which satisfaction answers.",
        userId=Ids("User", "By this user: an opaque id.", "answer.product_id", "answer.user_id"),
        group=Compare(StringFilter, "The survey's group key.", "answer.grp"),
        value=Compare(IntFilter, "1 to 5.", "answer.score"),
        answeredAt=Compare(DateTimeFilter, "When it was given.", "answer.answered_at"),
    ),
    base_filter="not answer.deleted",
)
