"""What a declaration's functions are given: the values of one request, and what surrounds its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Args = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Values:
    """What the parameters of a plan are bound from."""

    args: Sequence[Args]
    now: object
    products: list[int] | None
    labels: Mapping[str, Any]
    pinned: int | None = None
    positions: Sequence[int] = ()


@dataclass(slots=True)
class Env:
    """What decoding an answer needs beside the answer: labels, the position it was read at, the arguments."""

    labels: Mapping[str, Any]
    args: Sequence[Args]
    position: int
    pinned: int | None
