"""Writes the GraphQL reference: a page a noun, from the schema's own descriptions.

A type stands on the page of the file that declares it; what no file of a noun declares (filters, orders,
pages of lists) on that of the noun in its name. A root field stands with what it answers with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    Undefined,
    ast_from_value,
    get_named_type,
    is_introspection_type,
    is_specified_scalar_type,
    print_ast,
)

from schema.build import build_schema

TITLES: Final = {
    "item": "Items",
    "history": "What an item went through",
    "vote": "Votes",
    "comment": "Comments",
    "user": "Users",
    "item_subscription": "Subscriptions to items",
    "changelog": "Changelog",
    "satisfaction": "Satisfaction",
    "event": "Events",
    "board": "The whole board",
    "difference": "Differences",
    "thresholds": "Thresholds",
    "operating": "Operating",
    "mutation": "Mutations",
    "values": "Values and moments",
}
"""The nouns in the order in which they are read, by the file of `schema/objects` that declares them."""
_SHARED: Final = "values"
_STEMS: Final = {
    "Changelog": "ChangelogEntry",
    "Satisfaction": "SatisfactionAnswer",
    "Subscription": "ItemSubscription",
}
_ROOTS: Final = {"Query": "Read", "Subscription": "Follow live", "Mutation": "Act"}


class Reference:
    """The pages of the reference, by the name of their file."""

    def __init__(self) -> None:
        built = build_schema()
        self._types = {
            name: type_
            for name, type_ in sorted(built._schema.type_map.items())
            if not is_introspection_type(type_) and not is_specified_scalar_type(type_)
        }
        self._declared = {
            name: _module(found.definition) for name, found in built.schema_converter.type_map.items()
        }
        self._page_of = {name: self._noun(name) for name in self._types}

    def pages(self) -> dict[str, str]:
        """Return the text of each page, the first of them the index."""
        return {
            "index.md": self._index(),
            **{_file(noun): self._page(noun, title) for noun, title in TITLES.items()},
        }

    def _noun(self, name: str) -> str:
        declared = self._declared.get(name, "")
        if declared in TITLES:
            return declared
        stem = re.sub(r"(Connection|Edge|Filter|OrderBy|Order)$", "", name)
        declared = self._declared.get(_STEMS.get(stem, stem), "")
        return declared if stem != name and declared in TITLES else _SHARED

    def _index(self) -> str:
        lines = [
            "# GraphQL reference",
            "",
            "Every type, field, argument and value, as the schema itself describes them; written from it "
            "when this site was built. [The GraphQL API](../graphql.md) says what holds throughout, "
            "[the questions](../questions.md) are worked examples.",
            "",
        ]
        for root, title in _ROOTS.items():
            lines += [f"## {title}", "", "| | |", "| --- | --- |"]
            lines += [
                f"| [`{name}`]({_file(self._root_page(field))}) | {_cell(field.description)} |"
                for name, field in self._fields(root).items()
            ]
            lines.append("")
        lines += ["## Types", "", "| | |", "| --- | --- |"]
        lines += [
            f"| [`{name}`]({_file(self._page_of[name])}#{name.lower()}) | {_cell(type_.description)} |"
            for name, type_ in self._types.items()
            if name not in _ROOTS
        ]
        return "\n".join(lines) + "\n"

    def _fields(self, root: str) -> dict[str, GraphQLField]:
        type_ = self._types[root]
        assert isinstance(type_, GraphQLObjectType)
        fields: dict[str, GraphQLField] = type_.fields
        return fields

    def _root_page(self, field: GraphQLField) -> str:
        return self._page_of[get_named_type(field.type).name]

    def _page(self, noun: str, title: str) -> str:
        parts = [f"# {title}"]
        for root, verb in _ROOTS.items():
            fields = {
                name: field for name, field in self._fields(root).items() if self._root_page(field) == noun
            }
            if fields:
                parts += [f"## {verb}", self._table(fields)]
        kept = [
            type_ for name, type_ in self._types.items() if self._page_of[name] == noun and name not in _ROOTS
        ]
        for type_ in sorted(kept, key=_rank):
            parts += self._type(type_)
        return "\n\n".join(parts) + "\n"

    def _type(self, type_: GraphQLNamedType) -> Iterator[str]:
        yield f"## {type_.name}"
        if type_.description:
            yield type_.description
        if isinstance(type_, GraphQLScalarType) and type_.specified_by_url:
            yield f"A scalar, as in <{type_.specified_by_url}>."
        elif isinstance(type_, GraphQLEnumType):
            rows = [f"| `{name}` | {_cell(value.description)} |" for name, value in type_.values.items()]
            yield "\n".join(["| value | |", "| --- | --- |", *rows])
        elif isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            if isinstance(type_, GraphQLInputObjectType):
                yield "An input."
            for interface in getattr(type_, "interfaces", ()):
                yield f"Implements {self._link(interface)}."
            yield self._table(type_.fields)

    def _table(self, fields: dict[str, GraphQLField] | dict[str, GraphQLInputField]) -> str:
        rows = ["| field | type | |", "| --- | --- | --- |"]
        for name, field in fields.items():
            told = [_cell(field.description)]
            told += [
                f"`{argument}`: {self._link(given.type)}{_default(given)} – {_cell(given.description)}"
                for argument, given in getattr(field, "args", {}).items()
            ]
            shown = f"`{name}`" + (_default(field) if isinstance(field, GraphQLInputField) else "")
            rows.append(f"| {shown} | {self._link(field.type)} | {'<br>'.join(filter(None, told))} |")
        return "\n".join(rows)

    def _link(self, type_: object) -> str:
        """Return a type as it is written, its name a link to where it stands."""
        name = get_named_type(type_).name  # type: ignore[call-overload]
        if name not in self._page_of:
            return f"`{type_}`"
        return f"[`{type_}`]({_file(self._page_of[name])}#{name.lower()})"


def _module(definition: object) -> str:
    """Return the file of `schema/objects` in which a type is declared, empty for those of elsewhere."""
    declared = getattr(definition, "origin", None) or getattr(definition, "wrapped_cls", None)
    package, _, name = getattr(declared, "__module__", "").rpartition(".")
    return name if package == "schema.objects" else ""


def _rank(type_: GraphQLNamedType) -> tuple[int, str]:
    """Objects first, then what they are asked with; pages of lists last."""
    if re.search(r"(Connection|Edge)$", type_.name):
        return 9, type_.name
    kinds = (
        GraphQLInterfaceType,
        GraphQLObjectType,
        GraphQLEnumType,
        GraphQLInputObjectType,
        GraphQLScalarType,
    )
    return next(rank for rank, kind in enumerate(kinds) if isinstance(type_, kind)), type_.name


def _file(noun: str) -> str:
    return f"{noun.replace('_', '-')}.md"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _default(given: GraphQLArgument | GraphQLInputField) -> str:
    if given.default_value is Undefined:
        return ""
    value = ast_from_value(given.default_value, given.type)
    return f" = `{print_ast(value)}`" if value is not None else ""


def write(folder: Path) -> None:
    """Write all pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in Reference().pages().items():
        (folder / name).write_text(text)
