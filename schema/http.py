"""Serves /graphql: GraphQL over HTTP to the letter, and the way in for WebSockets and event streams."""

from __future__ import annotations

import asyncio
import gzip
import urllib.parse
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import hdrs, web
from graphql import GraphQLError

from schema.context import Caller, Context, Services
from schema.errors import Refused, told
from schema.limits import Limits
from schema.live import Live
from schema.operation import Answer, Observed, Operations, Request
from schema.transport_sse import EventStreams
from schema.transport_ws import Authenticate, SocketLimits, Sockets, bearer

if TYPE_CHECKING:
    import strawberry

JSON: Final = "application/json"
RESPONSE_JSON: Final = "application/graphql-response+json"
EVENTS: Final = "text/event-stream"
HTML: Final = "text/html"
PREFLIGHT_HEADERS: Final = ("GraphQL-Require-Preflight", "Apollo-Require-Preflight", "X-Requested-With")
BODY_BYTES_MAX: Final = 512 * 1024
BODY_SECONDS_MAX: Final = 10.0
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
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


class GraphQLEndpoint:
    """The handlers of /graphql with all that they hold; `close` ends sockets and streams."""

    def __init__(
        self,
        schema: strawberry.Schema,
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
        path: str = "/graphql",
        fast: bool = True,
        observed: Observed | None = None,
    ) -> None:
        self.services = services
        self.operations = Operations(
            schema, limits, timeout_seconds=timeout_seconds, debug=debug, fast=fast, observed=observed
        )
        self.live = Live(services, self.operations)
        self.sockets = Sockets(services, self.operations, self.live, authenticate, socket_limits)
        self.streams = EventStreams(
            self.operations,
            self.live,
            streams_max=self.sockets.limits.sockets_max,
            operations_of=self.sockets.operations_of,
            operations_address_max=self.sockets.limits.operations_address_max,
        )
        self._authenticate = authenticate
        self._open_on_loopback = open_on_loopback
        self._allowed_origins = allowed_origins
        self._graphiql = graphiql
        self._path = path

    @property
    def routes(self) -> list[web.AbstractRouteDef]:
        """The routes to add to an application."""
        routes: list[web.AbstractRouteDef] = [web.route("*", self._path, self.handle)]
        if self._graphiql is not None:
            routes.append(web.get("/graphiql/{file:.+}", self._file))
        return routes

    async def close(self, _app: web.Application | None = None) -> None:
        """Close sockets with 1001, end streams, let feeds go; takes seconds at most."""
        await self.streams.close()
        await self.sockets.close()
        await self.live.close()
        self.operations.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer whatever comes to /graphql."""
        try:
            self._check_origin(request)
            response = await self._dispatch(request)
        except Refused as refused:
            response = await self._respond(
                request, self.operations.refuse(refused), _media_type(request) or JSON, request_failed=True
            )
            if refused.status == 405:
                response.headers[hdrs.ALLOW] = (
                    "GET, HEAD, OPTIONS, POST" if request.method not in _METHODS else "POST"
                )
            if refused.status == 401:
                response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:
            response = self._apologise(error)
        return response

    def _apologise(self, error: Exception) -> web.Response:
        located = GraphQLError(str(error), path=["request"], original_error=error)
        body = orjson.dumps({"errors": told([located], debug=self.operations.debug)})
        return web.Response(body=body, status=500, headers={**_SECURITY, hdrs.CONTENT_TYPE: JSON})

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        if request.method == hdrs.METH_OPTIONS:
            return self._preflight(request)
        if request.method not in _METHODS:
            raise Refused.because(
                f"{request.method} is not a method of GraphQL over HTTP", "METHOD", status=405
            )
        if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
            return await self.sockets.serve(request)
        if self._wants_page(request):
            return self._page()
        self._check_preflighted(request)
        media_type = _media_type(request)
        if media_type is None:
            raise Refused.because(
                f"none of the accepted types can be had; ask for {RESPONSE_JSON}, {JSON} or {EVENTS}",
                "NOT_ACCEPTABLE",
                status=406,
            )
        caller = await self._caller(request)
        asked = await _asked(request)
        context = Context(self.services, caller)
        only_queries = request.method != hdrs.METH_POST
        if media_type == EVENTS:

            async def still_valid() -> bool:
                token = bearer(request.headers.get(hdrs.AUTHORIZATION))
                return await self._authenticate(token) == caller

            return await self.streams.serve(request, asked, context, still_valid, only_queries=only_queries)
        answer = await self.operations.execute(asked, context, only_queries=only_queries)
        if answer.status == 405:
            raise Refused.because("a mutation is sent by POST", "MUTATION_BY_GET", status=405)
        return await self._respond(request, answer, media_type)

    async def _caller(self, request: web.Request) -> Caller:
        caller = await self._authenticate(bearer(request.headers.get(hdrs.AUTHORIZATION)))
        if caller is None:
            raise Refused.because(
                "a valid token is needed: send it as `Authorization: Bearer …`", "UNAUTHENTICATED", status=401
            )
        return caller

    async def _respond(
        self, request: web.Request, answer: Answer, media_type: str, *, request_failed: bool = False
    ) -> web.Response:
        """Return the response; application/json says 200 to all that is well-formed, the other says more."""
        well_formed = not request_failed and answer.status in (200, 400, 504)
        status = 200 if answer.executed or (well_formed and media_type == JSON) else answer.status
        if media_type not in (JSON, RESPONSE_JSON):
            media_type = JSON
        headers = {**_SECURITY, **self._cors(request), hdrs.CONTENT_TYPE: f"{media_type}; charset=utf-8"}
        body = answer.body
        if len(body) >= GZIP_BYTES_MIN and _accepts_gzip(request):
            headers[hdrs.CONTENT_ENCODING] = "gzip"
            if len(body) < GZIP_THREAD_BYTES:
                body = gzip.compress(body, 1, mtime=0)
            else:
                body = await asyncio.to_thread(gzip.compress, body, 1, mtime=0)
        return web.Response(body=body, status=status, headers=headers)

    # Who may ask from where

    def _check_origin(self, request: web.Request) -> None:
        """Refuse pages of other sites, and names that point here only by a trick (DNS rebinding)."""
        if self._open_on_loopback:
            name = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
            if name.lower() not in _LOOPBACK_NAMES:
                raise Refused.because(
                    f"without tokens only localhost is answered, not {request.host[:80]!r}; "
                    "set RECOUNT_API_TOKENS",
                    "HOST_FORBIDDEN",
                    status=403,
                )
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin in self._allowed_origins:
            return
        if urllib.parse.urlsplit(origin).netloc.lower() != request.host.lower():
            raise Refused.because(
                f"pages from {origin[:80]!r} may not ask; allow them with RECOUNT_ALLOWED_ORIGINS",
                "ORIGIN_FORBIDDEN",
                status=403,
            )

    def _check_preflighted(self, request: web.Request) -> None:
        """Refuse what a browser sends for another site without having asked: simple requests."""
        if request.method == hdrs.METH_POST:
            return  # only application/json is taken, and no form can send that
        site = request.headers.get("Sec-Fetch-Site", "none")
        if request.headers.get(hdrs.ORIGIN) is None and site in ("none", "same-origin"):
            return
        if any(name in request.headers for name in PREFLIGHT_HEADERS) or request.content_type == JSON:
            return
        raise Refused.because(
            f"a GET from a page needs the header {PREFLIGHT_HEADERS[0]}, so that browsers ask first",
            "PREFLIGHT_REQUIRED",
            status=403,
        )

    def _cors(self, request: web.Request) -> dict[str, str]:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin not in self._allowed_origins:
            return {}
        return {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin}

    def _preflight(self, request: web.Request) -> web.Response:
        headers = {**_SECURITY, hdrs.ALLOW: "GET, HEAD, OPTIONS, POST", **self._cors(request)}
        if hdrs.ACCESS_CONTROL_ALLOW_ORIGIN in headers:
            headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "GET, POST"
            headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = ", ".join(
                ("Authorization", "Content-Type", "Last-Event-ID", *PREFLIGHT_HEADERS)
            )
            headers[hdrs.ACCESS_CONTROL_MAX_AGE] = "600"
        return web.Response(status=204, headers=headers)

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


def _media_type(request: web.Request) -> str | None:
    """Return the best media type that the client accepts; None when it accepts none of ours.

    A client that names none, or takes anything, gets application/json, as the specification has it.
    """
    return _best_media_type(request.headers.get(hdrs.ACCEPT))


@lru_cache(maxsize=128)
def _best_media_type(header: str | None) -> str | None:
    accepted = _accepted(header)

    def wanted(media_type: str) -> float:
        return accepted.get(media_type, 0.0)

    best = max((EVENTS, RESPONSE_JSON, JSON), key=wanted)
    if wanted(best) > 0:
        return best
    anything = max(wanted("*/*"), wanted("application/*"))
    if anything > 0:
        return JSON
    return EVENTS if wanted("text/*") > 0 else None


def _accepts_gzip(request: web.Request) -> bool:
    encodings = _accepted(request.headers.get(hdrs.ACCEPT_ENCODING, "identity"))
    return encodings.get("gzip", encodings.get("*", 0.0)) > 0


async def _asked(request: web.Request) -> Request:
    if request.method != hdrs.METH_POST:
        return _asked_in_url(request.query)
    if request.content_type != JSON:
        raise Refused.because(
            f"send the request as {JSON}, not as {request.content_type[:60]!r}",
            "UNSUPPORTED_MEDIA_TYPE",
            status=415,
        )
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise Refused.because("JSON is sent in utf-8", "UNSUPPORTED_MEDIA_TYPE", status=415)
    try:
        return _checked(orjson.loads(await _body(request)))
    except orjson.JSONDecodeError as error:
        raise Refused.because(f"the body is not JSON: {error}", "BAD_REQUEST") from None


async def _body(request: web.Request) -> bytes:
    """Return the body; one that is too long or never ends is refused."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    raise Refused.because(
                        f"the body is longer than {BODY_BYTES_MAX} bytes", "BODY_TOO_LARGE", status=413
                    )
    except TimeoutError:
        raise Refused.because(
            f"the body did not arrive within {BODY_SECONDS_MAX:g} seconds", "BODY_TOO_SLOW", status=408
        ) from None
    return bytes(body)


def _asked_in_url(query: Mapping[str, str]) -> Request:
    asked: dict[str, Any] = {name: query[name] for name in ("query", "operationName") if name in query}
    for name in ("variables", "extensions"):
        if query.get(name):
            try:
                asked[name] = orjson.loads(query[name])
            except orjson.JSONDecodeError as error:
                raise Refused.because(f"{name} is not JSON: {error}", "BAD_REQUEST") from None
    return _checked(asked)


def _checked(asked: object) -> Request:
    """Return a request whose members have the types that the specification gives them."""
    if not isinstance(asked, dict):
        raise Refused.because("the body must be a JSON object with a `query`", "BAD_REQUEST")
    query, name = asked.get("query"), asked.get("operationName")
    if not isinstance(query, str) or not query:
        raise Refused.because("`query` must be the text of a GraphQL document", "BAD_REQUEST")
    if name is not None and not isinstance(name, str):
        raise Refused.because("`operationName` must be a string or null", "BAD_REQUEST")
    for member in ("variables", "extensions"):
        if asked.get(member) is not None and not isinstance(asked[member], dict):
            raise Refused.because(f"`{member}` must be an object or null", "BAD_REQUEST")
    return Request(query, asked.get("variables") or {}, name or None)
