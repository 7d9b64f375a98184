"""Ids, cursors, scalars and word differences: what they take, and how they refuse."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from schema.ids import Cursor, FirstPage, decode_cursor, decode_id, encode_cursor, encode_id, product_number
from schema.objects.words import word_changes
from schema.resume import ResumePoint
from schema.scalars import duration_text, moment_text, parse_duration, parse_moment, parse_position
from service.errors import BadArgument, BadCursor, BadId

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(st.integers(-(2**63), 2**63 - 1), TEXT, TEXT)
def test_an_id_says_what_it_was_made_of(product: int, item: str, voter: str) -> None:
    found = decode_id(encode_id("Vote", product, item, voter))

    assert (found.type_name, found.product_id, found.parts) == ("Vote", product, (item, voter))


@pytest.mark.parametrize("text", ["", "3", "%%%", "SXRlbTox", "bnVsbA", "WyJJIl0", "é", "A" * 5_000])
def test_other_text_is_no_id(text: str) -> None:
    with pytest.raises(BadId, match=r"productId, sleekplanId"):
        decode_id(text)


@pytest.mark.parametrize("text", ["", " "])
def test_a_refusal_shows_also_a_value_that_has_nothing_to_see(text: str) -> None:
    with pytest.raises(BadArgument, match=f"^productId: '{text}' is no Sleekplan product"):
        product_number(text)


FIRST_PAGE = st.builds(
    FirstPage,
    st.builds(
        ResumePoint,
        st.integers(0, 10**18 - 1),
        mark=st.one_of(st.none(), st.from_regex("[0-9a-f]{8}", fullmatch=True)),
    ),
    st.integers(0, 10**16).map(lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)),
)
ORDER = "Item by VOTES DESC"


@given(st.one_of(st.none(), FIRST_PAGE), st.one_of(st.none(), TEXT), TEXT)
def test_a_cursor_says_what_it_was_made_of(page: FirstPage | None, value: str | None, item: str) -> None:
    text = encode_cursor(ORDER, page, [value, item])

    assert decode_cursor(text, ORDER, 2) == Cursor(ORDER, page, (value, item))


@pytest.mark.parametrize(
    "pin", ["5", '"5-9f3ac01d"', '["5"]', '["5",-1]', '["5",1e5]', '["x",5]', f'["5",{10**17}]']
)
def test_a_cursor_that_says_no_first_page_as_we_write_it_is_refused(pin: str) -> None:
    """As older versions did, which did not say of which list they were."""
    text = base64.urlsafe_b64encode(f'"{ORDER}",{pin},"3","7","1"'.encode()).decode().rstrip("=")

    with pytest.raises(BadCursor, match="none of ours, or of an older version"):
        decode_cursor(text, ORDER, 3)


@pytest.mark.parametrize("other", ["Item by TREND DESC", "User by VOTES DESC"])
def test_a_cursor_of_another_list_or_order_is_refused(other: str) -> None:
    text = encode_cursor(ORDER, None, ["3", "7", "1"])

    with pytest.raises(BadCursor, match=f"belongs to a list of {ORDER}, this one is of {other}"):
        decode_cursor(text, other, 3)


@given(st.text(max_size=40))
def test_no_text_makes_decoding_fail_otherwise(text: str) -> None:
    for decode in (decode_id, lambda given: decode_cursor(given, ORDER, 3)):
        try:
            decode(text)
        except (BadId, BadCursor):
            pass


def test_moments_without_a_zone_are_refused() -> None:
    assert parse_moment("2026-06-01T09:00:00Z") == parse_moment("2026-06-01T11:00:00+02:00")
    for text in (
        "2026-06-01T09:00:00",
        "2026-06-01",
        "yesterday",
        7,
        "0000-00-00T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
    ):
        with pytest.raises(GraphQLError, match="RFC 3339"):
            parse_moment(text)


def test_a_moment_is_shown_in_utc_without_needless_zeros() -> None:
    assert moment_text(parse_moment("2026-06-01T11:00:00.120+02:00")) == "2026-06-01T09:00:00.12Z"
    assert moment_text("2026-06-01T09:00:00") == "2026-06-01T09:00:00Z"


def test_durations_are_iso_8601() -> None:
    for text in ("P7D", "PT12H", "P1M", "P1Y2M3W4DT5H6M7.5S"):
        assert parse_duration(text) == text
    for bad in ("7 days", "P", "PT", "P1H", "-P1D", "P99999999999D", 7):
        with pytest.raises(GraphQLError, match="ISO 8601"):
            parse_duration(bad)


@given(st.integers(0, 10**9))
def test_a_duration_shown_adds_up_to_its_seconds(seconds: int) -> None:
    text = duration_text(seconds)
    date, _, clock = text.removeprefix("P").partition("T")
    units = {"D": 86_400, "H": 3_600, "M": 60, "S": 1}
    total, number = 0, ""
    for letter in date + clock:
        if letter in units:
            total, number = total + int(number) * units[letter], ""
        else:
            number += letter

    assert total == seconds
    assert parse_duration(text) == text


def test_a_position_is_a_number_or_its_digits() -> None:
    assert parse_position(41) == parse_position("41") == 41
    for bad in (-1, 1.5, True, "four", "", 2**63, "9" * 30):
        with pytest.raises(GraphQLError, match="no Position"):
            parse_position(bad)


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_words_of_a_difference_give_both_texts_back(before: str, after: str) -> None:
    parts = word_changes(before, after)

    assert "".join(text for kind, text in parts if kind != "ADDED") == before
    assert "".join(text for kind, text in parts if kind != "REMOVED") == after


def test_long_texts_that_differ_throughout_are_replaced_whole() -> None:
    before, after = " ".join(map(str, range(5_000))), " ".join(map(str, range(5_000, 10_000)))

    assert [kind for kind, _ in word_changes(before, after)] == ["REMOVED", "ADDED"]
