"""Which cores do what: the server one, the load another; Postgres goes where there is room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Cores:
    """Which cores do what: the server one, the load another; Postgres goes where there is room."""

    server: frozenset[int]
    load: frozenset[int]
    all: frozenset[int]


def cores() -> Cores:
    """Return the cores of this machine as the benches share them out; one core alone is shared by all."""
    if not hasattr(os, "sched_getaffinity"):
        none: frozenset[int] = frozenset()
        return Cores(none, none, none)
    first, *others = sorted(_CORES_AT_START)
    return Cores(frozenset({first}), frozenset(others[-1:] or [first]), frozenset(_CORES_AT_START))


@contextmanager
def pinned(to: frozenset[int]) -> Iterator[None]:
    """Keep this process, and the children that it starts meanwhile, on some cores while the block lasts.

    The load generator runs in `pinned(cores().load)`. Where the system cannot pin (macOS), nothing happens.
    """
    if not to:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


_CORES_AT_START: Final = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
