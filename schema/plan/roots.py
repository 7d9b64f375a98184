"""Compiles a root field into its statement: a page, a list, one thing by its id, a subscription's rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from schema.declare.request import Env
from schema.declare.source import ByPosition, Diff, Lookup, Nodes, Page, Rows, Single, Whole, spec_of
from schema.ids import GlobalId, decode_id, key_of, product_number
from schema.plan.by_position import by_position
from schema.plan.planner import Builder, Plan
from schema.plan.selection import Selected
from schema.plan.shape import AnyShape, Field, FoundShape, ListShape, ObjectShape, Shape
from schema.plan.statement import Binder, Moment, Scope, columns_of
from service.errors import AmbiguousItem, BadArgument, BadId

_PLACEHOLDER: Final = re.compile(r"\$([0-9]+)")

_OF_THE_SERVICE: Final = frozenset(("projections", "sweeps"))
"""Root fields that tell of the service's own work: whoever may only rebuild or back-fill sees how it goes."""


def compiled(builder: Builder, root: Selected, kinds: tuple[str, ...]) -> Plan:
    """Return the plan of a root field."""
    place = builder.number(root)
    spec = spec_of(root.definition)
    if root.name not in _OF_THE_SERVICE and getattr(spec, "scope", None) is None:
        builder.scopes.append((root.name, "read"))
    if root.args.get("productId") is not None:
        # Checked against the caller's products before; from here on nothing else is seen.
        builder.product = builder.argument(place, "bigint", lambda args: product_number(args["productId"]))
    moment = builder.moment(root, place, None, root=True)
    match spec:
        case Page():
            expr, shape = builder.page(root, place, spec, moment, root=True)
        case Rows():
            expr, shape = builder.rows(root, place, spec, moment)
        case Single():
            expr, shape = builder.single(root, place, spec, moment)
        case Lookup():
            expr, shape = _lookup(builder, root, place, spec, moment)
        case Diff():
            expr, shape = builder.diff(root, place, spec)
        case Whole():
            expr, shape = builder.rows(root, place, spec.rows, moment)
        case ByPosition():
            expr, shape = by_position(builder, root, place, spec, moment)
        case Nodes():
            expr, shape = _nodes(builder, root, place, moment, kinds)
        case _:
            raise TypeError(f"{root.name} says nothing of its data")
    ctes = f"with {', '.join(builder.ctes)} " if builder.ctes else ""
    sql, binders = _used(builder.but_private(f"{ctes}select ({expr})::text as answer"), builder.binders)
    return Plan(
        sql=sql,
        binders=binders,
        root=Field(root.key, root.definition.type, shape),
        scopes=tuple(dict.fromkeys(builder.scopes)),
    )


def _used(sql: str, binders: Sequence[Binder]) -> tuple[str, tuple[Binder, ...]]:
    """Leave out parameters that the statement does not name: Postgres could not tell their type."""
    numbers = {
        number: place for place, number in enumerate(dict.fromkeys(_PLACEHOLDER.findall(sql)), start=1)
    }
    renumbered = _PLACEHOLDER.sub(lambda found: f"${numbers[found[1]]}", sql)
    return renumbered, tuple(binders[int(number) - 1] for number in numbers)


