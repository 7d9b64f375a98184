"""Serves the page at `/` and the documentation at `/docs`: files of ours that run nothing but themselves."""

from __future__ import annotations

import base64
import gzip
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

FOLDER: Final = Path(__file__).with_name("page")
GRAPHIQL: Final = Path(__file__).with_name("graphiql")
DOCS: Final = Path(__file__).with_name("docs")
"""What `make docs` builds."""
GZIP_BYTES_MIN: Final = 1_000
VIEWS: Final = ("items", "changes", "ask", "feed", "projections")
"""Where the page answers beside `/`: it reads from the address what to show."""

NOT_BUILT: Final = (
    "404: this Recount was installed without its documentation. In a checkout, `make docs` builds it, and "
    "the next start serves it here. The same pages lie in the folder docs of the checkout.\n"
)

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".yml": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".webp": "image/webp",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
# The digest is that of the search's style, which the tool's script adds by itself.
_DOCS_POLICY: Final = (
    "default-src 'none'; script-src 'self'{hashes}; "
    "style-src 'self' 'sha256-NwSx/R2V/U4jnW0Tq5pQ53Y/rzPVJ4dqE7D6UTA/J1k='; connect-src 'self'; "
    "img-src 'self' data:; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
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
    policy: str


def _read(path: Path, policy: str = _POLICY, *, below: bool = False) -> _File:
    """Read a file; what it names lies one folder up where it is answered `below` its own place."""
    body = path.read_bytes()
    if below:
        body = re.sub(rb'(src|href)="(?=page/|graphql")', rb'\1="../', body)
    packable = len(body) >= GZIP_BYTES_MIN and path.suffix not in (".png", ".webp")
    compressed = gzip.compress(body, mtime=0) if packable else None
    return _File(_TYPES[path.suffix], body, compressed, sha256(body).hexdigest()[:20], policy)


class PageFiles:
    """The page's files, by name; only what lies in the folder at the start is ever served."""

    def __init__(self, folder: Path = FOLDER) -> None:
        paths = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.suffix in _TYPES]
        served = [path for path in paths if path.parts[0] != "vendor"]
        self._files = {path.as_posix(): _read(folder / path) for path in served}
        self._below = _read(folder / "index.html", below=True)

    def routes(self) -> list[web.AbstractRouteDef]:
        """The routes to add to an application: `/`, the views, and what the page loads from `/page/`."""
        return [
            web.get("/", self._index),
            *(web.get(f"/{view}", self._index) for view in VIEWS),
            web.get("/{view:items|ask}/{which}", self._below_index),
            web.get("/page/{name:.+}", self._file),
        ]

    async def _index(self, request: web.Request) -> web.Response:
        return _answer(request, self._files["index.html"])

    async def _below_index(self, request: web.Request) -> web.Response:
        return _answer(request, self._below)

    async def _file(self, request: web.Request) -> web.Response:
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        return _answer(request, file)


class Documentation:
    """The site of the documentation, where it was built; a file is read when it is first asked for.

    Its pages hold small scripts of the tool that made them, so a page's policy names each by its digest. The
    tool knows nothing of trusted types, but nothing that a reader or the log says gets into these pages.
    """

    def __init__(self, folder: Path = DOCS) -> None:
        self._paths = {
            str(path.relative_to(folder)): path for path in folder.rglob("*") if path.suffix in _TYPES
        }
        self._files: dict[str, _File] = {}

    def routes(self) -> list[web.AbstractRouteDef]:
        """The routes to add to an application: `/docs` and what is below it."""
        return [web.get("/docs", self._file), web.get("/docs/{path:.*}", self._file)]

    async def _file(self, request: web.Request) -> web.Response:
        path = request.match_info.get("path")
        if "index.html" not in self._paths:
            raise web.HTTPNotFound(text=NOT_BUILT)
        # A page is a folder's index, and what it names is named from there.
        if path is None or f"{path}/index.html" in self._paths:
            raise web.HTTPMovedPermanently(f"{(path or 'docs').rpartition('/')[2]}/")
        if path == "" or path.endswith("/"):
            path += "index.html"
        if path not in self._paths:
            raise web.HTTPNotFound(text="404: the documentation has no such page; /docs/ is its beginning\n")
        if path not in self._files:
            found = self._paths[path]
            self._files[path] = _read(found, _docs_policy(found))
        return _answer(request, self._files[path])


def _docs_policy(path: Path) -> str:
    """Return what a file may do: run the scripts beside it, and those inside it that it holds now."""
    inside = re.findall(rb"<script>(.*?)</script>", path.read_bytes(), re.DOTALL)
    digests = sorted({base64.b64encode(sha256(script).digest()).decode() for script in inside})
    return _DOCS_POLICY.format(hashes="".join(f" 'sha256-{digest}'" for digest in digests))


def _answer(request: web.Request, file: _File) -> web.Response:
    headers = {**_HEADERS, "Content-Security-Policy": file.policy, hdrs.ETAG: f'"{file.etag}"'}
    if any(tag.value in (file.etag, "*") for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    headers[hdrs.CONTENT_TYPE] = file.content_type
    if file.compressed is not None and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=file.compressed, headers=headers)
    return web.Response(body=file.body, headers=headers)
