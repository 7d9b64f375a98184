"""The arguments that fields take, as data: those that many share, and how one of its own is declared."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

import strawberry
from strawberry import UNSET, enum_value
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument

from schema.declare.comparators import AsOf, Window
from schema.declare.source import Page
from schema.scalars import Position


@strawberry.enum(description="How long one step of a series is.")
class Bucket(Enum):
    HOUR = enum_value("HOUR", description="An hour.")
    DAY = enum_value("DAY", description="A day, from midnight of the time zone asked for.")
    WEEK = enum_value("WEEK", description="A week, from Monday.")
    MONTH = enum_value("MONTH", description="A calendar month.")


def argument(name: str, type_: Any, description: str, default: object = UNSET) -> StrawberryArgument:
    """Declare an argument by its name in the schema; without a default it is left out or required."""
    annotation = StrawberryAnnotation(type_)
    return StrawberryArgument(name, name, annotation, description=description, default=default)


PAGE: Final = (
    argument(
        "first",
        int | None,
        "At most so many from the beginning, 0 to 500; 50 where neither first nor last is given.",
    ),
    argument("after", str | None, "Those after this cursor: `pageInfo.endCursor` of the page before."),
    argument("last", int | None, "At most so many from the end, 0 to 500; instead of first."),
    argument("before", str | None, "Those before this cursor: `pageInfo.startCursor` of the page after."),
)
AS_OF: Final = argument(
    "asOf", AsOf | None, "The moment to read at, for this field and all below it; left out: now."
)
MIN_POSITION: Final = argument(
    "minPosition",
    Position | None,
    "Wait (some seconds at most) until this position is projected: reads one's own writes.",
)
MOMENT: Final = (AS_OF, MIN_POSITION)
PRODUCT_ID: Final = argument(
    "productId", strawberry.ID | None, "Sleekplan's product; left out: every product that the caller sees."
)
BUCKET_SIZE: Final = argument(
    "bucket", Bucket, "How long a step is. A series of more than 10,000 steps is refused."
)
TIME_ZONE: Final = argument(
    "timeZone",
    str,
    "The zone whose midnight parts days, weeks and months, by its name in the IANA database: "
    "`UTC`, `Europe/Zurich`.",
    "UTC",
)


def paged(page: Page) -> list[StrawberryArgument]:
    """Return the arguments by which a connection's rows are chosen, sorted and parted into pages."""
    arguments: list[StrawberryArgument] = []
    if page.filter is not None:
        arguments = [
            argument("filter", page.filter.input | None, f"Which {page.filter.what}."),
            argument("orderBy", page.orders.input | None, "How they are sorted."),
        ]
    for name, order in page.orders.by_name.items():
        if order.windowed:
            arguments.append(argument("window", Window | None, f"The window of the order {name}."))
    return [*arguments, *PAGE]
