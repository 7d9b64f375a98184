"""Disturbs a stream of bodies as real deliveries are: copies, late ones, unknown actions, nonsense."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

import orjson

from service.simulator.dice import Dice

PLAIN = "plain"
_HELD_MOST = 10_000
_DEPTH = 20_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST: its body, and what was done to it.

    `kind` is `plain`, `duplicate` (the same bytes as a plain one, maybe late or even before it), `late`,
    or the name of one of the disturbances below.
    """

    body: bytes
    kind: str = PLAIN


@dataclass(frozen=True, slots=True)
class Chaos:
    """How often each thing happens, as shares of the stream. Nothing of the stream itself is ever lost."""

    duplicates: float = 0.02
    late: float = 0.03
    strange: float = 0.006
    malformed: float = 0.006
    late_seconds_most: int = 3 * 86_400


def disturb(stream: Iterable[tuple[int, bytes]], chaos: Chaos, dice: Dice) -> Iterator[Delivery]:
    """Yield every body of a stream of (Unix second, body), some late, with copies and noise between them."""
    held: list[tuple[int, int, Delivery]] = []
    kinds = 0
    for number, (at, body) in enumerate(stream):
        while held and (held[0][0] <= at or len(held) > _HELD_MOST):
            yield heappop(held)[2]
        luck = dice.roll()
        if luck < chaos.late:
            heappush(held, (at + _delay(dice, chaos), number, Delivery(body, "late")))
        else:
            yield Delivery(body)
        if dice.chance(chaos.duplicates):
            wait = 0 if dice.chance(0.5) else _delay(dice, chaos)
            heappush(held, (at + wait, number + (1 << 40), Delivery(body, "duplicate")))
        if dice.chance(chaos.strange):
            kind = _STRANGE_KINDS[kinds % len(_STRANGE_KINDS)]
            kinds += 1
            yield Delivery(STRANGE[kind](body, number), kind)
        if dice.chance(chaos.malformed):
            kind = _MALFORMED_KINDS[kinds % len(_MALFORMED_KINDS)]
            kinds += 1
            yield Delivery(MALFORMED[kind](body, number), kind)
    while held:
        yield heappop(held)[2]


def _delay(dice: Dice, chaos: Chaos) -> int:
    """Return seconds, mostly few and sometimes days."""
    luck = dice.roll()
    return 1 + int(luck * luck * luck * luck * chaos.late_seconds_most)


def _changed(body: bytes, **members: object) -> bytes:
    """Return the body with members of its envelope replaced."""
    return orjson.dumps({**orjson.loads(body), **members})


def _without(body: bytes, name: str) -> bytes:
    envelope = orjson.loads(body)
    del envelope[name]
    return orjson.dumps(envelope)


def _noted(body: bytes, number: int, note: bytes) -> bytes:
    """Return an event of an unknown action whose data hold the note as it is, escapes and all."""
    product = orjson.dumps(orjson.loads(body)["product_id"])
    at = orjson.dumps(orjson.loads(body)["timestamp"])
    head = b'{"product_id":' + product + b',"action":"note.create","data":{"note_id":' + str(number).encode()
    return head + b"," + note + b'},"timestamp":' + at + b"}"


def _other_product(body: bytes, number: int) -> bytes:
    return _changed(body, product_id=int(orjson.loads(body)["product_id"]) + 1)


STRANGE: dict[str, Callable[[bytes, int], bytes]] = {
    "unknown-action": lambda body, number: _changed(
        body,
        action=("nps.create", "vote.update", "item.merge")[number % 3],
        data={"nps_id": number, "feedback_id": 0, "score": number % 11},
    ),
    "no-timestamp": lambda body, number: _without(_noted(body, number, b'"at":"none"'), "timestamp"),
    "absurd-timestamp": lambda body, number: _changed(
        _noted(body, number, b'"at":"absurd"'),
        timestamp=(-1, "soon", 9_999_999_999_999_999, None, [], 1e300)[number % 6],
    ),
    "nul-escape": lambda body, number: _noted(body, number, b'"text":"before\\u0000after"'),
    "lone-surrogate": lambda body, number: _noted(body, number, b'"text":"half a pair: \\ud83d."'),
    "duplicate-keys": lambda body, number: _noted(body, number, b'"text":"first","text":"second"'),
    "huge-number": lambda body, number: _noted(body, number, b'"likes":' + b"9" * 400 + b',"ratio":1e999'),
    "invalid-utf8": lambda body, number: _noted(body, number, b'"text":"caf\xe9 \xff"'),
    "wrong-product": _other_product,
}
"""What is an event all the same, if an unusual one: it must be recorded."""

MALFORMED: dict[str, Callable[[bytes, int], bytes]] = {
    "not-json": lambda body, number: b"feedback_id=%d&vote=1" % number,
    "cut-off": lambda body, number: body[: len(body) // 2],
    "empty": lambda body, number: b'{"ping":%d}' % number,
    "no-object": lambda body, number: (b"[%d]" if number % 2 else b"%d") % number,
    "no-data": lambda body, number: _without(body, "data"),
    "no-action": lambda body, number: _without(body, "action"),
    "wrong-types": lambda body, number: _changed(
        body, action=number, data=[number], product_id={"id": number}
    ),
    "deep-nesting": lambda body, number: _noted(body, number, b'"deep":' + b"[" * _DEPTH + b"]" * _DEPTH),
}
"""What cannot be read as an event: it belongs in the quarantine."""

_STRANGE_KINDS, _MALFORMED_KINDS = tuple(STRANGE), tuple(MALFORMED)
