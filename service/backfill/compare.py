"""Compares what was listed with what is projected, by the projections' own reading of both."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, get_args

import orjson

from projections.read_model import Reader
from service.sql_files import load

_sql = load(__file__, "compare.sql")

Kind = Literal["users", "posts", "comments", "votes", "subscribers", "updates", "satisfaction"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class Known(NamedTuple):
    """What the read model has of a row that was listed; compare.sql says what each means."""

    place: int
    known: bool
    born: bool
    fields: list[str]
    counts: bool
    older: bool
    last_told: datetime | None
    silent: bool
    nameless: Sequence[int] = ()
    nameless_at: Sequence[datetime] = ()
    undirected: Sequence[str] = ()
    stranger: bool = False

    @property
    def same(self) -> bool:
        """Whether there is nothing to tell."""
        return self.known and self.born and not self.edited and not self.counts

    @property
    def edited(self) -> bool:
        """Whether something was edited that may be told."""
        return bool(self.fields) and not self.silent and not self.older


async def compare(reader: Reader, kind: Kind, product_id: int, rows: Sequence[dict[str, Any]]) -> list[Known]:
    """Return what is known of each row, in their order."""
    if not rows:
        return []
    found, _ = await reader.rows(_sql[kind], product_id, orjson.dumps(list(rows)).decode())
    return sorted(
        (Known(**{name: row[name] for name in Known._fields if name in row.keys()}) for row in found),  # noqa: SIM118
        key=lambda known: known.place,
    )


async def dates_apart(reader: Reader, product_id: int) -> int | None:
    """Return by how many minutes dates inside items seem to be of another zone; None: too few say it."""
    found, _ = await reader.rows(_sql["dates_apart"], product_id)
    return next((row["minutes"] for row in found), None)
