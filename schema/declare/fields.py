"""How a field of an object type is declared: its source beside its description."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import strawberry

from schema.context import Info
from schema.declare.source import SPEC, Leaf, Spec

T = TypeVar("T")


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
    return column(description, f"({expr} at time zone 'UTC')")


def computed(description: str) -> Any:
    """Declare an attribute of an object that Python makes, not a row."""
    return strawberry.field(description=description)


def nested(spec: Spec, description: str, name: str | None = None) -> Callable[[Callable[..., T]], T]:
    """Declare a field that holds objects; the decorated method only carries arguments and type."""

    def declare(method: Callable[..., T]) -> T:
        made: Any = strawberry.field(method, description=description, metadata={SPEC: spec}, name=name)
        return made  # type: ignore[no-any-return]

    return declare


def child(parent: object, info: Info) -> T:  # type: ignore[type-var]  # as the field declares
    """Return what the plan has put into a parent for the field that is being resolved.

    By response key, since one field can be asked for twice with different arguments.
    """
    found: T = parent.__dict__[f"@{info.path.key}"]
    return found


def listed(description: str) -> Any:
    """Declare a field of a connection, or of its edges, that holds rows: each alias of it has its own."""
    return strawberry.field(resolver=_listed, description=description)


def _listed(self: Any, info: Info) -> Any:
    return child(self, info)


def mutation(*, description: str) -> Callable[[Callable[..., T]], T]:
    """Declare a field that acts."""

    def declare(method: Callable[..., T]) -> T:
        made: Any = strawberry.mutation(method, description=description)
        return made  # type: ignore[no-any-return]

    return declare


def subscription(
    *, description: str, source: Spec | None = None
) -> Callable[[Callable[..., Awaitable[T]]], T]:
    """Declare a field that is followed; `source` says where the planner reads what it sends."""

    def declare(method: Callable[..., Awaitable[T]]) -> T:
        metadata = {} if source is None else {SPEC: source}
        made: Any = strawberry.subscription(method, description=description, metadata=metadata)
        return made  # type: ignore[no-any-return]

    return declare


def method(description: str) -> Callable[[Callable[..., T]], T]:
    """Declare a field that Python computes when it is selected."""

    def declare(function: Callable[..., T]) -> T:
        made: Any = strawberry.field(function, description=description)
        return made  # type: ignore[no-any-return]

    return declare
