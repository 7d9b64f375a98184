"""The scalars that GraphQL itself lacks: moments, durations, positions, anything JSON."""

from __future__ import annotations

import calendar
import datetime as dt
import difflib
import re
import zoneinfo
from functools import cache
from typing import Any, Final, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from service.errors import BadArgument

POSITION_MAX: Final = 2**63 - 1

DateTime = NewType("DateTime", object)
Duration = NewType("Duration", object)
Position = NewType("Position", int)
JSON = NewType("JSON", object)

_DURATION: Final = re.compile(
    r"P(?=[0-9T])(?:([0-9]{1,6})Y)?(?:([0-9]{1,6})M)?(?:([0-9]{1,6})W)?(?:([0-9]{1,7})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)S)?)?"
)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def parse_moment(value: object) -> dt.datetime:
    """Return a moment from RFC 3339 text.

    >>> parse_moment("2026-06-01T09:00:00+02:00").isoformat()
    '2026-06-01T07:00:00+00:00'
    """
    try:
        if not isinstance(value, str) or len(value) < 11:
            raise ValueError
        moment = dt.datetime.fromisoformat(value.upper())
        if moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise GraphQLError(
            f"{str(value)[:60]!r} is no DateTime; write RFC 3339 with a zone, like 2026-06-01T09:00:00Z"
        ) from None


def moment_text(value: object) -> str:
    """Return a moment as RFC 3339 in UTC, without needless zeros.

    SQL hands moments over as text without a zone (`at time zone 'UTC'`), which is what arrives here.

    >>> moment_text("2026-06-01T09:00:00.12")
    '2026-06-01T09:00:00.12Z'
    """
    if isinstance(value, dt.datetime):
        text = value.astimezone(dt.UTC).replace(tzinfo=None).isoformat()
        return (text.rstrip("0") if "." in text else text) + "Z"
    return f"{value}Z"


def parse_zone(name: str) -> str:
    """Return the name of a zone of the IANA database; raises BadArgument for any other.

    Postgres takes more: `+03:00` is three hours behind UTC to it, and nonsense is UTC.
    """
    if name not in _zones():
        near = difflib.get_close_matches(name, _zones(), n=1)
        meant = f"did you mean {near[0]}?" if near else "write UTC or a name like Europe/Zurich"
        raise BadArgument("timeZone", repr(name[:60]), f"is no zone of the IANA database; {meant}")
    return name


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def parse_duration(value: object) -> str:
    """Return an ISO 8601 duration as Postgres's `interval` takes it.

    >>> parse_duration("P7D")
    'P7D'
    """
    if not isinstance(value, str) or _DURATION.fullmatch(value) is None:
        raise GraphQLError(f"{str(value)[:60]!r} is no Duration; write ISO 8601, like P7D, PT12H or P1M")
    return value


def before(moment: dt.datetime, duration: str) -> dt.datetime:
    """Return the moment so long before another, months counted by the calendar as Postgres counts them.

    >>> before(dt.datetime(2026, 3, 31, tzinfo=dt.UTC), "P1M").isoformat()
    '2026-02-28T00:00:00+00:00'
    """
    found = _DURATION.fullmatch(duration)
    assert found is not None, duration
    years, months, weeks, days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    month = moment.year * 12 + moment.month - 1 - int(years * 12 + months)
    year, month = divmod(month, 12)
    if year < 1:
        return dt.datetime.min.replace(tzinfo=dt.UTC)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    length = dt.timedelta(days=days + 7 * weeks, hours=hours, minutes=minutes, seconds=seconds)
    try:
        return moment.replace(year=year, month=month + 1, day=day) - length
    except OverflowError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)


def duration_text(seconds: float) -> str:
    """Return seconds as an ISO 8601 duration of days and smaller, which have one length each.

    >>> duration_text(93_784)
    'P1DT2H3M4S'
    >>> duration_text(0)
    'PT0S'
    """
    sign, rest = ("-" if seconds < 0 else ""), round(abs(seconds), 3)
    days, rest = divmod(rest, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    second_text = f"{rest:.3f}".rstrip("0").rstrip(".")
    clock = "".join(
        f"{text}{unit}"
        for text, unit in ((f"{hours:.0f}", "H"), (f"{minutes:.0f}", "M"), (second_text, "S"))
        if text != "0"
    )
    date = f"{days:.0f}D" if days else ""
    return f"{sign}P{date}T{clock}" if clock else f"{sign}P{date or 'T0S'}"


def parse_position(value: object) -> int:
    """Return a position from a JSON number, or from its digits in a string (for clients without 64 bits)."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= POSITION_MAX:
        raise GraphQLError(f"{str(value)[:60]!r} is no Position; write a number from 0 to {POSITION_MAX}")
    return value


def _serialize_position(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{type(value).__name__} is no position")
    return value


SCALARS: Final[dict[object, ScalarDefinition]] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A moment: RFC 3339, answered in UTC, like `2026-06-01T09:00:00Z`.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=moment_text,
        parse_value=parse_moment,
    ),
    Duration: strawberry.scalar(
        name="Duration",
        description="A length of time: ISO 8601, like `P7D`, `PT12H` or `P1M`; answered in days and smaller.",
        specified_by_url="https://www.iso.org/iso-8601-date-and-time-format.html",
        serialize=str,
        parse_value=parse_duration,
    ),
    Position: strawberry.scalar(
        name="Position",
        description=(
            "The place of an event in the log: 1, 2, 3 … without gaps. A JSON number of up to 64 bits; "
            "as an argument its digits in a string are taken as well."
        ),
        serialize=_serialize_position,
        parse_value=parse_position,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value, as Sleekplan sent it.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=lambda value: value,
        parse_value=lambda value: value,
    ),
}
