"""Turns a selection into one SQL statement, and says what becomes of its single JSON answer.

A plan depends on the field, on what is selected and on which arguments are present, never on their
values: those are parameters, bound when it runs. So plans are kept and used again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from schema.declare.orders import Order
from schema.declare.request import Args, Env
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
from schema.ids import Cursor, decode_cursor
from schema.plan.conditions import conditions, words_of
from schema.plan.cursor import is_backward, page_bound, page_size
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
    every_product,
    window_ends,
)
from schema.scalars import parse_zone
from service.errors import BadArgument, BadCursor

LIKELY_PAGES: Final = 4  # of rows that are looked up first, to bound the others

_MOMENT: Final = re.compile(r"[0-9TZ:.+ -]{10,40}|-?infinity")


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
                return self.diff_rows(node, spec)
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
        return f"(select {array} from {source} where {on} limit 1)", shape

    def _on(self, type_name: str, spec: One) -> str:
        """Return the condition that an object is the one which a row names."""
        if spec.where is not None:
            return spec.where
        row, entity = self.entities[type_name].alias, self.entities[spec.type_name]
        *product, (key, _) = entity.key
        same = [f"{entity.alias}.{name} = {row}.{name}" for name, _ in product]
        return " and ".join([*same, f"{entity.alias}.{key} = {row}.{spec.column}"])

    def block_scope(self, node: Selected, place: int, spec: Rows | Single | Page, moment: Moment) -> Scope:
        names = {name: self.parameter(place, parameter) for name, parameter in spec.parameters.items()}
        if getattr(spec, "windowed", False):
            names["from"], names["until"] = self.window(node, place, "window", moment)
        if getattr(spec, "zoned", False):
            names["zone"] = self.argument(
                place, "text", lambda args: parse_zone(args.get("timeZone") or "UTC")
            )
        return Scope(moment, names)

    def window(self, node: Selected, place: int, name: str, moment: Moment) -> tuple[str, str]:
        """Return the two ends of a half-open window as SQL; what is left open is infinite."""
        given = node.args.get(name) or {}
        return window_ends(self, place, (name,), given, moment)

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

    def diff_rows(self, node: Selected, spec: DiffRows) -> tuple[str, Shape]:
        """Return rows of a difference, or the objects that they are about."""
        type_name, nodes = node.only
        entity, moment = self.entities[type_name], self.named_moments[spec.moment]
        array, shape = self.row(type_name, nodes, Scope(moment))
        source = f"({spec.block}) as diff"
        if entity.table:
            keys = [name for name, _ in entity.key]
            columns = columns_of(entity.alias, array) | {*keys}
            listed = ", ".join(f"{entity.alias}.{name}" for name in sorted(columns))
            same = " and ".join(f"{entity.alias}.{name} = diff.{name}" for name in keys)
            rows = self.source(type_name, moment, columns)
            source += f" cross join lateral (select {listed} from {rows} where {same}) as {entity.alias}"
        order = "diff.product_id, diff.item_id"
        return f"(select coalesce(json_agg({array} order by {order}), '[]') from {source})", ListShape(shape)

    def differences(
        self, type_name: str, node: Selected, spec: Differences, moment: Moment
    ) -> tuple[str, Shape]:
        """Return another object's fields at two positions, compared when they are written."""
        alias, on = self.entities[spec.of.type_name].alias, self._on(type_name, spec.of)
        columns = ", ".join(f"'{name}', {alias}.{column}" for name, column in spec.columns.items())
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
        entity = self.entities[spec.type_name]
        order_name, order, descending = _order(node.args, spec)
        backward = is_backward(node.args)
        page_size(node.args)
        entity_name = spec.type_name
        alias = entity.alias
        ties = list(entity.key)
        cursor = CursorShape(place, order_name, root and spec.pinned)
        values = ", ".join(("sort_value::text", *(f"{alias}.{name}::text" for name, _ in ties)))
        row, shape = self.connection(node, entity_name, scope, cursor, f"json_build_array({values})")
        wanted = columns_of(alias, row)
        sort = self._sort_value(node, place, order_name, order, moment)
        where = [self.fill(text, scope) for text in (spec.where, spec.base_filter) if text]
        if root:
            where.append(self.visible(alias))
        if spec.filter is not None:
            where += conditions(self, spec.filter, node.args.get("filter") or {}, place, scope)
        keyset = self._keyset(place, node.args, order_name, order, descending, ties, alias, sort)
        condition = " and ".join(f"({text})" for text in (*where, *keyset) if text != "true") or "true"
        inner_ordering = _ordering(f"({sort})", descending, order.nullable, ties, f"{alias}.{{}}", backward)
        keys = {name for name, _ in ties}
        tested = columns_of(alias, condition, sort) | keys
        limit = self.argument(place, "bigint", lambda args: page_size(args) + 1)
        bound = page_bound(node.args)

        def cut(select: str) -> str:
            """Limit a select to the page's rows, in a way that lets Postgres keep its plan.

            Of a limit that is a parameter it knows nothing, takes a tenth of the table for it, and plans anew
            at every read, which takes as long as the read. Of a number it knows enough. What a filter leaves
            depends on its values, so there planning is worth its while.
            """
            if node.args.get("filter"):
                return f"{select} limit {limit}"
            return f"select * from ({select} limit {bound}) as {alias} limit {limit}"

        # json_agg sorts what a join hands on, whose order nothing promises.
        final = _ordering("sort_value", descending, order.nullable, ties, f"{alias}.{{}}", backward=False)
        outer_ordering = _ordering("sort_value", descending, order.nullable, ties, f"{alias}.{{}}", backward)
        if moment.now:
            columns = ", ".join(f"{alias}.{name}" for name in sorted(wanted | keys))
            sources = self.source(entity_name, moment, wanted | tested)
            rows = f"select {columns}, {sort} as sort_value from {sources}"
            split = root and _is_split(order, descending, backward)

            def best(condition: str) -> str:
                if not split:
                    return cut(f"{rows} where {condition} order by {inner_ordering}")
                # The index has what is unknown at its other end: so that is read apart, and both are merged.
                # Each half is sorted as the index is, forwards or backwards; of nulls alone either will do.
                ends = {" nulls last": " nulls first", " nulls first": " nulls last"}
                known = re.sub(" nulls (last|first)", lambda found: ends[found[0]], inner_ordering)
                unknown = _ordering(
                    f"({sort})", not descending, order.nullable, ties, f"{alias}.{{}}", backward
                )
                halves = (
                    f"({cut(f'{rows} where {condition} and ({sort}) is {half}')})"
                    for half in (f"not null order by {known}", f"null order by {unknown}")
                )
                return cut(
                    f"select {columns}, {alias}.sort_value from ({' union all '.join(halves)}) as {alias}"
                    f" order by {outer_ordering}"
                )

            if root and "product_id" in keys and self.product is None and not self.one_product:
                # Each product has its own sorted index: the best of each, then the best of all.
                products = f"unnest({self.products()})" if self.restricted else f"({every_product()})"
                of_product = best(f"{alias}.product_id = product.product_id and {condition}")
                rows = cut(
                    f"select {columns}, {alias}.sort_value from {products} as product(product_id)"
                    f" cross join lateral ({of_product}) as {alias} order by {outer_ordering}"
                )
            else:
                rows = best(condition)
            # A sorted subquery on its own hands on its rows in order: sorting again would cost a quarter.
            order_by = f" order by {final}" if backward else ""
            aggregate = f"select coalesce(json_agg({row}{order_by}), '[]') from ({rows}) as {alias}"
        else:
            columns = ", ".join(f"{alias}.{name}" for name in sorted(keys))
            among = None
            if root and order.most and descending and not backward:
                among = self._not_below(place, node.args, spec, moment, sort, condition, tested, limit)
            sources = self.source(entity_name, moment, tested, among=among)
            rows = cut(
                f"select {columns}, {sort} as sort_value from {sources}"
                f" where {condition} order by {inner_ordering}"
            )
            columns_then = ", ".join(f"{alias}.{name}" for name in sorted(wanted | keys))
            same = " and ".join(f"{alias}.{name} = page.{name}" for name in sorted(keys))
            aggregate = (
                f"select coalesce(json_agg({row} order by {final}), '[]') from ({rows}) as page"
                f" cross join lateral (select {columns_then}"
                f" from {self.source(entity_name, moment, wanted | keys)} where {same} limit 1) as {alias}"
            )
        count = "null"
        if any(part.name == "totalCount" for part in node.only[1]):
            uncut = " and ".join(f"({text})" for text in where if text != "true") or "true"
            source = self.source(entity_name, moment, columns_of(alias, uncut) | keys)
            count = f"(select count(*) from {source} where {uncut})"
        return f"json_build_array(({aggregate}), {count})", shape

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
        whole = row[0] if size == 1 else array_of(row) if row else "0"
        return whole, PageShape(tuple(fields), size, size == 1, cursor)

    def _sort_value(self, node: Selected, place: int, name: str, order: Order, moment: Moment) -> str:
        """Return the expression that an order sorts by."""
        names: dict[str, str] = {}
        if order.windowed:
            if not node.args.get("window"):
                raise BadArgument("orderBy", name.partition(" ")[0], "needs the argument window")
            names["from"], names["until"] = self.window(node, place, "window", moment)
        if order.searched:
            names["words"] = words_of(self, place, ("filter", "search"))
        expr = order.expr if moment.now or order.then is None else order.then
        return self.fill(expr, Scope(moment, names))

    def _not_below(
        self,
        place: int,
        args: Args,
        spec: Page,
        moment: Moment,
        sort: str,
        condition: str,
        tested: set[str],
        limit: str,
    ) -> str:
        """Return a select of the rows of now that can be on the first page of a past moment.

        The last row of a page that is made of a few likely rows alone is no better than that of the page of
        all. Whoever has never been as good as it, at any moment, need not be looked up: most, on a long log.
        """
        order_name, order, _ = _order(args, spec)
        entity = self.entities[spec.type_name]
        # Tables that an older version counted lack the column until they are rebuilt. Then its name means
        # that of `unbounded`, which is further out, and each row is looked up.
        all_rows = (
            f"(select 9223372036854775807 as {order.most}) as unbounded cross join lateral"
            f" (select own.*, {order.most} as most from {{{entity.table}}} as own) as possible"
        )
        there = f"{self.visible('possible')} and possible.first_position <= {moment.p}"
        likely = there
        if args.get("after") is not None:
            casts = [order.cast, *(cast for _, cast in entity.key)]
            if cursor_of(args, "after", order_name, casts).values[0] is not None:
                # Those that were never above the cursor are the likeliest to come next.
                last = self.argument(
                    place,
                    f"text::{order.cast}",
                    lambda given: cursor_of(given, "after", order_name, casts).values[0],
                )
                likely += f" and possible.most <= {last}"
        some = (
            f"select possible.* from {all_rows} where {likely}"
            f" order by possible.most desc nulls last limit {LIKELY_PAGES} * {limit}"
        )
        self._floors += 1
        name = f"floor_{self._floors}"
        self.ctes.append(
            f"{name} as materialized (select {sort} as sort_value"
            f" from {self.source(spec.type_name, moment, tested, among=some)}"
            f" where {condition} and ({sort}) is not null"
            f" order by {sort} desc offset {limit} - 1 limit 1)"
        )
        floor = f"(select sort_value from {name})"
        return (
            f"select possible.* from {all_rows}"
            f" where {there} and ({floor} is null or possible.most >= {floor})"
        )

    def _keyset(
        self,
        place: int,
        args: Args,
        order_name: str,
        order: Order,
        descending: bool,
        ties: list[tuple[str, str]],
        alias: str,
        sort: str,
    ) -> list[str]:
        """Return the conditions that start a page after a cursor, or end it before one."""
        found = []
        for name, backward in (("after", False), ("before", True)):
            if args.get(name) is None:
                continue
            casts = [order.cast, *(cast for _, cast in ties)]

            def value(index: int, name: str = name, casts: list[str] = casts) -> Callable[[Args], object]:
                return lambda given: cursor_of(given, name, order_name, casts).values[index]

            # Whether the cursor's sort value is null decides the form of the condition.
            null = cursor_of(args, name, order_name, casts).values[0] is None
            sort_value = "null" if null else self.argument(place, f"text::{order.cast}", value(0))
            tie_values = ", ".join(
                self.argument(place, f"text::{cast}", value(1 + index))
                for index, (_, cast) in enumerate(ties)
            )
            tie_columns = ", ".join(f"{alias}.{column}" for column, _ in ties)
            tied = f"({tie_columns}) {'<' if backward else '>'} ({tie_values})"
            beyond = "<" if descending != backward else ">"
            if not order.nullable:
                found.append(f"{sort} {beyond}= {sort_value} and ({sort} {beyond} {sort_value} or {tied})")
            elif null:
                unknown = f"({sort}) is null and {tied}"
                found.append(f"({sort}) is not null or {unknown}" if backward else unknown)
            else:
                rest = f"{sort} {beyond} {sort_value} or {sort} = {sort_value} and {tied}"
                found.append(rest if backward else f"{rest} or ({sort}) is null")
        return found


