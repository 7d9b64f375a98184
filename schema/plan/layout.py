"""Says how the rows of a plan's answer are laid out, for the compiler of the fast path.

Each decoder that the planner makes carries the layout that it reads by; what carries none is decoded into
objects and completed from their attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from schema.declare.request import Env

Decoder = Callable[[Any, Env], Any]
D = TypeVar("D", bound=Callable[..., Any])

ViewPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObjectLayout:
    """An object made of a row of `size` values; `nested` is by response key, the others by attribute."""

    cls: type
    size: int
    plain: Mapping[str, int]
    converted: Mapping[str, tuple[int, int, Callable[..., object]]]
    nested: Mapping[str, tuple[int, Decoder]]
    chunked: bool


@dataclass(frozen=True, slots=True)
class ListLayout:
    """A list of rows of one kind."""

    row: Decoder


@dataclass(frozen=True, slots=True)
class PageLayout:
    """A page of a connection: rows of what is wanted, and the count.

    `cursor` says where a row holds its cursor, and `views` where it holds what is selected of it: as `nodes`,
    by response key, and as the `node` of `edges`, by both response keys. A `bare` row is its only part.
    """

    connection_class: type
    cursor: int | None
    views: Mapping[ViewPath, tuple[int, Decoder]]
    bare: bool
    place: int
    order_name: str
    pinned: bool


@dataclass(frozen=True, slots=True)
class FoundLayout:
    """One row among several: `pick` returns it or None, or raises what the client is told."""

    pick: Callable[..., Any]
    row: Decoder


Layout = ObjectLayout | ListLayout | PageLayout | FoundLayout

_ATTRIBUTE = "__recount_layout__"


def laid_out(decode: D, layout: Layout) -> D:
    """Return a decoder that says by which layout it reads."""
    setattr(decode, _ATTRIBUTE, layout)
    return decode


def layout_of(decode: Callable[..., Any]) -> Layout | None:
    """Return the layout that a decoder reads by; None where it does not say."""
    return getattr(decode, _ATTRIBUTE, None)
