"""Makes valid operations at random for a schema: every argument, fragment, alias, directive and variable.

hypothesis-graphql gives neither variables nor fragments nor directives, which is where a compiler of
selections goes wrong; hence one of our own. A seed gives the same operations on any machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
    get_named_type,
    is_leaf_type,
)

DEPTH_MAX: Final = 4
LIKELY: Final = {"first": 0.6, "last": 0.07, "after": 0.08, "before": 0.08}
"""How likely an optional argument is given: pages small, and seldom from both ends at once."""


class Enumerated(str):
    """A value that is written without quotes."""


@dataclass(frozen=True)
class Made:
    """An operation: its document and its variables."""

    text: str
    variables: dict[str, Any]


@dataclass
class RandomOperations:
    """Operations over one schema; `values` gives plausible values by an argument's name, then by its type."""

    schema: GraphQLSchema
    random: Random
    values: Mapping[str, Sequence[object]]
    roots: Sequence[str] = ()
    _variables: dict[str, tuple[str, Any]] = field(default_factory=dict)
    _fragments: list[str] = field(default_factory=list)

    def query(self) -> Made:
        """Return a query of one to three root fields."""
        query = self.schema.query_type
        assert query is not None
        return self._operation("query", query, self._some(self.roots or list(query.fields), 3))

    def subscription(self, root: str) -> Made:
        """Return a subscription of a root field."""
        subscription = self.schema.subscription_type
        assert subscription is not None
        return self._operation("subscription", subscription, [root])

    def _operation(self, kind: str, type_: GraphQLObjectType, names: Sequence[str]) -> Made:
        self._variables, self._fragments = {}, []
        fields = [
            self._field(name, type_.fields[name], DEPTH_MAX, f"a{place}", at_root=kind != "query")
            for place, name in enumerate(names)
        ]
        if kind == "query" and self._chance(0.1):
            fields.append("__typename")
        declared = ", ".join(f"${name}: {type_name}" for name, (type_name, _) in self._variables.items())
        head = f"{kind} Random({declared})" if declared else f"{kind} Random"
        text = "\n".join([f"{head} {{ {' '.join(fields)} }}", *self._fragments])
        given = {name: value for name, (_, value) in self._variables.items() if value is not Undefined}
        return Made(text, json.loads(json.dumps(given)))

    # Selections

    def _field(
        self,
        name: str,
        field_: GraphQLField,
        depth: int,
        alias: str,
        *,
        again: bool = False,
        at_root: bool = False,
    ) -> str:
        text = name
        args = self._arguments(field_.args)
        if again or args or self._chance(0.2):
            # Two fields of one name with other arguments would not merge; aliases keep them apart. They are
            # counted anew in each selection: what stands beside each other is called the same further down.
            text = f"{alias}: {name}{args}"
        if not at_root:
            text += self._directive()
        named = get_named_type(field_.type)
        return text if is_leaf_type(named) else f"{text} {self._selection(named, depth - 1)}"

    def _selection(self, type_: Any, depth: int, prefix: str = "a") -> str:
        if not isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            return f"{{ __typename {self._on_some(type_, depth)} }}"
        leaves = [name for name, each in type_.fields.items() if is_leaf_type(get_named_type(each.type))]
        others = [name for name in type_.fields if name not in leaves]
        if type_.name.endswith(("Connection", "Edge")):
            names = self._some(list(type_.fields), 3)
        else:
            names = self._some(leaves, 6) if leaves else []
            if depth > 0 and others and (not leaves or self._chance(0.6)):
                names += self._some(others, 2)
        if depth <= 0:
            names = [name for name in names if name in leaves]
        if self._chance(0.3) and (nested := [name for name in names if name in others]):
            names.append(self.random.choice(nested))
        parts = [
            self._field(name, type_.fields[name], depth, f"{prefix}{place}", again=name in names[:place])
            for place, name in enumerate(names)
        ]
        if self._chance(0.15):
            parts.insert(self.random.randrange(len(parts) + 1), "__typename")
        if isinstance(type_, GraphQLInterfaceType):
            parts.append(self._on_some(type_, depth))
        if self._chance(0.1):
            spread = f"...{self._condition(type_)}{self._directive()} {{ {' '.join(parts)} }}"
            parts = [*parts[:1], spread]
        elif self._chance(0.08):
            name = f"F{len(self._fragments)}"
            self._fragments.append("")
            self._fragments[int(name[1:])] = (
                f"fragment {name} on {type_.name} {{ {' '.join(parts) or '__typename'} }}"
            )
            parts = [f"...{name}{self._directive()}"]
        return f"{{ {' '.join(parts) or '__typename'} }}"

    def _condition(self, type_: Any) -> str:
        return f" on {type_.name}" if self._chance(0.5) else ""

    def _on_some(self, type_: Any, depth: int) -> str:
        possible = list(self.schema.get_possible_types(type_))
        chosen = self._some(possible, 3)
        return " ".join(
            f"... on {each.name} {self._selection(each, depth - 1, each.name.lower())}" for each in chosen
        )

    def _directive(self) -> str:
        if not self._chance(0.08):
            return ""
        name, value = self.random.choice(("skip", "include")), self.random.random() < 0.5
        given = self._variable("Boolean!", value) if self._chance(0.5) else str(value).lower()
        return f" @{name}(if: {given})"

    # Arguments

    def _arguments(self, args: Mapping[str, GraphQLArgument]) -> str:
        written = []
        for name, arg in args.items():
            required = isinstance(arg.type, GraphQLNonNull) and arg.default_value is Undefined
            if required or self._chance(LIKELY.get(name, 0.2)):
                written.append(f"{name}: {self._argument(name, arg.type)}")
        return f"({', '.join(written)})" if written else ""

    def _argument(self, name: str, type_: Any) -> str:
        value = self._value(name, type_, 2)
        if not self._chance(0.3):
            return _written(value)
        if not isinstance(type_, GraphQLNonNull) and self._chance(0.1):
            value = Undefined
        return self._variable(str(type_), value)

    def _variable(self, type_name: str, value: Any) -> str:
        name = f"v{len(self._variables)}"
        self._variables[name] = type_name, value
        return f"${name}"

    def _value(self, name: str, type_: Any, depth: int) -> Any:
        if isinstance(type_, GraphQLNonNull):
            return self._value(name, type_.of_type, depth)
        if self._chance(0.03):
            return None
        if isinstance(type_, GraphQLList):
            item = type_.of_type
            return [self._value(name, item, depth) for _ in range(self.random.randrange(3))]
        if isinstance(type_, GraphQLEnumType):
            return Enumerated(self.random.choice(list(type_.values)))
        if isinstance(type_, GraphQLInputObjectType):
            chosen = self._some(list(type_.fields), 2 if depth > 0 else 1)
            for key, each in type_.fields.items():
                if isinstance(each.type, GraphQLNonNull) and each.default_value is Undefined:
                    chosen = [*dict.fromkeys([*chosen, key])]
            return {key: self._value(key, type_.fields[key].type, depth - 1) for key in chosen}
        return self.random.choice(self.values.get(name) or self.values[type_.name])

    # Dice

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def _some(self, names: Sequence[Any], most: int) -> list[Any]:
        return self.random.sample(list(names), min(len(names), self.random.randint(1, most)))


def _written(value: Any) -> str:
    if isinstance(value, Enumerated):
        return str(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_written(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_written(each) for each in value)}]"
    return json.dumps(value)
