"""Looks what a sweep would take and bring: asks for the posts alone, and writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from projections.read_model import Reader
from service.backfill.absence import items_not_listed, of_items
from service.backfill.compare import Kind, Known, compare, dates_apart
from service.backfill.compose import Row
from service.backfill.contract import Contract
from service.backfill.estimate import CHILDREN, Estimate, promised
from service.events import as_id
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
    gone: Counter[str] | None = None
    """What a comparison would find gone at least, by what the posts say; None where none is looked for."""
    other_products: bool = False
    """Whether rows name another product than this one, as a sample of Sleekplan's does: no reason to stop."""
    ahead_seconds: float | None = None
    dates_apart_minutes: int | None = None
    forms: Forms = field(default_factory=Forms)
    contract: Contract = field(default_factory=Contract)


async def look(
    client: Sleekplan,
    reader: Reader,
    product_id: int,
    kinds: frozenset[Kind],
    *,
    gone: bool = False,
) -> Look:
    """Walk the posts; count what is `gone` where a comparison would. Raises as `Sleekplan.get`."""
    told, listed = Look(product_id, gone=Counter() if gone else None), list[str]()
    async for page in Walk(client, POSTS, told.forms).pages():
        told.estimate.add(page.rows, kinds)
        told.contract.note(POSTS.name, page.rows)
        told.other_products |= any(
            str(row.get("product_id", product_id)) != str(product_id) for row in page.rows
        )
        known = await compare(reader, "posts", product_id, page.rows)
        for found in known:
            told.unknown += not found.known
            told.known += found.same
            told.otherwise += found.known and not found.same
        if told.gone is not None:
            listed += [id for row in page.rows if (id := as_id(row.get("feedback_id"))) is not None]
            told.gone += await _gone_by_posts(reader, product_id, page.rows, known)
    if told.gone is not None:
        told.gone["items"] = await items_not_listed(reader, product_id, listed)
    told.dates_apart_minutes = await dates_apart(reader, product_id)
    told.ahead_seconds = None if client.ahead is None else round(client.ahead.total_seconds(), 1)
    return told


async def _gone_by_posts(
    reader: Reader, product_id: int, posts: Sequence[Row], known: Sequence[Known]
) -> Counter[str]:
    """Return how many items were merged, and how much less their posts promise than is known of them."""
    gone: Counter[str] = Counter()
    ids = {id: post for post in posts if (id := as_id(post.get("feedback_id"))) is not None}
    for id, has in (await of_items(reader, product_id, list(ids), 0)).items():
        for kind in CHILDREN:
            spared = 0 if kind == "comments" else has[f"spared_{kind}"]
            gone[kind] += max(0, has[kind] - spared - promised(kind, ids[id]))
    gone["merged"] = sum(
        "merged_into" in found.fields and as_id(post.get("merge_id")) is not None
        for post, found in zip(posts, known, strict=True)
    )
    return gone
