"""The first look at a text finds whoever the closer look finds, however they are written there."""

from __future__ import annotations

import html
import json
import sys
import unicodedata
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.operate.mentions import Mentions, Person
from service.operate.words import Called, folded


def mentions(*called: str) -> Mentions:
    people = [Person(str(who), False, [], [], [], [each]) for who, each in enumerate(called, 1)]
    return Mentions(people, [Called(person.traces) for person in people])


def written(text: str) -> str:
    """As Postgres writes jsonb."""
    return json.dumps({"comment": text, "tags": [text]}, ensure_ascii=False)


LETTERS: Final = [
    *["an", "Ana", "2", "7", "_", "é", "e\u0301", "王", "ก", "กำ", "ア", "👍", "🏽", "\u200d", "ß", "ж", "Ж"],
    *["İ", "ı", "I", "i", "\u017f", "s", "\u212a", "k", "Σ", "ς", "ŉ", "ǰ", "한", "ㄱ", "ﬁ", "ΐ", "ᾳ", "ё"],
    *["'", '"', "\\", "\u0323", "\u0301", "@", "Å", "\u212b"],
]
WORD = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=4).map("".join)
GAP = st.sampled_from([" ", "  ", "\n", "\t", "\f", "\v", "\xa0", "\u2003", "\r\n", " " * 60])
CALLED = st.builds("{} {}".format, WORD, WORD) | st.builds("{}.{}@example.com".format, WORD, WORD) | WORD
ESCAPED: Final[list[Callable[[str], str]]] = [
    str,
    lambda text: quote(text, safe=""),
    lambda text: quote(quote(text, safe=""), safe=""),
    html.escape,
    lambda text: text.encode("ascii", "xmlcharrefreplace").decode(),
    lambda text: json.dumps(text)[1:-1],
    lambda text: text.replace("@", "\\u0040"),
]
CASES: Final[list[Callable[[str], str]]] = [str, str.upper, str.lower, str.title, str.swapcase, str.casefold]


@settings(max_examples=400, deadline=None)
@example("Hans Weber", " ", "Han\u017f WEBER", "", "", str, str, "NFC")
@example("Ali Can", " ", "AL\u0130 CAN", "", "", str, str, "NFC")
@example("\\", " ", "an an", "", "\n", str, str, "NFC")
@example("Юлия Петрова", "\n", "ЮЛИЯ ПЕТРОВА", "", "", str, str, "NFC")
@given(
    called=CALLED,
    gap=GAP,
    other=CALLED,
    before=st.sampled_from(["", "\\", "\n", " ", '"', "\x01", "王", ":", "\\u", "\x0b", "%", "&"]) | WORD,
    after=st.sampled_from(["", " ", "'s", ".", "\n", ":", "\\n"]) | WORD,
    escaped=st.sampled_from(ESCAPED),
    cased=st.sampled_from(CASES),
    form=st.sampled_from(["NFC", "NFD"]),
)
def test_whom_the_closer_look_finds_the_first_look_finds_too(
    called: str, gap: str, other: str, before: str, after: str, escaped: Any, cased: Any, form: Any
) -> None:
    """In a text, in the JSON that holds it, and in bytes that write all but ASCII as escapes."""
    said = gap.join(unicodedata.normalize(form, cased(called)).split(" "))
    text = f"{before}{escaped(said)}{after} {other}"
    person = mentions(called)

    if any(Called([called]).find(text)):
        assert person.by_name(written(text)) == {0}
    for body in (text, json.dumps({"comment": text})):
        if any(Called([called]).find(body)):
            assert person.by_name(body) == {0}


def is_one(letter: str, other: str) -> bool:
    return regex.fullmatch(regex.escape(other), letter, regex.IGNORECASE | regex.VERSION0) is not None


def test_letters_that_are_one_in_either_case_are_one_in_a_folded_text() -> None:
    """Of all that Unicode has, by the pattern's own rule."""
    apart = []
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        if unicodedata.category(letter)[0] not in "LMNS":
            continue
        others = {letter.upper(), letter.lower(), letter.title(), letter.casefold(), "i", "s", "k"}
        apart += [
            (letter, other) for other in others if folded(other) != folded(letter) and is_one(letter, other)
        ]

    assert apart == []


@pytest.mark.parametrize("value", ["17", '"17"', "[17]"])
def test_ids_are_found_as_numbers_and_as_text(value: str) -> None:
    ana = Mentions([Person("17", False, ["3"], ["4"], ["5"], [])], [Called([])])

    assert ana.by_id(f'{{"user": {{"user_id": {value}}}}}') == (set() if "[" in value else {0})
    assert ana.by_id('{"user_id": 170, "x_user_id": 17, "feedback_id": 4}') == set()
    assert ana.by_id('{"user_id":17') == ana.by_id('{"author": {"id": 17}}') == {0}
    assert ana.by_id('{"comment_id": "4"}') == ana.by_id('{"satisfaction_id": 5}') == {0}
    assert ana.by_user_id('{"comment_id": "4", "id": 17}') == set()
