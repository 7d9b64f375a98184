"""Reads a delivery's bytes as an event: what an event is made of, and how tolerantly it is told.

Whatever Sleekplan documents or was seen to send is taken. A body that JSON or jsonb cannot hold exactly
keeps its bytes beside the nearest thing that jsonb takes. Only what cannot be read as an event at all
is refused, and whoever calls keeps its bytes in the quarantine.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple, NoReturn, get_args

import orjson

from service.errors import NotAnEvent

Origin = Literal["WEBHOOK", "IMPORT", "BACKFILL", "RECONCILE"]

NEWS: Final = tuple(origin for origin in get_args(Origin) if origin != "BACKFILL")
"""What is told unless asked otherwise: a back-fill's tens of thousands are no news."""

DEPTH_MAX: Final = 64
# No double that orjson writes takes more.
NUMBER_DIGITS_MAX: Final = 350
ACTION_CHARACTERS_MAX: Final = 200
ID_CHARACTERS_MAX: Final = 200

_AHEAD_MAX: Final = timedelta(days=1)
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_PRODUCT_ID_MAX: Final = 2**63 - 1


class EventData(NamedTuple):
    """An event before it is recorded.

    `body` is JSON text that jsonb takes; `raw` the bytes as received, only where `body` does not say the
    same. `digest` is the SHA-256 of the bytes as received, by which a delivery is known again.
    """

    product_id: int
    action: str
    entity: str
    entity_id: str | None
    occurred_at: datetime
    occurred_assumed: bool
    digest: bytes
    body: str
    raw: bytes | None
    received_at: datetime
    origin: Origin

    @property
    def received(self) -> bytes:
        """Return the bytes as received."""
        return self.body.encode() if self.raw is None else self.raw


class OccurredAt(NamedTuple):
    """A time, and whether it had to be assumed."""

    at: datetime
    assumed: bool


def decode(body: bytes, received_at: datetime, origin: Origin = "WEBHOOK") -> EventData:
    """Return the event that a delivery's bytes tell. Raises NotAnEvent with the reason.

    Two ways lead to the same result. Almost every body is read by orjson, once its bytes show that
    orjson and jsonb both keep all of it; the rest is read exactly, thirty times slower.
    """
    content = _read_fast(body)
    if content is None:
        text, content, changed = read_exactly(body)
    else:
        text, changed = body.decode(), False

    data = content.get("data")
    if not isinstance(data, dict):
        raise NotAnEvent(f'its member "data" must be an object, not {_kind(data)}')
    action = content.get("action")
    if not isinstance(action, str) or not action:
        raise NotAnEvent(f'its member "action" must be a text such as "item.create", not {_kind(action)}')
    if len(action) > ACTION_CHARACTERS_MAX:
        raise NotAnEvent(
            f'its member "action" has {len(action)} characters, more than {ACTION_CHARACTERS_MAX}'
        )
    product_id = product_of(content)
    moment = occurred_at(content.get("timestamp"), received_at)
    entity = entity_of(action)
    return EventData(
        product_id,
        action,
        entity,
        entity_id_of(entity, data),
        moment.at,
        moment.assumed,
        hashlib.sha256(body).digest(),
        text,
        body if changed else None,
        received_at,
        origin,
    )


