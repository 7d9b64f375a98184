"""A made-up Sleekplan: its REST API over a simulated board that moves, on loopback, for tests and the demo.

    fake = FakeSleekplan(traffic, Variant(votes="refused"))
    async with fake.serving() as url:
        ...

It keeps what it was asked, and says in `broken` where somebody did what Sleekplan's client must not.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import orjson
from aiohttp import web

from service.simulator.payloads import quoted
from service.simulator.rows import BoardRows, Listed, Row
from service.simulator.traffic import Traffic
from service.simulator.variant import Variant

ELSEWHERE = "/elsewhere"
_HUGE_BYTES = 40 * 1024 * 1024
_PAGE_DEFAULT, _PAGE_CAPPED, _PAGE_MOST = 10, 50, 100
_LISTS = {"posts": "feedback_id", "users": "user_id", "updates": "changelog_id"}
_SURVEYS = ("satisfaction", "promoter")


class FakeSleekplan:
    """Sleekplan's API over one board. `key` is the one it takes; `asked` every request, path and query."""

    def __init__(self, traffic: Traffic, variant: Variant | None = None, *, key: str | None = None) -> None:
        self.traffic, self.variant = traffic, Variant() if variant is None else variant
        self.key = secrets.token_urlsafe(24) if key is None else key
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.broken: list[str] = []
        self.before_request: Callable[[int], Awaitable[None]] | None = None
        """Called with each request's number, from 1, before it is answered: where the board may move."""
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        """Sleekplan's clock."""
        self.fastest = 0.0
        """The least time between two requests that is allowed, in seconds."""
        self._last_at = 0.0
        self._refused = False

    def move(self, now: datetime) -> bytes:
        """Let something happen on the board; return the webhook's body, to be delivered or to be lost."""
        return self.traffic.next_body(now)

    @property
    def rows(self) -> BoardRows:
        """What stands on the board, as the API lists it."""
        return BoardRows(self.traffic, self.variant)

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[str]:
        """Answer on loopback until the block ends; yields the API's address."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", port)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.asked.append((request.path, query))
        number = len(self.asked)
        self._watch(request)
        if self.before_request is not None:
            await self.before_request(number)
        answer = await self._answer(request, number, query)
        if self.variant.ahead_seconds is None:
            answer.headers["Date"] = ""
        else:
            ahead = timedelta(seconds=self.variant.ahead_seconds)
            answer.headers["Date"] = format_datetime(self.now() + ahead, usegmt=True)
        return answer

    def _watch(self, request: web.Request) -> None:
        """Note what a client of Sleekplan's must not do."""
        now = time.monotonic()
        if request.headers.get("Authorization") != f"Bearer {self.key}" and self.variant.rights != "401":
            self.broken.append("the key is not in the header")
        if self.key in request.path_qs:
            self.broken.append("the key is in the address")
        if request.method != "GET":
            self.broken.append(f"{request.method} writes")
        if self._refused:
            self.broken.append("asked on after a 401")
        if request.path.startswith(ELSEWHERE):
            self.broken.append("followed a redirect")
        if now - self._last_at < self.fastest:
            self.broken.append("asked too fast")
        self._last_at = now

    async def _answer(self, request: web.Request, number: int, query: dict[str, str]) -> web.StreamResponse:
        variant, path = self.variant, request.path.removeprefix("/v1/")
        if variant.rights == "401" or 0 < variant.refused_from <= number:
            self._refused = True
            return _error(401, "invalid api key")
        if variant.rights == "403_everything" or (variant.rights == "403_users" and path == "users"):
            return _error(403, "no permission")
        if variant.limit_every and number % variant.limit_every == 0:
            return self._too_many()
        if variant.fault and (
            number == variant.fault_at if variant.fault_at else path.startswith(variant.fault_path)
        ):
            return await self._faulty(request)
        return self._found(path, query)

    def _too_many(self) -> web.Response:
        answer = _error(429, "too many requests")
        if self.variant.retry_after == "seconds":
            answer.headers["Retry-After"] = "7"
        elif self.variant.retry_after == "date":
            later = datetime.now(UTC) + timedelta(seconds=7)
            answer.headers["Retry-After"] = format_datetime(later, usegmt=True)
        return answer

    async def _faulty(self, request: web.Request) -> web.StreamResponse:
        match self.variant.fault:
            case "500":
                return _error(500, "internal error")
            case "reset":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "slow":
                await asyncio.sleep(3600)
                return web.Response()
            case "cut":
                return web.Response(body=b'{"status":"success","data":{"items":{"1":{"feedba')
            case "html":
                return web.Response(body=b"<html><body>One moment</body></html>", content_type="text/html")
            case "redirect":
                return web.Response(status=302, headers={"Location": f"{ELSEWHERE}?back=1"})
            case "huge":
                return web.Response(body=b" " * _HUGE_BYTES, content_type="application/json")
            case _:
                return _json({"status": "success", "data": "maintenance"})

    def _found(self, path: str, query: dict[str, str]) -> web.Response:
        rows = self.rows
        match path.split("/"):
            case [name] if name in _LISTS:
                return self._list(getattr(rows, name)(query), query, "items", _LISTS[name])
            case [name] if name in _SURVEYS:
                return self._list(getattr(rows, name)(query), query, "", "")
            case ["post", number]:
                return self._one(rows.post(number))
            case ["post", number, "comments"]:
                return self._child(rows.comments(number, query), query, "comments", "comment_id")
            case ["post", number, "votes"]:
                if query.get("filter") == "all" and self.variant.votes == "refused":
                    return _error(400, "unknown filter")
                return self._child(rows.votes(number, query), query, "votes", "")
        return _error(404, "not found")

    def _one(self, row: Row | None) -> web.Response:
        if self.variant.rights == "405_post":
            return _error(405, "method not allowed")
        if self.variant.rights == "500_post":
            return _error(500, "internal error")
        if row is None:
            return _error(404, "post not found")
        return _json({"status": "success", "data": self._spelled(row)})

    def _child(self, rows: Listed | None, query: dict[str, str], member: str, id: str) -> web.Response:
        if rows is None:
            return _error(404, "post not found")
        if self.variant.children == "bare":
            return self._list(rows, query, "", "")
        return self._list(rows, query, "items" if self.variant.children == "items" else member, id)

    def _list(self, rows: Listed, query: dict[str, str], member: str, id: str) -> web.Response:
        variant = self.variant
        sources = rows.sources
        if variant.sort == "honoured" and query.get("sort") == "new":
            sources = sources[::-1]
        elif variant.sort == "ignored":
            half = len(sources) // 2
            sources = sources[half:] + sources[:half]
        sources = sources[: variant.cut_rows]
        page = int(query.get("page", "1"))
        if variant.first_page == "one" and page < 1:
            return _error(400, "page must be at least 1")
        if variant.first_page == "both":
            page = max(page, 1)
        size = _PAGE_DEFAULT if variant.per_page == "ignored" else int(query.get("per_page", _PAGE_DEFAULT))
        size = min(size, _PAGE_CAPPED if variant.per_page == "capped" else _PAGE_MOST)
        start = (page if variant.first_page == "zero" else page - 1) * size
        some = [self._spelled(rows.row(source)) for source in sources[start : start + size]]
        if not some:
            return self._empty(member, page)
        return _json(
            {"status": "success", "data": self._data(some, member, id, start + size < len(sources), page)}
        )

    def _data(self, some: list[Row], member: str, id: str, more: bool, page: int) -> Any:
        variant = self.variant
        held: Any = some
        if id and variant.items != "array":
            by_id = [(str(row[id]), row) for row in some]
            held = dict(by_id[::-1] if variant.items == "shuffled" else by_id)
        if not member:
            return held
        data: dict[str, Any] = {member: held, "page": page}
        if variant.end != "none":
            data["has_more"] = more or variant.end == "always"
        return data

    def _empty(self, member: str, page: int) -> web.Response:
        match self.variant.empty:
            case "error_200":
                return _error(200, "0 items found")
            case "error_404":
                return _error(404, "0 items found")
            case "null":
                return _json({"status": "success", "data": None})
            case kind:
                none: Any = {} if kind == "object" else []
                data = {member: none, "has_more": self.variant.end == "always", "page": page}
                return _json({"status": "success", "data": data if member else none})

    def _spelled(self, row: Row) -> Row:
        if self.variant.numbers == "quoted":
            return quoted(row)
        if self.variant.numbers == "binary":
            return {name: int(value) if isinstance(value, bool) else value for name, value in row.items()}
        return row


def _json(content: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(content), content_type="application/json")


def _error(status: int, message: str) -> web.Response:
    return _json({"status": "error", "message": message}, status)
