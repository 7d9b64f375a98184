"""What a field of the schema says about where its data comes from: SQL expressions, or blocks of SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from graphql import GraphQLField

from schema.declare.filters import Filter
from schema.declare.orders import Orders
from schema.declare.request import Args, Values

SPEC: Final = "recount"
"""The key in a Strawberry field's metadata under which its data source stands."""

_DECLARED: Final = "strawberry-definition"


@dataclass(frozen=True, slots=True)
class Entity:
    """What objects of one type are rows of: a table, now and as of a moment; or blocks of SQL alone.

    `alias` names the row in every expression of the type's fields. `then` is the block that gives the
    same columns as of `:p` and `:t`, or `then_by_position` where the time does not matter; where `columns`
    are given, its `:columns` and `:joins` are filled with only what a statement needs. `joins_of_few` take
    the place of those of the same name where only few rows are looked at. `shared` are tables that
    expressions name, made once a statement and moment.

    Of private notes only callers with the scope `personal` are told. `private` is a condition on a row of the
    table that it tells of one, `private_then` a clause of `then` that leaves out those that were notes at the
    moment, and `without_private` and `without_private_then` the columns, of now and of then, that are others
    without them.
    """

    alias: str
    table: str = ""
    key: tuple[tuple[str, str], ...] = ()
    then: str = ""
    then_by_position: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    joins: Mapping[str, str] = field(default_factory=dict)
    joins_of_few: Mapping[str, str] = field(default_factory=dict)
    always: tuple[str, ...] = ()
    shared: Mapping[str, str] = field(default_factory=dict)
    private: str = ""
    private_then: str = ""
    without_private: Mapping[str, str] = field(default_factory=dict)
    without_private_then: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value for a `:name` in a block: its SQL type, and how it follows from the field's arguments.

    `with_request` is for what follows from the request as well, as the keys of a role do.
    """

    cast: str
    value: Callable[[Args], object] | None = None
    with_request: Callable[[Args, Values], object] | None = None


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
    """Another object of the same product, whose key is in a column of this row.

    `moment` names the one of several moments that it is read at; `position` is an expression for the position
    that it is read as of; `where` is its condition, where it is not found by its key.
    """

    type_name: str
    column: str = ""
    moment: str | None = None
    position: str | None = None
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """A list of objects from a block of SQL, in an order, at most `limit`."""

    type_name: str
    block: str
    order: str
    limit: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    windowed: bool = False
    zoned: bool = False
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Single:
    """One object that a block of SQL makes."""

    type_name: str
    block: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    windowed: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A connection over an entity, sorted by one of its orders and then by the entity's key.

    Clients choose rows and order by arguments, but where `filter` is None. Pages that follow are read at the
    position of the first where they are `pinned`.
    """

    type_name: str
    orders: Orders
    default_order: str
    filter: Filter | None
    where: str | None = None
    base_filter: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    pinned: bool = True

    def below(self, where: str, **changes: Any) -> Page:
        """Return the same list of those that belong to another object."""
        return replace(self, where=where, pinned=False, **changes)


@dataclass(frozen=True, slots=True)
class Lookup:
    """One thing by its opaque id, or by Sleekplan's and the product's."""

    type_name: str


@dataclass(frozen=True, slots=True)
class Nodes:
    """Anything by its opaque id, or several at once."""


@dataclass(frozen=True, slots=True)
class Diff:
    """What differs in a type's rows between the moments `from` and `to` of the arguments: the table `diffs`.

    The block names the rows of each moment, `:before` and `:after`, of which it needs `columns`.
    """

    type_name: str
    block: str
    columns: frozenset[str]


@dataclass(frozen=True, slots=True)
class DiffRows:
    """Rows of `diffs`, which the block selects as `diff`; objects that are no such rows are found by the key.

    Those are read at the `moment`, `before` or `after`; where it is None, at that of the row around, which
    the block names.
    """

    block: str
    order: str
    moment: str | None


@dataclass(frozen=True, slots=True)
class At:
    """Rows of a type as of a position, and of a time where one is given: expressions over the row around."""

    type_name: str
    position: str
    columns: frozenset[str] = frozenset()
    time: str = "'infinity'::timestamptz"


@dataclass(frozen=True, slots=True)
class Matching:
    """The rows that the argument `filter` lets through, at one of these moments, as a block tests them."""

    filter: Filter
    block: str
    at: tuple[At, ...]


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
    rows: Mapping[str, At] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    matching: Matching | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """A list that a subscription sends whole, whenever it is another."""

    rows: Rows


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs in another object between two positions, given as expressions over the row.

    `columns` are those compared, by the names of their fields; in those of `empty` an empty text is null.
    `convert` makes the answer's value of the names that differ, the values before and those after.
    """

    of: One
    before: str
    after: str
    columns: Mapping[str, str]
    convert: Callable[[list[str], dict[str, Any], dict[str, Any]], object]
    empty: frozenset[str] = frozenset()


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
    | DiffRows
    | ByPosition
    | Whole
    | Differences
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
