"""What the log has that a file of labels can name, and what of it nobody named, as lines for that file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple, get_args

import orjson

from projections.read_model import Reader
from service.labels import Labels, Role
from service.log.database import Pool
from service.sql_files import load

Tables = Literal["status", "type", "product"]
"""The tables of the file."""

TITLE_LENGTH_MAX: Final = 60
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")

_sql = load(__file__, "unlabelled.sql")


class Named(NamedTuple):
    """A key of the log or a product: how many items have it now, the title of one of them, and its label."""

    kind: Tables
    key: str
    items: int
    title: str | None
    label: str | None = None
    role: Role | None = None


class Unlabelled(NamedTuple):
    """A key without a label: how many items have it now, and the title of one to recognise it by."""

    kind: Tables
    key: str
    items: int
    title: str | None


async def named(pool: Pool, labels: Labels) -> list[Named]:
    """Return what items have or had, by what it is called; products last, the most used first."""
    reader = Reader(pool)
    rows, _ = await reader.fetch(_sql["keys"])
    keys = []
    for row in rows:
        label = labels.get(row["key"])
        said = (label.label, label.role) if label is not None and label.kind == row["kind"] else (None, None)
        keys.append(Named(row["kind"], row["key"], row["items"], row["title"], *said))
    rows, _ = await reader.fetch(_sql["products"])
    names = labels.products
    return keys + [
        Named("product", row["key"], row["items"], row["title"], names.get(int(row["key"]))) for row in rows
    ]


async def unlabelled(pool: Pool, labels: Labels) -> list[Unlabelled]:
    """Return the keys that items have or had and that have no label, the most used first.

    A product needs a name only where there are several.
    """
    found = await named(pool, labels)
    several = sum(each.kind == "product" for each in found) > 1
    nameless = [each for each in found if each.label is None and (several or each.kind != "product")]
    return [Unlabelled(each.kind, each.key, each.items, each.title) for each in nameless]


def as_toml(keys: Sequence[Unlabelled]) -> Iterator[str]:
    """Yield lines of a labels' file, with each key for its own label until somebody writes another.

    >>> print(*as_toml([Unlabelled("status", "s68df", 2, "Dark mode")]), sep="\\n")
    [status]
    s68df = { label = "s68df" }  # and role = OPEN, ROADMAP, DONE or DECLINED; 2 items, the latest: Dark mode
    """
    for kind in get_args(Tables):
        of_kind = [each for each in keys if each.kind == kind]
        if of_kind:
            yield f"[{kind}]"
        for each in of_kind:
            text = _quoted(each.key)
            name = each.key if _BARE.fullmatch(each.key) else text
            roles = " or ".join(", ".join(get_args(Role)).rsplit(", ", 1))
            said = f"and role = {roles}; {_used(each)}" if kind == "status" else _used(each)
            yield f"{name} = {f'{{ label = {text} }}' if kind == 'status' else text}  # {said}"


def as_json_file(keys: Sequence[Unlabelled]) -> str:
    """Return the same as a labels' file in JSON, which knows no comments."""
    tables = {kind: {each.key: each.key for each in keys if each.kind == kind} for kind in get_args(Tables)}
    told = {kind: table for kind, table in tables.items() if table}
    return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()


def _used(key: Unlabelled) -> str:
    if not key.items:
        return "no item has it any more"
    title = " ".join(_printable(key.title or "").split())
    short = title if len(title) <= TITLE_LENGTH_MAX else f"{title[:TITLE_LENGTH_MAX].rstrip()} …"
    return f"{key.items} {'item' if key.items == 1 else 'items'}{f', the latest: {short}' if short else ''}"


def _printable(text: str) -> str:
    """Return a text without what a comment must not hold, or what would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _quoted(text: str) -> str:
    """Return a text as TOML quotes it, which is as JSON does but for one character."""
    return orjson.dumps(text).decode().replace("\x7f", "\\u007F")
