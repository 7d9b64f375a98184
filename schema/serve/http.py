"""Serves /graphql: GraphQL over HTTP to the letter, and the way in for WebSockets and event streams."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson
from aiohttp import StreamReader, hdrs, web
from aiohttp.http import RawRequestMessage
from graphql import GraphQLError

from schema.answer.documents import Request
from schema.answer.execute import Observed, Operations, Outcome
from schema.answer.limits import Limits
from schema.context import Caller, Context, Services
from schema.errors import Refused, told
from schema.live.subscribe import Live
from schema.serve.held import SocketLimits
from schema.serve.origins import Origins
from schema.serve.requests import (
    BODY_BYTES_MAX,
    JSON,
    SCOPES_NAMED,
    asked_by,
    asked_in,
    bearer,
    followed,
)
from schema.serve.session import Session
from schema.serve.sse import HEADERS as STREAM_HEADERS
from schema.serve.sse import EventStreams
from schema.serve.websocket import Sockets
from schema.serve.who import Authenticate, Credential, Vouched, Who
from service.errors import PostgresAway
from service.web.runner import Answer, add_shortcut

if TYPE_CHECKING:
    from schema.build import Schema

RESPONSE_JSON: Final = "application/graphql-response+json"
EVENTS: Final = "text/event-stream"
HTML: Final = "text/html"
GZIP_BYTES_MIN: Final = 1_400
GZIP_THREAD_BYTES: Final = 256 * 1024

_SECURITY: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Vary": "Accept, Accept-Encoding, Origin",
}
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class GraphQLEndpoint:
    """The handlers of /graphql with all that they hold; `close` ends sockets and streams."""

    route = "/graphql"

    def __init__(
        self,
        schema: Schema,
        services: Services,
        authenticate: Authenticate,
        *,
        limits: Limits | None = None,
        socket_limits: SocketLimits | None = None,
        timeout_seconds: float = 10.0,
        debug: bool = False,
        open_on_loopback: bool = False,
        allowed_origins: frozenset[str] = frozenset(),
        graphiql: Path | None = None,
        observed: Observed | None = None,
        who: Who | None = None,
    ) -> None:
        self.services = services
        self.operations = Operations(
            schema, limits, timeout_seconds=timeout_seconds, debug=debug, observed=observed
        )
        self.live = Live(services, self.operations)
        self.sockets = Sockets(services, self.operations, self.live, authenticate, socket_limits)
        self.streams = EventStreams(
            self.operations,
            self.live,
            streams_max=self.sockets.limits.sockets_max,
            operations_of=self.sockets.operations_of,
        )
        self._authenticate = authenticate
        self._who = who or Who()
        self._not_plain = (*_NOT_PLAIN, *self._who.not_plain)
        self._origins = Origins(allowed_origins, open_on_loopback=open_on_loopback)
        self._graphiql = graphiql
        self._on_the_way: set[asyncio.Task[None]] = set()

    def add_to(self, application: web.Application) -> None:
        """Have an application serve this, plain operations by the shortcut."""
        application.add_routes([web.route("*", self.route, self.handle)])
        application.add_routes(Session(self._who, self._authenticate, self._origins).routes())
        if self._graphiql is not None:
            application.add_routes([web.get("/graphiql/{file:.+}", self._file)])
        application.on_shutdown.append(self.close)
        add_shortcut(application, self)

    async def close(self, _app: web.Application | None = None) -> None:
        """Close sockets with 1001, end streams, let feeds go; takes seconds at most."""
        await self.streams.close()
        await self.sockets.close()
        await self.live.close()
        self.operations.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer whatever comes to /graphql."""
        try:
            self._origins.check(request.headers, request.host, request.version)
            return await self._dispatch(request)
        except Refused as refused:
            return (await self._refusal(request.headers, refused, request.method)).response()
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:
            return self._apology(error).response()

    def take(
        self, message: RawRequestMessage, payload: StreamReader, answered: Callable[[Answer], None]
    ) -> bool:
        """Answer an operation as `handle` does, if its body came whole and nothing but JSON is asked for.

        Most do; see service.web.runner.Shortcut.
        """
        headers = message.headers
        host = headers.get(hdrs.HOST)
        if (
            message.method != hdrs.METH_POST
            or message.path != self.route
            or host is None
            or headers.get(hdrs.CONTENT_TYPE) not in _PLAIN_TYPES
            or not payload.is_eof()
            or not 0 < payload.total_bytes <= BODY_BYTES_MAX
            or any(name in headers for name in self._not_plain)
        ):
            return False
        media_type = _media_type(headers)
        if media_type not in (JSON, RESPONSE_JSON) or _accepts_events(headers):
            return False
        try:
            self._origins.check(headers, host, message.version)
        except Refused:
            return False
        task = asyncio.create_task(self._take(headers, media_type, payload.read_nowait(), answered))
        self._on_the_way.add(task)
        task.add_done_callback(self._on_the_way.discard)
        return True

    async def _take(
        self, headers: Mapping[str, str], media_type: str, body: bytes, answered: Callable[[Answer], None]
    ) -> None:
        try:
            caller = await self._caller(bearer(headers.get(hdrs.AUTHORIZATION)))
            answer = await self.operations.execute(asked_in(body), Context(self.services, caller))
            reply = await self._reply(headers, answer, media_type)
        except Refused as refused:
            reply = await self._refusal(headers, refused, hdrs.METH_POST)
        except Exception as error:
            reply = self._apology(error)
        answered(reply.sent())

    async def _refusal(self, headers: Mapping[str, str], refused: Refused, method: str) -> _Reply:
        answer = self.operations.refuse(refused)
        reply = await self._reply(headers, answer, _media_type(headers) or JSON, request_failed=True)
        if refused.status == 405:
            reply.headers[hdrs.ALLOW] = "GET, HEAD, OPTIONS, POST" if method not in _METHODS else "POST"
        if refused.status == 401:
            reply.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        return reply

    def _apology(self, error: Exception) -> _Reply:
        located = GraphQLError(str(error), path=["request"], original_error=error)
        body = orjson.dumps({"errors": told([located], debug=self.operations.debug)})
        return _Reply(500, dict(_SECURITY), JSON, body)

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        if request.method == hdrs.METH_OPTIONS:
            return web.Response(status=204, headers=_SECURITY | self._origins.preflight(request.headers))
        if request.method not in _METHODS:
            raise Refused.because(
                f"{request.method} is not a method of GraphQL over HTTP", "METHOD", status=405
            )
        if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
            return await self.sockets.serve(request, self._who.of(request))
        if self._wants_page(request):
            return self._page()
        self._origins.check_preflighted(request)
        media_type = _media_type(request.headers)
        if media_type is None:
            raise Refused.because(
                f"none of the accepted types can be had; ask for {RESPONSE_JSON}, {JSON} or {EVENTS}",
                "NOT_ACCEPTABLE",
                status=406,
            )
        credential = self._who.of(request)
        caller = await self._caller(credential)
        caller = caller.with_at_most(request.query.get(SCOPES_NAMED))
        if request.method == hdrs.METH_HEAD and media_type == EVENTS:
            return web.Response(headers=STREAM_HEADERS | self._origins.cors(request.headers))
        asked = await asked_by(request)
        context = Context(self.services, caller)
        only_queries = request.method != hdrs.METH_POST
        if media_type == EVENTS or (_accepts_events(request.headers) and await self._is_followed(asked)):
            return await self._stream(request, asked, context, credential, only_queries=only_queries)
        answer = await self.operations.execute(asked, context, only_queries=only_queries)
        if answer.status == 405:
            raise Refused.because("a mutation is sent by POST", "MUTATION_BY_GET", status=405)
        return (await self._reply(request.headers, answer, media_type)).response()

    async def _stream(
        self,
        request: web.Request,
        asked: Request,
        context: Context,
        credential: Credential,
        *,
        only_queries: bool,
    ) -> web.StreamResponse:
        async def still_valid() -> bool:
            known = await self._authenticate(credential)
            return known is not None and known.with_at_most(request.query.get(SCOPES_NAMED)) == context.caller

        return await self.streams.serve(
            request,
            asked,
            context,
            still_valid,
            headers=self._origins.cors(request.headers),
            only_queries=only_queries,
        )

    async def _is_followed(self, asked: Request) -> bool:
        try:
            return await followed(self.operations, asked) is not None
        except Refused:
            return False  # told where it is executed

    async def _caller(self, credential: Credential) -> Caller:
        try:
            caller = await self._authenticate(credential)
        except PostgresAway as away:
            raise Refused.because(str(away), "POSTGRES_AWAY", status=503) from away
        if caller is None:
            raise _nobody(credential)
        return caller

    async def _reply(
        self, headers: Mapping[str, str], answer: Outcome, media_type: str, *, request_failed: bool = False
    ) -> _Reply:
        """Return what is sent; application/json says 200 to all that is well-formed, the other says more."""
        well_formed = not request_failed and answer.status in (200, 400, 504)
        status = 200 if answer.executed or (well_formed and media_type == JSON) else answer.status
        if media_type not in (JSON, RESPONSE_JSON):
            media_type = JSON
        sent = {**_SECURITY, **self._origins.cors(headers)}
        body = answer.body
        if len(body) >= GZIP_BYTES_MIN and _accepts_gzip(headers):
            sent[hdrs.CONTENT_ENCODING] = "gzip"
            if len(body) < GZIP_THREAD_BYTES:
                body = gzip.compress(body, 1, mtime=0)
            else:
                body = await asyncio.to_thread(gzip.compress, body, 1, mtime=0)
        return _Reply(status, sent, f"{media_type}; charset=utf-8", body)

    # GraphiQL

    def _wants_page(self, request: web.Request) -> bool:
        if self._graphiql is None or request.method == hdrs.METH_POST:
            return False
        accepted = _accepted(request.headers.get(hdrs.ACCEPT))
        page = accepted.get(HTML, 0.0)
        return page > 0 and page >= max(accepted.get(JSON, 0.0), accepted.get(RESPONSE_JSON, 0.0))

    def _page(self) -> web.StreamResponse:
        assert self._graphiql is not None
        return web.FileResponse(self._graphiql / "index.html", headers=_PAGE_HEADERS)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        assert self._graphiql is not None
        path = (self._graphiql / request.match_info["file"]).resolve()
        if not path.is_relative_to(self._graphiql.resolve()) or not path.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(path, headers={**_PAGE_HEADERS, hdrs.CACHE_CONTROL: "no-cache"})


