"""Which product a sweep is about, and the key to ask for it with."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import SecretStr

from projections.read_model import PRODUCTS, Reader
from service.errors import NoApiKey, ProductElsewhere, ProductNeeded, ProductUnknown
from service.given_secrets import ApiKey
from service.log.departures import DEPARTING


async def choose(keys: Sequence[ApiKey], product_id: int | None, reader: Reader) -> tuple[int, SecretStr]:
    """Return the product and its key.

    Not given, it is the one that the log knows, else the one that the only key is for. Raises NoApiKey,
    ProductNeeded; ProductUnknown for one that neither the log nor a key knows; ProductElsewhere for one of
    which nothing is recorded here any more.
    """
    if not keys:
        raise NoApiKey(product_id)
    rows, _ = await reader.fetch(DEPARTING)
    cells = {row["product_id"]: row["cell"] for row in rows}
    rows, _ = await reader.fetch(PRODUCTS)
    known = [row["product_id"] for row in rows if row["product_id"] not in cells]
    if product_id is None:
        bound = [key.product_id for key in keys if key.product_id is not None]
        if len(known) != 1 and (len(keys) != 1 or not bound):
            raise ProductNeeded(known)
        product_id = known[0] if len(known) == 1 else bound[0]
    if product_id in cells:
        raise ProductElsewhere({product_id: cells[product_id]})
    for key in sorted(keys, key=lambda key: key.product_id is None):
        if key.product_id is None and known and product_id not in known:
            raise ProductUnknown(product_id, known)
        if key.product_id in (product_id, None):
            return product_id, key.secret
    raise NoApiKey(product_id)
