"""Asks Sleekplan's REST API: politely, again where that may help, and with the key in one header alone.

Redirects are not followed, since they would carry the key elsewhere; and aiohttp's own errors, which hold
the request's headers, end here: whoever calls gets ours, with method, path and status and nothing else.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import aiohttp
import orjson
import stamina
from pydantic import SecretStr

from service.errors import (
    SleekplanFailed,
    SleekplanForbidden,
    SleekplanGone,
    SleekplanKeyRefused,
)
from service.sleekplan.answers import date_of, retry_after, says_nothing_found
from service.sleekplan.pace import Pace

ATTEMPTS: Final = 5
CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 30.0
BODY_BYTES_MAX: Final = 32 * 1024 * 1024
CLOCKS_APART_MAX: Final = timedelta(minutes=10)
_PIECE_BYTES: Final = 64 * 1024
# A line for each try is more than anybody wants to read: what fails in the end is told.
stamina.instrumentation.set_on_retry_hooks(())

_PASSING: Final = frozenset({408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524})


class Answered(NamedTuple):
    """What was answered, and between which moments it was so: by our clock, before the request and after."""

    content: Any
    asked_at: datetime
    answered_at: datetime


class Sleekplan:
    """The API of one Sleekplan account. `requests` counts what was sent, `waiting_seconds` what that took."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        address: str,
        key: SecretStr,
        pace: Pace,
    ) -> None:
        self._session, self.address, self._key, self._pace = session, address.rstrip("/"), key, pace
        self._apart: list[float] = []
        self.answer_seconds = ANSWER_SECONDS
        self.requests = 0
        self.waiting_seconds = 0.0

    @property
    def pace(self) -> Pace:
        """How fast it asks."""
        return self._pace

    @property
    def ahead(self) -> timedelta | None:
        """By how much Sleekplan's clock is ahead of ours; None where its answers do not say, or absurdly."""
        if not self._apart:
            return None
        apart = timedelta(seconds=statistics.median(self._apart))
        return apart if abs(apart) <= CLOCKS_APART_MAX else None

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Answered:
        """Return what the API answers; what may pass is tried five times, a 429 for as long as it takes.

        Raises SleekplanKeyRefused, SleekplanForbidden, SleekplanGone, SleekplanTooMany, and SleekplanFailed.
        """
        async for attempt in stamina.retry_context(
            on=_may_pass, attempts=ATTEMPTS, timeout=None, wait_initial=1.0, wait_max=16.0, wait_jitter=1.0
        ):
            with attempt:
                return await self._until_admitted(path, query or {})
        raise AssertionError("stamina raises the last error")

    async def _until_admitted(self, path: str, query: Mapping[str, str]) -> Answered:
        while True:
            asked_at = await self._admitted()
            status, headers, body = await self._send(path, query)
            if status != 429:
                self._pace.went_well()
                self._note_clock(headers, asked_at)
                return Answered(_judged(path, status, body), asked_at, _now())
            self._pace.refused(path, retry_after(headers, _now()))

    async def _admitted(self) -> datetime:
        """Return the moment, once the next request may be sent."""
        await self._pace.turn()
        self.requests += 1
        return _now()

    async def _send(self, path: str, query: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        sent = 0

        async def paced(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> Any:
            # aiohttp sends a request again by itself when the connection was closed on it.
            nonlocal sent
            sent += 1
            if sent > 1:
                await self._admitted()
            return await send(request)

        began = asyncio.get_running_loop().time()
        failed: SleekplanFailed | None = None
        try:
            # A limit of aiohttp's swallows a cancellation at the same moment: a sweep would go on.
            async with (
                asyncio.timeout(self.answer_seconds),
                self._session.get(
                    self.address + path,
                    params=query,
                    headers={"Authorization": f"Bearer {self._key.get_secret_value()}"},
                    allow_redirects=False,
                    middlewares=(paced,),
                    timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
                ) as response,
            ):
                return response.status, response.headers, await _body(path, response)
        except aiohttp.ClientConnectorError as error:
            what = f"did not come: {error.host} cannot be reached ({type(error).__name__})"
            failed = SleekplanFailed(path, None, what, passing=True)
        except TimeoutError:
            failed = SleekplanFailed(path, None, "did not come in time", passing=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failed = SleekplanFailed(path, None, f"was cut off ({type(error).__name__})", passing=True)
        finally:
            self.waiting_seconds += asyncio.get_running_loop().time() - began
        # Outside the block: chained to aiohttp's error, a traceback would hold the request's headers.
        raise failed

    def _note_clock(self, headers: Mapping[str, str], asked_at: datetime) -> None:
        date = date_of(headers)
        if date is not None and len(self._apart) < 9:
            # `Date` is cut to the second, which takes half of one on average.
            middle = asked_at + (_now() - asked_at) / 2
            self._apart.append((date - middle).total_seconds() + 0.5)


@asynccontextmanager
async def sleekplan(address: str, key: SecretStr, pace: Pace) -> AsyncIterator[Sleekplan]:
    """Give the API at an address, with one connection to it, until the block ends."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json", "User-Agent": "Recount"},
    ) as session:
        yield Sleekplan(session, address, key, pace)


def _now() -> datetime:
    return datetime.now(UTC)


def _may_pass(error: Exception) -> bool:
    return isinstance(error, SleekplanFailed) and error.passing


async def _body(path: str, response: aiohttp.ClientResponse) -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        size += len(piece)
        if size > BODY_BYTES_MAX:
            response.close()
            raise SleekplanFailed(
                path, response.status, f"is longer than {BODY_BYTES_MAX} bytes", passing=True
            )
        pieces.append(piece)
    return b"".join(pieces)


def _judged(path: str, status: int, body: bytes) -> Any:
    """Return the content of an answer that is one. Raises as `Sleekplan.get`."""
    if status == 401:
        raise SleekplanKeyRefused(path)
    if status == 403:
        raise SleekplanForbidden(path)
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = None
    if status < 500 and says_nothing_found(content):
        return content
    if status in (404, 410):
        raise SleekplanGone(path)
    if status != 200:
        what = "is a redirect, which is not followed" if 300 <= status < 400 else "is an error"
        raise SleekplanFailed(path, status, what, passing=status in _PASSING)
    if not isinstance(content, dict):
        raise SleekplanFailed(path, status, "is no JSON object", passing=True)
    if content.get("status") == "error":
        raise SleekplanFailed(path, status, "says that it is an error", passing=True)
    return content
