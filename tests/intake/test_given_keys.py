"""Whatever key is accepted opens, however it is pasted into a URL; whatever is no key is answered alike."""

from __future__ import annotations

import re
import string
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from service.given_secrets import parse_webhook_keys
from service.intake.given_keys import given_keys
from service.web.keys import WebhookKeys, new_secret

# All that a setting takes: printable ASCII without what separates and binds keys.
LETTERS = "".join(set(string.printable) - set(string.whitespace) - set("@,"))
ESCAPE = "%[0-9A-F]{2}"
KEYS = st.text(LETTERS.replace("#", ""), min_size=1, max_size=40)


def _opens(ring: WebhookKeys, query: str = "", *headers: str) -> bool:
    fields = CIMultiDictProxy(CIMultiDict([("x-secret", header) for header in headers]))
    target = f"/webhooks?{query}" if query else "/webhooks"
    return any(ring.find(key) is not None for key in given_keys(fields, target))


def _in_small(escape: re.Match[str]) -> str:
    return escape[0].lower()


def _ring(*keys: str) -> WebhookKeys:
    return WebhookKeys.of(parse_webhook_keys(",".join(keys)))


@settings(max_examples=1_000, deadline=None, database=None)
@given(KEYS)
@example("a+b")
@example("a%2Bb")
@example("100%25")
@example("50%off&more")
@example("key=x&key=y")
@example("==/?;:&&")
@example("%41")
@example("%")
def test_an_accepted_key_opens_however_it_is_pasted(key: str) -> None:
    ring = _ring(key)

    for name, query in {
        "as it is": f"key={key}",
        "percent-encoded": f"key={quote(key, safe='')}",
        "percent-encoded in small letters": f"key={re.sub(ESCAPE, _in_small, quote(key, safe=''))}",
        "encoded as a form's": f"key={quote_plus(key)}",
        "encoded twice": f"key={quote(quote(key, safe=''), safe='')}",
        "encoded but for what may stand": f"key={quote(key, safe='/+=?:;!$*()')}",
        "behind another parameter": f"source=sleekplan&key={quote(key, safe='')}",
        "before another parameter": f"key={quote(key, safe='')}&source=sleekplan",
        "behind an older one": f"key=older&key={quote(key, safe='')}",
        "with its name encoded": f"%6Bey={quote(key, safe='')}",
        "before a fragment": f"key={quote(key, safe='')}#top",
    }.items():
        assert _opens(ring, query), name
    assert _opens(ring, "", key)
    assert _opens(ring, "", "older", key)
    assert _opens(ring, "key=older", quote(key, safe=""))


@settings(max_examples=1_000, deadline=None, database=None)
@given(KEYS, KEYS)
def test_no_other_key_opens(key: str, other: str) -> None:
    """Keys that could be taken for one another are refused together, so these differ in a URL as well."""
    try:
        parse_webhook_keys(f"{key},{other}")
    except ValueError:
        assume(False)
    assume("&" not in other)

    assert not _opens(_ring(key), f"key={other}")
    assert not _opens(_ring(key), "", other)


@settings(max_examples=500, deadline=None, database=None)
@given(st.text(max_size=200), st.lists(st.text(max_size=50), max_size=3))
@example("key=" + "%25" * 2_000 + "41", [])
@example("&" * 5_000, [])
@example("&key=" * 1_000, [])
def test_no_query_and_no_header_opens_or_breaks_anything(query: str, headers: list[str]) -> None:
    assert not _opens(_ring(new_secret()), query, *headers)
    assert len(given_keys(CIMultiDictProxy(CIMultiDict()), f"/webhooks?{query}")) <= 8


@pytest.mark.parametrize("key", ["s3cret#key", "s3cret#", "s3cret#key@7"])
def test_a_key_that_no_url_can_carry_is_refused_with_what_to_do(key: str) -> None:
    with pytest.raises(ValueError, match=r"holds a #.*%23") as caught:
        parse_webhook_keys(f"first,{key}")

    assert "entry 2" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    written = key.partition("@")[0]
    assert _opens(_ring(written.replace("#", "%23")), f"key={quote(written, safe='')}")


def test_a_key_too_long_for_a_url_is_refused() -> None:
    assert _opens(_ring("k" * 1_000), f"key={'k' * 1_000}")
    with pytest.raises(ValueError, match="1001 characters"):
        parse_webhook_keys("k" * 1_001)


@pytest.mark.parametrize("pair", [("a+b", "a%2Bb"), ("%41", "A"), ("a%2525", "a%25")])
def test_keys_that_are_one_in_a_url_are_refused_together(pair: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="entries 1 and 2 are the same"):
        parse_webhook_keys(",".join(pair))
