"""What each subscription follows: the events it is about, and how its answers are read."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

from schema.answer.answer import Loader, planner_of
from schema.context import Caller, Context, Info
from schema.live.broadcast import Shared, Source
from schema.live.cursor import Cursor, parse_cursor
from schema.live.filter import Fact, Wanted, event_filter
from schema.plan.conditions import ids_of
from schema.plan.planner import product_number
from schema.plan.selection import selected
from service.errors import BadArgument, ForeignProduct

RULES_MAX: Final = 20
PROJECTIONS_SECONDS: Final = 1.0


class LoadedSource(Source):
    """A source whose answers the planner reads, one statement for many positions."""

    def __init__(self, info: Info) -> None:
        caller: Caller = info.context.caller
        self.args: Final[Mapping[str, Any]] = selected(info._raw_info).args
        after = self.args.get("after")
        self.after = None if after is None else Cursor(after)
        self._product = _product(self.args, caller)
        # Planned here, so that what the caller may not select is refused before the first event.
        self._loader = Loader(info)

    async def load(self, context: Context, positions: Sequence[int]) -> Iterable[tuple[int, object]]:
        """Return the answers at these positions; positions without one are left out."""
        return await self._loader.load(context, positions)

    def of_product(self, wanted: Wanted) -> Wanted:
        """Return what is wanted, of the product in the arguments only."""
        product = self._product
        if product is None:
            return wanted
        matches = wanted.matches
        return Wanted(
            (product, wanted.key),
            lambda fact: fact["product_id"] == product and matches(fact),
            wanted.column or "product_id",
            wanted.values if wanted.column else frozenset((product,)),
        )


class EventsSource(LoadedSource):
    """`events`: what the filter lets through. Filters choose among the same answers, so all share a feed."""

    key: Hashable = "events"

    def __init__(self, info: Info) -> None:
        super().__init__(info)
        self.wanted = self.of_product(event_filter(self.args.get("filter")))


class ItemSource(LoadedSource):
    """`item`: what happens to one."""

    key: Hashable = "item"

    def __init__(self, info: Info) -> None:
        super().__init__(info)
        product, item_id = ids_of(str(self.args["id"]), "Item")
        if not info.context.caller.sees(product):
            raise ForeignProduct(product)
        self.wanted = Wanted(
            (product, item_id),
            lambda fact: fact["item_id"] == item_id and fact["product_id"] == product,
            "item_id",
            frozenset((item_id,)),
        )


class ItemsSource(LoadedSource):
    """`items`: what happens to those that the filter lets through, which only their state can tell."""

    def __init__(self, info: Info) -> None:
        super().__init__(info)
        self.key = ("items", self._product, repr(self.args.get("filter")))
        self.wanted = self.of_product(Wanted("items", _about_an_item))


class ThresholdsSource(LoadedSource):
    """`thresholds`: totals that an event took to a bound, of which one event may give several."""

    gives_several = True

    def __init__(self, info: Info) -> None:
        super().__init__(info)
        text = self.args.get("afterCursor")
        if text is not None:
            self.after = parse_cursor(text)
            if self.after is None:
                raise BadArgument("afterCursor", text[:40], "is no cursor; give `extensions.cursor`")
        rules = self.args["rules"]
        if not 0 < len(rules) <= RULES_MAX:
            raise BadArgument("rules", len(rules), f"are out of bounds; give 1 to {RULES_MAX}")
        self.key = ("thresholds", self._product, repr(rules))
        self.wanted = self.of_product(Wanted("thresholds", _about_an_item))


class ProjectionsShared(Shared):
    """`projections`: how far each has got, told when it changes and at most once a second."""

    def __init__(self, info: Info) -> None:
        self._root = selected(info._raw_info)
        self.every_seconds = PROJECTIONS_SECONDS

    async def value(self, context: Context) -> object:
        """Return the projections as they are."""
        read = await planner_of(context).read(self._root, context, context.services.reader)
        return read.objects()


def _product(args: Mapping[str, Any], caller: Caller) -> int | None:
    if args.get("productId") is None:
        return None
    product = product_number(args["productId"])
    if not caller.sees(product):
        raise ForeignProduct(product)
    return product


def _about_an_item(fact: Fact) -> bool:
    return fact["item_id"] is not None
