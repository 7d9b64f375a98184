"""Opaque ids and cursors: what they carry, and how a bad one is refused."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from schema.resume import ResumePoint, parse_cursor
from service.errors import BadArgument, BadCursor, BadId

TYPES_BY_LETTER: Final = {
    "I": "Item",
    "U": "User",
    "V": "Vote",
    "C": "Comment",
    "S": "ItemSubscription",
    "L": "ChangelogEntry",
    "A": "SatisfactionAnswer",
    "E": "Event",
}
_LETTERS: Final = {name: letter for letter, name in TYPES_BY_LETTER.items()}


@dataclass(frozen=True, slots=True)
class GlobalId:
    """What an opaque id says: a type, a product, and Sleekplan's id (two for a vote: item and voter)."""

    type_name: str
    product_id: int
    parts: tuple[str, ...]


def encode_id(type_name: str, product_id: int, *parts: object) -> str:
    """Return the opaque id of a thing.

    >>> decode_id(encode_id("Item", 5456534244, "3"))
    GlobalId(type_name='Item', product_id=5456534244, parts=('3',))
    """
    text = orjson.dumps([_LETTERS[type_name], product_id, *(str(part) for part in parts)])
    return base64.urlsafe_b64encode(text[1:-1]).rstrip(b"=").decode()


def decode_id(text: str) -> GlobalId:
    """Return what an opaque id says; raises BadId for any other text."""
    match _decode(text, b"[%b]"):
        case [str(letter), int(product_id), *parts] if (
            letter in TYPES_BY_LETTER
            and 1 <= len(parts) <= 2
            and -(2**63) <= product_id < 2**63
            and all(isinstance(part, str) and "\0" not in part for part in parts)
        ):
            return GlobalId(TYPES_BY_LETTER[letter], product_id, tuple(map(str, parts)))
    raise BadId(text)


def ids_of(text: str, type_name: str) -> tuple[int, str]:
    """Return product and Sleekplan's id of an opaque id; raises BadId for one of another type."""
    found = decode_id(text)
    if found.type_name != type_name:
        raise BadId(text, type_name)
    return found.product_id, found.parts[0]


def product_of(text: object) -> int | None:
    """Return the product that an opaque id names; None for any other text."""
    try:
        return decode_id(str(text)).product_id
    except BadId:
        return None


def key_of(found: GlobalId) -> tuple[object, ...]:
    """Return the values of the key columns that an id names."""
    if found.type_name == "Event":
        number = found.parts[0]
        return (int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0,)
    return (found.product_id, *found.parts)


def product_number(text: object) -> int:
    """Return the product that an argument names; raises BadArgument for text that is no number of 64 bits."""
    try:
        number = int(str(text))
    except ValueError:
        number = 2**63
    if not -(2**63) <= number < 2**63:
        raise BadArgument("productId", text, "is no Sleekplan product; it is a whole number like 5456534244")
    return number


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MICROSECONDS_MAX: Final = 10**17


@dataclass(frozen=True, slots=True)
class FirstPage:
    """Where in the log, and when, the first page of a list was read; all its pages count as of then."""

    place: ResumePoint
    now: datetime


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list: of which type in which order, its first page, and the row's sort values."""

    order: str
    first_page: FirstPage | None
    values: tuple[str | None, ...]


def encode_cursor(order: str, first_page: FirstPage | None, values: list[str | None]) -> str:
    """Return the cursor of a row."""
    pin = None
    if first_page is not None:
        pin = [str(first_page.place), (first_page.now - _EPOCH) // _MICROSECOND]
    return base64.urlsafe_b64encode(orjson.dumps([order, pin, *values])[1:-1]).rstrip(b"=").decode()


def decode_cursor(text: str, order: str, size: int) -> Cursor:
    """Return the place that a cursor names in a list of an `order`, "Item by VOTES DESC", over `size` values.

    Raises BadCursor for text that is no cursor, or one of another list or order.
    """
    match _decode(text, b"[%b]"):
        case [str(of_order), pin, *values] if (pin is None or _first_page(pin) is not None) and all(
            value is None or (isinstance(value, str) and "\0" not in value) for value in values
        ):
            if of_order == order and len(values) == size:
                return Cursor(
                    of_order,
                    _first_page(pin),
                    tuple(None if value is None else str(value) for value in values),
                )
            raise BadCursor(text, f"it belongs to a list of {of_order}, this one is of {order}")
    raise BadCursor(text, "it is none of ours, or of an older version")


def first_page_of(args: Mapping[str, Any]) -> FirstPage | None:
    """Return the first page that the cursors among a field's arguments name; None without one."""
    for name in ("after", "before"):
        if isinstance(args.get(name), str):
            match _decode(args[name], b"[%b]"):
                case [str(), pin, *_]:
                    return _first_page(pin)
    return None


def _first_page(pin: object) -> FirstPage | None:
    match pin:
        case [str(text), int(microseconds)] if 0 <= microseconds < _MICROSECONDS_MAX:
            place = parse_cursor(text)
            return None if place is None else FirstPage(place, _EPOCH + microseconds * _MICROSECOND)
    return None


def cursor_starts_null(text: str) -> bool:
    """Return whether a cursor's sort value is null, which decides the form of what follows from it."""
    match _decode(text, b"[%b]"):
        case [_, _, None, *_]:
            return True
    return False


def _decode(text: str, around: bytes) -> object:
    if len(text) > 4_000:
        return None
    try:
        inner = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return orjson.loads(around % inner)
    except (binascii.Error, ValueError):
        return None
