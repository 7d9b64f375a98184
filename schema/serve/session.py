"""Serves /session: says who asks, has a browser keep a token while it is open, and lets go of it.

Other sites' pages reach none of it: nothing is done without a header or method that a browser asks for first.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from aiohttp import hdrs, web

from schema.context import Caller
from schema.errors import Refused
from schema.serve.origins import Origins
from schema.serve.requests import bearer
from schema.serve.who import LETTING_GO, Authenticate, Credential, Vouched, Who, keeping
from service.errors import PostgresAway

PATH: Final = "/session"
_HEADERS: Final = {
    hdrs.CACHE_CONTROL: "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Session:
    """The handlers of /session."""

    def __init__(self, who: Who, authenticate: Authenticate, origins: Origins) -> None:
        self._who, self._authenticate, self._origins = who, authenticate, origins

    def routes(self) -> list[web.AbstractRouteDef]:
        """The routes to add to an application."""
        return [web.get(PATH, self._tell), web.post(PATH, self._keep), web.delete(PATH, self._let_go)]

    async def _tell(self, request: web.Request) -> web.Response:
        """Say who asks and what they may do; of nobody, that they may do nothing."""
        try:
            self._origins.check(request.headers, request.host, request.version)
            credential = self._who.of(request)
            caller = await self._authenticate(credential)
        except (Refused, PostgresAway) as error:
            return _refusal(error)
        return _answer(_told(request, credential, caller))

    async def _keep(self, request: web.Request) -> web.Response:
        """Have the browser keep the token that it sends, where that opens anything."""
        token = bearer(request.headers.get(hdrs.AUTHORIZATION))
        try:
            self._origins.check(request.headers, request.host, request.version)
            caller = None if token is None else await self._authenticate(token)
        except (Refused, PostgresAway) as error:
            return _refusal(error)
        if token is None or caller is None:
            why = (
                "this token opens nothing: it is mistyped, revoked or has expired; recount keys add makes one"
            )
            return _answer({"error": why}, 401)
        is_https = request.headers.get(hdrs.ORIGIN, "").startswith("https:")
        return _answer(_told(request, token, caller), cookie=keeping(token, is_https=is_https))

    async def _let_go(self, request: web.Request) -> web.Response:
        """Have the browser forget it."""
        try:
            self._origins.check(request.headers, request.host, request.version)
        except Refused as refused:
            return _refusal(refused)
        return _answer({"scopes": []}, cookie=LETTING_GO)


def _told(request: web.Request, credential: Credential, caller: Caller | None) -> dict[str, Any]:
    if caller is None:
        return {"scopes": []}
    by, name = "cookie", None
    if isinstance(credential, Vouched):
        by, name = "proxy", credential.name
    elif credential is None:
        by = "machine"
    elif request.method == hdrs.METH_GET and bearer(request.headers.get(hdrs.AUTHORIZATION)):
        by = "token"
    return {"by": by, "name": name, "scopes": sorted(caller.scopes), "products": caller.product_ids}


def _refusal(error: Refused | PostgresAway) -> web.Response:
    return _answer({"error": str(error)}, error.status if isinstance(error, Refused) else 503)


def _answer(content: dict[str, Any], status: int = 200, *, cookie: str | None = None) -> web.Response:
    headers = _HEADERS if cookie is None else {**_HEADERS, hdrs.SET_COOKIE: cookie}
    return web.Response(
        body=orjson.dumps(content), status=status, content_type="application/json", headers=headers
    )
