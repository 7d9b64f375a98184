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
import structlog
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

from service.errors import NotAnEvent, SpoolUnavailable
from service.events import decode
from service.intake.appender import Appender, Arrival, Receipt
from service.log.quarantine import Refused
from service.web.keys import Grant, WebhookKeys
from service.web.metrics import Outcome
from service.web.runner import WENT_WRONG, Answer, add_shortcut

PATH: Final = "/webhooks"
RETRY_AFTER_SECONDS: Final = 5
BODY_BYTES_MAX: Final = 1024 * 1024
READ_DEADLINE_SECONDS: Final = 10.0
BODIES_IN_FLIGHT_MAX: Final = 256

_log = structlog.get_logger(__name__)

_GZIP: Final = b"\x1f\x8b"
_GZIP_NAMES: Final = ("gzip", "x-gzip")
_NEEDS_PARSING: Final = re.compile("[^A-Za-z0-9=_-]")


class DeliveryMetrics(Protocol):
    """Who counts deliveries."""

    def delivery(self, outcome: Outcome, seconds: float, product_id: int | None = None) -> None: ...


class _Refusal(Exception):
    """A body that is answered without being kept."""

    def __init__(self, status: int, outcome: Outcome, error: str, headers: bytes = b"") -> None:
        self.answer = _json({"error": error}, status, headers)
        self.outcome = outcome


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
        self.route = PATH

    def add_to(self, application: web.Application) -> None:
        """Have an application serve this, plain deliveries by the shortcut."""
        application.add_routes([web.post(PATH, self.receive), web.get(PATH, self.explain)])
        add_shortcut(application, self)

    async def receive(self, request: web.Request) -> web.Response:
        """Keep one delivery, and answer once it is safe."""
        began = time.perf_counter()
        grant = self._grant(request)
        product_id: int | None = None
        try:
            if grant is None:
                raise _Refusal(401, Outcome.UNAUTHORIZED, _WRONG_KEY)
            body = await self._body(request)
            arrival, product_id = self._arrival(body, grant)
            receipt = await self._appender.append(arrival)
        except SpoolUnavailable as error:
            answer, outcome = _unavailable(error), Outcome.UNAVAILABLE
        except _Refusal as refusal:
            answer, outcome = refusal.answer, refusal.outcome
        else:
            answer, outcome = _answer(receipt), _outcome(receipt)
        response = web.Response(body=answer.body, status=answer.status, content_type="application/json")
        for line in answer.headers.decode().splitlines():
            name, _, value = line.partition(": ")
            response.headers[name] = value
        if answer.status >= 400 and not request.content.is_eof():
            # What is still being sent is not read to its end: the connection is no longer of use.
            response.force_close()
        self._count(outcome, began, product_id)
        return response

    def take(
        self, message: RawRequestMessage, payload: StreamReader, answered: Callable[[Answer], None]
    ) -> bool:
        """Keep a delivery as `receive` does, if it came whole, as it is, and with a key that opens something.

        Most do; see service.web.runner.Shortcut.
        """
        if (
            message.method != "POST"
            or not payload.is_eof()
            or not 0 < payload.total_bytes <= self._body_bytes_max
            or "Content-Encoding" in message.headers
            or self._appender.full
        ):
            return False
        path, _, query = message.path.partition("?")
        if path != PATH or (query and not _is_plain(query)):
            return False
        began = time.perf_counter()
        header = message.headers.get("X-Secret")
        grant = (self._keys.find(header) if header else None) or self._keys.find(query[4:])
        if grant is None:
            return False
        product_id: int | None = None

        def finish(receipt: Receipt | Exception) -> None:
            answer, outcome = _ended(receipt)
            self._count(outcome, began, product_id)
            answered(answer)

        try:
            body = payload.read_nowait()
            if body[:2] == _GZIP:
                body = self._inflate(body, declared=False)
            arrival, product_id = self._arrival(body, grant)
        except Exception as error:
            asyncio.get_running_loop().call_soon(finish, error)
        else:
            self._appender.offer(arrival, finish)
        return True

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

    def _arrival(self, body: bytes, grant: Grant) -> tuple[Arrival, int | None]:
        """Return what to keep of a body, and the product that it is about."""
        received_at = self._now()
        try:
            event = decode(body, received_at)
            if grant.product_id is not None and event.product_id != grant.product_id:
                raise NotAnEvent(
                    f"it names product {event.product_id}, but its key is bound to product {grant.product_id}"
                )
        except NotAnEvent as error:
            return Refused(error.reason, body, received_at, "WEBHOOK", grant.product_id), grant.product_id
        return event, event.product_id

    def _count(self, outcome: Outcome, began: float, product_id: int | None) -> None:
        if self._metrics is not None:
            self._metrics.delivery(outcome, time.perf_counter() - began, product_id)

    async def _body(self, request: web.Request) -> bytes:
        """Return the body, inflated. Raises _Refusal where it is too large, too slow or too much at once."""
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
            raise _Refusal(
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
            raise _Refusal(
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
            raise _Refusal(
                415, Outcome.REFUSED, "the body is declared as gzip, but is not one whole gzip stream"
            )
        return body

    def _too_large(self, size: int) -> _Refusal:
        return _Refusal(
            413,
            Outcome.TOO_LARGE,
            f"the body has {size} bytes or more, but at most {self._body_bytes_max} are taken "
            "(RECOUNT_BODY_BYTES_MAX)",
        )


_WRONG_KEY: Final = (
    "this key opens nothing; put the service's key into the URL (/webhooks?key=…) or the header X-Secret"
)


def _is_plain(query: str) -> bool:
    """Whether a query is a key and nothing else, unescaped, as in every URL that we print."""
    return query.startswith("key=") and not _NEEDS_PARSING.search(query)


def _key_in(request: web.Request) -> str | None:
    """Return the key that the URL holds."""
    query = request.rel_url.raw_query_string
    # Parsing it takes twenty times as long.
    return query[4:] if _is_plain(query) else request.query.get("key")


def _ended(receipt: Receipt | Exception) -> tuple[Answer, Outcome]:
    """Return the answer to a delivery that was taken; whatever went wrong, there is one."""
    if isinstance(receipt, Receipt):
        return _answer(receipt), _outcome(receipt)
    if isinstance(receipt, SpoolUnavailable):
        return _unavailable(receipt), Outcome.UNAVAILABLE
    if isinstance(receipt, _Refusal):
        return receipt.answer, receipt.outcome
    _log.error("delivery_failed", exc_info=(type(receipt), receipt, receipt.__traceback__))
    return _json({"error": WENT_WRONG}, 500), Outcome.UNAVAILABLE


def _answer(receipt: Receipt) -> Answer:
    if receipt.quarantined is not None:
        return _json(
            {"quarantined": receipt.quarantined, "error": f"the body is no event: {receipt.reason}"}, 202
        )
    if receipt.position is None:
        return Answer(200, b'{"position":null,"duplicate":null,"spooled":true}')
    duplicate = b"true" if receipt.duplicate else b"false"
    return Answer(200, b'{"position":%d,"duplicate":%s,"spooled":false}' % (receipt.position, duplicate))


def _outcome(receipt: Receipt) -> Outcome:
    if receipt.quarantined is not None:
        return Outcome.QUARANTINED
    if receipt.spooled:
        return Outcome.SPOOLED
    return Outcome.DUPLICATE if receipt.duplicate else Outcome.RECORDED


def _unavailable(error: SpoolUnavailable) -> Answer:
    return _json({"error": str(error)}, 503, b"Retry-After: %d\r\n" % RETRY_AFTER_SECONDS)


def _json(content: dict[str, Any], status: int, headers: bytes = b"") -> Answer:
    return Answer(status, orjson.dumps(content), headers)
