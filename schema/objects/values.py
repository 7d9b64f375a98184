"""Small objects that several types share, and how they are made of columns."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, TypeVar

import orjson
import strawberry
from strawberry import enum_value

from schema.declare.fields import column, computed, method, rows_of
from schema.declare.request import Env, Values
from schema.declare.source import Entity
from schema.objects.words import word_changes
from schema.scalars import JSON, duration_text
from service.labels import Kind


@strawberry.enum(description="What a status means: given by configuration, with defaults for common keys.")
class StatusRole(Enum):
    OPEN = enum_value("OPEN", description="Not decided.")
    ROADMAP = enum_value("ROADMAP", description="Promised or being made.")
    DONE = enum_value("DONE", description="Shipped.")
    DECLINED = enum_value("DECLINED", description="Closed without being made, or merged.")


@strawberry.enum(description="What happened to a stretch of words.")
class WordKind(Enum):
    SAME = enum_value("SAME", description="It stands in both texts.")
    REMOVED = enum_value("REMOVED", description="It stood in the text before.")
    ADDED = enum_value("ADDED", description="It stands in the text after.")


@strawberry.type(description="A status: Sleekplan's key, and what the configuration calls it.")
class Status:
    key: str = computed("Sleekplan's key, often opaque: `planned`, `s68dfa8421c534`.")
    label: str | None = computed("What people call it; null where the configuration does not say.")
    role: StatusRole | None = computed("What it means; null where the configuration does not say.")


@rows_of(Entity("totals"), "Votes as totals; what Sleekplan has not said is null.")
class VoteTotals:
    up: int | None = column("Votes for.", "totals.up")
    down: int | None = column("Votes against.", "totals.down")
    net: int | None = column("Votes for less votes against.", "(totals.up - coalesce(totals.down, 0))")


@strawberry.type(description="A stretch of words of two texts compared.")
class WordChange:
    kind: WordKind = computed("What happened to it.")
    text: str = computed("The words, with the space between them.")


@strawberry.type(description="One field's difference.")
class FieldChange:
    field: str = computed("The field: `title`, `status`, `votes`, …")
    before: JSON | None = computed("Its value before; null where it was not known.")
    after: JSON | None = computed("Its value after.")

    @method("For texts: the difference word by word; null for other values.")
    def words(self) -> list[WordChange] | None:
        before, after = self.before, self.after
        if not isinstance(after, str) or not isinstance(before, str) or self.field not in TEXTS:
            return None
        return [
            make(WordChange, kind=WordKind(kind), text=text) for kind, text in word_changes(before, after)
        ]


@rows_of(Entity("activity"), "What was done in a stretch of time.")
class ActivityTotals:
    votes: int = column("Votes cast.", "activity.votes")
    comments: int = column("Comments written.", "activity.comments")
    new_items: int = column("Items submitted.", "activity.new_items")
    csat_avg: float | None = column(
        "Mean of the satisfaction answers; null without any.", "activity.csat_avg"
    )
    csat_n: int = column("Satisfaction answers given.", "activity.csat_n")


T = TypeVar("T")

_SAME: Final[Mapping[str, str]] = {}
TEXTS: Final = frozenset({"title", "description", "body", "text", "name", "comment"})


def make(cls: type[T], **values: object) -> T:
    """Return an object of a schema type with these attributes, past its __init__."""
    made = object.__new__(cls)
    made.__dict__.update(values)
    return made


def status_of(env: Env, key: str | None) -> Status | None:
    """Return a status with what the configuration says of its key; null stays null."""
    if key is None:
        return None
    label = env.labels.get(key)
    if label is None or label.kind != "status":
        return make(Status, key=key, label=None, role=None)
    return make(Status, key=key, label=label.label, role=label.role)


def label_of(env: Env, key: str | None, kind: Kind = "type") -> str | None:
    """Return what the configuration calls a key of this kind."""
    label = env.labels.get(key) if key is not None else None
    return label.label if label is not None and label.kind == kind else None


def address_of(env: Env, product_id: str | int, item_id: str) -> str | None:
    """Return where people see an item on its board, as far as the configuration says it."""
    return env.labels.address_of(int(product_id), item_id)


def name_of_product(env: Env, product_id: str | int) -> str | None:
    """Return what the configuration calls a product."""
    return env.labels.products.get(int(product_id))


def status_keys(request: Values, roles: set[str]) -> list[str]:
    """Return the keys of the statuses that have one of these roles, as the configuration says."""
    return [label.key for label in request.labels.values() if label.kind == "status" and label.role in roles]


def field_changes(
    names: list[str], before: Mapping[str, Any], after: Mapping[str, Any], shown: Mapping[str, str] = _SAME
) -> list[FieldChange]:
    """Return the differences of the fields that are named, `shown` as the schema calls them."""
    return [
        make(FieldChange, field=shown.get(name, name), before=before.get(name), after=after.get(name))
        for name in names
    ]


def changes_of_row(
    _: Env, names: list[str], before: dict[str, Any], after: dict[str, Any]
) -> list[FieldChange]:
    """Return what a row says has changed: names, values before, values after."""
    return field_changes(names, before, after)


def json_value(_: Env, text: str | None) -> object:
    """Return a JSON document that SQL handed over as text, so that huge numbers in it harm no other row."""
    return None if text is None else parse_json(text)


def parse_json(text: str) -> object:
    """Return the value of JSON text; a number that no double holds stays text."""
    try:
        return orjson.loads(text)
    except ValueError:
        import json

        return json.loads(text, parse_int=_whole, parse_float=_fraction)


def _whole(digits: str) -> object:
    return int(digits) if len(digits) < 19 else digits


def _fraction(digits: str) -> object:
    number = float(digits)
    return digits if number in (float("inf"), float("-inf")) else number


def duration(_: Env, seconds: float | None) -> str | None:
    """Return seconds as ISO 8601."""
    return None if seconds is None else duration_text(float(seconds))
