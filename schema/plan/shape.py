"""What becomes of a statement's answer: plain data, of which the writer makes functions.

A row is a JSON array. Each shape says which values of it stand under which keys of the response; the types
that they have there are GraphQL's own, so a shape is all that the writer needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from graphql import GraphQLOutputType

from schema.declare.request import Env
from schema.ids import encode_cursor

ARRAY_PARTS_MAX: Final = 90  # Postgres functions take at most 100 arguments
TYPE_KEY: Final = "@type"
"""Under which an object of one of several types says which, until it is completed; no field is called so."""


@dataclass(frozen=True, slots=True)
class TypenameShape:
    """The name of the type that it stands in."""

    name: str


@dataclass(frozen=True, slots=True)
class LeafShape:
    """A scalar, an enum or a list of them: a value as it is, or what `convert` makes of some."""

    convert: Callable[..., object] | None = None


@dataclass(frozen=True, slots=True)
class ValueShape:
    """An object that Python made, or a list of such: `convert` makes it of values of the row."""

    fields: tuple[Field, ...]
    convert: Callable[..., object] | None = None


@dataclass(frozen=True, slots=True)
class ObjectShape:
    """An object made of a row of `size` values, null without a row; a `bare` row is its only value."""

    fields: tuple[Field, ...]
    size: int
    bare: bool = False


@dataclass(frozen=True, slots=True)
class AnyShape:
    """An object of one of several types: the name of its type, and its row."""

    of: Mapping[str, ObjectShape]


@dataclass(frozen=True, slots=True)
class ListShape:
    """A list of objects: rows of one kind."""

    of: ObjectShape | AnyShape


@dataclass(frozen=True, slots=True)
class FoundShape:
    """What `pick` finds in an answer; it raises what the client is told, as where one thing is two."""

    pick: Callable[[Any, Env], Any]
    of: Shape


@dataclass(frozen=True, slots=True)
class CursorShape:
    """A row's place in a list, of the values that it is sorted by; `place` is that of the list's arguments.

    It holds where and when the first page was read, where all pages are read as of then.
    """

    place: int
    order: str
    pinned: bool

    def of(self, env: Env) -> Callable[[list[str | None]], str]:
        """Return what makes the cursors of a list that was read."""
        return partial(encode_cursor, self.order, env.first_page if self.pinned else None)


@dataclass(frozen=True, slots=True)
class InfoShape:
    """Where a page stands in its list; each field is named by its `member`."""

    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class PageShape:
    """A page of a connection: rows, one more where others follow, and the count of all.

    A row holds a part for each time that `nodes` or a `node` is selected, since each selects for itself,
    after one for the cursor where that is selected; edges are made of whole rows.
    """

    fields: tuple[Field, ...]
    size: int
    bare: bool
    cursor: CursorShape


Shape = (
    TypenameShape
    | LeafShape
    | ValueShape
    | ObjectShape
    | AnyShape
    | ListShape
    | FoundShape
    | CursorShape
    | InfoShape
    | PageShape
)


@dataclass(frozen=True, slots=True)
class Field:
    """What stands under a key of the response, and of which type it is there.

    It is made of the values from `start` to `end` of a row; of an object that Python made, of its `member`,
    an attribute or a function of it.
    """

    key: str
    type: GraphQLOutputType
    shape: Shape
    start: int = 0
    end: int = 0
    member: str | Callable[[Any], object] = ""


def array_of(exprs: Sequence[str]) -> str:
    """Return a row as SQL makes it, in several arrays where it is long."""
    if len(exprs) <= ARRAY_PARTS_MAX:
        return f"json_build_array({', '.join(exprs)})"
    parts = [exprs[start : start + ARRAY_PARTS_MAX] for start in range(0, len(exprs), ARRAY_PARTS_MAX)]
    return array_of([array_of(part) for part in parts])
