"""Takes Sleekplan's deliveries: POST /webhooks, with the key in a header or in the URL.

The key is compared before anything else is looked at. What is authenticated and within the size limit is
kept, as an event or in the quarantine, before it is answered; so is what comes with a key to a path where
nothing is, since nobody sends it again.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson
import structlog
from aiohttp import StreamReader, hdrs, web
from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.typedefs import Handler
from multidict import CIMultiDictProxy

from service.errors import NotAnEvent, SpoolUnavailable
from service.events import EventData, decode
from service.intake.appender import Appender, Arrival, Receipt
from service.intake.given_keys import HEADER, given_keys, is_plain
from service.intake.unpacking import TooLarge, in_words, unpacked
from service.log.quarantine import Unreadable
from service.web.keys import Grant, WebhookKeys
from service.web.metrics import Fate
from service.web.runner import WENT_WRONG, Answer, add_shortcut

if TYPE_CHECKING:
    from service.log.traces import Traces

PATH: Final = "/webhooks"
RETRY_AFTER_SECONDS: Final = 5
BODY_BYTES_MAX: Final = 1024 * 1024
READ_DEADLINE_SECONDS: Final = 10.0
BODIES_IN_FLIGHT_MAX: Final = 256

_log = structlog.get_logger(__name__)

_NEARLY: Final = re.compile(r"/webhooks?\b", re.IGNORECASE)
"""What is in a path that is meant to be ours."""


class DeliveryMetrics(Protocol):
    """Who counts deliveries."""

    def delivery(self, outcome: Fate, seconds: float, product_id: int | None = None) -> None: ...


class _Refusal(Exception):
    """A body that is answered without being kept."""

    def __init__(self, status: int, outcome: Fate, error: str, headers: bytes = b"") -> None:
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
        traces: Traces | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._appender = appender
        self._keys = keys
        self._body_bytes_max = body_bytes_max
        self._read_deadline_seconds = read_deadline_seconds
        self._reading = asyncio.Semaphore(bodies_in_flight_max)
        self._metrics = metrics
        self._traces = traces
        self._now = now
        self.route = PATH

    def add_to(self, application: web.Application) -> None:
        """Have an application serve this, plain deliveries by the shortcut."""
        application.add_routes(
            [
                web.post(PATH, self.receive, expect_handler=_go_on),
                web.route("*", PATH, self.explain),
            ]
        )
        application.middlewares.append(self._take_in)
        add_shortcut(application, self)

    async def receive(self, request: web.Request) -> web.Response:
        """Keep one delivery, and answer once it is safe."""
        began = time.perf_counter()
        grant = self._grant(request.headers, request.raw_path)
        product_id: int | None = None
        arrival: Arrival | None = None
        receipt: Receipt | Exception
        try:
            if grant is None:
                raise self._not_let_in()
            body = await self._body(request)
            declared = ",".join(request.headers.getall(hdrs.CONTENT_ENCODING, []))
            arrival, product_id = self._arrival(body, declared, grant)
            receipt = await self._appender.append(arrival)
        except (SpoolUnavailable, _Refusal) as error:
            receipt = error
        answer, outcome = _ended(receipt)
        self._trace(arrival, receipt, began)
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
            or hdrs.CONTENT_ENCODING in message.headers
            or hdrs.EXPECT in message.headers
            or self._appender.full
        ):
            return False
        path, _, query = message.path.partition("?")
        if path != PATH or (query and not is_plain(query)):
            return False
        began = time.perf_counter()
        with_header = HEADER in message.headers
        grant = self._grant(message.headers, message.path) if with_header else self._keys.find(query[4:])
        if grant is None:
            return False
        product_id: int | None = None

        def finish(receipt: Receipt | Exception) -> None:
            answer, outcome = _ended(receipt)
            self._count(outcome, began, product_id)
            answered(answer)
            self._trace(arrival, receipt, began)

        arrival: Arrival | None = None
        try:
            arrival, product_id = self._arrival(payload.read_nowait(), "", grant)
        except Exception as error:
            asyncio.get_running_loop().call_soon(finish, error)
        else:
            self._appender.offer(arrival, finish)
        return True

    async def explain(self, request: web.Request) -> web.Response:
        """Answer whoever opens the URL in a browser, or sends by another method than POST."""
        self._count(Fate.NOT_POSTED, time.perf_counter(), None)
        return web.Response(
            status=405,
            headers={hdrs.ALLOW: hdrs.METH_POST},
            text="This is where Sleekplan posts its webhooks. Nothing is to be seen here: in Sleekplan, open "
            f"Settings, Integrations, Webhooks, and enter this address with {PATH}?key=… behind it.\n",
        )

    @web.middleware
    async def _take_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Take what means the webhook and goes to a path or method that nothing is at.

        With a key it is a delivery, whatever the path: a slash too many, a proxy's prefix, the path left out.
        """
        if request.match_info.http_exception is None:
            return await handler(request)
        near = _NEARLY.search(request.path) is not None
        if request.method != hdrs.METH_POST:
            return await (self.explain(request) if near else handler(request))
        if near or given_keys(request.headers, request.raw_path):
            return await self.receive(request)
        return await handler(request)

    def _grant(self, headers: CIMultiDictProxy[str], target: str) -> Grant | None:
        """Return what the first of the request's keys opens that opens anything."""
        for key in given_keys(headers, target):
            if (found := self._keys.find(key)) is not None:
                return found
        return None

    def _not_let_in(self) -> _Refusal:
        """Return the answer to a key that opens nothing: the same to every such key."""
        if self._keys.known:
            return _Refusal(401, Fate.UNAUTHORIZED, _WRONG_KEY)
        return _Refusal(503, Fate.UNAVAILABLE, _KEYS_UNKNOWN, _COME_AGAIN)

    def _arrival(self, packed: bytes, declared: str, grant: Grant) -> tuple[Arrival, int | None]:
        """Return what to keep of a body, and the product that it is about. Raises _Refusal for a bomb."""
        received_at = self._now()
        try:
            body = unpacked(packed, declared, self._body_bytes_max)
        except TooLarge as error:
            raise self._too_large(error.size) from None
        try:
            event = decode(body, received_at)
        except NotAnEvent as error:
            reason = error.reason + in_words(declared)
        else:
            if grant.product_id in (None, event.product_id):
                return event, event.product_id
            reason = (
                f"it names product {event.product_id}, but its key is bound to product {grant.product_id}"
            )
        return Unreadable(reason, body, received_at, "WEBHOOK", grant.product_id), grant.product_id

    def _count(self, outcome: Fate, began: float, product_id: int | None) -> None:
        if self._metrics is not None:
            self._metrics.delivery(outcome, time.perf_counter() - began, product_id)

    def _trace(self, arrival: Arrival | None, receipt: Receipt | Exception, began: float) -> None:
        """Begin the trace of what is an event."""
        if self._traces is not None and isinstance(arrival, EventData) and isinstance(receipt, Receipt):
            again = bool(receipt.duplicate)
            self._traces.taken(arrival, began, _outcome(receipt).value, receipt.position, again=again)

    async def _body(self, request: web.Request) -> bytes:
        """Return the body as it came. Raises _Refusal where it is too large, too slow or too much at once."""
        length = request.content_length
        if length is not None and length > self._body_bytes_max:
            raise self._too_large(length)
        content = request.content
        if not content.is_eof():
            return await self._slow_body(content)
        # Everything came with the head, as it nearly always does: no clock is needed.
        body = content.read_nowait()
        if len(body) > self._body_bytes_max:
            raise self._too_large(len(body))
        return body

    async def _slow_body(self, content: Any) -> bytes:
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(self._read_deadline_seconds), self._reading:
                size = 0
                while not content.at_eof():
                    part = await content.readany()
                    size += len(part)
                    if size > self._body_bytes_max:
                        raise self._too_large(size)
                    parts.append(part)
                return b"".join(parts)
        except TimeoutError:
            refusal = _Refusal(
                408,
                Fate.TIMED_OUT,
                f"the body did not arrive within {self._read_deadline_seconds:g} seconds; send it again",
            )
        except (OSError, web.RequestPayloadError):
            refusal = _Refusal(400, Fate.CUT_OFF, "the body broke off before its end; send it again")
        body = b"".join(parts)
        if self._is_whole(body):
            return body  # no more of it will come, whatever length was announced
        raise refusal

    def _is_whole(self, body: bytes) -> bool:
        """Whether a body that did not end is an event as it is: no beginning of an object's JSON is one."""
        try:
            decode(unpacked(body, "", self._body_bytes_max), self._now())
        except (NotAnEvent, TooLarge):
            return False
        return True

    def _too_large(self, size: int) -> _Refusal:
        return _Refusal(
            413,
            Fate.TOO_LARGE,
            f"the body has {size} bytes or more, but at most {self._body_bytes_max} are taken "
            "(RECOUNT_BODY_BYTES_MAX)",
        )