def _nobody(credential: Credential) -> Refused:
    """Return the refusal of who shows nothing, or what opens nothing."""
    message = "a valid token is needed: send it as `Authorization: Bearer …`"
    if isinstance(credential, Vouched):
        message = (
            f"the proxy let {credential.name[:80]!r} in, but RECOUNT_TRUSTED_PROXY_SCOPES says of no "
            "group of theirs what they may do; a token opens, too"
        )
    return Refused.because(message, "UNAUTHENTICATED", status=401)


@dataclass(slots=True)
class _Reply:
    """What is sent, whichever way the request came."""

    status: int
    headers: dict[str, str]
    content_type: str
    body: bytes

    def response(self) -> web.Response:
        headers = {**self.headers, hdrs.CONTENT_TYPE: self.content_type}
        return web.Response(body=self.body, status=self.status, headers=headers)

    def sent(self) -> Answer:
        return Answer(self.status, self.body, _lines(tuple(self.headers.items())), self.content_type.encode())


@lru_cache(maxsize=128)
def _lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode()


_PLAIN_TYPES: Final = frozenset({JSON, f"{JSON}; charset=utf-8", f"{JSON};charset=utf-8"})
_NOT_PLAIN: Final = (hdrs.CONTENT_ENCODING, hdrs.EXPECT, hdrs.UPGRADE)
_METHODS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_POST})
_PAGE_HEADERS: Final = {
    **_SECURITY,
    "Content-Security-Policy": _PAGE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


@lru_cache(maxsize=128)
def _accepted(header: str | None) -> Mapping[str, float]:
    """Return the media types of an Accept header with how much they are wanted."""
    accepted: dict[str, float] = {}
    for part in (header or "*/*").split(",")[:50]:
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
            if name.strip() == "charset" and value.strip('" ') not in ("utf-8", "utf8"):
                quality = 0.0
        accepted[media_type] = max(quality, accepted.get(media_type, 0.0))
    return accepted


def _media_type(headers: Mapping[str, str]) -> str | None:
    """Return the best media type that the client accepts; None when it accepts none of ours.

    A client that names none, or takes anything, gets application/json, as the specification has it. Where it
    wants an event stream as much as JSON, as urql does, only what cannot be answered otherwise comes as one.
    """
    return _best_media_type(headers.get(hdrs.ACCEPT))


@lru_cache(maxsize=128)
def _best_media_type(header: str | None) -> str | None:
    accepted = _accepted(header)

    def wanted(media_type: str) -> float:
        return accepted.get(media_type, 0.0)

    best = max((RESPONSE_JSON, JSON, EVENTS), key=wanted)
    if wanted(best) > 0:
        return best
    ranges = {JSON: ("application/*", "*/*"), RESPONSE_JSON: ("application/*", "*/*"), EVENTS: ("text/*",)}
    for media_type, names in ranges.items():
        # What is named with q=0 is not wanted, whatever else is.
        if media_type not in accepted and max(map(wanted, names)) > 0:
            return media_type
    return None


def _accepts_events(headers: Mapping[str, str]) -> bool:
    return _accepted(headers.get(hdrs.ACCEPT)).get(EVENTS, 0.0) > 0


def _accepts_gzip(headers: Mapping[str, str]) -> bool:
    encodings = _accepted(headers.get(hdrs.ACCEPT_ENCODING, "identity"))
    return encodings.get("gzip", encodings.get("*", 0.0)) > 0
