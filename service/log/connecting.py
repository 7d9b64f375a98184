"""Opens one connection, to whichever host takes writes, by a socket that notices when its machine is gone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

ASK_AGAIN_SECONDS: Final = 0.5
"""How soon a host that stands by is asked again, while another has not answered yet."""

# A machine that goes silent sends no word of its end. After this long without an answer from its kernel the
# connection is lost, busy or idle; for a server that only takes long to answer, its kernel answers.
_SOCKET_OPTIONS: Final = {
    "TCP_KEEPIDLE": 5,
    "TCP_KEEPINTVL": 2,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 10_000,
}
"""Seconds, seconds, probes, milliseconds: of tcp(7). A system that lacks one goes without."""


async def open_connection(
    *args: Any, host: list[str] | None = None, port: int | list[int] | None = None, **arguments: Any
) -> Connection:
    """Return a connection as asyncpg.connect does, but with several hosts asked side by side, not in turn.

    Each has the whole time-out to itself, so that one that says nothing keeps none of the others waiting; the
    first that is as wanted wins. One that stands by is asked again while another says nothing: it may be
    promoted meanwhile. Raises what asyncpg.connect does; of several hosts, what says most.
    """
    if host is None or isinstance(port, int) or port is None or len(host) == 1:
        connection: Connection = await asyncpg.connect(*args, host=host, port=port, **arguments)
    else:
        silent = set(zip(host, port, strict=True))
        connection = await _first(
            [asyncio.create_task(_asked(place, silent, *args, **arguments)) for place in tuple(silent)]
        )
    _watch(connection)
    return connection


async def _asked(
    place: tuple[str, int], silent: set[tuple[str, int]], *args: Any, **arguments: Any
) -> Connection:
    """Return a connection to one of several hosts; `silent` are those that have not answered yet."""
    while True:
        try:
            return await asyncpg.connect(*args, host=place[0], port=place[1], **arguments)
        except asyncpg.TargetServerAttributeNotMatched:
            if silent <= {place}:
                raise
        finally:
            silent.discard(place)
        await asyncio.sleep(ASK_AGAIN_SECONDS)


async def _first(attempts: Sequence[asyncio.Task[Connection]]) -> Connection:
    """Return the first connection that is made; every other is let go."""
    failures: list[Exception] = []
    pending, chosen = set(attempts), None
    try:
        while chosen is None and pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                if error := attempt.exception():
                    failures.append(error)  # type: ignore[arg-type]
                else:
                    chosen = chosen or attempt
    finally:
        for attempt in attempts:
            if attempt is not chosen:
                attempt.cancel()
                attempt.add_done_callback(_let_go)
    if chosen is None:
        raise max(failures, key=_says)
    return chosen.result()


def _says(error: Exception) -> int:
    """How much the failure of one of several hosts says: a refusal more than a standby, that than silence."""
    if isinstance(error, asyncpg.PostgresError):
        return 2
    return int(isinstance(error, asyncpg.TargetServerAttributeNotMatched))


def _let_go(attempt: asyncio.Task[Connection]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()


def _watch(connection: Connection) -> None:
    """Let our end of a connection notice that the other is gone; a session's `tcp_…` are the server's end."""
    # The driver has no public way to its socket; without it only the limits of each step are left.
    transport = getattr(connection, "_transport", None)
    ours = transport and transport.get_extra_info("socket")
    if ours is None or ours.family not in (socket.AF_INET, socket.AF_INET6):
        return
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _SOCKET_OPTIONS.items():
        if (option := getattr(socket, name, None)) is not None:
            with contextlib.suppress(OSError):
                ours.setsockopt(socket.IPPROTO_TCP, option, value)
