"""Writes, for one selection, the Python function that makes the response of a statement's answer.

What it writes does what graphql-core would: the same keys in the same order, each value checked to be one
that its type takes as it is. Any doubt about a value raises `NotCertain`, any doubt about a selection
`NotCompiled`, and the reference executor does the work; nothing here makes an error or a null of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLEnumType,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    is_abstract_type,
)

from schema.declare.request import Env
from schema.declare.source import SPEC, Leaf
from schema.ids import encode_cursor
from schema.plan.layout import (
    Decoder,
    FoundLayout,
    ListLayout,
    ObjectLayout,
    PageLayout,
    ViewPath,
    layout_of,
)
from schema.plan.planner import is_backward, page_size
from schema.plan.selection import Selected, SelectionReader
from schema.plan.statement import Types
from schema.scalars import moment_text

if TYPE_CHECKING:
    from strawberry.types.field import StrawberryField

Projector = Callable[[Any, Env], Any]

_INT_MIN: Final = -(2**31)
_INT_MAX: Final = 2**31 - 1


class NotCompiled(Exception):
    """A selection holds something that is not known with certainty: the reference executor answers it."""


class NotCertain(Exception):
    """A value is not one that its type takes as it is: the reference executor completes the answer."""


def page_of(args: Mapping[str, Any]) -> tuple[int, bool, Mapping[str, Any]]:
    """Return a page's size, whether it is taken from the end, and its arguments."""
    return page_size(args), is_backward(args), args


def uncertain() -> Any:
    """Stop: whatever this value becomes, or breaks, the reference executor decides."""
    raise NotCertain


@dataclass(frozen=True, slots=True)
class Scene:
    """What selections are compiled against: the schema, and the document's reader."""

    schema: GraphQLSchema
    types: Types
    reader: SelectionReader


def scene_of(
    schema: GraphQLSchema,
    types: Types,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
) -> Scene:
    """Return what the selections of one document with one set of coerced variables are compiled against."""
    return Scene(schema, types, SelectionReader(schema, fragments, variables))


def compile_projector(
    scene: Scene, definition: GraphQLField, selected: Selected, nodes: list[FieldNode], decode: Decoder
) -> Projector:
    """Return the function from a statement's decoded answer to a root field's value in the response.

    Raises NotCompiled for what is not known with certainty.
    """
    return _Compiler(scene).root(definition, selected, nodes, decode)


def compile_completer(
    scene: Scene, definition: GraphQLField, selected: Selected, nodes: list[FieldNode]
) -> Projector:
    """Return the function from an object that the planner made to its value in the response."""
    return _Compiler(scene).completer(definition, selected, nodes)


