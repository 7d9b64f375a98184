"""How a field of an object type is declared: its source beside its description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import strawberry
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField

from schema.declare.arguments import AS_OF, paged
from schema.declare.source import SPEC, Entity, Leaf, Page, Spec

T = TypeVar("T")

_ROWS: Final = "__recount_rows__"
_AS_TEXT: Final = " at time zone 'UTC')"


def rows_of(entity: Entity, description: str, *, name: str | None = None) -> Callable[[type[T]], type[T]]:
    """Declare a type whose objects are rows, called as its class unless a name is given."""

    def declare(cls: type[T]) -> type[T]:
        made = strawberry.type(cls, name=name, description=description)
        setattr(made, _ROWS, entity)
        return made

    return declare


def entity_of(cls: type) -> Entity | None:
    """Return what a type's objects are rows of; None where Python makes them."""
    return cls.__dict__.get(_ROWS)


def column(
    description: str,
    *exprs: str,
    convert: Callable[..., object] | None = None,
    scope: str | None = None,
    name: str | None = None,
) -> Any:
    """Declare a plain attribute: an expression over the row, or several that `convert` makes one of."""
    return strawberry.field(description=description, metadata={SPEC: Leaf(exprs, convert, scope)}, name=name)


def moment(description: str, expr: str) -> Any:
    """Declare a moment; JSON has none, so SQL hands it over as text without a zone."""
    return column(description, f"({expr}{_AS_TEXT}")


def without_zone_undone(expr: str) -> str:
    """Return the expression of a field, of a moment as it is in the table."""
    return expr[1:].removesuffix(_AS_TEXT) if expr.endswith(_AS_TEXT) else expr


def computed(description: str) -> Any:
    """Declare an attribute of an object that Python makes, or the rows of a connection."""
    return strawberry.field(description=description)


def nested(description: str, source: Spec, *arguments: StrawberryArgument, name: str | None = None) -> Any:
    """Declare a field that holds objects: what they are read from, and the arguments that it takes."""
    field = StrawberryField(graphql_name=name, description=description, metadata={SPEC: source})
    field.arguments = list(arguments)
    return field


def connection(description: str, page: Page) -> Any:
    """Declare a field that is a page of a list below another object."""
    return nested(description, page, *paged(page), AS_OF)


def followed(description: str, source: Spec, *arguments: StrawberryArgument) -> Any:
    """Declare a field of the subscription: what it sends, and the arguments that it takes."""
    field = StrawberryField(is_subscription=True, description=description, metadata={SPEC: source})
    field.arguments = list(arguments)
    return field


def mutation(*, description: str) -> Callable[[Callable[..., T]], T]:
    """Declare a field that acts."""

    def declare(method: Callable[..., T]) -> T:
        made: Any = strawberry.mutation(method, description=description)
        return made  # type: ignore[no-any-return]

    return declare


def method(description: str) -> Callable[[Callable[..., T]], T]:
    """Declare a field that Python computes when it is selected."""

    def declare(function: Callable[..., T]) -> T:
        made: Any = strawberry.field(function, description=description)
        return made  # type: ignore[no-any-return]

    return declare
