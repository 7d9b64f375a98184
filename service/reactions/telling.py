"""Makes what a rule tells of an answer, where it tells anything of it."""

from __future__ import annotations

import re

import orjson

from schema.live.messages import Message
from schema.resume import ResumePoint
from service.reactions.rules import Rule
from service.reactions.target import NotTaken, Telling
from service.reactions.templates import holds


def telling_of(rule: Rule, message: Message) -> Telling | None:
    """Return what a rule tells of a message; None where its `when` does not hold. Raises NotTaken."""
    assert message.cursor is not None, "events have a place"
    return telling_at(rule, message.body, re.sub("[:-]", "_", str(message.cursor)), message.cursor)


def telling_at(rule: Rule, body: bytes, when: str, place: ResumePoint | None = None) -> Telling | None:
    """Return what a rule tells of an answer, with an id that ends in `when`. Raises NotTaken."""
    answer = orjson.loads(body)
    if answer.get("errors"):
        code = (answer["errors"][0].get("extensions") or {}).get("code", "no code")
        raise NotTaken(f"the answer has errors ({code})", final=True)
    if rule.when is not None and not holds(rule.when, answer["data"]):
        return None
    place = place or ResumePoint((answer.get("extensions") or {}).get("position", 0))
    return Telling(rule.name, f"{rule.name}_{when}", place, answer["data"])
