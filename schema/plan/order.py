"""Says how a list is sorted, and in which order the rows of a page are taken from it."""

from __future__ import annotations

from dataclasses import dataclass

from schema.declare.orders import Order
from schema.declare.request import Args
from schema.declare.source import Entity, Page
from service.errors import BadArgument


@dataclass(frozen=True, slots=True)
class Ordering:
    """How a list is sorted: by the value of an expression, and where that is the same by the rows' key.

    `name` is what cursors know it by. A page from the end is taken `backward`, and shown forwards.
    """

    name: str
    order: Order
    descending: bool
    backward: bool
    alias: str
    key: tuple[tuple[str, str], ...]

    @property
    def keys(self) -> set[str]:
        """The names of the key's columns."""
        return {name for name, _ in self.key}

    @property
    def ties(self) -> list[str]:
        """The key's columns of a row."""
        return [f"{self.alias}.{name}" for name, _ in self.key]

    @property
    def casts(self) -> list[str]:
        """The SQL types of what a cursor holds: the sort value and the key."""
        return [self.order.cast, *(cast for _, cast in self.key)]

    @property
    def cursor(self) -> str:
        """What a cursor holds of a row that was taken, as SQL makes it."""
        return f"json_build_array({', '.join(f'{each}::text' for each in ('sort_value', *self.ties))})"

    def taken(self, sort: str) -> str:
        """Return the `order by` in which the rows of a page are taken."""
        return self._by(sort, self.descending != self.backward, self.backward, self.backward)

    def shown(self, sort: str) -> str:
        """Return the `order by` in which they are shown."""
        return self._by(sort, self.descending, backward=False, nulls_first=False)

    def halves(self, sort: str) -> tuple[str, str] | None:
        """Return the `order by` of what is known and of what is unknown, where they are to be taken apart.

        That is where an index sorts what is known as asked, and has what is unknown at its other end. Each
        half is sorted as the index is, forwards or backwards; of nulls alone either will do.
        """
        down = self.descending != self.backward
        along = down == (self.order.index == "desc")
        if self.order.index is None or not self.order.nullable or along != self.backward:
            return None
        known = self._by(sort, down, self.backward, not self.backward)
        return known, self._by(sort, not down, self.backward, self.backward)

    def _by(self, sort: str, down: bool, backward: bool, nulls_first: bool) -> str:
        nulls = (" nulls first" if nulls_first else " nulls last") if self.order.nullable else ""
        ties = ", ".join(f"{tie} desc" if backward else tie for tie in self.ties)
        return f"{sort} {'desc' if down else 'asc'}{nulls}, {ties}"


def is_backward(args: Args) -> bool:
    """Return whether a page is taken from the end of its list."""
    return args.get("last") is not None


def ordering_of(args: Args, spec: Page, entity: Entity) -> Ordering:
    """Return how a list's arguments have it sorted: as named, else by the words searched for, else as usual.

    Raises BadArgument for an order by words where none are searched for.
    """
    given, orders = args.get("orderBy"), spec.orders.by_name
    searches = bool((args.get("filter") or {}).get("search"))
    direction = None
    if given is not None:
        name, direction = given["field"].value, given.get("direction")
        if orders[name].searched and not searches:
            raise BadArgument("orderBy", name, 'needs filter: {search: "…"} to be relevant to')
    else:
        by_words = (name for name, order in orders.items() if order.searched and searches)
        name = next(by_words, spec.default_order)
    order = orders[name]
    descending = order.descending if direction is None else direction.value == "DESC"
    return Ordering(
        name=f"{spec.type_name} by {name} {'DESC' if descending else 'ASC'}",
        order=order,
        descending=descending != order.inverted,
        backward=is_backward(args),
        alias=entity.alias,
        key=entity.key,
    )
