"""What every noun has: an opaque id, and lists in pages."""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

import strawberry

from schema.declare.fields import column, computed
from schema.ids import encode_id

T = TypeVar("T")

PRODUCT: Final = "Sleekplan's product; too large for 32 bits, hence an ID."
SLEEKPLAN: Final = "Sleekplan's id, unique within its product."


@strawberry.interface(description="Anything that `node` finds by its id.")
class Node:
    id: strawberry.ID = computed("Opaque, and unique over all types and products.")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = computed("Whether more follows; on a page taken with `before`, true.")
    has_previous_page: bool = computed("Whether more precedes; on a page taken with `after`, true.")
    start_cursor: str | None = computed("The cursor of the first row, for `before`.")
    end_cursor: str | None = computed("The cursor of the last row, for `after`.")


@strawberry.type(description="A row of a list, with its place in it.")
class Edge(Generic[T]):
    cursor: str = computed("Its place, for `after` and `before`.")
    node: T = computed("The row.")


@strawberry.type(
    description=(
        "A page of a list. The pages that follow are read at the position of the first one, "
        "so that nothing is shown twice and nothing is missing while events arrive."
    )
)
class Connection(Generic[T]):
    edges: list[Edge[T]] = computed("The rows with their cursors.")
    nodes: list[T] = computed("The rows.")
    page_info: PageInfo = computed("Where the page stands in the list.")
    total_count: int = computed("How many rows the whole list has; counted only when selected.")


def opaque_id(type_name: str, *exprs: str) -> Any:
    """Declare the id of a noun, by the columns of its key."""
    return column(
        "Opaque, and unique over all types and products.",
        *exprs,
        convert=lambda _, product_id, *parts: encode_id(type_name, product_id, *parts),
    )