def _lookup(builder: Builder, root: Selected, place: int, spec: Lookup, moment: Moment) -> tuple[str, Shape]:
    """One thing by its opaque id, or by Sleekplan's and the product's."""
    entity = builder.entities[spec.type_name]
    alias = entity.alias
    array, shape = builder.row(spec.type_name, root.of(spec.type_name), Scope(moment))
    where = [builder.visible(alias)]
    given = root.args
    if given.get("id") is not None:
        if given.get("sleekplanId") is not None or given.get("productId") is not None:
            raise BadArgument(
                "id", given["id"], "cannot be combined with productId or sleekplanId; give one form"
            )

        def part(index: int) -> Any:
            return lambda args: _key(args["id"], spec.type_name)[index]

        for index, (column, cast) in enumerate(entity.key):
            where.append(f"{alias}.{column} = {builder.argument(place, cast, part(index))}")
    elif given.get("sleekplanId") is not None:
        column = entity.key[1][0]
        where.append(
            f"{alias}.{column} = {builder.argument(place, 'text', lambda args: _text(args['sleekplanId']))}"
        )
    else:
        raise BadArgument(root.name, "nothing", "was named; give id, or productId and sleekplanId")
    source = builder.source(spec.type_name, moment, columns_of(alias, array, *where))
    condition = " and ".join(where)
    expr = (
        f"select coalesce(json_agg(json_build_array({alias}.product_id, {array})"
        f" order by {alias}.product_id), '[]')"
        f" from {source} where {condition}"
    )

    def pick(rows: list[Any], env: Env) -> Any:
        if len(rows) > 1:
            raise AmbiguousItem(spec.type_name, str(env.args[place]["sleekplanId"]), [row[0] for row in rows])
        return rows[0][1] if rows else None

    return expr, FoundShape(pick, shape)


def _text(value: object) -> str:
    return str(value).replace("\0", "")


def _key(text: str, type_name: str) -> tuple[object, ...]:
    found = decode_id(text)
    if found.type_name != type_name:
        raise BadId(text, type_name)
    return key_of(found)


def _ids(args: Mapping[str, Any]) -> list[GlobalId]:
    ids = args["ids"] if "ids" in args else [args["id"]]
    if len(ids) > 500:
        raise BadArgument("ids", len(ids), "are too many at once; ask for 500 at most")
    return [decode_id(text) for text in ids]


def node_types(root: Selected) -> tuple[str, ...]:
    """Return the types that the ids of `node` or `nodes` name, which decides what is read."""
    return tuple(sorted({found.type_name for found in _ids(root.args)}))


def _nodes(
    builder: Builder, root: Selected, place: int, moment: Moment, kinds: tuple[str, ...]
) -> tuple[str, Shape]:
    exprs: list[str] = []
    shapes: dict[str, ObjectShape] = {}
    for type_name in kinds:
        entity = builder.entities[type_name]
        alias = entity.alias
        array, shape = builder.row(type_name, root.of(type_name), Scope(moment))
        arrays = []
        for index, (_, cast) in enumerate(entity.key):

            def values(
                args: Mapping[str, Any], index: int = index, type_name: str = type_name
            ) -> list[object]:
                return [
                    (*key_of(found), None, None)[index]
                    for found in _ids(args)
                    if found.type_name == type_name
                ]

            arrays.append(builder.argument(place, f"{cast}[]", values))
        columns = ", ".join(column for column, _ in entity.key)
        keys = ", ".join(f"{alias}.{column}" for column, _ in entity.key)
        source = builder.source(type_name, moment, columns_of(alias, array, keys) | {"product_id"})
        exprs.append(
            f"(select coalesce(json_agg(json_build_array(json_build_array({keys}), {array})), '[]')"
            f" from {source}"
            f" where ({keys}) in (select {columns} from unnest({', '.join(arrays)}) as wanted({columns}))"
            f" and {builder.visible(alias)})"
        )
        shapes[type_name] = shape

    def pick(groups: list[Any], env: Env) -> list[tuple[str, Any] | None]:
        found: dict[tuple[object, ...], tuple[str, Any]] = {}
        for type_name, rows in zip(kinds, groups, strict=True):
            for key, row in rows:
                if row is not None:
                    found[type_name, *key] = type_name, row
        return [found.get((each.type_name, *key_of(each))) for each in _ids(env.args[place])]

    expr = f"select json_build_array({', '.join(exprs)})"
    if root.name == "nodes":
        return expr, FoundShape(pick, ListShape(AnyShape(shapes)))
    return expr, FoundShape(lambda groups, env: pick(groups, env)[0], AnyShape(shapes))
