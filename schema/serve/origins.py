"""Says which pages, host names and proxies may ask, before anything of a request is looked at."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.http import HttpVersion

from schema.errors import Refused
from service.hosts import is_loopback

PREFLIGHT_HEADERS: Final = ("GraphQL-Require-Preflight", "Apollo-Require-Preflight", "X-Requested-With")

_ALWAYS_ALLOWED: Final = {
    name.lower(): name for name in ("Authorization", "Content-Type", "Last-Event-ID", *PREFLIGHT_HEADERS)
}
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# fmt: off
_PROXY_WORDS: Final = frozenset({
    "akamai", "amzn", "appengine", "arr", "azure", "cdn", "cf", "cloud", "cloudflare", "cloudfront", "envoy",
    "fastly", "fly", "goog", "ngrok", "original", "proxy", "tailscale", "via",
})
_PLACES: Final = frozenset({"addr", "address", "host", "https", "ip", "port", "proto", "scheme"})
# fmt: on


class Origins:
    """Who may ask: `allowed` are other sites' origins; `open_on_loopback` is a service without tokens.

    Without tokens everybody on this machine may do everything, so what comes from elsewhere has to be told
    apart by what it carries: a foreign `Host` (DNS rebinding), a header that only a proxy adds, or HTTP/1.0
    with `Connection: close`, which is how nginx speaks unless it is told otherwise. A proxy that sends
    HTTP/1.1 and leaves no trace cannot be seen from here; `recount doctor --url` finds it.
    """

    def __init__(self, allowed: frozenset[str], *, open_on_loopback: bool) -> None:
        self._allowed = allowed
        self._open = open_on_loopback

    def check(self, headers: Mapping[str, str], host: str, version: HttpVersion) -> None:
        """Raise Refused where whoever asks may not, whatever they ask for."""
        if self._open:
            _check_is_near(headers, host, version)
        origin = headers.get(hdrs.ORIGIN)
        if origin is None or origin in self._allowed or _host_of(origin) == host.lower():
            return
        raise Refused.because(
            f"pages from {origin[:80]!r} may not ask; allow them with RECOUNT_ALLOWED_ORIGINS",
            "ORIGIN_FORBIDDEN",
            status=403,
        )

    def check_preflighted(self, request: web.Request) -> None:
        """Refuse what a browser sends for another site without having asked: simple requests."""
        if request.method == hdrs.METH_POST:
            return  # only application/json is taken, and no form can send that
        if hdrs.ORIGIN in request.headers:
            return  # `check` knows it: a page's EventSource can send no header of its own
        if request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
            return
        if (
            any(name in request.headers for name in PREFLIGHT_HEADERS)
            or request.content_type == "application/json"
        ):
            return
        raise Refused.because(
            f"a GET from a page needs the header {PREFLIGHT_HEADERS[0]}, so that browsers ask first",
            "PREFLIGHT_REQUIRED",
            status=403,
        )

    def cors(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers that let an allowed page read the answer."""
        origin = headers.get(hdrs.ORIGIN)
        if origin is None or origin not in self._allowed:
            return {}
        return {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin}

    def preflight(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of the answer to a browser that asks whether it may ask.

        An allowed page may send whatever headers it likes, since Apollo's, Sentry's and tracing's have no
        end: none of them opens anything but a token, which no browser adds by itself.
        """
        answered = {hdrs.ALLOW: "GET, HEAD, OPTIONS, POST", **self.cors(headers)}
        if hdrs.ACCESS_CONTROL_ALLOW_ORIGIN in answered:
            answered[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "GET, POST"
            asked = headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "")
            names = [name for name in _NAME.findall(asked[:2_000]) if name.lower() not in _ALWAYS_ALLOWED]
            answered[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = ", ".join((*_ALWAYS_ALLOWED.values(), *names))
            answered[hdrs.ACCESS_CONTROL_MAX_AGE] = "600"
        return answered


def is_own(headers: Mapping[str, str], host: str) -> bool:
    """Whether it is a page of this very host that sends this, or no page at all."""
    origin = headers.get(hdrs.ORIGIN)
    if origin is not None:
        return _host_of(origin) == host.lower()
    return headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")


def _check_is_near(headers: Mapping[str, str], host: str, version: HttpVersion) -> None:
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    if not is_loopback(name):
        raise Refused.because(
            f"without tokens only localhost is answered, not {host[:80]!r}; set RECOUNT_API_TOKENS",
            "HOST_FORBIDDEN",
            status=403,
        )
    trace = next((header for header in headers if _is_of_a_proxy(header)), None)
    if trace is None and version < HttpVersion11 and headers.get(hdrs.CONNECTION, "").lower() == "close":
        trace = "HTTP/1.0 with Connection: close"
    if trace is not None:
        raise Refused.because(
            f"without tokens nothing is answered through a proxy, and {trace[:80]!r} tells of one; "
            "set RECOUNT_API_TOKENS",
            "PROXY_FORBIDDEN",
            status=403,
        )


@lru_cache(maxsize=1024)
def _is_of_a_proxy(header: str) -> bool:
    """Tell whether proxies, balancers, tunnels and delivery networks alone send this: `X-Real-IP`, `Via`."""
    words = header.lower().replace("_", "-").split("-")
    names_a_place = len(words) > 1 and words[-1] in _PLACES
    return "forward" in header.lower() or names_a_place or not _PROXY_WORDS.isdisjoint(words)


def _host_of(origin: str) -> str | None:
    try:
        return urllib.parse.urlsplit(origin).netloc.lower()
    except ValueError:
        return None
