"""Takes Sleekplan's deliveries: POST /webhooks, with the key in a header or in the URL.

The key is compared before anything else is looked at. What is authenticated and within the size limit is
kept, as an event or in the quarantine, before it is answered.
"""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import orjson
from aiohttp import web

from service.appender import Appender, Receipt
from service.errors import NotAnEvent, SpoolUnavailable
from service.events import decode
from service.keys import Grant, WebhookKeys
from service.metrics import Outcome
from service.quarantine import Refused

PATH: Final = "/webhooks"
RETRY_AFTER_SECONDS: Final = 5
BODY_BYTES_MAX: Final = 1024 * 1024
READ_DEADLINE_SECONDS: Final = 10.0
BODIES_IN_FLIGHT_MAX: Final = 256

_GZIP: Final = b"\x1f\x8b"
_GZIP_NAMES: Final = ("gzip", "x-gzip")
_NEEDS_PARSING: Final = re.compile("[^A-Za-z0-9=_-]")


class DeliveryMetrics(Protocol):
    """Who counts deliveries."""

    def delivery(self, outcome: Outcome, seconds: float, product_id: int | None = None) -> None: ...


class _Answer(Exception):
    """A body that is answered without being kept."""

    def __init__(self, status: int, outcome: Outcome, error: str, **headers: str) -> None:
        self.status, self.outcome, self.error, self.headers = status, outcome, error, headers


