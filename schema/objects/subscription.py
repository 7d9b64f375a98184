"""What can be followed live."""

from __future__ import annotations

from typing import Final

import strawberry
from strawberry.types.arguments import StrawberryArgument

from schema.declare.arguments import PRODUCT_ID, argument, paged
from schema.declare.fields import followed
from schema.declare.source import At, ByPosition, Matching, Page, Whole
from schema.objects.difference import ItemChange
from schema.objects.event import EVENTS, Event, Origin
from schema.objects.item import ITEMS
from schema.objects.operating import PROJECTIONS, ProjectionProgress
from schema.objects.thresholds import HITS_AT, Threshold, ThresholdHit
from schema.scalars import Position
from service.sql_files import load

_SQL: Final = load(__file__, "subscription.sql")

AFTER_POSITION: Final = argument(
    "after",
    Position | None,
    "The position of the last message that was received; what follows it is sent first. "
    "Left out or null: from now on.",
)
AFTER_CURSOR: Final = argument(
    "afterCursor",
    str | None,
    "The `extensions.cursor` of the last message that was received: as `after`, which it wins over, and "
    "refused where the log no longer holds that message's event. Of several of one event, the next is sent.",
)
ORIGINS: Final = argument(
    "origins",
    list[Origin] | None,
    "Only what events of these origins changed; left out: of all but BACKFILL, which tells of years at once.",
)
_EVENTS_AT: Final = ByPosition("Event", _SQL["events"], "events")
_ITEM_AT: Final = ByPosition("ItemChange", _SQL["item_changes"], "item")
assert ITEMS.filter is not None
_ITEMS_AT: Final = ByPosition(
    "ItemChange",
    _SQL["item_changes"],
    "items",
    matching=Matching(
        ITEMS.filter, _SQL["matching"], (At("Item", "(change.position - 1)"), At("Item", "change.position"))
    ),
)


def _which(page: Page) -> StrawberryArgument:
    return paged(page)[0]


@strawberry.type(
    description=(
        "What happens, as it happens. Every message says its place in `extensions.cursor`; "
        "with that as `afterCursor` a client goes on where it stopped, without a gap or a repetition."
    )
)
class Subscription:
    events: Event = followed(
        "Events, each once all projections hold it, with what is selected as of its position.",
        _EVENTS_AT,
        _which(EVENTS),
        PRODUCT_ID,
        AFTER_POSITION,
        AFTER_CURSOR,
    )
    item: ItemChange = followed(
        "What happens to one item.",
        _ITEM_AT,
        argument("id", strawberry.ID, "Its opaque id."),
        AFTER_POSITION,
        AFTER_CURSOR,
    )
    items: ItemChange = followed(
        "What happens to the items that the filter lets through, before the event or after it.",
        _ITEMS_AT,
        _which(ITEMS),
        PRODUCT_ID,
        ORIGINS,
        AFTER_POSITION,
        AFTER_CURSOR,
    )
    thresholds: ThresholdHit = followed(
        "Totals of items that reach a bound: 50 votes, 10 more in a day.",
        HITS_AT,
        argument("rules", list[Threshold], "The bounds, 20 at most."),
        PRODUCT_ID,
        ORIGINS,
        AFTER_POSITION,
        AFTER_CURSOR,
    )
    projections: list[ProjectionProgress] = followed(
        "How far each projection has got, and how a rebuild goes on.", Whole(PROJECTIONS)
    )
