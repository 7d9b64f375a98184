"""How a delivery's bytes are read as an event."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import events
from service.errors import NotAnEvent
from service.events import decode, entity_id_of, entity_of, occurred_at
from tests.given.bodies import (
    NO_EVENTS,
    NOON,
    NOON_SECONDS,
    NOT_FOR_JSONB,
    ODD_BUT_FINE,
    a_body,
    an_event,
    around,
)
from tests.given.folders import PAYLOADS


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob("*.json")), ids=lambda path: path.stem)
def test_every_sample_body_is_an_event_that_needs_no_bytes_beside_it(path: Path) -> None:
    event = decode(path.read_bytes(), NOON + timedelta(days=60))

    assert event.raw is None
    assert not event.occurred_assumed
    assert event.entity_id is not None
    assert json.loads(event.body) == json.loads(path.read_bytes())


@pytest.mark.parametrize("body", ODD_BUT_FINE.values(), ids=ODD_BUT_FINE)
def test_an_odd_body_is_kept_as_it_was_sent(body: bytes) -> None:
    event = decode(body, NOON)

    assert event.raw is None
    assert event.body.encode() == body
    assert event.digest == hashlib.sha256(body).digest()


@pytest.mark.parametrize("body", NOT_FOR_JSONB.values(), ids=NOT_FOR_JSONB)
def test_what_jsonb_cannot_say_keeps_its_bytes(body: bytes) -> None:
    event = decode(body, NOON)

    assert event.raw == body
    assert event.received == body
    assert event.product_id == 7
    assert len(event.body) < len(body) + 100
    json.loads(event.body)


@pytest.mark.parametrize("body", NO_EVENTS.values(), ids=NO_EVENTS)
def test_a_body_that_is_no_event_is_refused_with_a_reason_that_repeats_nothing_of_it(body: bytes) -> None:
    with pytest.raises(NotAnEvent) as refused:
        decode(body, NOON)

    assert len(refused.value.reason) < 200
    assert "acme" not in refused.value.reason


def test_of_a_key_given_twice_the_last_one_wins_as_in_jsonb() -> None:
    assert json.loads(decode(around(b'{"a":1,"a":2}'), NOON).body)["data"]["x"] == {"a": 2}


def test_a_number_too_long_to_be_read_back_is_told_as_text() -> None:
    assert json.loads(decode(around(b"1e131000"), NOON).body)["data"]["x"] == "1e131000"


def test_numbers_keep_their_digits_beside_what_had_to_be_changed() -> None:
    assert '"price":1.50' in decode(around(rb'{"price":1.50,"note":"\u0000"}'), NOON).body


@pytest.mark.parametrize(
    ("raw", "at"),
    [
        (NOON_SECONDS, NOON),
        (str(NOON_SECONDS), NOON),
        (NOON_SECONDS * 1000, NOON),
        (f"{NOON_SECONDS}000", NOON),
        (float(NOON_SECONDS), NOON),
        ("1506985999999", datetime(2017, 10, 2, 23, 13, 19, 999000, UTC)),
        (NOON_SECONDS + 86_400, NOON + timedelta(days=1)),
    ],
)
def test_seconds_and_milliseconds_are_told_apart_by_their_size(raw: object, at: datetime) -> None:
    assert occurred_at(raw, NOON) == (at, False)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "",
        "soon",
        True,
        [],
        {},
        0,
        -1,
        10**30,
        "1e999",
        "nan",
        "inf",
        math.inf,
        NOON_SECONDS + 86_401,
        10**17,
        "9" * 5000,
    ],
)
def test_an_unusable_time_is_assumed_to_be_that_of_receipt(raw: object) -> None:
    assert occurred_at(raw, NOON) == (NOON, True)


def test_an_event_is_never_refused_for_its_clock() -> None:
    assert an_event(timestamp="yesterday").occurred_assumed


@pytest.mark.parametrize("product_id", [5456534244, "5456534244", 1, 2**63 - 1])
def test_a_product_is_a_number_in_quotes_or_without(product_id: Any) -> None:
    assert an_event(product_id=product_id).product_id == int(product_id)


def test_the_envelopes_product_wins_over_the_one_inside() -> None:
    assert an_event(product_id=6, data={"feedback_id": 1, "product_id": "1"}).product_id == 6


def test_an_unknown_action_is_an_event_like_any_other() -> None:
    event = an_event(action="roadmap.reorder", data={"id": 9})

    assert (event.action, event.entity, event.entity_id) == ("roadmap.reorder", "roadmap", "9")


@pytest.mark.parametrize(
    ("action", "data", "entity", "entity_id"),
    [
        ("item.create", {"feedback_id": "3"}, "item", "3"),
        ("item.delete", {"id": 3}, "item", "3"),
        ("vote.create", {"feedback_item": {"feedback_id": 42}, "id": 7}, "vote", "42"),
        ("vote.create", {"feedback_id": "42", "user_id": "23"}, "vote", "42"),
        ("subscription.delete", {"feedback_item": {"id": 42}}, "subscription", "42"),
        ("vote.delete", {"post": {"feedback_id": 42}}, "vote", "42"),
        ("vote.create", {"id": 7}, "vote", None),
        ("comment.create", {"comment_id": 981, "feedback_id": 42}, "comment", "981"),
        ("user.update", {"user_id": 17}, "user", "17"),
        ("user.create", {"user": {"user_id": 17}}, "user", "17"),
        ("changelog.update", {"changelog_id": "7", "feedback_id": 42}, "changelog", "7"),
        ("changelog.subscribe", {"user": {"user_id": 17}}, "changelog_subscriber", "17"),
        ("satisfaction.create", {"satisfaction_id": 55, "user_id": 17}, "satisfaction", "55"),
        ("item.create", {"feedback_id": 0}, "item", None),
        ("item.create", {"feedback_id": ""}, "item", None),
        ("item.create", {"feedback_id": True}, "item", None),
        ("item.create", {"feedback_id": 1.5}, "item", None),
        ("item.create", {"feedback_id": {"a": 1}}, "item", None),
        ("item.create", {"feedback_id": "x" * 201}, "item", None),
    ],
)
def test_what_an_event_is_about(
    action: str, data: dict[str, Any], entity: str, entity_id: str | None
) -> None:
    assert entity_of(action) == entity
    assert entity_id_of(entity, data) == entity_id


_TEXT = st.text(st.characters(codec=None)) | st.sampled_from(["\x00", "\ud800", '":', '"', "\\u0000", "\\"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(data=st.dictionaries(_TEXT, _JSON, max_size=5), spaced=st.booleans(), escaped=st.booleans())
def test_both_ways_of_reading_a_body_say_the_same(data: dict[str, Any], spaced: bool, escaped: bool) -> None:
    content = {"product_id": 1, "action": "x.y", "data": data}
    separators = (", ", " : ") if spaced else (",", ":")
    body = json.dumps(content, separators=separators, ensure_ascii=escaped).encode("utf-8", "surrogatepass")

    fast, (text, exact, changed) = events._read_fast(body), events.read_exactly(body)

    if fast is not None:
        assert not changed
        assert fast == exact
    if not changed:
        assert json.loads(text) == content


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_make_the_decoder_fail_in_any_other_way(body: bytes) -> None:
    try:
        event = decode(body, NOON)
    except NotAnEvent:
        return
    assert event.received == body


def test_the_time_of_receipt_may_have_any_zone() -> None:
    assert decode(a_body(timestamp=None), NOON.astimezone()).occurred_at == NOON
