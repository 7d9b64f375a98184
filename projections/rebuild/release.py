"""Lets go of what another cell has: its rows leave the read model, its events stay in the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from projections.rebuild.after_erasure import drop_and_vacuum, replay_product
from service.log.database import Pool


async def let_go(pool: Pool, products: Iterable[int], done: Callable[[int], object]) -> None:
    """Take away what was counted of products that are counted no more; tells each."""
    released = list(products)
    for product_id in released:
        await replay_product(pool, product_id)
        done(product_id)
    await drop_and_vacuum(pool, released)
