"""A name or an address is found where it stands as whole words, however it is written, and nowhere else."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.operate.words import Called, struck
from tests.given.whole_words import without


def left(text: str, *called: str) -> str:
    """Return what is left of a text without somebody who is called so."""
    return struck(text, list(Called(called).find(text)))


Form: TypeAlias = Literal["NFC", "NFD"]
CALLED = (
    "an@example.com",
    "r&d@example.com",
    "user2",
    "user_7",
    "Ana Weber",
    "Ана Вебер",
    "Zoë Núñez",
    "Anna Groß",
    "山田 太郎様方",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ask an@example.com.", "ask [erased]."),
        ("<AN@example.com>,an@example.com", "<[erased]>,[erased]"),
        ("mailto:an@example.com?x q=an@example.com", "mailto:[erased]?x q=[erased]"),
        ("'an@example.com' an@example.com's -an@example.com", "'[erased]' [erased]'s -[erased]"),
        ("「an@example.com」へan@example.comで", "「[erased]」へ[erased]で"),
        ("an@example.com으로 user2님", "[erased]으로 [erased]님"),
        ("กan@example.comก", "ก[erased]ก"),
        ("user2's, (User2) user2-ish @user2", "[erased]'s, ([erased]) [erased]-ish @[erased]"),
        ("Ana Weber's d'Ana Weber l’Ana Weber", "[erased]'s d'[erased] l’[erased]"),
        ("Author:Ana Weber:", "Author:[erased]:"),
        ("👍Ana Weber👍🏽", "👍[erased]👍🏽"),
        ("*Ana Weber* __Ana Weber__ _an@example.com_", "*[erased]* __[erased]__ _[erased]_"),
        ("ANA  WEBER Ana\n\tWeber Ana\u00a0Weber", "[erased] [erased] [erased]"),
        ("Ана Вебер, АНА ВЕБЕР", "[erased], [erased]"),
        ("ZOË NÚÑEZ, zoë núñez", "[erased], [erased]"),
        ("ANNA GROSS, Anna GROẞ", "[erased], [erased]"),
        ("u\u017fer2 an@ex\u0131mple.com AN@EXAMPLE.COM", "[erased] an@ex\u0131mple.com [erased]"),
        ("昨日山田 太郎様方に", "昨日[erased]に"),
        ("an%40example.com an%2540example.com AN%40EXAMPLE.COM", "[erased] [erased] [erased]"),
        ("an&#64;example.com an&#x40;example.com", "[erased] [erased]"),
        ("an&commat;example.com an&amp;#64;example.com", "[erased] [erased]"),
        (r"an\u0040example.com {\"m\":\"an\\u0040example.com\"}", r"[erased] {\"m\":\"[erased]\"}"),
        ("r&amp;d@example.com r%26d%40example.com r&d@example.com", "[erased] [erased] [erased]"),
        ("Ana&nbsp;Weber Ana%20Weber", "[erased] [erased]"),
        ("Zo&euml; N&uacute;&ntilde;ez Zo%C3%AB N%C3%BA%C3%B1ez", "[erased] [erased]"),
        (r"Zo\u00eb N\u00fa\u00f1ez\nAna Weber", r"[erased]\n[erased]"),
        ("?to=an%40example.com&cc=%3Can%40example.com%3E", "?to=[erased]&cc=%3C[erased]%3E"),
    ],
)  # fmt: skip
def test_what_is_theirs_goes_and_all_around_it_stays_to_the_letter(text: str, expected: str) -> None:
    assert left(text, *CALLED) == expected
    assert left(unicodedata.normalize("NFD", text), *CALLED) == unicodedata.normalize("NFD", expected)


@pytest.mark.parametrize(
    "text",
    [
        "user20 xuser2 user22 user2_ _user2 2user2 user2\u0662",
        "user2é éuser2 user2\u0301 user2\u00adx user2\u200dx",
        "susan@example.com jo.an@example.com jo+an@example.com jo-an@example.com",
        "jo_an@example.com o'an@example.com",
        "susan%40example.com x&amp;an@example.com x%26an%40example.com jo%2Ban%40example.com",
        "an@example.com.au an@example.com-old an@example.community an@example.comé an@example.com_x",
        "d@example.com ran@example.com",
        "user_7@example.com x.user_7@example.com foo@user_7.example @user_7@social.example",
        "Ana Webers Jana Weber Ana Weber\u0301 Ana Weberin O'Ana Weber Ana Weber'ish Ana Weber_x x_Ana Weber",
        "Ана Веберу Анама АнаВебер",
        "Anna Gros, Anna Großmann, Anna GROSSMANN",
        "%zz & &; &amp &nosuch; \\u12 100% an%example.com",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert left(text, *CALLED) == text
    assert left(unicodedata.normalize("NFD", text), *CALLED) == unicodedata.normalize("NFD", text)


# Against the rule said plainly, with Unicode's word boundaries as another library draws them.

PARTS = ["an", "ana", "2", "7", "_", "é", "e\u0301", "王", "ก", "ア", "👍", "🏽", "\u200d", "ß", "ж"]
WORD = st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("".join)
HOST = st.sampled_from(["example.com", "an.example.com", "example.com.example.org"])
ADDRESS = st.builds(
    lambda parts, joint, host: f"{joint.join(parts)}@{host}",
    st.lists(st.sampled_from(["an", "ana", "7", "x"]), min_size=1, max_size=3),
    st.sampled_from([".", "-", "+", "&"]),
    HOST,
)
NAME = st.builds(lambda a, b: f"{a} {b}", WORD, WORD)
FORMS: Final[tuple[Form, ...]] = ("NFC", "NFD")
BETWEEN = st.sampled_from(
    [" ", ", ", "(", ")", "-", ".", "_", "an", "7", "é", "王", "\n", "&", "/", "\u0301"]
)


@settings(max_examples=400, deadline=None)
@given(
    called=NAME | ADDRESS,
    before=st.lists(NAME | ADDRESS | WORD | BETWEEN, max_size=3),
    after=st.lists(NAME | ADDRESS | WORD | BETWEEN, max_size=3),
    form=st.sampled_from(FORMS),
    spelled=st.sampled_from([str, str.lower, str.title]),
)
def test_it_is_found_exactly_where_unicode_parts_words(
    called: str, before: list[str], after: list[str], form: Form, spelled: Callable[[str], str]
) -> None:
    text = unicodedata.normalize(form, "".join([*before, spelled(called), *after]))

    assert left(text, called) == without(text, [called])


ESCAPED = st.sampled_from(
    [
        str,
        lambda text: quote(text, safe=""),
        html.escape,
        lambda text: text.replace("@", "&#64;").replace("&d", "&amp;d"),
        lambda text: text.replace("@", "\\u0040"),
        lambda text: quote(quote(text, safe=""), safe=""),
    ]
)


@given(address=ADDRESS, other=ADDRESS, escaped=ESCAPED)
def test_an_escaped_address_is_the_address(address: str, other: str, escaped: Callable[[str], str]) -> None:
    said = escaped(f"to {other} and {address}, thanks")

    found = list(Called([address]).find(said))

    assert len(found) == (2 if other == address else 1)
    assert said[found[-1].start : found[-1].end] == escaped(address)


@pytest.mark.parametrize(
    "piece", ["a.b-", "user2-", "user2@", "&#64;user2%40", "user2.", "_user2_", "user2\u0301", "@"]
)
def test_a_long_text_takes_no_more_than_its_length(piece: str) -> None:
    """With edges looked at everywhere, or without bounds, each of these goes on for minutes."""
    text = piece * (200_000 // len(piece)) + " Ask user2!"

    assert left(text, "user2").endswith(" Ask [erased]!")
