"""Types that are named before they are declared: by text, so that no two files import each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import strawberry

if TYPE_CHECKING:
    LazyItem: TypeAlias = Any
    LazyUser: TypeAlias = Any
    LazyComment: TypeAlias = Any
    LazyChangelogEntry: TypeAlias = Any
    LazySatisfactionAnswer: TypeAlias = Any
    LazyEvent: TypeAlias = Any
else:

    def _lazy(name: str, noun: str) -> object:
        return Annotated[name, strawberry.lazy(f"schema.objects.{noun}")]

    LazyItem = _lazy("Item", "item")
    LazyUser = _lazy("User", "user")
    LazyComment = _lazy("Comment", "comment")
    LazyChangelogEntry = _lazy("ChangelogEntry", "changelog")
    LazySatisfactionAnswer = _lazy("SatisfactionAnswer", "satisfaction")
    LazyEvent = _lazy("Event", "event")
