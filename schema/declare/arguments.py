"""The arguments that fields take, as data: those that many share, and how one of its own is declared."""

from __future__ import annotations

from typing import Any, Final

import strawberry
from strawberry import UNSET
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument

from schema.declare.enums import Bucket
from schema.declare.inputs import AsOf
from schema.scalars import Position


def argument(name: str, type_: Any, description: str, default: object = UNSET) -> StrawberryArgument:
    """Declare an argument by its name in the schema; without a default it is left out or required."""
    return StrawberryArgument(
        name, name, StrawberryAnnotation(type_), description=description, default=default
    )


def chosen(filter_: type, what: str, order_by: type) -> tuple[StrawberryArgument, ...]:
    """Declare which rows a list has and how they are sorted."""
    return (
        argument("filter", filter_ | None, f"Which {what}."),
        argument("orderBy", order_by | None, "How they are sorted."),
    )


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
