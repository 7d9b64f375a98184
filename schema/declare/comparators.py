"""The inputs that arguments and filters are made of: moments, windows, and how values are compared."""

from __future__ import annotations

from enum import Enum
from typing import Final

import strawberry
from strawberry import UNSET

from schema.scalars import DateTime, Duration, Position


@strawberry.enum(description="Which clock a time is on.")
class Clock(Enum):
    OCCURRED = strawberry.enum_value("OCCURRED", description="Sleekplan's: when it happened there.")
    RECORDED = strawberry.enum_value("RECORDED", description="Ours: when this log learnt of it.")


@strawberry.input(
    description=(
        "The moment to read at. A position is exact and never changes its answer; a time on the clock "
        "OCCURRED can, when a late event arrives. Both together read what was known at the position of what "
        "had happened by the time."
    )
)
class AsOf:
    time: DateTime | None = strawberry.field(
        default=UNSET, description="Everything that happened up to then, inclusive."
    )
    position: Position | None = strawberry.field(
        default=UNSET, description="Everything known up to that event, inclusive."
    )
    clock: Clock = strawberry.field(default=Clock.OCCURRED, description="The clock that `time` is on.")


@strawberry.input(description="A half-open stretch of time: from `from`, before `to`; or the `last` so long.")
class Window:
    from_: DateTime | None = strawberry.field(
        default=UNSET, name="from", description="Its beginning, inclusive."
    )
    to: DateTime | None = strawberry.field(default=UNSET, description="Its end, exclusive.")
    last: Duration | None = strawberry.field(
        default=UNSET,
        description="So long, counted back from the moment that is read; instead of from and to.",
    )


@strawberry.input(description="Compares text.")
class StringFilter:
    eq: str | None = strawberry.field(default=UNSET, description="Equal.")
    ne: str | None = strawberry.field(
        default=UNSET, description="Not equal; what is unknown counts as not equal."
    )
    in_: list[str] | None = strawberry.field(default=UNSET, name="in", description="One of these.")
    not_in: list[str] | None = strawberry.field(
        default=UNSET, description="None of these; what is unknown does not pass."
    )
    contains: str | None = strawberry.field(
        default=UNSET, description="Contains this, in any case of letters."
    )
    starts_with: str | None = strawberry.field(
        default=UNSET, description="Begins so, in any case of letters."
    )
    is_null: bool | None = strawberry.field(default=UNSET, description="Unknown (true) or known (false).")


@strawberry.input(description="Compares an id.")
class IdFilter:
    eq: strawberry.ID | None = strawberry.field(default=UNSET, description="This one.")
    in_: list[strawberry.ID] | None = strawberry.field(default=UNSET, name="in", description="One of these.")
    is_null: bool | None = strawberry.field(default=UNSET, description="Unknown (true) or known (false).")


@strawberry.input(description="Compares a whole number.")
class IntFilter:
    eq: int | None = strawberry.field(default=UNSET, description="Equal.")
    ne: int | None = strawberry.field(
        default=UNSET, description="Not equal; what is unknown counts as not equal."
    )
    in_: list[int] | None = strawberry.field(default=UNSET, name="in", description="One of these.")
    gt: int | None = strawberry.field(default=UNSET, description="Greater.")
    gte: int | None = strawberry.field(default=UNSET, description="Greater or equal.")
    lt: int | None = strawberry.field(default=UNSET, description="Less.")
    lte: int | None = strawberry.field(default=UNSET, description="Less or equal.")
    is_null: bool | None = strawberry.field(default=UNSET, description="Unknown (true) or known (false).")


@strawberry.input(description="Compares a number.")
class FloatFilter:
    gt: float | None = strawberry.field(default=UNSET, description="Greater.")
    gte: float | None = strawberry.field(default=UNSET, description="Greater or equal.")
    lt: float | None = strawberry.field(default=UNSET, description="Less.")
    lte: float | None = strawberry.field(default=UNSET, description="Less or equal.")
    is_null: bool | None = strawberry.field(default=UNSET, description="Unknown (true) or known (false).")


@strawberry.input(description="Compares a moment.")
class DateTimeFilter:
    gt: DateTime | None = strawberry.field(default=UNSET, description="Later.")
    gte: DateTime | None = strawberry.field(default=UNSET, description="Then or later.")
    lt: DateTime | None = strawberry.field(default=UNSET, description="Earlier.")
    lte: DateTime | None = strawberry.field(default=UNSET, description="Then or earlier.")
    within: Window | None = strawberry.field(default=UNSET, description="In this window.")
    is_null: bool | None = strawberry.field(default=UNSET, description="Unknown (true) or known (false).")


@strawberry.input(description="Compares a position.")
class PositionFilter:
    gt: Position | None = strawberry.field(default=UNSET, description="After.")
    gte: Position | None = strawberry.field(default=UNSET, description="At or after.")
    lt: Position | None = strawberry.field(default=UNSET, description="Before.")
    lte: Position | None = strawberry.field(default=UNSET, description="At or before.")


CASTS: Final = {
    StringFilter: "text",
    IdFilter: "text",
    IntFilter: "int",
    FloatFilter: "float8",
    DateTimeFilter: "timestamptz",
    PositionFilter: "bigint",
}
"""The SQL type of what each compares."""
