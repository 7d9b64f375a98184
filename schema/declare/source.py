"""What a field of the schema says about where its data comes from: one line of SQL, or a named block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import GraphQLField

import schema
from schema.declare.request import Args, Request
from service.sql_files import load

BLOCKS: Final[dict[str, str]] = {
    name: text
    for file in ("objects/sources.sql", "objects/history.sql", "objects/board.sql", "live/following.sql")
    for name, text in load(schema.__file__, file).items()
}
"""Every named block of SQL that fields read from."""

SPEC: Final = "recount"
"""The key in a Strawberry field's metadata under which its data source stands."""

_DECLARED: Final = "strawberry-definition"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value for a `:name` in a block: its SQL type, and how it follows from the field's arguments.

    `with_request` is for what follows from the request as well, as the keys of a role do.
    """

    cast: str
    value: Callable[[Args], object] | None = None
    with_request: Callable[[Args, Request], object] | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value from one or several expressions over the row; `convert` makes the answer's value of them."""

    exprs: tuple[str, ...]
    convert: Callable[..., object] | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Inline:
    """An object made of columns of the same row; null where `unless` does not hold."""

    fields: Mapping[str, str]
    unless: str | None = None


@dataclass(frozen=True, slots=True)
class One:
    """Another object, found by its key; `on` compares its columns with this row's.

    `moment` names the one of several moments that it is read at; `position` is an expression for the position
    that it is read as of.
    """

    type_name: str
    on: str
    moment: str | None = None
    position: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """A list of objects from a named block of SQL, in an order, at most `limit`."""

    type_name: str
    block: str
    order: str
    limit: str | None = None
    where: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    windowed: bool = False
    zoned: bool = False
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Single:
    """One object that a named block of SQL makes."""

    type_name: str
    block: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    windowed: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What a list can be sorted by: an expression, its SQL type, and whether it may be null.

    `index` says which way the index goes that sorts it, `asc` or `desc`, with nulls last; None is none.
    `most` is the column of now that it has never been more than, at any moment.
    """

    expr: str
    cast: str
    nullable: bool = True
    descending: bool = True
    inverted: bool = False
    index: str | None = None
    most: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A connection over an entity, sorted by one of `orders` and then by the entity's key."""

    type_name: str
    orders: Mapping[str, Order]
    default_order: str
    where: str | None = None
    filter_name: str | None = None
    base_filter: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    pinned: bool = True


@dataclass(frozen=True, slots=True)
class Lookup:
    """One thing by its opaque id, or by Sleekplan's and the product's."""

    type_name: str


@dataclass(frozen=True, slots=True)
class Nodes:
    """Anything by its opaque id, or several at once."""


@dataclass(frozen=True, slots=True)
class Diff:
    """What differs between the moments of the arguments `from` and `to`."""


@dataclass(frozen=True, slots=True)
class DiffItems:
    """The items of a difference that are of one kind."""

    kind: str


@dataclass(frozen=True, slots=True)
class ByPosition:
    """Rows of a type made for given positions: what a subscription sends.

    `about` says which events it is about, by a name that schema.live knows; `order` names the columns that
    order those of one position.
    """

    type_name: str
    block: str
    about: str
    order: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Whole:
    """A list that a subscription sends whole, whenever it is another."""

    rows: Rows


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs in a thing between two positions, given as expressions over the row.

    `columns` are those compared, by the names of their fields; `convert` makes the answer's value of the
    names that differ, the values before and those after.
    """

    type_name: str
    on: str
    before: str
    after: str
    columns: Mapping[str, str]
    convert: Callable[[list[str], dict[str, Any], dict[str, Any]], object]


@dataclass(frozen=True, slots=True)
class View:
    """The rows of the connection around it, or one of them."""


Spec = (
    Leaf
    | Inline
    | One
    | Rows
    | Single
    | Page
    | Lookup
    | Nodes
    | Diff
    | DiffItems
    | ByPosition
    | Whole
    | Differences
    | View
)


def spec_of(definition: GraphQLField) -> Spec | None:
    """Return where a field's data comes from; None where it has a resolver, or is an attribute."""
    declared = definition.extensions.get(_DECLARED)
    return None if declared is None else declared.metadata.get(SPEC)


def member_of(definition: GraphQLField) -> str | Callable[[Any], object]:
    """Return what a field is of an object that Python made: an attribute, or a function of it."""
    declared = definition.extensions[_DECLARED]
    if declared.base_resolver is None:
        return str(declared.python_name)
    function: Callable[[Any], object] = declared.base_resolver.wrapped_func
    return function


@dataclass(frozen=True, slots=True)
class Entity:
    """A table that objects of one type are rows of, now and as of a moment.

    `alias` names the row in every expression of the type's fields. `then` is the block that gives the
    same columns as of `:p` and `:t`; where `then_joins` is given, the block's `:columns` and `:joins`
    are filled with only what a statement needs. `then_joins_of_few` take the place of those of the same name
    where only few rows are looked at.
    """

    type_name: str
    alias: str
    table: str
    key: tuple[tuple[str, str], ...]
    then: str
    then_columns: Mapping[str, str] = field(default_factory=dict)
    then_joins: Mapping[str, str] = field(default_factory=dict)
    then_joins_of_few: Mapping[str, str] = field(default_factory=dict)
    always: tuple[str, ...] = ()
