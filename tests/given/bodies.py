"""Bodies that tests deliver: ordinary ones, and those known to kill careless receivers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from service.events import EventData, decode

NOON: Final = datetime(2026, 6, 14, 12, tzinfo=UTC)
NOON_SECONDS: Final = int(NOON.timestamp())


def a_body(number: int = 1, **members: Any) -> bytes:
    """A delivery that `number` tells from others; a member given as None is left out."""
    content = {
        "product_id": 5456534244,
        "action": "item.create",
        "data": {"feedback_id": number, "title": f"Idea {number}"},
        "timestamp": NOON_SECONDS + number,
    } | members
    return json.dumps({name: value for name, value in content.items() if value is not None}).encode()


def an_event(number: int = 1, received_at: datetime = NOON, **members: Any) -> EventData:
    """What the body of that number says."""
    return decode(a_body(number, **members), received_at)


def around(data: bytes) -> bytes:
    """An otherwise ordinary body with these bytes as a member of its data."""
    return (
        b'{"product_id":7,"action":"item.create","data":{"feedback_id":1,"x":'
        + data
        + b'},"timestamp":1781438400}'
    )


# Valid JSON that jsonb refuses, or would keep something else of: recorded, with the bytes beside it.
NOT_FOR_JSONB: Final[dict[str, bytes]] = {
    "a NUL": around(rb'"a\u0000b"'),
    "a NUL in a key": around(rb'{"a\u0000b":1}'),
    "a lone high surrogate": around(rb'"\ud83d"'),
    "a lone low surrogate": around(rb'"\ude00 x"'),
    "surrogates the wrong way round": around(rb'"\ude00\ud83d"'),
    "a key given twice": around(b'{"a":1,"a":2}'),
    "a key given twice, once escaped": around(rb'{"a":1,"\u0061":2}'),
    "a key given twice beside a quoted colon": around(rb'{"a":1,"a":2,"b":"\u0022:"}'),
    "a key given twice after white space": around(b'{"a" :1,"a"\t:2,"b":"\\":"}'),
    "a member of the envelope given twice": around(b"1").replace(
        b'"product_id":7', b'"product_id":6,"product_id":7'
    ),
    "140,000 digits": around(b"1" * 140_000),
    "140,000 digits behind the point": around(b"0." + b"3" * 140_000),
    "1e200000": around(b"1e200000"),
    "1e131000, which jsonb takes and multiplies": around(b"1e131000"),
    "1E+400": around(b"1E+400"),
    "1e-400": around(b"1e-400"),
    "an exponent of forty digits": around(b"1e" + b"9" * 40),
    "bytes that are not UTF-8": around(b'"\xff\xfe"'),
    "surrogates written as UTF-8": around(b'"\xed\xa0\x80"'),
    "an overlong NUL": around(b'"\xc0\x80"'),
    "a byte order mark": b"\xef\xbb\xbf" + around(b"1"),
}

# Odd, but nothing gets lost: recorded as they are.
ODD_BUT_FINE: Final[dict[str, bytes]] = {
    "an escaped backslash before u0000": around(rb'"\\u0000"'),
    "a pair of surrogates": around(rb'"\ud83d\ude00"'),
    "a key that says it is a key": around(rb'{"\":":"\":"}'),
    "minus nothing": around(b"-0"),
    "trailing zeros": around(b"1.500"),
    "an integer of thirty digits": around(b"9" * 30),
    "the largest double": around(b"1.7976931348623157e308"),
    "the smallest double": around(b"5e-324"),
    "white space everywhere": around(b" [ 1 ,\t2\r\n] ").replace(b":", b" : "),
    "slashes escaped, as PHP does": around(rb'"https:\/\/example.com\/a"'),
    "an empty key": around(b'{"":""}'),
    "names of Python's own": around(b'{"__proto__":{},"__class__":"x","constructor":null}'),
    "every kind of line end": around(rb'"\u2028\u2029\n\r\u0085"'),
    "what CSV and SQL would stumble on": around(
        rb"""" '; drop table log.events; -- \\ $1 %s {} \\. =cmd()" """
    ),
    "sixty levels": around(b"[" * 60 + b"]" * 60),
    "a member of a quarter megabyte": around(b'"' + b"x" * 262_144 + b'"'),
    "ten thousand members": around(b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(10_000)) + b"}"),
}

# No events: for the quarantine.
NO_EVENTS: Final[dict[str, bytes]] = {
    "nothing": b"",
    "white space": b" \n",
    "a word": b"hello",
    "HTML": b"<html><body>502 Bad Gateway</body></html>",
    "a form": b"product_id=1&action=item.create",
    "half a body": around(b"1")[:-20],
    "two bodies": around(b"1") * 2,
    "a list": b"[" + around(b"1") + b"]",
    "a number": b"5",
    "null": b"null",
    "NaN": around(b"NaN"),
    "Infinity": around(b"-Infinity"),
    "a trailing comma": around(b"[1,]"),
    "single quotes": b"{'product_id':1}",
    "a control character": around(b'"a\x01b"'),
    "UTF-16": around(b"1").decode().encode("utf-16"),
    "noise": bytes(range(256)),
    "a hundred thousand levels": around(b"[" * 100_000 + b"]" * 100_000),
    "a hundred thousand levels, never closed": b'{"a":' * 100_000,
    "sixty-five levels": around(b"[" * 65 + b"]" * 65),
    "no product": a_body(product_id=None),
    "a product that is no number": a_body(product_id="acme"),
    "product true": a_body(product_id=True),
    "product 0": a_body(product_id=0),
    "a negative product": a_body(product_id=-5),
    "a product beyond 64 bits": a_body(product_id=2**63),
    "a product with a fraction": a_body(product_id=1.5),
    "no action": a_body(action=None),
    "an empty action": a_body(action=""),
    "an action that is a number": a_body(action=5),
    "an action that is a decimal": a_body(action=1.5),
    "an endless action": a_body(action="x" * 201),
    "no data": a_body(data=None),
    "data that is a list": a_body(data=[]),
    "data that is text": a_body(data="{}"),
}
