"""Takes a delivery's body out of what it is packed in: the bytes decide, whatever the headers say.

A header may say gzip of a plain body, name a charset, or nothing at all. An event's JSON begins with a brace,
white space or a byte order mark; gzip and zlib do not, so that one cannot be taken for the other.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

COMPRESSIONS: Final = ("gzip", "x-gzip", "deflate", "br", "zstd", "compress")
LAYERS_MAX: Final = 3
MEMBERS_MAX: Final = 64

_GZIP: Final = b"\x1f\x8b"
_GZIP_OR_ZLIB: Final = 47
_BARE_DEFLATE: Final = -15
_PLAIN: Final = re.compile(rb"[\s\x00\xef\xbb\xbf\xfe\xff]*\{")


class TooLarge(Exception):
    """More comes out than may; `size` is how much of it was seen."""

    def __init__(self, size: int) -> None:
        self.size = size


def unpacked(body: bytes, declared: str, bytes_max: int) -> bytes:
    """Return what a body holds, or itself where it is not packed in any way that can be undone.

    `declared` is the Content-Encoding, which alone tells a deflate without its frame. Raises TooLarge before
    more than `bytes_max` are held.
    """
    if body[:1] == b"{":
        return body  # as nearly all are
    bare = "deflate" in declared.lower()
    for _ in range(LAYERS_MAX):
        if _looks_packed(body):
            inner = _inflated(body, _GZIP_OR_ZLIB, bytes_max)
        elif bare and body and not _PLAIN.match(body):
            inner = _inflated(body, _BARE_DEFLATE, bytes_max)
        else:
            break
        if inner is None:
            break
        body = inner
    return body


def in_words(declared: str) -> str:
    """Return what to add to the reason why a body is no event; nothing where no encoding was declared.

    A name that is no compression's is not repeated: a header may hold anything.
    """
    names = [name for name in map(str.strip, declared.lower().split(",")) if name not in ("", "identity")]
    if not names:
        return ""
    told = ", ".join(name if name in COMPRESSIONS else "something unknown" for name in names[:LAYERS_MAX])
    return f"; its Content-Encoding says {told}: send it as it is, or as one whole gzip"


def _looks_packed(body: bytes) -> bool:
    if len(body) < 2:
        return False
    # RFC 1950: the method deflate, a window of 32 KiB at most, and a check sum over the two bytes.
    zlib_head = body[0] & 0x8F == 0x08 and (body[0] << 8 | body[1]) % 31 == 0
    return zlib_head or body[:2] == _GZIP


def _inflated(packed: bytes, wbits: int, bytes_max: int) -> bytes | None:
    """Return what is in all members of a stream; None where it is not whole. Zeros behind it are filling."""
    parts: list[bytes] = []
    size = 0
    for _ in range(MEMBERS_MAX):
        inflater = zlib.decompressobj(wbits)
        try:
            part = inflater.decompress(packed, bytes_max + 1 - size)
        except zlib.error:
            return None
        size += len(part)
        if size > bytes_max:
            raise TooLarge(size)
        parts.append(part)
        if not inflater.eof:
            return None
        packed = inflater.unused_data.lstrip(b"\0")
        if not packed:
            return b"".join(parts)
    return None
