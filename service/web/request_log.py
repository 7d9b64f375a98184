"""Writes a line for each request that was answered.

Nothing that was sent gets into it: no query string, no body, no header, no address.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import structlog
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from service.lines import as_json_line, plain_lines
from service.web.metrics import Metrics

METRICS: Final = web.AppKey("metrics", Metrics)
"""Where the application keeps the metrics that each answered request is counted in."""

UNMATCHED: Final = "unmatched"
OTHER_METHOD: Final = "OTHER"

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS"})

_requests = structlog.get_logger("request")


class AccessLog(AbstractAccessLogger):
    """One line for each request that was answered, and one more in `recount_http_requests_total`.

    Give it to the runner: `web.AppRunner(app, access_log_class=AccessLog)`. Aiohttp's own line would hold
    the query string, with the key.
    """

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write the line; `time` is in seconds."""
        route, metrics = _matched(request)
        tell_answered(metrics, route, request.method, response.status, time)


def tell_answered(metrics: Metrics | None, route: str, method: str, status: int, seconds: float) -> None:
    """Write the line of one answered request, and count it; `route` is the pattern that matched."""
    if method not in _METHODS:
        method = OTHER_METHOD
    if metrics is not None:
        metrics.http(route, method, status)
    seconds = round(seconds, 3)  # uvloop's clock is no finer
    if (lines := plain_lines()) is not None:
        # The same line as below, without the way through structlog, which costs more than the rest of it.
        head = _head_of_line(method, route, status)
        lines.msg(f'{head},"seconds":{seconds},"event":"request","level":"info","at":"{_now()}"}}')
    else:
        _requests.info("request", method=method, route=route, status=status, seconds=seconds)


@lru_cache(maxsize=256)
def _head_of_line(method: str, route: str, status: int) -> str:
    return as_json_line(None, "", {"method": method, "route": route, "status": status})[:-1]


def _now() -> str:
    """Return the time as structlog writes it."""
    second, microseconds = divmod(time.time_ns() // 1_000, 1_000_000)
    return f"{_to_the_second(second)}.{microseconds:06d}Z"


@lru_cache(maxsize=1)
def _to_the_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


def _matched(request: web.BaseRequest) -> tuple[str, Metrics | None]:
    """The pattern that matched, not the path, which may hold a misplaced key, say; and the metrics."""
    try:
        assert isinstance(request, web.Request)
        resource = request.match_info.route.resource
        metrics = request.app.get(METRICS)
    except (AssertionError, AttributeError):  # what is no HTTP got to no application
        return UNMATCHED, None
    return UNMATCHED if resource is None else resource.canonical, metrics
