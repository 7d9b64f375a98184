"""What can be followed live."""

from __future__ import annotations

from typing import Final

import strawberry
from strawberry import UNSET

from schema.declare.arguments import PRODUCT_ID, argument
from schema.declare.enums import Metric
from schema.declare.fields import column, followed, moment, nested
from schema.declare.inputs import EventFilter, ItemFilter
from schema.declare.source import ByPosition, One, Whole
from schema.objects import roots, specs
from schema.objects.board import Projection
from schema.objects.types import Event, Item, ItemChange
from schema.scalars import DateTime, Duration, Position

AFTER_POSITION: Final = argument(
    "after",
    Position | None,
    "The position of the last message that was received; what follows it is sent first. "
    "Left out or null: from now on.",
)

_HIT_ITEM = One(
    "Item", "item.product_id = hit.product_id and item.item_id = hit.item_id", position="hit.position"
)
_HIT_EVENT = One("Event", "event.position = hit.position", position="hit.position")
_HITS_AT = ByPosition("ThresholdHit", "threshold_hits", "thresholds", ("rule",))


@strawberry.input(description="A bound that is told when a total reaches it.")
class Threshold:
    metric: Metric = strawberry.field(description="The total.")
    gte: int = strawberry.field(description="The bound: told when the total was below it and now is not.")
    within: Duration | None = strawberry.field(
        default=UNSET, description="Compare what was gained in so long, instead of the whole total."
    )


@strawberry.type(description="A total that reached a bound.")
class ThresholdHit:
    position: Position = column("The position of the event that did it.", "hit.position")
    rule: int = column("Which of the rules, from 0.", "hit.rule")
    metric: Metric = column("The total.", "hit.metric")
    value: int = column("The total, or what was gained, after the event.", "hit.value")
    gte: int = column("The bound.", "hit.gte")
    crossed_at: DateTime = moment("When it happened, on Sleekplan's clock.", "hit.occurred_at")
    item: Item = nested("The item, as of the event.", _HIT_ITEM)
    event: Event = nested("The event.", _HIT_EVENT)


@strawberry.type(
    description=(
        "What happens, as it happens. Every message says its position in `extensions.position`; "
        "with that as `after` a client goes on where it stopped, without a gap and without a repetition."
    )
)
class Subscription:
    events: Event = followed(
        "Events, each once all projections hold it, with what is selected as of its position.",
        specs.EVENTS_AT,
        argument("filter", EventFilter | None, "Which events."),
        PRODUCT_ID,
        AFTER_POSITION,
    )
    item: ItemChange = followed(
        "What happens to one item.",
        specs.ITEM_AT,
        argument("id", strawberry.ID, "Its opaque id."),
        AFTER_POSITION,
    )
    items: ItemChange = followed(
        "What happens to the items that the filter lets through, before the event or after it.",
        specs.ITEMS_AT,
        argument("filter", ItemFilter | None, "Which items."),
        PRODUCT_ID,
        AFTER_POSITION,
    )
    thresholds: ThresholdHit = followed(
        "Totals of items that reach a bound: 50 votes, 10 more in a day.",
        _HITS_AT,
        argument("rules", list[Threshold], "The bounds, 20 at most."),
        PRODUCT_ID,
        AFTER_POSITION,
        argument(
            "afterCursor",
            str | None,
            "The `extensions.cursor` of the last message received, with the same rules: "
            "one event may reach several bounds, each told by a message of its own. Wins over `after`.",
        ),
    )
    projections: list[Projection] = followed(
        "How far each projection has got, and how a rebuild goes on.", Whole(roots.PROJECTIONS)
    )