def cursor_of(args: Args, name: str, order: str, casts: Sequence[str]) -> Cursor:
    """Return the cursor in an argument, its values checked against the columns that they belong to."""
    cursor = decode_cursor(args[name], order, len(casts))
    for value, cast in zip(cursor.values, casts, strict=True):
        if value is not None and not _readable(value, cast):
            raise BadCursor(args[name], f"it holds no {cast}")
    if any(value is None for value in cursor.values[1:]):
        raise BadCursor(args[name], "it names no row")
    return cursor


def _readable(value: str, cast: str) -> bool:
    try:
        match cast:
            case "int" | "bigint":
                return -(2**63) <= int(value) < 2**63
            case "float8":
                float(value)
                return True
            case "timestamptz":
                return _MOMENT.fullmatch(value) is not None
            case _:
                return True
    except ValueError:
        return False


def _order(args: Args, spec: Page) -> tuple[str, Order, bool]:
    given, orders = args.get("orderBy"), spec.orders.by_name
    if given is None:
        searched = [name for name, order in orders.items() if order.searched and _searches(args)]
        name = searched[0] if searched else spec.default_order
        order = orders[name]
        return f"{name} {'DESC' if order.descending else 'ASC'}", order, order.descending != order.inverted
    name = given["field"].value
    direction = given.get("direction")
    order = orders[name]
    descending = order.descending if direction is None else direction.value == "DESC"
    if order.searched and not _searches(args):
        raise BadArgument("orderBy", name, 'needs filter: {search: "…"} to be relevant to')
    return f"{name} {'DESC' if descending else 'ASC'}", order, descending != order.inverted


