"""Builds the statements of subscriptions: answers for given positions, each read as of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schema.declare.source import At, ByPosition, Matching
from schema.plan.conditions import conditions
from schema.plan.planner import Builder
from schema.plan.selection import Selected
from schema.plan.shape import ObjectShape
from schema.plan.statement import Moment, Scope, as_of_position, columns_of


def by_position(
    builder: Builder, root: Selected, place: int, spec: ByPosition, outer: Moment
) -> tuple[str, ObjectShape]:
    """Return the rows of a subscription's field, each with its position, and what becomes of one.

    What is nested reads as of the row's own position, so that a message says the same whenever it is sent,
    to a subscriber that follows and to one that resumes. `message` carries that position past inner rows: no
    block names a row of its own so.
    """
    alias = builder.entities[spec.type_name].alias
    array, shape = builder.row(
        spec.type_name, root.of(spec.type_name), Scope(as_of_position("message.p", outer))
    )
    positions = builder.bind("bigint[]", lambda request: list(request.positions))
    where = [f"{alias}.position = any({positions})", builder.visible(alias)]
    names = {name: _rows_at(builder, at, outer, at.columns) for name, at in spec.rows.items()}
    names |= {name: builder.parameter(place, each) for name, each in spec.parameters.items()}
    if spec.matching is not None and root.args.get("filter"):
        where.append(_matching(builder, place, spec.matching, root.args["filter"], outer))
    block = builder.fill(spec.block, Scope(outer, names))
    row = f"json_build_array({alias}.position, {array})"
    order = ", ".join(f"{alias}.{column}" for column in ("position", *spec.order))
    expr = (
        f"select coalesce(json_agg({row} order by {order}), '[]')"
        f" from ({block}) as {alias} cross join lateral (select {alias}.position as p) as message"
        f" where {' and '.join(where)}"
    )
    return expr, shape


def _moment(at: At, outer: Moment) -> Moment:
    return as_of_position(at.position, outer, at.time)


def _rows_at(builder: Builder, at: At, outer: Moment, columns: frozenset[str]) -> str:
    return builder.source(at.type_name, _moment(at, outer), set(columns))


def _matching(builder: Builder, place: int, spec: Matching, given: Mapping[str, Any], outer: Moment) -> str:
    """Return the condition that a filter lets through the rows of one of several moments."""
    either = []
    for at in spec.at:
        entity, moment = builder.entities[at.type_name], _moment(at, outer)
        tests = conditions(builder, spec.filter, given, place, Scope(moment))
        text = " and ".join(f"({test})" for test in tests) or "true"
        columns = columns_of(entity.alias, text) | {name for name, _ in entity.key}
        names = {"source": _rows_at(builder, at, outer, frozenset(columns)), "filter": text}
        either.append(builder.fill(spec.block, Scope(moment, names)))
    return f"({' or '.join(either)})"