class _Compiler:
    """Collects functions' source; each object, list and page of the selection becomes one function."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._types = scene.types
        self._source: list[str] = []
        self._names = 0
        self._globals: dict[str, Any] = {
            "uncertain": uncertain,
            "isfinite": isfinite,
            "encode_cursor": encode_cursor,
            "page_of": page_of,
        }
        self._pages: list[int] = []
        self._serializers: dict[str, str] = {}

    def root(
        self, definition: GraphQLField, selected: Selected, nodes: list[FieldNode], decode: Decoder
    ) -> Projector:
        return self._projector(self._rows("answer", definition.type, selected, nodes, decode))

    def completer(self, definition: GraphQLField, selected: Selected, nodes: list[FieldNode]) -> Projector:
        return self._projector(self._complete("answer", definition.type, selected, nodes))

    def _projector(self, value: str) -> Projector:
        pages = "".join(f"page_of(env.args[{place}]), " for place in self._pages)
        self._source += ["def projector(answer, env):", f"    pages = ({pages})", f"    return {value}"]
        exec(compile("\n".join(self._source), "<projector>", "exec"), self._globals)
        projector: Projector = self._globals["projector"]
        return projector

    # Names

    def _name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def _known(self, value: object, prefix: str = "k") -> str:
        """Return the name under which a value can be used in the source."""
        name = self._name(prefix)
        self._globals[name] = value
        return name

    def _function(self, parameters: str, lines: Sequence[str]) -> str:
        name = self._name("f")
        self._source.append(f"def {name}({parameters}):")
        self._source.extend(f"    {line}" for line in lines)
        return name

    # Selections

    def _fields(self, type_: GraphQLObjectType, nodes: Sequence[FieldNode]) -> dict[str, list[FieldNode]]:
        """Return what is selected of a type, as the executor collects it: `__typename` included, in order."""
        return self._scene.reader.collect(type_, nodes)

    def _below(
        self, type_: GraphQLObjectType, nodes: Sequence[FieldNode], selected: Selected
    ) -> list[tuple[str, list[FieldNode], GraphQLField | None, Selected | None]]:
        children = {each.key: each for each in selected.of(type_.name)}
        found: list[tuple[str, list[FieldNode], GraphQLField | None, Selected | None]] = []
        for key, of_key in self._fields(type_, nodes).items():
            name = of_key[0].name.value
            if name == "__typename":
                found.append((key, of_key, None, None))
                continue
            each = children.get(key)
            if each is None or each.name != name:
                raise NotCompiled(f"{type_.name}.{key} was not planned")
            found.append((key, of_key, type_.fields[name], each))
        return found

    def _object_type(self, type_: object) -> GraphQLObjectType:
        if not isinstance(type_, GraphQLObjectType):
            raise NotCompiled(f"{type_} is no object type")
        return type_

    # Values made of rows

    def _rows(
        self, value: str, type_: Any, selected: Selected, nodes: Sequence[FieldNode], decode: Decoder
    ) -> str:
        """Return the expression of what a decoder's part of the answer becomes in the response."""
        layout = layout_of(decode)
        required = isinstance(type_, GraphQLNonNull)
        inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        match layout:
            case ObjectLayout():
                made = self._object(self._object_type(inner), selected, nodes, layout)
                return self._call(made, value, required)
            case ListLayout() if isinstance(inner, GraphQLList):
                return f"{self._list(inner, selected, nodes, layout)}({value}, env, pages)"
            case PageLayout():
                return f"{self._page(self._object_type(inner), selected, nodes, layout)}({value}, env, pages)"
            case FoundLayout():
                found, pick = self._name("v"), self._known(layout.pick)
                rest = self._rows(found, type_, selected, nodes, layout.row)
                made = self._function(
                    "answer, env, pages", [f"{found} = {pick}(answer, env)", f"return {rest}"]
                )
                return f"{made}({value}, env, pages)"
        # Decoded into objects and completed from their attributes, as the executor would.
        made = self._function(
            "answer, env, pages",
            [
                f"made = {self._known(decode)}(answer, env)",
                f"return {self._complete('made', type_, selected, nodes)}",
            ],
        )
        return f"{made}({value}, env, pages)"

    @staticmethod
    def _call(function: str, value: str, required: bool) -> str:
        missing = "uncertain()" if required else "None"
        return f"{missing} if {value} is None else {function}({value}, env, pages)"

    def _object(
        self,
        type_: GraphQLObjectType,
        selected: Selected,
        nodes: Sequence[FieldNode],
        layout: ObjectLayout,
        *,
        many: bool = False,
        required: bool = True,
    ) -> str:
        """Return the function that makes an object of a row, or with `many` a list of them of rows."""
        self._check_class(type_, layout.cls)
        names = [self._name("v") for _ in range(layout.size)]
        unpacked = f"({', '.join(names)}{',' if names else ''})"
        converted: dict[str, tuple[str, str]] = {}
        entries = []
        for key, of_key, definition, each in self._below(type_, nodes, selected):
            if definition is None or each is None:
                entries.append(f"{key!r}: {type_.name!r}")
                continue
            attribute = self._attribute(self._field(type_, each.name))
            if attribute is None:
                nested = layout.nested.get(f"@{key}")
                if nested is None:
                    raise NotCompiled(f"{type_.name}.{key} is not in the row")
                index, decode = nested
                value = self._rows(names[index], definition.type, each, of_key, decode)
            elif attribute in layout.converted:
                if attribute not in converted:
                    start, end, convert = layout.converted[attribute]
                    given = ", ".join(("env", *names[start:end]))
                    converted[attribute] = self._name("c"), f"{self._known(convert)}({given})"
                value = self._complete(converted[attribute][0], definition.type, each, of_key)
            elif attribute in layout.plain:
                value = self._complete(names[layout.plain[attribute]], definition.type, each, of_key)
            else:
                raise NotCompiled(f"{type_.name}.{key} is not in the row")
            entries.append(f"{key!r}: {value}")
        made = f"{{{', '.join(entries)}}}"
        if many and required and names and not layout.chunked:
            # `for c in (f(v),)` is how a comprehension names a value; a row that is null cannot be unpacked.
            named = "".join(f" for {name} in ({call},)" for name, call in converted.values())
            row = f"{unpacked} in rows"
            if len(names) == 1:
                # Unpacking one value would take an object's only key for it.
                row = f"row in rows for {names[0]} in (row[0],)"
            return self._function("rows, env, pages", [f"return [{made} for {row}{named}]"])
        lines = ["row = [value for part in row for value in part]"] if layout.chunked else []
        lines.append(f"{names[0]} = row[0]" if len(names) == 1 else f"{unpacked} = row")
        lines += [f"{name} = {call}" for name, call in converted.values()]
        single = self._function("row, env, pages", [*lines, f"return {made}"])
        if not many:
            return single
        row = f"{'uncertain()' if required else 'None'} if row is None else {single}(row, env, pages)"
        return self._function("rows, env, pages", [f"return [{row} for row in rows]"])

    def _list(self, type_: Any, selected: Selected, nodes: Sequence[FieldNode], layout: ListLayout) -> str:
        of = self._many(type_.of_type, selected, nodes, layout.row)
        return self._function("rows, env, pages", [f"return {of}(rows or (), env, pages)"])

    def _many(self, type_: Any, selected: Selected, nodes: Sequence[FieldNode], decode: Decoder) -> str:
        """Return the function from rows to a list, for one kind of row."""
        layout = layout_of(decode)
        required = isinstance(type_, GraphQLNonNull)
        inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        if not isinstance(layout, ObjectLayout):
            raise NotCompiled("a list of something that is no object")
        return self._object(self._object_type(inner), selected, nodes, layout, many=True, required=required)

    def _page(
        self,
        type_: GraphQLObjectType,
        selected: Selected,
        nodes: Sequence[FieldNode],
        layout: PageLayout,
    ) -> str:
        """Return the function that makes a connection: its rows, where it stands, and its count."""
        self._check_class(type_, layout.connection_class)
        if layout.place not in self._pages:
            self._pages.append(layout.place)
        lines = [
            "rows, count = answer",
            f"size, backward, args = pages[{self._pages.index(layout.place)}]",
            "more = len(rows) > size",
            "if more:",
            "    rows = rows[-size:] if backward and size else rows[:size]",
        ]
        if layout.cursor is not None:
            row = self._part(layout, layout.cursor)
            position = "(env.pinned if env.pinned is not None else env.position)" if layout.pinned else "None"
            lines.append(f"position = {position}")
            lines.append(f"cursors = [encode_cursor({layout.order_name!r}, position, {row}) for row in rows]")
        entries = []
        for key, of_key, definition, each in self._below(type_, nodes, selected):
            if definition is None or each is None:
                value = repr(type_.name)
            else:
                value = self._part_of_page(type_, definition, of_key, each, layout)
            entries.append(f"{key!r}: {value}")
        return self._function("answer, env, pages", [*lines, f"return {{{', '.join(entries)}}}"])

    def _part_of_page(
        self,
        type_: GraphQLObjectType,
        definition: GraphQLField,
        nodes: Sequence[FieldNode],
        selected: Selected,
        layout: PageLayout,
    ) -> str:
        match selected.name:
            case "nodes":
                self._child_field(type_, "nodes")
                return self._view(_list_of(definition.type), selected, nodes, layout, (selected.key,))
            case "edges":
                self._child_field(type_, "edges")
                return self._edges(definition, nodes, selected, layout)
            case "pageInfo":
                self._plain_field(type_, "pageInfo")
                return self._page_info(definition, nodes, selected)
            case "totalCount":
                self._plain_field(type_, "totalCount")
                return self._complete("count", definition.type, selected, nodes)
        raise NotCompiled(f"{selected.name} is new on a connection")

    def _view(
        self,
        type_: Any,
        selected: Selected,
        nodes: Sequence[FieldNode],
        layout: PageLayout,
        path: ViewPath,
    ) -> str:
        """Return the expression of the list of one part of each row."""
        if path not in layout.views:
            raise NotCompiled(f"{'.'.join(path)} is not in the row")
        index, decode = layout.views[path]
        rows = "rows" if layout.bare else f"[{self._part(layout, index)} for row in rows]"
        return f"{self._many(type_, selected, nodes, decode)}({rows}, env, pages)"

    def _edges(
        self, definition: GraphQLField, nodes: Sequence[FieldNode], selected: Selected, layout: PageLayout
    ) -> str:
        type_ = self._object_type(_required(_list_of(definition.type)))
        lines: list[str] = []
        loops: list[tuple[str, str]] = [("row", "rows")]
        entries = []
        for key, of_key, inner, each in self._below(type_, nodes, selected):
            if inner is None or each is None:
                entries.append(f"{key!r}: {type_.name!r}")
                continue
            name = self._name("v")
            if each.name == "cursor":
                self._plain_field(type_, "cursor")
                loops.append((name, "cursors"))
                entries.append(f"{key!r}: {self._complete(name, inner.type, each, of_key)}")
            elif each.name == "node":
                self._child_field(type_, "node")
                view = self._view(inner.type, each, of_key, layout, (selected.key, key))
                lines.append(f"made_{name} = {view}")
                loops.append((name, f"made_{name}"))
                entries.append(f"{key!r}: {name}")
            else:
                raise NotCompiled(f"{each.name} is new on an edge")
        names = ", ".join(name for name, _ in loops)
        values = ", ".join(value for _, value in loops)
        lines.append(f"return [{{{', '.join(entries)}}} for {names}, in zip({values})]")
        cursors = "cursors" if layout.cursor is not None else "None"
        return f"{self._function('rows, cursors, env, pages', lines)}(rows, {cursors}, env, pages)"

    def _page_info(self, definition: GraphQLField, nodes: Sequence[FieldNode], selected: Selected) -> str:
        type_ = self._object_type(_required(definition.type))
        expressions = {
            "hasNextPage": "(args.get('before') is not None) if backward else more",
            "hasPreviousPage": "more if backward else (args.get('after') is not None)",
            "startCursor": "(cursors[0] if cursors else None)",
            "endCursor": "(cursors[-1] if cursors else None)",
        }
        entries = []
        for key, _, inner, each in self._below(type_, nodes, selected):
            if inner is None or each is None:
                entries.append(f"{key!r}: {type_.name!r}")
                continue
            self._plain_field(type_, each.name)
            if each.name not in expressions:
                raise NotCompiled(f"{each.name} is new on a page")
            entries.append(f"{key!r}: {expressions[each.name]}")
        return f"{{{', '.join(entries)}}}"

    @staticmethod
    def _part(layout: PageLayout, index: int) -> str:
        return "row" if layout.bare else f"row[{index}]"

    # Values that are Python's own

    def _complete(self, value: str, type_: Any, selected: Selected, nodes: Sequence[FieldNode]) -> str:
        """Return the expression of what a value (a variable's name) becomes in the response."""
        if isinstance(type_, GraphQLNonNull):
            return self._complete_some(value, type_.of_type, selected, nodes)
        some = self._complete_some(value, type_, selected, nodes)
        return f"(None if {value} is None else {some})"

    def _complete_some(self, value: str, type_: Any, selected: Selected, nodes: Sequence[FieldNode]) -> str:
        """Return the expression for a value that must not be null."""
        if isinstance(type_, GraphQLList):
            item = self._name("v")
            items = f"[{self._complete(item, type_.of_type, selected, nodes)} for {item} in {value}]"
            return f"({items} if type({value}) is list else uncertain())"
        if isinstance(type_, GraphQLScalarType):
            return self._scalar(value, type_)
        if isinstance(type_, GraphQLEnumType):
            return f"{self._enum(type_)}[type({value}), {value}]"
        if isinstance(type_, GraphQLObjectType):
            return self._of_class({type_.name: type_}, value, selected, nodes)
        if is_abstract_type(type_):
            possible = {each.name: each for each in self._scene.schema.get_possible_types(type_)}
            return self._of_class(possible, value, selected, nodes)
        raise NotCompiled(f"{type_} is of a kind that is new")

    @staticmethod
    def _scalar_known(value: str, type_: GraphQLScalarType) -> str | None:
        match type_.name:
            case "String" | "Duration":
                return f"({value} if type({value}) is str else uncertain())"
            case "ID":
                as_text = f"str({value}) if type({value}) is int else uncertain()"
                return f"({value} if type({value}) is str else {as_text})"
            case "Int":
                fits = f"type({value}) is int and {_INT_MIN} <= {value} <= {_INT_MAX}"
                return f"({value} if {fits} else uncertain())"
            case "Float":
                # Beyond 53 bits not every whole number is a float; the executor refuses those that are none.
                exact = f"type({value}) is int and {-(2**53)} <= {value} <= {2**53}"
                whole = f"float({value}) if {exact} else uncertain()"
                return f"({value} if type({value}) is float and isfinite({value}) else {whole})"
            case "Boolean":
                return f"({value} if type({value}) is bool else uncertain())"
            case "Position":
                return f"({value} if type({value}) is int else uncertain())"
            case "JSON":
                return f"({value} if {value} is not None else uncertain())"
        return None

    def _scalar(self, value: str, type_: GraphQLScalarType) -> str:
        known = self._scalar_known(value, type_)
        if type_.name == "DateTime" and moment_text("") == "Z":
            return f"({value} + 'Z' if type({value}) is str else uncertain())"
        if known is None:
            raise NotCompiled(f"the scalar {type_.name} is new")
        return known

    def _enum(self, type_: GraphQLEnumType) -> str:
        if type_.name not in self._serializers:
            self._serializers[type_.name] = self._known(_Names(type_), "enum")
        return self._serializers[type_.name]

    def _of_class(
        self,
        types: Mapping[str, GraphQLObjectType],
        value: str,
        selected: Selected,
        nodes: Sequence[FieldNode],
    ) -> str:
        """Return the expression for an object completed from its attributes, by its class."""
        classes = {name: self._types.classes.get(name) for name in types}
        made: dict[type, Any] = {}
        by_class = self._known(made, "classes")
        functions: dict[type, str] = {}
        for name, type_ in types.items():
            cls = classes[name]
            if cls is None:
                raise NotCompiled(f"{name} has no class")
            if any(
                other is not None and other is not cls and issubclass(cls, other)
                for other in classes.values()
            ):
                raise NotCompiled(f"an object could be {name} and another type as well")
            functions[cls] = self._attributes(type_, selected, nodes)
        for cls, function in functions.items():
            # The functions exist once the source has run; until then their names stand for them.
            made[cls] = _Late(self._globals, function)
        return f"{by_class}[type({value})]({value}, env, pages)"

    def _attributes(self, type_: GraphQLObjectType, selected: Selected, nodes: Sequence[FieldNode]) -> str:
        """Return the function that completes an object from its attributes."""
        lines: list[str] = []
        entries = []
        for key, of_key, definition, each in self._below(type_, nodes, selected):
            if definition is None or each is None:
                entries.append(f"{key!r}: {type_.name!r}")
                continue
            name = self._name("v")
            field = self._field(type_, each.name)
            attribute = self._attribute(field)
            if attribute is not None:
                lines.append(f"{name} = made.{attribute}")
            elif field.metadata.get(SPEC) is not None:
                lines.append(f"{name} = made.__dict__[{f'@{key}'!r}]")
            else:
                lines.append(f"{name} = {self._known(_own_resolver(field))}(made)")
            entries.append(f"{key!r}: {self._complete(name, definition.type, each, of_key)}")
        return self._function("made, env, pages", [*lines, f"return {{{', '.join(entries)}}}"])

    # What the schema says of fields

    def _field(self, type_: GraphQLObjectType, name: str) -> StrawberryField:
        field: StrawberryField | None = (type_.fields[name].extensions or {}).get("strawberry-definition")
        if field is None:
            raise NotCompiled(f"{type_.name}.{name} is not declared by Strawberry")
        if field.extensions or field.permission_classes:
            raise NotCompiled(f"{type_.name}.{name} has extensions")
        return field

    def _attribute(self, field: StrawberryField) -> str | None:
        """Return the attribute that a field without a resolver is; None where it has the row's own."""
        if not isinstance(field.metadata.get(SPEC), Leaf | None):
            return None
        if field.base_resolver is None:
            return field.python_name
        if inspect.signature(_resolver(field)).parameters.keys() == {"self"}:
            return None
        raise NotCompiled(f"{field.name} has a resolver of its own")

    def _plain_field(self, type_: GraphQLObjectType, name: str) -> None:
        field = self._field(type_, name)
        if field.base_resolver is not None or field.metadata.get(SPEC) is not None:
            raise NotCompiled(f"{type_.name}.{name} has a resolver of its own")

    def _child_field(self, type_: GraphQLObjectType, name: str) -> None:
        if self._field(type_, name).metadata.get(SPEC) is None:
            raise NotCompiled(f"{type_.name}.{name} is not handed on")

    def _check_class(self, type_: GraphQLObjectType, cls: type) -> None:
        if self._types.classes.get(type_.name) is not cls:
            raise NotCompiled(f"{type_.name} is made of {cls.__name__}")