def _searches(args: Args) -> bool:
    return bool((args.get("filter") or {}).get("search"))


def _is_split(order: Order, descending: bool, backward: bool) -> bool:
    """Return whether an index sorts what is known as asked, but has what is unknown at the other end."""
    if order.index is None or not order.nullable:
        return False
    nulls_last = not backward
    along = (descending != backward) == (order.index == "desc")
    return along != nulls_last


def _ordering(
    sort: str, descending: bool, nullable: bool, ties: Sequence[tuple[str, str]], column: str, backward: bool
) -> str:
    """Return an `order by`: the sort value, then the key; for a backward page all of it reversed."""
    down = descending != backward
    nulls = (" nulls first" if backward else " nulls last") if nullable else ""
    tied = ", ".join(column.format(name) + (" desc" if backward else "") for name, _ in ties)
    return f"{sort} {'desc' if down else 'asc'}{nulls}, {tied}"


def _typename(node: Selected, type_name: str) -> Field:
    return Field(node.key, node.definition.type, TypenameShape(type_name))


def _has_cursor(part: Selected) -> bool:
    names = {"edges": {"cursor"}, "pageInfo": {"startCursor", "endCursor"}}.get(part.name, set())
    return any(child.name in names for child in part.only[1]) if names else False


def _info(child: Selected) -> Field:
    if child.name == TYPENAME:
        return _typename(child, "PageInfo")
    return Field(child.key, child.definition.type, LeafShape(), 0, 1, member=child.name)
