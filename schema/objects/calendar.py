"""The steps of a series: hours, days, weeks and months in the calendar of a zone."""

from __future__ import annotations

from typing import Final

from schema.declare.blocks import put
from schema.declare.source import Parameter, Rows
from service.sql_files import load

STEPS_MAX: Final = 10_000
"""As many steps a series has at most; what `buckets` makes Postgres refuse."""

_SQL: Final = load(__file__, "calendar.sql")
_BUCKET: Final = Parameter("text", lambda args: args["bucket"].value.lower())


def steps_from(earliest: str) -> str:
    """Return the block of the steps of a window, at the earliest from a moment on."""
    local_starts = put(_SQL["local_starts"], earliest=earliest)
    return put(_SQL["buckets"], starts_of=starts_of(local_starts), earliest=earliest)


def starts_of(locals_: str) -> str:
    """Return the block of when a zone's clock shows the local times of another."""
    return put(_SQL["starts_of"], locals=locals_)


def series(type_name: str, block: str, order: str = "point.starts_at", **parameters: Parameter) -> Rows:
    """Return the rows of a window's steps, as a block makes them."""
    return Rows(
        type_name, block, order, parameters={"bucket": _BUCKET, **parameters}, windowed=True, zoned=True
    )
