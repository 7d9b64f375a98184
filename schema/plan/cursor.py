"""What the arguments of a list ask for: how many rows, and from which end."""

from __future__ import annotations

from typing import Final

from schema.declare.request import Args
from schema.plan.selection import bound_of
from service.errors import BadArgument

PAGE_SIZE_MAX: Final = 500
PAGE_SIZE_DEFAULT: Final = 50


def is_backward(args: Args) -> bool:
    return args.get("last") is not None


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
