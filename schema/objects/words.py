"""Compares two texts word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Final

WORDS_MAX: Final = 600

_WORD: Final = re.compile(r"\s+|\w+|[^\w\s]")


def word_changes(before: str, after: str) -> list[tuple[str, str]]:
    """Return stretches of words with what happened to each: SAME, REMOVED or ADDED, in reading order.

    Comparing takes time that grows with the square of the length, so where more than WORDS_MAX words
    differ between the common beginning and end, they are shown as replaced whole.

    >>> word_changes("Dark mode soon", "Dark theme soon")
    [('SAME', 'Dark '), ('REMOVED', 'mode'), ('ADDED', 'theme'), ('SAME', ' soon')]
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    middle_old, middle_new = old[start : len(old) - end], new[start : len(new) - end]
    parts = [("SAME", old[:start]), *_compare(middle_old, middle_new), ("SAME", old[len(old) - end :])]
    return [(kind, "".join(words)) for kind, words in parts if words]


def _common(left: list[str], right: list[str]) -> int:
    for count, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return count
    return min(len(left), len(right))


def _compare(old: list[str], new: list[str]) -> Iterator[tuple[str, list[str]]]:
    if len(old) > WORDS_MAX or len(new) > WORDS_MAX:
        yield "REMOVED", old
        yield "ADDED", new
        return
    for tag, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            yield "SAME", old[i:j]
        else:
            yield "REMOVED", old[i:j]
            yield "ADDED", new[k:m]
