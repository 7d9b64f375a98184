"""What each subscription follows: the events it is about, and how its answers are read."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

from graphql import located_error

from schema.answer.reader import Read, check, load, read
from schema.context import Context
from schema.declare.source import ByPosition, Whole, spec_of
from schema.errors import Refused
from schema.ids import ids_of, product_number
from schema.live.filter import Wanted, event_filter
from schema.plan.kept import Planner
from schema.plan.selection import Selected, Selection
from schema.resume import ResumePoint, cursor_given
from service.errors import BadArgument
from service.events import NEWS

RULES_MAX: Final = 20
STATE_SECONDS: Final = 1.0


class Source:
    """What a subscription follows: which events it is about and how its answers are read.

    `key` joins all whose answers are the same given the same selection and caller; filters that only choose
    among events are no part of it. One position gives several answers, in an order that never changes, where
    `gives_several`.
    """

    key: Hashable = None
    gives_several: bool = False
    wanted: Wanted

    def __init__(self, planner: Planner, root: Selected, context: Context) -> None:
        self.args: Final[Mapping[str, Any]] = root.args
        after, cursor = root.args.get("after"), root.args.get("afterCursor")
        self.after = None if after is None else ResumePoint(after)
        if cursor is not None:
            self.after = cursor_given("afterCursor", cursor)
        self._product = _product(root.args, context)
        self._planner, self._root = planner, root
        # Here, and not with the first event: nobody waits for what cannot come.
        check(planner, root, context)

    async def load(self, context: Context, positions: Sequence[int]) -> Iterable[tuple[int, Read]]:
        """Return the answers at these positions, in one read; none for an event that gives no answer."""
        return await load(self._planner, self._root, context, positions)

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
            product,
        )


class EventsSource(Source):
    """`events`: what the filter lets through. Filters choose among the same answers, so all share a feed.

    A product is no filter: what is read of an event is read of that product alone.
    """

    def __init__(self, planner: Planner, root: Selected, context: Context) -> None:
        super().__init__(planner, root, context)
        self.key = ("events", self._product)
        self.wanted = self.of_product(event_filter(self.args.get("filter")))


class ItemSource(Source):
    """`item`: what happens to one."""

    key: Hashable = "item"

    def __init__(self, planner: Planner, root: Selected, context: Context) -> None:
        super().__init__(planner, root, context)
        product, item_id = ids_of(str(self.args["id"]), "Item")
        context.check_product(product)
        self.wanted = Wanted(
            (product, item_id),
            lambda fact: fact["item_id"] == item_id and fact["product_id"] == product,
            "item_id",
            frozenset((item_id,)),
            product,
        )


class ItemsSource(Source):
    """`items`: what happens to those that the filter lets through, which only their state can tell."""

    def __init__(self, planner: Planner, root: Selected, context: Context) -> None:
        super().__init__(planner, root, context)
        self.key = ("items", self._product, repr(self.args.get("filter")))
        self.wanted = self.of_product(_about_items("items", self.args))


class ThresholdsSource(Source):
    """`thresholds`: totals that an event took to a bound, of which one event may give several."""

    gives_several = True

    def __init__(self, planner: Planner, root: Selected, context: Context) -> None:
        super().__init__(planner, root, context)
        rules = self.args["rules"]
        if not 0 < len(rules) <= RULES_MAX:
            raise BadArgument("rules", len(rules), f"are out of bounds; give 1 to {RULES_MAX}")
        self.key = ("thresholds", self._product, repr(rules))
        self.wanted = self.of_product(_about_items("thresholds", self.args))


class Shared:
    """A state that is told when it changes, read once for all who ask alike, at most once a second.

    Each value says all, so that whoever is slow is only told the newest.
    """

    every_seconds: float = STATE_SECONDS

    def __init__(self, planner: Planner, root: Selected, context: Context) -> None:
        self._planner, self._root = planner, root
        check(planner, root, context)

    async def read(self, context: Context) -> Read:
        """Return the state as it is."""
        return await read(self._planner, self._root, context, context.services.reader)


def _product(args: Mapping[str, Any], context: Context) -> int | None:
    if args.get("productId") is None:
        return None
    product = product_number(args["productId"])
    context.check_product(product)
    return product


def _about_items(name: str, args: Mapping[str, Any]) -> Wanted:
    """Return the events about any item, of the origins asked for: a back-fill tells of years at once."""
    asked = args.get("origins")
    origins = frozenset(NEWS) if asked is None else frozenset(each.value for each in asked)
    return Wanted((name, origins), lambda fact: fact["item_id"] is not None and fact["origin"] in origins)


_SOURCES: Final[Mapping[str, type[Source]]] = {
    "events": EventsSource,
    "item": ItemSource,
    "items": ItemsSource,
    "thresholds": ThresholdsSource,
}


def source_of(planner: Planner, selection: Selection, context: Context) -> Source | Shared:
    """Return what a subscription follows, as its field says. Raises Refused for what cannot be followed."""
    if selection.refused:
        raise Refused([*selection.refused.values()])
    [root] = selection.planned
    spec = spec_of(root.definition)
    try:
        if isinstance(spec, Whole):
            return Shared(planner, root, context)
        assert isinstance(spec, ByPosition), "a subscription's field says what it follows"
        return _SOURCES[spec.about](planner, root, context)
    except Exception as error:
        raise Refused([located_error(error, selection.nodes[root.key], [root.key])]) from error