def occurred_at(raw: object, received_at: datetime) -> OccurredAt:
    """Return when an event happened, from the envelope's `timestamp`.

    Sleekplan documents "UNIX timestamp" and shows thirteen digits in quotes, so
    seconds, milliseconds, numbers and strings are all taken; 10**11 parts seconds
    from milliseconds. What is missing, before the year 2000 or more than a day ahead
    gives `received_at`, marked as assumed: an event is never refused for its clock.

    >>> occurred_at("1506985999999", datetime(2026, 1, 1, tzinfo=UTC)).at.isoformat()
    '2017-10-02T23:13:19.999000+00:00'
    """
    if not isinstance(raw, (int, float, str)) or isinstance(raw, bool):
        return OccurredAt(received_at, True)
    try:
        number = float(raw)
        at = datetime.fromtimestamp(number if number < 10**11 else number / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return OccurredAt(received_at, True)
    # The first comparison is nearly always enough, and cheaper than the sum.
    if at >= _EARLIEST and (at <= received_at or at <= received_at + _AHEAD_MAX):
        return OccurredAt(at, False)
    return OccurredAt(received_at, True)


def entity_of(action: str) -> str:
    """Return what an action is about: its part before the dot.

    Subscribing to the changelog is about the subscriber, as no entry is involved.

    >>> entity_of("item.create"), entity_of("changelog.subscribe"), entity_of("vote")
    ('item', 'changelog_subscriber', 'vote')
    """
    if action == "changelog.subscribe":
        return "changelog_subscriber"
    return action.partition(".")[0]


def entity_id_of(entity: str, data: Mapping[str, object]) -> str | None:
    """Return Sleekplan's id of what the event is about; None when the body names none.

    Votes and subscriptions have no id of their own that is documented: theirs is the item's.

    >>> entity_id_of("vote", {"feedback_item": {"feedback_id": 42}})
    '42'
    >>> entity_id_of("item", {"feedback_id": "0", "id": 7})
    '7'
    """
    if entity in ("vote", "subscription"):
        return as_id(data.get("feedback_id")) or _nested_id(data, _POSTS, ("feedback_id", "id"))
    if entity == "item":
        return as_id(data.get("feedback_id")) or as_id(data.get("id"))
    if entity in ("user", "changelog_subscriber"):
        return (
            as_id(data.get("user_id"))
            or _nested_id(data, ("user",), ("user_id", "id"))
            or as_id(data.get("id"))
        )
    return as_id(data.get(f"{entity}_id")) or as_id(data.get("id"))


def as_id(value: object) -> str | None:
    """Return an id as text; "" and 0 mean none, and so does what is no id at all."""
    if isinstance(value, str):
        return value if value not in ("", "0") and len(value) <= ID_CHARACTERS_MAX else None
    if isinstance(value, int) and not isinstance(value, bool) and value != 0:
        return str(value)
    return None


_POSTS: Final = ("feedback_item", "post", "feedback", "item")


def _nested_id(data: Mapping[str, object], objects: tuple[str, ...], names: tuple[str, ...]) -> str | None:
    for member in objects:
        nested = data.get(member)
        if isinstance(nested, dict):
            for name in names:
                found = as_id(nested.get(name))
                if found:
                    return found
    return None


def product_of(content: Mapping[str, object]) -> int:
    """Return the product's id. Sleekplan shows numbers beyond 32 bits, and numbers in quotes.

    Raises NotAnEvent where that is none.
    """
    value = content.get("product_id")
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and len(value) <= 20 and value.isascii() and value.isdecimal():
        number = int(value)
    else:
        raise NotAnEvent(f'its member "product_id" must be a whole number, not {_kind(value)}')
    if not 0 < number <= _PRODUCT_ID_MAX:
        raise NotAnEvent('its member "product_id" is zero, negative or beyond 64 bits')
    return number


def _kind(value: object) -> str:
    """Return what a wrong value is, in words that do not repeat what may be a person's data."""
    match value:
        case None:
            return "missing or null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number of this kind"
        case "":
            return "an empty text"
        case str():
            return f"a text of {len(value)} characters"
        case list():
            return "a list"
        case _:
            return "an object"


# The fast way --------------------------------------------------------------------------------------

# One letter for all that a long number is made of, so that a plain search finds it.
_DIGITS: Final = bytes(
    0x30 if 0x30 <= byte <= 0x39 else 0x65 if byte in b"eE" else 0x20 for byte in range(256)
)
_LONG_RUN: Final = b"0" * 150
_LONG_EXPONENT: Final = re.compile(rb"[eE][+-]?[0-9]{3}")


def _read_fast(body: bytes) -> dict[str, object] | None:
    """Return the content when the bytes show that nothing of it can get lost on the way, else None.

    Each test may be wrong only in the safe direction. A body that orjson writes again byte for byte has
    lost nothing in orjson; of what orjson keeps, jsonb refuses only U+0000.
    """
    try:
        content = orjson.loads(body)
        if not isinstance(content, dict):
            return None
        # Looking for a list is a quarter of counting them; most bodies have none.
        if body.count(b"{") + (body.count(b"[") if b"[" in body else 0) > DEPTH_MAX:
            return None
        again = orjson.dumps(content)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    if b"\\" in body and b"\\u0000" in body:
        return None
    # PHP escapes slashes, for no reason that JSON knows.
    if again != body and again != body.replace(b"\\/", b"/") and not _says_the_same(body, again):
        return None
    return content


def _says_the_same(body: bytes, again: bytes) -> bool:
    """Tell whether a body differs from how orjson writes it only in white space and escapes.

    Keys given twice show in the count of `":`: where no colon follows white space, every key's closing quote
    is part of one; written anew, the content has as many unless a key got lost. An escaped quote or colon
    would blur that. Long numbers show in their digits.
    """
    if b" :" in body or b"\t:" in body or b"\n:" in body or b"\r:" in body:
        return False
    if b"\\u00" in body and (b"\\u0022" in body or b"\\u003a" in body or b"\\u003A" in body):
        return False
    if body.count(b'":') != again.count(b'":'):
        return False
    shape = body.translate(_DIGITS)
    return _LONG_RUN not in shape and not (b"0e" in shape and _LONG_EXPONENT.search(body))


# The exact way -------------------------------------------------------------------------------------


class _Decimal(float):
    """A number that is not whole, with its text exactly as sent."""

    text: str

    @classmethod
    def of(cls, text: str) -> _Decimal:
        number = cls(text)
        number.text = text
        return number


_NOT_IN_JSONB: Final = re.compile("[\x00\ud800-\udfff]")


class _Exact:
    """Parses JSON without losing anything unnoticed: `changed` says that jsonb cannot hold all of it."""

    def __init__(self) -> None:
        self.changed = False

    def read(self, text: str) -> object:
        return json.loads(
            text,
            object_pairs_hook=self._object,
            parse_int=self._integer,
            parse_float=self._decimal,
            parse_constant=self._constant,
        )

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        content = dict(pairs)
        if len(content) != len(pairs):
            self.changed = True  # the last one wins, as in jsonb
        return content

    def _integer(self, text: str) -> int | str:
        return int(text) if self._takes(text) else text

    def _decimal(self, text: str) -> _Decimal | str:
        return _Decimal.of(text) if self._takes(text) else text

    def _takes(self, number: str) -> bool:
        """1e131000 is valid for jsonb, takes seven bytes, and gives 131,001 digits to whoever reads it."""
        if _digits_written_out(number) <= NUMBER_DIGITS_MAX:
            return True
        self.changed = True
        return False

    def _constant(self, text: str) -> NoReturn:
        raise ValueError(f"{text} is not JSON")

    def write(self, value: object) -> Iterator[str]:
        """Give the text again, in pieces, with U+FFFD for the characters that jsonb refuses."""
        match value:
            case _Decimal():
                yield value.text
            case str():
                yield self._string(value)
            case dict():
                yield "{"
                for number, (key, member) in enumerate(value.items()):
                    yield f"{',' if number else ''}{self._string(key)}:"
                    yield from self.write(member)
                yield "}"
            case list():
                yield "["
                for number, member in enumerate(value):
                    yield "," if number else ""
                    yield from self.write(member)
                yield "]"
            case _:
                yield json.dumps(value)

    def _string(self, value: str) -> str:
        return json.dumps(_clean(value), ensure_ascii=False)


def _clean(value: str) -> str:
    return _NOT_IN_JSONB.sub("\N{REPLACEMENT CHARACTER}", value)


def read_exactly(body: bytes) -> tuple[str, dict[str, object], bool]:
    """Return text that jsonb takes, its content, and whether it says less than the bytes did."""
    reader = _Exact()
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = body.decode("utf-8", errors="replace")
        reader.changed = True
    if text.startswith("\N{BYTE ORDER MARK}"):
        text = text[1:]
        reader.changed = True
    try:
        content = reader.read(text)
    except RecursionError:
        raise NotAnEvent(f"it is nested deeper than {DEPTH_MAX} levels") from None
    except json.JSONDecodeError as error:
        # `error.msg` names what was expected, not what the body holds there.
        raise NotAnEvent(f"it is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except ValueError as error:
        raise NotAnEvent(f"it is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise NotAnEvent(f"it must be a JSON object, not {_kind(content)}")
    if _nests_deeper_than(content, DEPTH_MAX):
        raise NotAnEvent(f"it is nested deeper than {DEPTH_MAX} levels")
    if reader.changed or _has_unstorable(content):
        reader.changed = True
        text = "".join(reader.write(content))
        content = reader.read(text)
        assert isinstance(content, dict)
        reader.changed = True
    return text, content, reader.changed


def _nests_deeper_than(value: object, depth_max: int) -> bool:
    """Tell without recursion: the value may be as deep as Python's parser goes."""
    level = [value]
    for _ in range(depth_max):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return any(isinstance(child, dict | list) for child in level)


def _children(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _has_unstorable(value: object) -> bool:
    if isinstance(value, str):
        return _NOT_IN_JSONB.search(value) is not None
    if isinstance(value, dict) and any(_NOT_IN_JSONB.search(key) for key in value):
        return True
    return any(_has_unstorable(child) for child in _children(value))


def _digits_written_out(number: str) -> int:
    """Return how many digits a number has when written without an exponent, as numeric does.

    >>> _digits_written_out("1e3"), _digits_written_out("-0.25"), _digits_written_out("1E-2")
    (4, 3, 3)
    """
    mantissa, _, exponent = number.lower().lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    if len(exponent.lstrip("+-0")) > 6:
        return 10**6
    shift = int(exponent or "0")
    return max(len(whole) + shift, 1) + max(len(fraction) - shift, 0)
