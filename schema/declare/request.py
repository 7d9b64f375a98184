"""What a declaration's functions are given: the values of one request, and what surrounds its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schema.ids import FirstPage
from service.labels import Labels

Args = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Values:
    """What the parameters of a plan are bound from."""

    args: Sequence[Args]
    now: datetime
    products: list[int] | None
    labels: Labels
    pinned: int | None = None
    positions: Sequence[int] = ()
    elsewhere: Sequence[int] = ()


@dataclass(slots=True)
class Env:
    """What decoding an answer needs beside it: labels, the arguments, the first page of its list."""

    labels: Labels
    args: Sequence[Args]
    first_page: FirstPage
