"""Orders: what a list can be sorted by, each said once, for the enum, the input and the SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import strawberry
from strawberry import UNSET


@strawberry.enum(description="Which way a list is sorted.")
class Direction(Enum):
    ASC = strawberry.enum_value("ASC", description="Smallest, oldest first.")
    DESC = strawberry.enum_value("DESC", description="Greatest, newest first.")


@dataclass(frozen=True, slots=True)
class Order:
    """What a list can be sorted by: an expression, its SQL type, and whether it may be null.

    `index` says which way the index goes that sorts it, `asc` or `desc`, with nulls last; None is none.
    `most` is the column of now that it has never been more than, at any moment. A `windowed` one names the
    ends of the argument `window`. A `searched` one names the words of the filter's `search`, `:words`, and is
    the default where there are some; `then` is what it is of a past moment, and `once` a table that it names
    `:once`, made once for all rows.
    """

    description: str
    expr: str
    cast: str
    nullable: bool = True
    descending: bool = True
    inverted: bool = False
    index: str | None = None
    most: str | None = None
    windowed: bool = False
    searched: bool = False
    then: str | None = None
    once: str = ""


class Orders:
    """The orders of lists of one kind by their names in the schema, and the input type that names one."""

    def __init__(self, name: str, description: str, what: str, /, **orders: Order) -> None:
        self.by_name: Final[Mapping[str, Order]] = orders
        values: dict[str, Any] = {
            each: strawberry.enum_value(each, description=order.description) for each, order in orders.items()
        }
        made: Any = Enum(name, values)  # type: ignore[misc]
        self.enum: Final = strawberry.enum(made, description=description)
        self.input: Final = strawberry.input(
            type(
                f"{name}By",
                (),
                {
                    "__annotations__": {"field": self.enum, "direction": Direction | None},
                    "field": strawberry.field(description="What to sort by."),
                    "direction": strawberry.field(
                        default=UNSET,
                        description="Which way; left out, the way that is usual for the field.",
                    ),
                },
            ),
            description=f"How {what} are sorted.",
        )