_WRONG_KEY: Final = (
    "this key opens nothing; put the service's key into the URL (/webhooks?key=…) or the header X-Secret"
)


_KEYS_UNKNOWN: Final = (
    "Postgres, which knows the keys, does not answer, and the data folder does not tell which it knew last; "
    "send it again"
)
_COME_AGAIN: Final = b"Retry-After: %d\r\n" % RETRY_AFTER_SECONDS


async def _go_on(request: web.Request) -> None:
    """Answer `Expect`: the body is welcome, whatever else is expected; what is refused is not sent again."""
    if request.version == HttpVersion11 and request.headers[hdrs.EXPECT].lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def _ended(receipt: Receipt | Exception) -> tuple[Answer, Fate]:
    """Return the answer to a delivery that was taken; whatever went wrong, there is one."""
    if isinstance(receipt, Receipt):
        return _answer(receipt), _outcome(receipt)
    if isinstance(receipt, SpoolUnavailable):
        return _json({"error": str(receipt)}, 503, _COME_AGAIN), Fate.UNAVAILABLE
    if isinstance(receipt, _Refusal):
        return receipt.answer, receipt.outcome
    _log.error("delivery_failed", exc_info=(type(receipt), receipt, receipt.__traceback__))
    return _json({"error": WENT_WRONG}, 500), Fate.UNAVAILABLE


def _answer(receipt: Receipt) -> Answer:
    if receipt.quarantined is not None:
        return _json(
            {"quarantined": receipt.quarantined, "error": f"the body is no event: {receipt.reason}"}, 202
        )
    if receipt.position is None:
        return Answer(200, b'{"position":null,"duplicate":null,"spooled":true}')
    duplicate = b"true" if receipt.duplicate else b"false"
    return Answer(200, b'{"position":%d,"duplicate":%s,"spooled":false}' % (receipt.position, duplicate))


def _outcome(receipt: Receipt) -> Fate:
    if receipt.quarantined is not None:
        return Fate.QUARANTINED
    if receipt.spooled:
        return Fate.SPOOLED
    return Fate.DUPLICATE if receipt.duplicate else Fate.RECORDED


def _json(content: dict[str, Any], status: int, headers: bytes = b"") -> Answer:
    return Answer(status, orjson.dumps(content), headers)
