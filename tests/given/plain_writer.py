"""Makes of an answer what a shape says, value by value and without writing code: slow, and plain to see.

What the writer's functions make is held against it; the two share nothing but the shape.
"""

from __future__ import annotations

from typing import Any

from graphql import GraphQLList, get_nullable_type

from schema.declare.request import Env
from schema.plan.shape import (
    ARRAY_PARTS_MAX,
    TYPE_KEY,
    AnyShape,
    CursorShape,
    Field,
    FoundShape,
    InfoShape,
    LeafShape,
    ListShape,
    ObjectShape,
    PageShape,
    TypenameShape,
    ValueShape,
)


def plainly(shape: Any, value: Any, env: Env) -> Any:
    """Return what graphql-core is to complete, of a statement's answer or a part of it."""
    match shape:
        case TypenameShape(name):
            return name
        case LeafShape():
            return value
        case ObjectShape():
            return None if value is None else _object(shape, value, env)
        case AnyShape(of):
            return None if value is None else {TYPE_KEY: value[0], **plainly(of[value[0]], value[1], env)}
        case ListShape(of):
            return [plainly(of, row, env) for row in value or ()]
        case FoundShape(pick, of):
            return plainly(of, pick(value, env), env)
        case CursorShape():
            return shape.of(env)(value)
        case PageShape():
            return _page(shape, value, env)
    raise TypeError(f"{shape} stands for no value by itself")


def _object(shape: ObjectShape, row: Any, env: Env) -> dict[str, Any]:
    values = _values(shape, row)
    made = {}
    for field in shape.fields:
        given = values[field.start : field.end]
        convert = getattr(field.shape, "convert", None)
        value = convert(env, *given) if convert is not None else given[0] if given else None
        is_value = isinstance(field.shape, ValueShape)
        made[field.key] = _member(field, value) if is_value else plainly(field.shape, value, env)
    return made


def _values(shape: ObjectShape | PageShape, row: Any) -> list[Any]:
    if shape.size > ARRAY_PARTS_MAX:
        row = [value for part in row for value in part]
    values = [row] if shape.bare else [row[0]] if shape.size == 1 else [*row]
    if shape.size and len(values) != shape.size:
        raise ValueError(f"{len(values)} values in a row of {shape.size}")
    return values


def _member(field: Field, value: Any) -> Any:
    """Return what is selected of an object that Python made, or of a list of them."""
    if not isinstance(field.shape, ValueShape) or value is None:
        return field.shape.name if isinstance(field.shape, TypenameShape) else value
    if isinstance(get_nullable_type(field.type), GraphQLList):
        return [_members(field.shape, each) for each in value]
    return _members(field.shape, value)


def _members(shape: ValueShape, made: Any) -> dict[str, Any] | None:
    if made is None:
        return None
    return {
        field.key: _member(field, field.member(made) if callable(field.member) else _attribute(field, made))
        for field in shape.fields
    }


def _attribute(field: Field, made: Any) -> Any:
    return getattr(made, str(field.member)) if field.member else None


def _page(shape: PageShape, answer: Any, env: Env) -> dict[str, Any]:
    rows, count = answer
    args = env.args[shape.cursor.place]
    first, last = args.get("first"), args.get("last")
    size = first if first is not None else last if last is not None else 50
    more = len(rows) > size
    if more:
        rows = rows[:size] if last is None else rows[len(rows) - size :] if size else []
    made: dict[str, Any] = {}
    for field in shape.fields:
        match field.shape:
            case ListShape(of):
                parts = [_values(shape, row)[field.start] if field.end else row for row in rows]
                made[field.key] = [plainly(of, part, env) for part in parts]
            case InfoShape(fields):
                made[field.key] = {each.key: _info(each, shape, args, rows, more, env) for each in fields}
            case _:
                made[field.key] = plainly(field.shape, count, env)
    return made


def _info(field: Field, shape: PageShape, args: Any, rows: list[Any], more: bool, env: Env) -> Any:
    backward = args.get("last") is not None
    match field.member:
        case "hasNextPage":
            return args.get("before") is not None if backward else more
        case "hasPreviousPage":
            return more if backward else args.get("after") is not None
        case "startCursor" | "endCursor" if rows:
            row = rows[0 if field.member == "startCursor" else -1]
            return shape.cursor.of(env)(_values(shape, row)[field.start])
    return field.shape.name if isinstance(field.shape, TypenameShape) else None