class _Names(dict[tuple[type, Any], str]):
    """The names of an enum's values, as the executor gives them, kept by class and value."""

    def __init__(self, type_: GraphQLEnumType) -> None:
        super().__init__()
        self._type = type_

    def __missing__(self, key: tuple[type, Any]) -> str:
        name = str(self._type.coerce_output_value(key[1]))
        self[key] = name
        return name


class _Late:
    """A function of the source that is looked up when it is first called."""

    __slots__ = ("_functions", "_name")

    def __init__(self, functions: Mapping[str, Any], name: str) -> None:
        self._functions, self._name = functions, name

    def __call__(self, made: object, env: Env, pages: tuple[Any, ...]) -> Any:
        return self._functions[self._name](made, env, pages)


def _resolver(field: StrawberryField) -> Callable[..., Any]:
    resolver: Any = field.base_resolver.wrapped_func if field.base_resolver is not None else None
    if resolver is None:
        raise NotCompiled(f"{field.name} has no resolver")
    return resolver  # type: ignore[no-any-return]


def _own_resolver(field: StrawberryField) -> Callable[[Any], Any]:
    """Return a resolver that needs only the object; raises NotCompiled for one that needs or does more."""
    resolver = _resolver(field)
    if inspect.iscoroutinefunction(resolver) or inspect.isasyncgenfunction(resolver):
        raise NotCompiled(f"{field.name} has no resolver that is known")
    return resolver


def _required(type_: Any) -> Any:
    """Return the type below a NonNull; a nullable one in its place would be something new."""
    if not isinstance(type_, GraphQLNonNull):
        raise NotCompiled(f"{type_} may be null")
    return type_.of_type


def _list_of(type_: Any) -> Any:
    inner = _required(type_)
    if not isinstance(inner, GraphQLList):
        raise NotCompiled(f"{type_} is no list")
    return inner.of_type
