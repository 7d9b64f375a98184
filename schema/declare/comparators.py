"""The inputs that arguments and filters are made of: moments, windows, and how values are compared."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

import strawberry
from strawberry import UNSET, enum_value

from schema.scalars import DateTime, Duration, Position


def _given(description: str, name: str | None = None) -> Any:
    return strawberry.field(default=UNSET, description=description, name=name)


@strawberry.enum(description="Which clock a time is on.")
class Clock(Enum):
    OCCURRED = enum_value("OCCURRED", description="Sleekplan's: when it happened there.")
    RECORDED = enum_value("RECORDED", description="Ours: when this log learnt of it.")


@strawberry.input(
    description=(
        "The moment to read at. A position is exact and never changes its answer; a time on the clock "
        "OCCURRED can, when a late event arrives. Both together read what was known at the position of what "
        "had happened by the time."
    )
)
class AsOf:
    time: DateTime | None = _given("Everything that happened up to then, inclusive.")
    position: Position | None = _given("Everything known up to that event, inclusive.")
    cursor: str | None = _given(
        "The `extensions.cursor` of an answer: as its position, and refused where the log no longer holds "
        "what that answer was read from."
    )
    clock: Clock = strawberry.field(default=Clock.OCCURRED, description="The clock that `time` is on.")


@strawberry.input(description="A half-open stretch of time: from `from`, before `to`; or the `last` so long.")
class Window:
    from_: DateTime | None = _given("Its beginning, inclusive.", name="from")
    to: DateTime | None = _given("Its end, exclusive.")
    last: Duration | None = _given(
        "So long, counted back from the moment that is read, in a filter of the subscription `events` from "
        "when each event was recorded; instead of from and to."
    )


@strawberry.input(description="Compares text.")
class StringFilter:
    eq: str | None = _given("Equal.")
    ne: str | None = _given("Not equal; what is unknown counts as not equal.")
    in_: list[str] | None = _given("One of these.", name="in")
    not_in: list[str] | None = _given("None of these; what is unknown does not pass.")
    contains: str | None = _given("Contains this, in any case of letters.")
    starts_with: str | None = _given("Begins so, in any case of letters.")
    is_null: bool | None = _given("Unknown (true) or known (false).")


@strawberry.input(description="Compares a list of texts.")
class StringListFilter:
    has: str | None = _given("This is in it.")
    has_any: list[str] | None = _given("At least one of these is in it.")
    has_all: list[str] | None = _given("All of these are in it.")
    is_empty: bool | None = _given("Nothing is in it (true) or something is (false); unknown is neither.")
    is_null: bool | None = _given("Unknown (true) or known (false).")


@strawberry.input(description="Compares an id.")
class IdFilter:
    eq: strawberry.ID | None = _given("This one.")
    in_: list[strawberry.ID] | None = _given("One of these.", name="in")
    is_null: bool | None = _given("Unknown (true) or known (false).")


@strawberry.input(description="Compares a whole number.")
class IntFilter:
    eq: int | None = _given("Equal.")
    ne: int | None = _given("Not equal; what is unknown counts as not equal.")
    in_: list[int] | None = _given("One of these.", name="in")
    gt: int | None = _given("Greater.")
    gte: int | None = _given("Greater or equal.")
    lt: int | None = _given("Less.")
    lte: int | None = _given("Less or equal.")
    is_null: bool | None = _given("Unknown (true) or known (false).")


@strawberry.input(description="Compares a number.")
class FloatFilter:
    gt: float | None = _given("Greater.")
    gte: float | None = _given("Greater or equal.")
    lt: float | None = _given("Less.")
    lte: float | None = _given("Less or equal.")
    is_null: bool | None = _given("Unknown (true) or known (false).")


@strawberry.input(description="Compares a moment.")
class DateTimeFilter:
    gt: DateTime | None = _given("Later.")
    gte: DateTime | None = _given("Then or later.")
    lt: DateTime | None = _given("Earlier.")
    lte: DateTime | None = _given("Then or earlier.")
    within: Window | None = _given("In this window.")
    is_null: bool | None = _given("Unknown (true) or known (false).")


@strawberry.input(description="Compares a position.")
class PositionFilter:
    gt: Position | None = _given("After.")
    gte: Position | None = _given("At or after.")
    lt: Position | None = _given("Before.")
    lte: Position | None = _given("At or before.")


CASTS: Final = {
    StringFilter: "text",
    StringListFilter: "text[]",
    IdFilter: "text",
    IntFilter: "int",
    FloatFilter: "float8",
    DateTimeFilter: "timestamptz",
    PositionFilter: "bigint",
}
"""The SQL type of what each compares."""
