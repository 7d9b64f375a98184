"""Which product a sweep is about, and the key to ask for it with."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import SecretStr

from projections.read_model import PRODUCTS, Reader
from service.errors import NoApiKey, ProductNeeded, ProductUnknown
from service.given_secrets import ApiKey


async def choose(keys: Sequence[ApiKey], product_id: int | None, reader: Reader) -> tuple[int, SecretStr]:
    """Return the product and its key.

    Not given, it is the one that the log knows, else the one that the only key is for. Raises NoApiKey,
    ProductNeeded; and ProductUnknown for one that neither the log nor a key knows.
    """
    if not keys:
        raise NoApiKey(product_id)
    rows, _ = await reader.fetch(PRODUCTS)
    known = [row["product_id"] for row in rows]
    if product_id is None:
        bound = [key.product_id for key in keys if key.product_id is not None]
        if len(known) != 1 and (len(keys) != 1 or not bound):
            raise ProductNeeded(known)
        product_id = known[0] if len(known) == 1 else bound[0]
    for key in sorted(keys, key=lambda key: key.product_id is None):
        if key.product_id is None and known and product_id not in known:
            raise ProductUnknown(product_id, known)
        if key.product_id in (product_id, None):
            return product_id, key.secret
    raise NoApiKey(product_id)
