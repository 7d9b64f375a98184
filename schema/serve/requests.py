"""Reads what a client asks and who it says it is, and refuses what is no request in words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import orjson
from aiohttp import hdrs, web
from graphql import OperationType

from schema.answer.documents import Document, Request
from schema.answer.execute import Operations
from schema.errors import Refused, refusal
from service.intake.unpacking import COMPRESSIONS

JSON: Final = "application/json"
BODY_BYTES_MAX: Final = 512 * 1024
BODY_SECONDS_MAX: Final = 10.0

SCOPES_NAMED: Final = "scopes"
"""The parameter of the URL with which a client asks with fewer scopes than its token has."""


class HashForText(Refused):
    """A persisted query, as Apollo and urql ask whether their document is known here.

    None is kept by its hash: texts are short, and what was prepared is found by them. Clients are told once,
    in the words that have them send the text from then on, and with the status at which they read them.
    """

    def __init__(self) -> None:
        error = refusal("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")
        super().__init__([error], status=200)


async def asked_by(request: web.Request) -> Request:
    """Return what an HTTP request asks; raises Refused."""
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
    encodings = request.headers.get(hdrs.CONTENT_ENCODING, "").lower().split(",")
    if any(name.strip() in COMPRESSIONS for name in encodings):  # some clients name a charset there
        raise Refused.because(
            "the body is packed, as its Content-Encoding says; send JSON as it is",
            "UNSUPPORTED_MEDIA_TYPE",
            status=415,
        )
    return asked_in(await _body(request))


def asked_in(body: bytes) -> Request:
    """Return what a body of JSON asks; raises Refused."""
    try:
        return asked_for(orjson.loads(body))
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
    return asked_for(asked)


def asked_for(asked: object) -> Request:
    """Return a request whose members have the types that the specification gives them; raises Refused.

    A hash in the place of the text raises HashForText, which is one, too.
    """
    if not isinstance(asked, dict):
        raise Refused.because("the body must be a JSON object with a `query`", "BAD_REQUEST")
    query, name = asked.get("query"), asked.get("operationName")
    for member in ("variables", "extensions"):
        if asked.get(member) is not None and not isinstance(asked[member], dict):
            raise Refused.because(f"`{member}` must be an object or null", "BAD_REQUEST")
    if not query and "persistedQuery" in (asked.get("extensions") or {}):
        raise HashForText
    if not isinstance(query, str) or not query:
        raise Refused.because("`query` must be the text of a GraphQL document", "BAD_REQUEST")
    if name is not None and not isinstance(name, str):
        raise Refused.because("`operationName` must be a string or null", "BAD_REQUEST")
    return Request(query, asked.get("variables") or {}, name or None)


async def followed(operations: Operations, asked: Request) -> Document | None:
    """Return the document of a subscription, None where an operation is answered once; raises Refused."""
    document = await operations.documents.prepare(asked.query)
    kind = document.operation(asked.operation_name).operation
    return document if kind is OperationType.SUBSCRIPTION else None


def bearer(header: str | None) -> str | None:
    """Return the token of an Authorization header."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def token_in(payload: dict[str, Any] | None) -> str | None:
    """Return the token of `connection_init`: `token`, or `Authorization` as a header would say it."""
    if payload is None:
        return None
    for name, value in payload.items():
        if name.lower() == "token" and isinstance(value, str):
            return value
        if name.lower() == "authorization" and isinstance(value, str):
            return bearer(value) or value
    return None
