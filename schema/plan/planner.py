"""Turns a selection into one SQL statement, and says what becomes of its single JSON answer.

A plan depends on the field, on what is selected and on which arguments are present, never on their
values: those are parameters, bound when it runs. So plans are kept and used again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from schema.declare.request import Env
from schema.declare.source import (
    Diff,
    Differences,
    DiffRows,
    Inline,
    Leaf,
    One,
    Page,
    Rows,
    Single,
    member_of,
    spec_of,
)
from schema.plan.cursor import page_size
from schema.plan.order import ordering_of
from schema.plan.page import Listing
from schema.plan.selection import TYPENAME, Selected
from schema.plan.shape import (
    CursorShape,
    Field,
    InfoShape,
    LeafShape,
    ListShape,
    ObjectShape,
    PageShape,
    Shape,
    TypenameShape,
    ValueShape,
    array_of,
)
from schema.plan.statement import (
    Binder,
    Moment,
    Scope,
    Statement,
    as_of_position,
    columns_of,
)
from schema.scalars import parse_zone

_OUTER: Final = "naming"
"""What a row is called around another of its kind."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One statement, how to bind its parameters, and what becomes of its answer."""

    sql: str
    binders: tuple[Binder, ...]
    root: Field
    scopes: tuple[tuple[str, str], ...]
    written: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)
    """The functions that were written for the answer, kept by who wrote them."""


