"""Filters: what a list can be narrowed by, each test said once, for the input and for the SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import strawberry
from strawberry import UNSET
from strawberry.annotation import StrawberryAnnotation

from schema.declare.comparators import CASTS, IdFilter, Window
from schema.declare.request import Values


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparator input over one expression."""

    type: type
    description: str
    expr: str

    @property
    def cast(self) -> str:
        """The SQL type of the expression."""
        return CASTS[self.type]


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean: true and false each choose a condition; null chooses neither.

    Left out, it is `default`, at the top of a filter that has nothing which `implies` it; None is null.
    """

    description: str
    when_true: str
    when_false: str
    default: bool | None = None
    type: Any = bool


@dataclass(frozen=True, slots=True)
class Ids:
    """A comparator over the columns that an opaque id of a type names, or with `type` an id alone."""

    type_name: str
    description: str
    product: str
    column: str
    type: Any = IdFilter


@dataclass(frozen=True, slots=True)
class Between:
    """A window: the condition names its ends, `:from` and `:until`; it implies that a flag is true."""

    description: str
    condition: str
    implies: str | None = None
    type: Any = Window


@dataclass(frozen=True, slots=True)
class Given:
    """A condition with one parameter, `:value`: what is given, or what follows from it and the request."""

    type: Any
    description: str
    condition: str
    cast: str
    value: Callable[[Any], object] = lambda given: given
    with_request: Callable[[Any, Values], object] | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """Words in texts: a condition over `:words`, and the same of a past moment, where no index knows."""

    description: str
    now: str
    then: str
    type: Any = str


Test = Compare | Flag | Ids | Between | Given | Search


def unless_asked(what: str, expr: str) -> Flag:
    """Declare the flag of what is left out where nothing asks for it."""
    described = f"Only {what} ones (true), only others (false, the default), or both (null)."
    return Flag(described, expr, f"not {expr}", default=False)


_ALL: Final = "All of these as well."
_ANY: Final = "At least one of these as well."
_NOT: Final = "Not this; what is unknown passes."


class Filter:
    """What lists of one kind can be narrowed by: tests by their names in the schema, and their input type."""

    def __init__(self, name: str, what: str, description: str, /, **tests: Test) -> None:
        self.what: Final = what
        self.tests: Final[Mapping[str, Test]] = tests
        self.input: Final = _input(name, description, tests)

    def left_out(self, given: Mapping[str, Any]) -> list[str]:
        """Return the conditions of the flags that a filter does not name and nothing in it implies."""
        implied = {
            test.implies for name, test in self.tests.items() if isinstance(test, Between) and name in given
        }
        return [
            test.when_true if test.default else test.when_false
            for name, test in self.tests.items()
            if isinstance(test, Flag)
            and test.default is not None
            and name not in given
            and name not in implied
        ]


def _input(name: str, description: str, tests: Mapping[str, Test]) -> type:
    members: dict[str, Any] = {
        _python_name(each): strawberry.field(name=each, default=UNSET, description=test.description)
        for each, test in tests.items()
    }
    for each, text in (("and", _ALL), ("or", _ANY), ("not", _NOT)):
        members[_python_name(each)] = strawberry.field(name=each, default=UNSET, description=text)
    types: dict[str, Any] = {_python_name(each): test.type | None for each, test in tests.items()}
    members["__annotations__"] = types | dict.fromkeys(("and_", "or_", "not_"), object | None)
    made: Any = strawberry.input(type(name, (), members), description=description)
    for field in made.__strawberry_definition__.fields:
        # Of the input itself, which did not exist yet.
        if field.python_name in ("and_", "or_"):
            field.type_annotation = StrawberryAnnotation(list[made] | None)
        elif field.python_name == "not_":
            field.type_annotation = StrawberryAnnotation(made | None)
    return made  # type: ignore[no-any-return]


def _python_name(name: str) -> str:
    return f"{name}_"
