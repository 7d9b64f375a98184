"""Serves the page at `/`: a handful of small files, read once, that may run nothing but themselves."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

FOLDER: Final = Path(__file__).with_name("page")
GRAPHIQL: Final = Path(__file__).with_name("graphiql")
GZIP_BYTES_MIN: Final = 1_000

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # The names of the files never change, so that whoever keeps one asks whether it still holds.
    hdrs.CACHE_CONTROL: "no-cache",
    hdrs.VARY: "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it is sent: its bytes, the same compressed where that is shorter, and its digest as ETag."""

    content_type: str
    body: bytes
    compressed: bytes | None
    etag: str


def _read(path: Path) -> _File:
    body = path.read_bytes()
    compressed = gzip.compress(body, mtime=0) if len(body) >= GZIP_BYTES_MIN else None
    return _File(_TYPES[path.suffix], body, compressed, sha256(body).hexdigest()[:20])


class Page:
    """The page's files, by name; only what lies in the folder at the start is ever served."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {path.name: _read(path) for path in sorted(folder.iterdir()) if path.suffix in _TYPES}

    def routes(self) -> list[web.AbstractRouteDef]:
        """The routes to add to an application: `/`, and what the page loads from `/page/`."""
        return [web.get("/", self._index), web.get("/page/{name}", self._file)]

    @property
    def bytes_sent(self) -> int:
        """How many bytes all files have together, uncompressed."""
        return sum(len(file.body) for file in self._files.values())

    async def _index(self, request: web.Request) -> web.Response:
        return _answer(request, self._files["index.html"])

    async def _file(self, request: web.Request) -> web.Response:
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        return _answer(request, file)


def _answer(request: web.Request, file: _File) -> web.Response:
    headers = {**_HEADERS, hdrs.ETAG: f'"{file.etag}"'}
    if any(tag.value in (file.etag, "*") for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    headers[hdrs.CONTENT_TYPE] = file.content_type
    if file.compressed is not None and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=file.compressed, headers=headers)
    return web.Response(body=file.body, headers=headers)
