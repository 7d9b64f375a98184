"""Looks what a back-fill would take and bring: asks for the posts alone, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from projections.read_model import Reader
from service.backfill.compare import Kind, compare
from service.backfill.contract import Contract
from service.backfill.estimate import Estimate
from service.sleekplan.client import Sleekplan
from service.sleekplan.listings import POSTS
from service.sleekplan.walk import Forms, Walk


@dataclass
class Look:
    """What was seen: what the board holds, how many items the log knows, and the API's own shape."""

    product_id: int
    estimate: Estimate = field(default_factory=Estimate)
    known: int = 0
    otherwise: int = 0
    unknown: int = 0
    other_products: bool = False
    """Whether rows name another product than this one, as a sample of Sleekplan's does: no reason to stop."""
    ahead_seconds: float | None = None
    forms: Forms = field(default_factory=Forms)
    contract: Contract = field(default_factory=Contract)


async def look(
    client: Sleekplan,
    reader: Reader,
    product_id: int,
    kinds: frozenset[Kind],
    seen: Callable[[int], None] = lambda _items: None,
) -> Look:
    """Walk the posts. Raises as `Sleekplan.get`."""
    told = Look(product_id)
    async for page in Walk(client, POSTS, told.forms).pages():
        told.estimate.add(page.rows, kinds)
        told.contract.note(POSTS.name, page.rows)
        told.other_products |= any(
            str(row.get("product_id", product_id)) != str(product_id) for row in page.rows
        )
        for found in await compare(reader, "posts", product_id, page.rows):
            told.unknown += not found.known
            told.known += found.same
            told.otherwise += found.known and not found.same
        seen(told.estimate.items)
    told.ahead_seconds = None if client.ahead is None else round(client.ahead.total_seconds(), 1)
    return told
