"""Finds the keys that a request comes with: in the header X-Secret, and in the URL however it was pasted."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final
from urllib.parse import unquote

from multidict import CIMultiDictProxy

HEADER: Final = "X-Secret"
KEYS_MAX: Final = 4
"""How many are tried of each: one is meant, and another may have been left standing beside it."""

_NEEDS_PARSING: Final = re.compile("[^A-Za-z0-9=_-]")


def given_keys(headers: CIMultiDictProxy[str], target: str) -> list[str]:
    """Return what may be the key, the header's first; `target` is what the request's first line names.

    A key that has a `&` of its own does not end there, so what follows is tried with it as well. How a key
    is spelt (percent-encoded or not) is no matter here: see service.config.in_one_spelling.
    """
    keys = headers.getall(HEADER, [])[:KEYS_MAX]
    query = target.partition("?")[2]
    if not query:
        return keys
    if is_plain(query):
        return [*keys, query[4:]]
    parts = query.partition("#")[0].split("&")
    for place in islice((place for place, part in enumerate(parts) if _names_key(part)), KEYS_MAX):
        value = parts[place].partition("=")[2]
        keys += [value, "&".join([value, *parts[place + 1 :]])]
    return keys


def is_plain(query: str) -> bool:
    """Whether a query is a key and nothing else, unescaped, as in every URL that we print."""
    return query.startswith("key=") and not _NEEDS_PARSING.search(query)


def _names_key(part: str) -> bool:
    return unquote(part.partition("=")[0]) == "key"