class Webhook:
    """The handler of POST /webhooks."""

    def __init__(
        self,
        appender: Appender,
        keys: WebhookKeys,
        *,
        body_bytes_max: int = BODY_BYTES_MAX,
        read_deadline_seconds: float = READ_DEADLINE_SECONDS,
        bodies_in_flight_max: int = BODIES_IN_FLIGHT_MAX,
        metrics: DeliveryMetrics | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._appender = appender
        self._keys = keys
        self._body_bytes_max = body_bytes_max
        self._read_deadline_seconds = read_deadline_seconds
        self._reading = asyncio.Semaphore(bodies_in_flight_max)
        self._metrics = metrics
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        """Return the routes that an application serves this by."""
        return [web.post(PATH, self.receive), web.get(PATH, self.explain)]

    async def receive(self, request: web.Request) -> web.Response:
        """Keep one delivery, and answer once it is safe."""
        began = time.perf_counter()
        grant = self._grant(request)
        product_id: int | None = None
        try:
            if grant is None:
                raise _Answer(401, Outcome.UNAUTHORIZED, _WRONG_KEY)
            body = await self._body(request)
            response, outcome, product_id = await self._keep(body, grant)
        except _Answer as answer:
            outcome = answer.outcome
            response = _json({"error": answer.error}, answer.status)
            response.headers.update(answer.headers)
            if not request.content.is_eof():
                # What is still being sent is not read to its end: the connection is no longer of use.
                response.force_close()
        if self._metrics is not None:
            self._metrics.delivery(outcome, time.perf_counter() - began, product_id)
        return response

    async def explain(self, request: web.Request) -> web.Response:
        """Answer whoever opens the URL in a browser."""
        return web.Response(
            status=405,
            headers={"Allow": "POST"},
            text="This is where Sleekplan posts its webhooks. Nothing is to be seen here: in Sleekplan, open "
            "Settings, then Webhooks, and enter this page's whole URL.\n",
        )

    def _grant(self, request: web.Request) -> Grant | None:
        """Return what the request's key opens: the header's goes first, then the URL's."""
        header = request.headers.get("X-Secret")
        found = self._keys.find(header) if header else None
        return found or self._keys.find(_key_in(request))

    async def _keep(self, body: bytes, grant: Grant) -> tuple[web.Response, Outcome, int | None]:
        received_at = self._now()
        product_id = grant.product_id
        arrival: Any
        try:
            event = arrival = decode(body, received_at)
            if product_id is not None and event.product_id != product_id:
                raise NotAnEvent(
                    f"it names product {event.product_id}, but its key is bound to product {product_id}"
                )
            product_id = event.product_id
        except NotAnEvent as error:
            arrival = Refused(error.reason, body, received_at, "WEBHOOK", product_id)
        try:
            receipt = await self._appender.append(arrival)
        except SpoolUnavailable as error:
            raise _Answer(
                503, Outcome.UNAVAILABLE, str(error), **{"Retry-After": str(RETRY_AFTER_SECONDS)}
            ) from None
        return _answer(receipt), _outcome(receipt), product_id

    async def _body(self, request: web.Request) -> bytes:
        """Return the body, inflated. Raises _Answer where it is too large, too slow or too much at once."""
        length = request.content_length
        if length is not None and length > self._body_bytes_max:
            raise self._too_large(length)
        content = request.content
        if content.is_eof():
            # Everything came with the head, as it nearly always does: no clock is needed.
            body = content.read_nowait()
            if len(body) > self._body_bytes_max:
                raise self._too_large(len(body))
        else:
            body = await self._slow_body(content)
        encoding = request.headers.get("Content-Encoding", "").lower()
        if body[:2] == _GZIP:
            return self._inflate(body, declared=encoding in _GZIP_NAMES)
        if encoding not in ("", "identity", *_GZIP_NAMES):
            raise _Answer(
                415,
                Outcome.REFUSED,
                f"the body is encoded as {encoding[:20]!r}; send it as it is, or as gzip",
            )
        return body

    async def _slow_body(self, content: Any) -> bytes:
        try:
            async with asyncio.timeout(self._read_deadline_seconds), self._reading:
                parts: list[bytes] = []
                size = 0
                while not content.at_eof():
                    part = await content.readany()
                    size += len(part)
                    if size > self._body_bytes_max:
                        raise self._too_large(size)
                    parts.append(part)
                return b"".join(parts)
        except TimeoutError:
            raise _Answer(
                408,
                Outcome.TIMED_OUT,
                f"the body did not arrive within {self._read_deadline_seconds:g} seconds; send it again",
            ) from None

    def _inflate(self, body: bytes, *, declared: bool) -> bytes:
        """Return what the gzip holds. Bytes that only look like gzip, and are not declared as such, stay."""
        inflater = zlib.decompressobj(wbits=31)
        try:
            inflated = inflater.decompress(body, self._body_bytes_max + 1)
        except zlib.error:
            inflated = b""
        if len(inflated) > self._body_bytes_max:
            raise self._too_large(len(inflated))
        if inflater.eof and not inflater.unused_data:
            return inflated
        if declared:
            raise _Answer(
                415, Outcome.REFUSED, "the body is declared as gzip, but is not one whole gzip stream"
            )
        return body

    def _too_large(self, size: int) -> _Answer:
        return _Answer(
            413,
            Outcome.TOO_LARGE,
            f"the body has {size} bytes or more, but at most {self._body_bytes_max} are taken "
            "(RECOUNT_BODY_BYTES_MAX)",
        )


_WRONG_KEY: Final = (
    "this key opens nothing; put the service's key into the URL (/webhooks?key=…) or the header X-Secret"
)


def _key_in(request: web.Request) -> str | None:
    """Return the key that the URL holds."""
    query = request.rel_url.raw_query_string
    if query.startswith("key=") and not _NEEDS_PARSING.search(query):
        return query[4:]  # as in every URL that we print, and twenty times quicker
    return request.query.get("key")


def _answer(receipt: Receipt) -> web.Response:
    if receipt.quarantined is not None:
        return _json(
            {"quarantined": receipt.quarantined, "error": f"the body is no event: {receipt.reason}"}, 202
        )
    if receipt.position is None:
        body = b'{"position":null,"duplicate":null,"spooled":true}'
    else:
        duplicate = b"true" if receipt.duplicate else b"false"
        body = b'{"position":%d,"duplicate":%s,"spooled":false}' % (receipt.position, duplicate)
    return web.Response(body=body, content_type="application/json")


def _outcome(receipt: Receipt) -> Outcome:
    if receipt.quarantined is not None:
        return Outcome.QUARANTINED
    if receipt.spooled:
        return Outcome.SPOOLED
    return Outcome.DUPLICATE if receipt.duplicate else Outcome.RECORDED


def _json(content: dict[str, Any], status: int) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")
