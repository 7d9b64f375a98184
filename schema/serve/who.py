"""Says by what a request tells who asks: a token, a cookie that keeps one, or the word of a trusted proxy.

A browser adds the last two by itself, to whatever any page has it send. So they count only for what the
service's own page sends: a page of another origin, of a sibling host too, has to show a token.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from aiohttp import hdrs, web

from schema.context import Caller
from schema.errors import Refused
from schema.serve.origins import is_own
from schema.serve.requests import bearer
from service.given_lists import EVERYBODY, GroupScopes, Network

COOKIE: Final = "recount_session"


class Vouched(NamedTuple):
    """Somebody whom a trusted proxy has let in, and the groups that it says they are in."""

    name: str
    groups: frozenset[str]


Credential = str | Vouched | None
"""A token, whom a proxy vouches for, or nothing."""

Authenticate = Callable[[Credential], Awaitable[Caller | None]]
"""Returns who shows something; None where nobody does."""


class Who:
    """How requests tell who asks, by the settings; without proxies nobody's word is taken."""

    def __init__(
        self,
        proxies: Sequence[Network] = (),
        *,
        user: str = "",
        groups: str = "",
        scopes: Sequence[GroupScopes] = (),
    ) -> None:
        self._proxies, self._scopes = proxies, scopes
        self.not_plain: Final = (hdrs.COOKIE, *((user, groups) if proxies else ()))
        """The headers for which a request has to be looked at here."""

    def of(self, request: web.Request) -> Credential:
        """Return what the request shows; a token that it sends goes before all else.

        Raises Refused where somebody who is no trusted proxy speaks as one.
        """
        vouched = self._vouched(request)
        token = bearer(request.headers.get(hdrs.AUTHORIZATION))
        if token is not None or not is_own(request.headers, request.host):
            return token
        kept = request.cookies.get(COOKIE)
        return vouched or (unquote(kept) if kept else None)

    def caller(self, vouched: Vouched) -> Caller | None:
        """Return what somebody may do, by the first of the settings' groups that they are in."""
        for each in self._scopes:
            if each.group == EVERYBODY or each.group in vouched.groups:
                products = None if each.product_id is None else frozenset({each.product_id})
                return Caller(each.scopes, products)
        return None

    def _vouched(self, request: web.Request) -> Vouched | None:
        said = {name: request.headers.getall(name) for name in self.not_plain[1:] if name in request.headers}
        if not said:
            return None
        if not self._is_trusted(request.remote):
            raise Refused.because(
                f"{next(iter(said))} comes from {request.remote}, which is no proxy of RECOUNT_TRUSTED_PROXY",
                "PROXY_UNTRUSTED",
                status=403,
            )
        if twice := next((name for name, values in said.items() if len(values) > 1), None):
            raise Refused.because(
                f"{twice} is there twice: the proxy has to replace what a client sends, not to add to it",
                "PROXY_AMBIGUOUS",
                status=403,
            )
        name, groups = ("".join(said.get(header, ())).strip() for header in self.not_plain[1:])
        return Vouched(name, frozenset(part.strip() for part in groups.split(","))) if name else None

    def _is_trusted(self, remote: str | None) -> bool:
        try:
            address = ipaddress.ip_address((remote or "").partition("%")[0])
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._proxies)


def keeping(token: str, *, is_https: bool) -> str:
    """Return the Set-Cookie of a token: for as long as the browser is open, and for no script to read."""
    return f"{COOKIE}={quote(token, safe='')}; {_FOR_US}{'; Secure' if is_https else ''}"


_FOR_US: Final = "Path=/; HttpOnly; SameSite=Strict"
LETTING_GO: Final = f"{COOKIE}=; {_FOR_US}; Max-Age=0"
