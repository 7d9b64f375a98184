"""Totals of items that an event took to a bound."""

from __future__ import annotations

from typing import Final

import strawberry
from strawberry import UNSET

from schema.declare.blocks import put, taking
from schema.declare.fields import column, moment, nested, rows_of
from schema.declare.source import At, ByPosition, Entity, One, Parameter
from schema.objects.board import Metric
from schema.objects.event import Event
from schema.objects.item import Item
from schema.scalars import DateTime, Duration, Position
from service.sql_files import load

_SQL: Final = load(__file__, "thresholds.sql")


@strawberry.input(description="A bound that is told when a total reaches it.")
class Threshold:
    metric: Metric = strawberry.field(description="The total.")
    gte: int = strawberry.field(description="The bound: told when the total was below it and now is not.")
    within: Duration | None = strawberry.field(
        default=UNSET, description="Compare what was gained in so long, instead of the whole total."
    )


@rows_of(Entity("hit"), "A total that reached a bound.")
class ThresholdHit:
    position: Position = column("The position of the event that did it.", "hit.position")
    rule: int = column("Which of the rules, from 0.", "hit.rule")
    metric: Metric = column("The total.", "hit.metric")
    value: int = column("The total, or what was gained, after the event.", "hit.value")
    gte: int = column("The bound.", "hit.gte")
    crossed_at: DateTime = moment("When it happened, on Sleekplan's clock.", "hit.occurred_at")
    item: Item = nested("The item, as of the event.", One("Item", "item_id", position="hit.position"))
    event: Event = nested("The event.", One("Event", "position", position="hit.position"))


_MEASURED: Final = frozenset(
    {"votes_net", "votes_up", "comments", "subscribers", "events", "created_at", "product_id", "item_id"}
)
HITS_AT: Final = ByPosition(
    "ThresholdHit",
    put(_SQL["hits"], total_of=taking("row", _SQL["total_of"]), first_told=_SQL["first_told"]),
    "thresholds",
    order=("rule",),
    rows={
        "before": At("Item", "(fact.position - 1)", _MEASURED),
        "after": At("Item", "fact.position", _MEASURED),
        "earlier": At("Item", "fact.position", _MEASURED, "(fact.occurred_at - rule.within::interval)"),
    },
    parameters={
        "metrics": Parameter("text[]", lambda args: [rule["metric"].value for rule in args["rules"]]),
        "bounds": Parameter("int[]", lambda args: [rule["gte"] for rule in args["rules"]]),
        "withins": Parameter("text[]", lambda args: [rule.get("within") for rule in args["rules"]]),
    },
)