class Builder(Statement):
    """Builds one plan while it walks the selection."""

    # Objects

    def row(self, type_name: str, nodes: Sequence[Selected], scope: Scope) -> tuple[str, ObjectShape]:
        """Return the JSON array that holds an object's selected fields, and what becomes of it."""
        exprs: list[str] = []
        fields: list[Field] = []
        leaves: dict[str, Field] = {}
        for node in nodes:
            if node.name == TYPENAME:
                fields.append(_typename(node, type_name))
                continue
            spec = spec_of(node.definition)
            if isinstance(spec, Leaf):
                known = leaves.get(node.name)
                if known is not None and not node.below:
                    fields.append(replace(known, key=node.key))
                    continue
                if known is None:
                    if spec.scope is not None:
                        self.scopes.append((f"{type_name}.{node.name}", spec.scope))
                    start = len(exprs)
                    exprs.extend(self.fill(expr, scope) if ":" in expr else expr for expr in spec.exprs)
                    known = Field(node.key, node.definition.type, LeafShape(spec.convert), start, len(exprs))
                    leaves[node.name] = known
                shape = self.value(node, spec.convert) if node.below else known.shape
                fields.append(replace(known, key=node.key, shape=shape))
            else:
                expr, nested = self.child(type_name, node, spec, scope)
                fields.append(Field(node.key, node.definition.type, nested, len(exprs), len(exprs) + 1))
                exprs.append(expr)
        return array_of(exprs), ObjectShape(tuple(fields), len(exprs))

    def value(self, node: Selected, convert: Callable[..., object] | None = None) -> ValueShape:
        """Return what is selected of an object that Python makes, or of a list of them."""
        type_name, nodes = node.only
        return ValueShape(tuple(self._member(type_name, each) for each in nodes), convert)

    def _member(self, type_name: str, node: Selected) -> Field:
        if node.name == TYPENAME:
            return _typename(node, type_name)
        shape = self.value(node) if node.below else LeafShape()
        return Field(node.key, node.definition.type, shape, member=member_of(node.definition))

    def child(self, type_name: str, node: Selected, spec: Any, scope: Scope) -> tuple[str, Shape]:
        """Return the expression of a field that holds objects, and what becomes of it."""
        place = self.number(node)
        moment = self.moment(node, place, scope.moment)
        match spec:
            case Inline():
                return self.inline(node, spec, scope)
            case One():
                return self.one(type_name, node, spec, moment)
            case Rows():
                return self.rows(node, place, spec, moment)
            case Single():
                return self.single(node, place, spec, moment)
            case Page():
                return self.page(node, place, spec, moment, root=False)
            case DiffRows():
                return self.diff_rows(node, spec, moment)
            case Differences():
                return self.differences(type_name, node, spec, moment)
        raise TypeError(f"{type_name}.{node.name} says nothing of its data")

    def inline(self, node: Selected, spec: Inline, scope: Scope) -> tuple[str, Shape]:
        type_name, children = node.only
        names = list(dict.fromkeys(child.name for child in children if child.name != TYPENAME))
        exprs = [self.fill(spec.fields[name], scope) for name in names]
        fields = []
        for child in children:
            if child.name == TYPENAME:
                fields.append(_typename(child, type_name))
            else:
                at = names.index(child.name)
                fields.append(Field(child.key, child.definition.type, LeafShape(), at, at + 1))
        array = array_of(exprs)
        whole = f"case when {spec.unless} then {array} end" if spec.unless else array
        return whole, ObjectShape(tuple(fields), len(exprs))

    def one(self, type_name: str, node: Selected, spec: One, moment: Moment) -> tuple[str, Shape]:
        if spec.moment is not None:
            moment = self.named_moments[spec.moment]
        if spec.position is not None:
            moment = as_of_position(spec.position, moment)
        alias, on = self.entities[spec.type_name].alias, self._on(type_name, spec)
        array, shape = self.row(spec.type_name, node.of(spec.type_name), Scope(moment))
        source = self.source(spec.type_name, moment, columns_of(alias, array, on))
        row = self.entities[type_name].alias
        if alias == row:
            # What a row names of its own kind: its columns have another name where the other row has theirs.
            named = columns_of(_OUTER, on)
            source = f"(select {', '.join(f'{row}.{name}' for name in sorted(named))}) as {_OUTER}, {source}"
        return f"(select {array} from {source} where {on} limit 1)", shape

    def _on(self, type_name: str, spec: One) -> str:
        """Return the condition that an object is the one which a row names."""
        if spec.where is not None:
            return spec.where
        row, entity = self.entities[type_name].alias, self.entities[spec.type_name]
        if row == entity.alias:
            row = _OUTER
        *product, (key, _) = entity.key
        same = [f"{entity.alias}.{name} = {row}.{name}" for name, _ in product]
        return " and ".join([*same, f"{entity.alias}.{key} = {row}.{spec.column}"])

    def block_scope(self, node: Selected, place: int, spec: Rows | Single | Page, moment: Moment) -> Scope:
        names = {name: self.parameter(place, parameter) for name, parameter in spec.parameters.items()}
        if getattr(spec, "windowed", False):
            names["from"], names["until"] = self.window(place, node.args, moment)
        if getattr(spec, "zoned", False):
            names["zone"] = self.argument(place, "text", lambda args: parse_zone(args["timeZone"]))
        return Scope(moment, names)

    def rows(self, node: Selected, place: int, spec: Rows, moment: Moment) -> tuple[str, Shape]:
        if spec.scope is not None:
            self.scopes.append((node.name, spec.scope))
        scope = self.block_scope(node, place, spec, moment)
        array, shape = self.row(spec.type_name, node.of(spec.type_name), scope)
        alias = self.entities[spec.type_name].alias
        body = self.fill(spec.block, scope)
        if spec.limit:
            columns = ", ".join(f"{alias}.{name}" for name in sorted(columns_of(alias, array, spec.order)))
            limit = self.fill(spec.limit, scope)
            body = f"select {columns} from ({body}) as {alias} order by {spec.order} limit {limit}"
        aggregate = f"select coalesce(json_agg({array} order by {spec.order}), '[]') from ({body}) as {alias}"
        return f"({aggregate})", ListShape(shape)

    def single(self, node: Selected, place: int, spec: Single, moment: Moment) -> tuple[str, Shape]:
        scope = self.block_scope(node, place, spec, moment)
        array, shape = self.row(spec.type_name, node.of(spec.type_name), scope)
        alias = self.entities[spec.type_name].alias
        return f"(select {array} from ({self.fill(spec.block, scope)}) as {alias} limit 1)", shape

    def diff(self, node: Selected, place: int, spec: Diff) -> tuple[str, Shape]:
        """Return the difference of two moments: what differs as a table, and what is selected of it."""
        before = self.moment(node, place, None, name_of_argument="from")
        after = self.moment(node, place, None, name_of_argument="to")
        self.named_moments = {"before": before, "after": after}
        names = {
            name: self.source(spec.type_name, moment, set(spec.columns))
            for name, moment in self.named_moments.items()
        }
        self.ctes.append(f"diffs as materialized ({self.fill(spec.block, Scope(after, names))})")
        type_name, nodes = node.only
        return self.row(type_name, nodes, Scope(after))

    def diff_rows(self, node: Selected, spec: DiffRows, around: Moment) -> tuple[str, Shape]:
        """Return rows of a difference, or the objects that they are about."""
        type_name, nodes = node.only
        entity = self.entities[type_name]
        moment = around if spec.moment is None else self.named_moments[spec.moment]
        array, shape = self.row(type_name, nodes, Scope(moment))
        source = f"({self.fill(spec.block, Scope(moment))}) as diff"
        if entity.table:
            keys = [name for name, _ in entity.key]
            columns = columns_of(entity.alias, array) | {*keys}
            listed = ", ".join(f"{entity.alias}.{name}" for name in sorted(columns))
            same = " and ".join(f"{entity.alias}.{name} = diff.{name}" for name in keys)
            rows = self.source(type_name, moment, columns)
            source += f" cross join lateral (select {listed} from {rows} where {same}) as {entity.alias}"
        rows = f"select coalesce(json_agg({array} order by {spec.order}), '[]') from {source}"
        return f"({rows})", ListShape(shape)

    def differences(
        self, type_name: str, node: Selected, spec: Differences, moment: Moment
    ) -> tuple[str, Shape]:
        """Return another object's fields at two positions, compared when they are written."""
        alias, on = self.entities[spec.of.type_name].alias, self._on(type_name, spec.of)
        columns = ", ".join(
            f"'{name}', " + (f"nullif({alias}.{column}, '')" if column in spec.empty else f"{alias}.{column}")
            for name, column in spec.columns.items()
        )
        sides = []
        for position in (spec.before, spec.after):
            then = as_of_position(position, moment)
            source = self.source(spec.of.type_name, then, set(spec.columns.values()))
            sides.append(f"(select json_build_object({columns}) from {source} where {on})")

        def compared(_: Env, sides: list[dict[str, Any] | None]) -> Any:
            before, after = (side or {} for side in sides)
            names = [name for name in spec.columns if before.get(name) != after.get(name)]
            return spec.convert(names, before, after)

        return f"json_build_array({', '.join(sides)})", self.value(node, compared)

    # Connections

    def page(
        self, node: Selected, place: int, spec: Page, moment: Moment, *, root: bool
    ) -> tuple[str, Shape]:
        """Return a connection: its page, one row more to tell whether others follow, and the count."""
        scope = self.block_scope(node, place, spec, moment)
        ordering = ordering_of(node.args, spec, self.entities[spec.type_name])
        page_size(node.args)  # refused before anything below it
        cursor = CursorShape(place, ordering.name, root and spec.pinned)
        row, shape = self.connection(node, spec.type_name, scope, cursor, ordering.cursor)
        listing = Listing(self, node.args, place, spec, scope, ordering, root=root)
        rows = listing.rows(row)
        counted = any(part.name == "totalCount" for part in node.only[1])
        return f"json_build_array(({rows}), {f'({listing.count()})' if counted else 'null'})", shape

    def connection(
        self, node: Selected, type_name: str, scope: Scope, cursor: CursorShape, values: str
    ) -> tuple[str, PageShape]:
        """Return what each row of a page holds, and what becomes of a page.

        Only what is selected: of a row's few values, the cursor alone would double the cost. Each alias of
        `nodes` selects for itself: what is nested has a response key, and perhaps arguments, that mean
        something else under another alias.
        """
        connection_type, parts = node.only
        views = [part for part in parts if part.name == "nodes"]
        for part in parts:
            if part.name == "edges":
                views += [child for child in part.only[1] if child.name == "node"]
        row = [values] if any(_has_cursor(part) for part in parts) else []
        size = len(row) + len(views)
        objects: dict[int, Field] = {}
        for view in views:
            array, shape = self.row(type_name, view.of(type_name), scope)
            objects[id(view)] = Field(view.key, view.definition.type, shape, len(row), len(row) + 1)
            row.append(array)
        fields = []
        for part in parts:
            made = Field(part.key, part.definition.type, LeafShape())
            match part.name:
                case "nodes":
                    found = objects[id(part)]
                    assert isinstance(found.shape, ObjectShape)
                    made = replace(found, shape=ListShape(found.shape))
                case "edges":
                    edge_type, children = part.only
                    edge = [
                        _typename(child, edge_type)
                        if child.name == TYPENAME
                        else objects.get(id(child)) or Field(child.key, child.definition.type, cursor, 0, 1)
                        for child in children
                    ]
                    made = replace(made, shape=ListShape(ObjectShape(tuple(edge), size, bare=size == 1)))
                case "pageInfo":
                    made = replace(made, shape=InfoShape(tuple(_info(child) for child in part.only[1])))
                case _ if part.name == TYPENAME:
                    made = _typename(part, connection_type)
            fields.append(made)
        whole = row[0] if size == 1 else array_of(row)
        return whole, PageShape(tuple(fields), size, size == 1, cursor)


def _typename(node: Selected, type_name: str) -> Field:
    return Field(node.key, node.definition.type, TypenameShape(type_name))


def _has_cursor(part: Selected) -> bool:
    names = {"edges": {"cursor"}, "pageInfo": {"startCursor", "endCursor"}}.get(part.name, set())
    return any(child.name in names for child in part.only[1]) if names else False


def _info(child: Selected) -> Field:
    if child.name == TYPENAME:
        return _typename(child, "PageInfo")
    return Field(child.key, child.definition.type, LeafShape(), 0, 1, member=child.name)
