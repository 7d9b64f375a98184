"""Where a name or address stands as whole words, said plainly: one place after the other, without a pattern.

Word boundaries are those that uniseg draws. What `service.operate.words` says otherwise is here but for
elisions, colons and Hangul, which texts made for this do not have.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from uniseg.wordbreak import words


def without(text: str, called: Sequence[str]) -> str:
    """Return a text without somebody who is called so."""
    edges = _boundaries(text)
    at, kept = 0, ""
    while at < len(text):
        ends = [
            end
            for end in range(len(text), at, -1)
            if any(_is_whole(text, at, end, each, edges) for each in called)
        ]
        kept += "[erased]" if ends else text[at]
        at = ends[0] if ends else at + 1
    return kept


def _boundaries(text: str) -> set[int]:
    ends = [0]
    for word in words(text):
        ends.append(ends[-1] + len(word))
    return set(ends)


def _is_whole(text: str, start: int, end: int, called: str, edges: set[int]) -> bool:
    before, behind = text[:start][::-1], text[end:]
    if not _is_same(text[start:end], called):
        return False
    if ("@" in called or " " in called) and _is_emphasis(before) and _is_emphasis(behind):
        return True
    if not {start, end} <= edges:
        return False
    if "@" in called:
        return not _goes_on(before, ".+&'’-") and not _goes_on(behind, ".-")
    return not _is_local_part(behind) and not _is_host(before)


def _is_same(a: str, b: str) -> bool:
    a, b = (unicodedata.normalize("NFC", each).upper() for each in (a, b))
    return a.split() == b.split() and a.strip() == a


def _is_word(letter: str) -> bool:
    return letter in "_\u200c\u200d" or unicodedata.category(letter)[0] in "LM" or letter.isdecimal()


def _is_emphasis(beyond: str) -> bool:
    rest = beyond.lstrip("_")
    return 1 <= len(beyond) - len(rest) <= 3 and (rest == "" or not _is_word(rest[0]))


def _goes_on(beyond: str, joints: str) -> bool:
    """Tell whether joints, and then a letter, lie beyond an edge, the nearest first."""
    rest = beyond.lstrip(joints)
    return rest != beyond and rest != "" and _is_word(rest[0])


def _is_local_part(behind: str) -> bool:
    """Tell whether what follows makes a name the beginning of an address."""
    for at, letter in enumerate(behind):
        if letter == "@":
            return at + 1 < len(behind) and _is_word(behind[at + 1])
        if not (_is_word(letter) or letter in ".+&'’-"):
            return False
    return False


def _is_host(before: str) -> bool:
    """Tell whether what comes before, the nearest first, makes a name the end of an address."""
    for at, letter in enumerate(before):
        if letter == "@":
            return at + 1 < len(before) and _is_word(before[at + 1])
        if not (_is_word(letter) or letter in ".-"):
            return False
    return False
