"""What can be followed live."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, TypeVar, cast

import strawberry
from strawberry import UNSET

from schema.context import Info
from schema.declare.enums import Metric
from schema.declare.fields import child, column, moment, nested, subscription
from schema.declare.inputs import EventFilter, ItemFilter, ProductId
from schema.declare.source import ByPosition, One
from schema.live.sources import EventsSource, ItemSource, ItemsSource, ProjectionsShared, ThresholdsSource
from schema.objects import specs
from schema.objects.board import Projection
from schema.objects.types import Event, Item, ItemChange
from schema.scalars import DateTime, Duration, Position

T = TypeVar("T")

AfterPosition = Annotated[
    Position | None,
    strawberry.argument(
        description="The position of the last message that was received; what follows it is sent first. "
        "Left out or null: from now on."
    ),
]

_HIT_ITEM = One(
    "Item", "item.product_id = hit.product_id and item.item_id = hit.item_id", position="hit.position"
)
_HIT_EVENT = One("Event", "event.position = hit.position", position="hit.position")
_HITS_AT = ByPosition("ThresholdHit", "threshold_hits", ("rule",))


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

    @nested(_HIT_ITEM, "The item, as of the event.")
    def item(self, info: Info) -> Item:
        return child(self, info)

    @nested(_HIT_EVENT, "The event.")
    def event(self, info: Info) -> Event:
        return child(self, info)


@strawberry.type(
    description=(
        "What happens, as it happens. Every message says its position in `extensions.position`; "
        "with that as `after` a client goes on where it stopped, without a gap and without a repetition."
    )
)
class Subscription:
    @subscription(
        description="Events, each once all projections hold it, with what is selected as of its position.",
        source=specs.EVENTS_AT,
    )
    async def events(
        self,
        info: Info,
        filter: Annotated[EventFilter | None, strawberry.argument(description="Which events.")] = UNSET,
        product_id: ProductId = UNSET,
        after: AfterPosition = UNSET,
    ) -> AsyncGenerator[Event, None]:
        return _followed(EventsSource(info))

    @subscription(description="What happens to one item.", source=specs.ITEM_CHANGES_AT)
    async def item(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Its opaque id.")],
        after: AfterPosition = UNSET,
    ) -> AsyncGenerator[ItemChange, None]:
        return _followed(ItemSource(info))

    @subscription(
        description="What happens to the items that the filter lets through, before the event or after it.",
        source=specs.ITEM_CHANGES_AT,
    )
    async def items(
        self,
        info: Info,
        filter: Annotated[ItemFilter | None, strawberry.argument(description="Which items.")] = UNSET,
        product_id: ProductId = UNSET,
        after: AfterPosition = UNSET,
    ) -> AsyncGenerator[ItemChange, None]:
        return _followed(ItemsSource(info))

    @subscription(
        description="Totals of items that reach a bound: 50 votes, 10 more in a day.",
        source=_HITS_AT,
    )
    async def thresholds(
        self,
        info: Info,
        rules: Annotated[list[Threshold], strawberry.argument(description="The bounds, 20 at most.")],
        product_id: ProductId = UNSET,
        after: AfterPosition = UNSET,
        after_cursor: Annotated[
            str | None,
            strawberry.argument(
                description="The `extensions.cursor` of the last message received, with the same rules: "
                "one event may reach several bounds, each told by a message of its own. Wins over `after`."
            ),
        ] = UNSET,
    ) -> AsyncGenerator[ThresholdHit, None]:
        return _followed(ThresholdsSource(info))

    @subscription(description="How far each projection has got, and how a rebuild goes on.")
    async def projections(self, info: Info) -> AsyncGenerator[list[Projection], None]:
        return _followed(ProjectionsShared(info))


def _followed(source: object) -> AsyncGenerator[T, None]:
    """Hand a source to schema.live, which follows it in place of the iterator that GraphQL asks for."""
    return cast("AsyncGenerator[T, None]", source)
