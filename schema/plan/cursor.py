"""What the arguments of a list ask for: how many rows, from which end, and from which row on."""

from __future__ import annotations

import re
from typing import Final

from schema.declare.request import Args
from schema.ids import Cursor, decode_cursor
from schema.plan.order import Ordering, is_backward
from schema.plan.selection import bound_of
from schema.plan.statement import Statement
from service.errors import BadArgument, BadCursor

PAGE_SIZE_MAX: Final = 500
PAGE_SIZE_DEFAULT: Final = 50
_MOMENT: Final = re.compile(r"[0-9TZ:.+ -]{10,40}|-?infinity")


def page_size(args: Args) -> int:
    """Return how many rows a page holds; raises BadArgument for both, negative or too many."""
    first, last = args.get("first"), args.get("last")
    if first is not None and last is not None:
        raise BadArgument("first", first, f"and last: {last} cannot be combined; page in one direction")
    size: int = first if first is not None else last if last is not None else PAGE_SIZE_DEFAULT
    name = "last" if last is not None else "first"
    if not 0 <= size <= PAGE_SIZE_MAX:
        raise BadArgument(
            name, size, f"is out of bounds; ask for 0 to {PAGE_SIZE_MAX} and page on with after"
        )
    return size


def page_bound(args: Args) -> int:
    """Return a number of rows that a page's do not exceed, one of few: a plan is made for each."""
    given = (args.get("first"), args.get("last"))
    return bound_of(next((size for size in given if size is not None), PAGE_SIZE_DEFAULT))


def page_of(args: Args) -> tuple[int, bool, Args]:
    """Return a page's size, whether it is taken from the end, and its arguments."""
    return page_size(args), is_backward(args), args


def cursor_of(args: Args, name: str, ordering: Ordering) -> Cursor:
    """Return the cursor in an argument, its values checked against the columns that they belong to."""
    casts = ordering.casts
    cursor = decode_cursor(args[name], ordering.name, len(casts))
    for value, cast in zip(cursor.values, casts, strict=True):
        if value is not None and not _readable(value, cast):
            raise BadCursor(args[name], f"it holds no {cast}")
    if any(value is None for value in cursor.values[1:]):
        raise BadCursor(args[name], "it names no row")
    return cursor


def beyond(statement: Statement, place: int, args: Args, ordering: Ordering, sort: str) -> list[str]:
    """Return the conditions that start a page after a cursor, or end it before one."""
    return [
        _beyond(statement, place, args, name, ordering, sort)
        for name in ("after", "before")
        if args.get(name) is not None
    ]


def value_of(statement: Statement, place: int, name: str, ordering: Ordering, index: int) -> str:
    """Return the parameter of a value in a cursor, of the SQL type of what it is compared with."""
    return statement.argument(
        place,
        f"text::{ordering.casts[index]}",
        lambda args: cursor_of(args, name, ordering).values[index],
    )


def starts_null(args: Args, name: str, ordering: Ordering) -> bool:
    """Return whether the sort value of a cursor is null, which decides the form of what is compared."""
    return cursor_of(args, name, ordering).values[0] is None


def _beyond(statement: Statement, place: int, args: Args, name: str, ordering: Ordering, sort: str) -> str:
    backward, null = name == "before", starts_null(args, name, ordering)
    first = "null" if null else value_of(statement, place, name, ordering, 0)
    rest = ", ".join(value_of(statement, place, name, ordering, 1 + i) for i in range(len(ordering.key)))
    tied = f"({', '.join(ordering.ties)}) {'<' if backward else '>'} ({rest})"
    sign = "<" if ordering.descending != backward else ">"
    if not ordering.order.nullable:
        return f"{sort} {sign}= {first} and ({sort} {sign} {first} or {tied})"
    if null:
        unknown = f"({sort}) is null and {tied}"
        return f"({sort}) is not null or {unknown}" if backward else unknown
    known = f"{sort} {sign} {first} or {sort} = {first} and {tied}"
    return known if backward else f"{known} or ({sort}) is null"


def _readable(value: str, cast: str) -> bool:
    try:
        match cast:
            case "int" | "bigint":
                return -(2**63) <= int(value) < 2**63
            case "float8":
                float(value)
                return True
            case "timestamptz":
                return _MOMENT.fullmatch(value) is not None
            case _:
                return True
    except ValueError:
        return False
