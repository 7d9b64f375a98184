"""Finds a person's names and addresses in text, as whole words alone.

Where a word ends is said by Unicode (UAX 29), so that marks, apostrophes, digits, `_`, emoji and scripts
that part words by nothing are taken for what they are. Some things are said otherwise here, since a person's
name is at stake:

- an English `'s` behind a name, and an elided French or Italian article before it, are no part of it;
- a colon parts words (mailto:…), and Hangul parts from other scripts, since particles end a word;
- `_` on both sides of an address or a name of several words is Markdown's emphasis;
- a name inside somebody's address is a part of that address, and an address beside a dot, hyphen, plus, `&`
  or apostrophe that goes on is a part of a longer one.

Letters are the same in either case and composed or not, and an `@` or another sign is the same when it is
escaped for a URL, HTML or JSON. The text is cut where it stood: what was not found stays to the letter.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote

import regex

ERASED: Final = "[erased]"

# An escape, though it was escaped more than once: %2540, &amp;#64;, \\u0040.
_ESCAPES: Final = re.compile(  # each branch begins with a letter of its own: these are looked for first
    r"%(?:25)*[0-9A-Fa-f]{2}(?:%(?:25)*[0-9A-Fa-f]{2})*"
    r"|&(?:amp;)*(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});"
    r"|\\\\*u[0-9A-Fa-f]{4}(?:\\+u[0-9A-Fa-f]{4})*"
    r"|\\\\*[nrt]"
)
_LETTER_OR_DIGIT: Final = re.compile(r"[0-9A-Za-z]")
_GRAPHEME: Final = regex.compile(r"\X")
# What JSON writes as it stands, and what may be between: spaces, quotes, control characters as JSON has them.
_PIECE: Final = re.compile(r'[^\s"\\\x00-\x1f]+')
_BETWEEN: Final = r"(?:\W|(?<=\\)(?:[bf]|u00[01][0-9a-f]))+"

_FLAGS: Final = regex.WORD | regex.IGNORECASE | regex.VERSION0

_EDGE: Final = r"(?:\b|(?<=[:：])|(?=[:：])|(?<=\p{Hangul})(?=\P{Hangul})|(?<=\P{Hangul})(?=\p{Hangul}))"
_ELIDED: Final = r"(?<=\b(?-i:d|l|n|s|j|m|t|c|qu|jusqu|lorsqu|puisqu|dell|all|dall|nell|sull|dall|un)['’])"
_POSSESSIVE: Final = r"(?=['’]s\b)"
# An address has at most 64 letters before its @ and 255 after it, so that no text takes more than its length.
_NAME: Final = (
    rf"(?:{_EDGE}|{_ELIDED})(?<!\w@[\w.-]{{0,255}})(?:%s)(?:{_EDGE}|{_POSSESSIVE})(?![\w.+&'’-]{{0,64}}@\w)"
)
_ADDRESS: Final = rf"{_EDGE}(?<!\w[.+&'’-]{{1,64}})(?:%s)(?:{_EDGE}|{_POSSESSIVE})(?![.-]{{1,64}}\w)"
_EMPHASISED: Final = r"(?<=(?:^|\W)_{1,3})(?:%s)(?=_{1,3}(?:\W|$))"


class Found(NamedTuple):
    """A name or an address in a text: from the letter `start` to before `end`."""

    start: int
    end: int
    is_address: bool


class Called:
    """By what a person is called: full names and addresses, as the log tells them.

    `loosely` has a pattern of each for folded texts, by its longest piece. It may find too much.
    """

    def __init__(self, called: Sequence[str]) -> None:
        addresses = {word for each in called for word in _addresses(each)}
        # Who is called by signs alone that JSON escapes is not looked for: these stand in texts of everybody.
        names = {each for each in called if each not in addresses and _PIECE.search(_one_case(each))}
        self.loosely = [_loosely(each) for each in sorted(names | addresses)]
        forms = [
            ("name", _NAME, names),
            ("name", _EMPHASISED, {each for each in names if " " in each}),
            ("address", _ADDRESS, addresses),
            ("address", _EMPHASISED, addresses),
        ]
        self._letters = regex.compile(_either(names | addresses) or "(?!)", _FLAGS)
        self._whole = regex.compile(
            "|".join(f"(?P<{kind}>{form % _either(texts)})" for kind, form, texts in forms if texts)
            or "(?!)",
            _FLAGS,
        )

    def find(self, text: str) -> Iterator[Found]:
        """Give where they stand, from the first to the last."""
        plainly = folded(text)
        if not any(piece in plainly and pattern.search(plainly) for piece, pattern in self.loosely):
            return
        plain, places = _plain(text)
        at = 0
        while (letters := self._letters.search(plain, at)) is not None:
            # Only there are its edges looked at, which costs hundreds of times as much.
            match = self._whole.match(plain, letters.start())
            if match is None:
                at = letters.start() + 1
                continue
            start, at = match.span()
            is_address = match.lastgroup == "address"
            if places:
                yield Found(places[start][0], places[at - 1][1], is_address)
            else:
                yield Found(start, at, is_address)


def struck(text: str, found: Sequence[Found]) -> str:
    """Return a text without what was found in it."""
    left, last = [], 0
    for start, end, _ in found:
        left += [text[last:start], ERASED]
        last = end
    return "".join([*left, text[last:]])


def folded(text: str) -> str:
    """Return a text as it is looked through: escapes resolved, letters decomposed and of one case.

    Whatever is found in a text, or in one that this holds as JSON, is found `loosely` in this. The dot of a
    Turkish İ goes, and ı gets one, since either is the i of no other language.

    >>> folded("ZO\u00cb %C3%9Cnal, GRO\u1e9e") == "zoe\u0308 u\u0308nal, gross"
    True
    """
    if "&" in text or "%" in text or "\\" in text:
        text = _ESCAPES.sub(lambda escape: _resolved(escape[0]), text)
    return _one_case(text)


def _one_case(text: str) -> str:
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFD", text).casefold()
    return decomposed.replace("\u0307", "").replace("ı", "i")


def _loosely(called: str) -> tuple[str, re.Pattern[str]]:
    """Return the longest piece of a name, and a pattern of all of them."""
    pieces = _PIECE.findall(_one_case(called))
    return max(pieces, key=len), re.compile(_BETWEEN.join(map(re.escape, pieces)))


def _addresses(called: str) -> Iterator[str]:
    """Give the addresses in what somebody is called: `Ana <ana@example.com>` holds one."""
    for word in called.split():
        if "@" in word[1:-1]:
            yield word.strip("<>()[]\"',;:") if word != called else word


def _either(called: set[str]) -> str:
    """Return a pattern of any of these, the longest first."""
    return "|".join(
        r"\s+".join("".join(map(_either_case, word)) for word in unicodedata.normalize("NFC", each).split())
        for each in sorted(called, key=len, reverse=True)
    )


def _either_case(letter: str) -> str:
    """Return a pattern of a letter: of one that is several in capitals, as SS is ß, of these as well."""
    capitals = letter.upper()
    alone = regex.escape(letter)
    return alone if len(capitals) == 1 else f"(?:{alone}|{regex.escape(capitals)})"


def _plain(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Return a text with its escapes resolved and its letters composed, and where each of its letters stood.

    The places are left out, as most often, where nothing had to be changed.
    """
    if unicodedata.is_normalized("NFC", text) and not _ESCAPES.search(text):
        return text, []
    letters: list[str] = []
    places: list[tuple[int, int]] = []
    last = 0
    for match in _ESCAPES.finditer(text):
        said = _resolved(match[0])
        letters += [*text[last : match.start()], *said]
        places += [(at, at + 1) for at in range(last, match.start())]
        places += (
            [match.span()] * len(said) if said != match[0] else [(at, at + 1) for at in range(*match.span())]
        )
        last = match.end()
    letters += text[last:]
    places += [(at, at + 1) for at in range(last, len(text))]
    return _composed("".join(letters), places)


def _composed(text: str, places: list[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    if unicodedata.is_normalized("NFC", text):
        return text, places
    letters: list[str] = []
    stood: list[tuple[int, int]] = []
    for match in _GRAPHEME.finditer(text):
        said = unicodedata.normalize("NFC", match[0])
        letters.append(said)
        stood += [(places[match.start()][0], places[match.end() - 1][1])] * len(said)
    return "".join(letters), stood


def _resolved(escape: str) -> str:
    """Return what an escape says; of letters and digits nobody escapes, and of what is none, itself."""
    if escape[0] == "%":
        said = unquote(re.sub("%(?:25)+", "%", escape), errors="replace")
    elif escape[0] == "&":
        said = html.unescape(re.sub("^&(?:amp;)+(?=.)", "&", escape))
    elif escape[-1] in "nrt" and "u" not in escape:
        return " "
    else:
        codes = [int(code, 16) for code in re.findall(r"u([0-9A-Fa-f]{4})", escape)]
        pairs = b"".join(code.to_bytes(2, "big") for code in codes)
        said = pairs.decode("utf-16-be", "replace")
    return escape if _LETTER_OR_DIGIT.search(said) or "\ufffd" in said else said
