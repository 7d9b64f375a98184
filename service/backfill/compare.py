"""Compares what was listed with what is projected, by the projections' own reading of both."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from projections.read_model import Reader
from service.sql_files import load

_sql = load(__file__, "compare.sql")


class PostFound(NamedTuple):
    """What the read model has of a post that was listed; `fields` and `totals` say what it has otherwise."""

    place: int
    known: bool
    born: bool
    deleted: bool
    fields: list[str]
    totals: bool
    older: bool
    erased: bool
    last_told: datetime | None

    @property
    def same(self) -> bool:
        """Whether there is nothing to tell."""
        return self.known and self.born and not (self.deleted or self.fields or self.totals)


async def posts(reader: Reader, product_id: int, rows: Sequence[dict[str, Any]]) -> list[PostFound]:
    """Return what is known of each post."""
    found, _ = await reader.fetch(_sql["posts"], product_id, orjson.dumps(list(rows)).decode())
    return [PostFound(*row) for row in found]
