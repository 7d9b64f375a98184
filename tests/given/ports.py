"""Ports of this machine that nobody listens on, and that nobody gets who asks for any."""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Iterator
from typing import Final

# Below those that systems give to whoever binds to port 0 or connects, as other tests do all the time.
_FROM: Final = 20_000
_TO: Final = 32_767
_BEGIN: Final = random.SystemRandom().randint(_FROM, _TO)
_PORTS: Final[Iterator[int]] = itertools.cycle([*range(_BEGIN, _TO + 1), *range(_FROM, _BEGIN)])


def free_port() -> int:
    """Return one that this process has not returned before."""
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is left")


def free_ports(count: int) -> list[int]:
    """Return so many different ones."""
    return [free_port() for _ in range(count)]
