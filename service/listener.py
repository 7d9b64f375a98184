"""Gives the socket that the service listens on: one that systemd keeps and passes on, or else its own."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any, Final

from service.errors import PassedSocketUnfit, PortInUse, reason_of
from service.hosts import bracketed

_FIRST_PASSED: Final = 3


@contextlib.contextmanager
def listening_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Bind before anything is started, so that a port in use is said at once.

    A socket that systemd passes (sd_listen_fds(3)) is bound already, and outlives the process: who connects
    between two of them waits.

    Raises PortInUse, and PassedSocketUnfit where what is passed is not what the settings say.
    """
    try:
        # Of a name with addresses of both kinds, such as localhost, the one of IPv4: everybody tries that.
        there = sorted(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError as error:
        raise PortInUse(bracketed(host), port, reason_of(error)) from error
    passed = _passed()
    with passed[0] if passed else socket.socket(*there[0][:2]) as listener:
        if passed:
            told = [_told(each.getsockname()) for each in passed]
            if len(passed) > 1 or told[0] not in [_told(address) for *_, address in there]:
                raise PassedSocketUnfit(told, bracketed(host), port)
        else:
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(there[0][-1])
            except OSError as error:
                raise PortInUse(bracketed(host), port, reason_of(error)) from error
        yield listener


def _passed() -> list[socket.socket]:
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    passed = [socket.socket(fileno=number) for number in range(_FIRST_PASSED, _FIRST_PASSED + count)]
    for each in passed:
        each.set_inheritable(False)
    return passed


def _told(address: Any) -> str:
    """An address as it is told; of a socket in the file system, its path."""
    return f"{bracketed(address[0])}:{address[1]}" if isinstance(address, tuple) else str(address)
