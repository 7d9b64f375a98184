"""Builds the statements of subscriptions: answers for given positions, each read as of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schema.declare.source import BLOCKS, ByPosition
from schema.plan.conditions import conditions
from schema.plan.planner import Builder
from schema.plan.selection import Selected
from schema.plan.shape import ObjectShape
from schema.plan.statement import Moment, Scope, columns_of

_MEASURED: Final = {"votes_net", "votes_up", "comments", "subscribers", "events", "product_id", "item_id"}


def by_position(
    builder: Builder, root: Selected, place: int, spec: ByPosition, outer: Moment
) -> tuple[str, ObjectShape]:
    """Return the rows of a subscription's field, each with its position, and what becomes of one.

    What is nested reads as of the row's own position, so that a message says the same whenever it is sent,
    to a subscriber that follows and to one that resumes. `told` carries that position past inner rows, whose
    aliases are the same again.
    """
    alias = builder.entities[spec.type_name].alias
    moment = at_position("told.p", outer)
    array, shape = builder.row(spec.type_name, root.of(spec.type_name), Scope(moment))
    positions = builder.bind("bigint[]", lambda request: list(request.positions))
    where = [f"{alias}.position = any({positions})", builder.visible(alias)]
    names: dict[str, str] = {}
    if spec.type_name == "ThresholdHit":
        names = _thresholds(builder, place, outer)
    elif spec.type_name == "ItemChange" and root.args.get("filter"):
        where.append(_matching(builder, place, root.args["filter"], outer))
    block = builder.fill(BLOCKS[spec.block], Scope(outer, names))
    row = f"json_build_array({alias}.position, {array})"
    order = ", ".join(f"{alias}.{column}" for column in ("position", *spec.order))
    expr = (
        f"select coalesce(json_agg({row} order by {order}), '[]')"
        f" from ({block}) as {alias} cross join lateral (select {alias}.position as p) as told"
        f" where {' and '.join(where)}"
    )
    return expr, shape


def at_position(position: str, outer: Moment) -> Moment:
    """Return the moment of one row's position."""
    return Moment(False, True, position, "'infinity'::timestamptz", outer.at, constant=False)


def _matching(builder: Builder, place: int, given: Mapping[str, Any], outer: Moment) -> str:
    """Return the condition that the item matches a filter just before the event or just after it."""
    either = []
    for position in ("(change.position - 1)", "change.position"):
        moment = at_position(position, outer)
        tests = conditions(builder, "ItemFilter", given, place, Scope(moment), root=True)
        text = " and ".join(f"({test})" for test in tests) or "true"
        source = builder.source("Item", moment, columns_of("item", text) | {"product_id", "item_id"})
        names = {"source": source, "filter": text}
        either.append(builder.fill(BLOCKS["matching_items"], Scope(moment, names)))
    return f"({' or '.join(either)})"


def _thresholds(builder: Builder, place: int, outer: Moment) -> dict[str, str]:
    """Return what the block of thresholds names: the item at three moments, and the rules."""
    before, after = at_position("(fact.position - 1)", outer), at_position("fact.position", outer)
    ago = "(fact.occurred_at - rule.within::interval)"
    earlier = Moment(False, False, "fact.position", ago, outer.at, constant=False)
    return {
        "before": builder.source("Item", before, _MEASURED),
        "after": builder.source("Item", after, _MEASURED),
        "earlier": builder.source("Item", earlier, _MEASURED),
        "metrics": builder.argument(
            place, "text[]", lambda args: [rule["metric"].value for rule in args["rules"]]
        ),
        "bounds": builder.argument(place, "int[]", lambda args: [rule["gte"] for rule in args["rules"]]),
        "withins": builder.argument(
            place, "text[]", lambda args: [rule.get("within") for rule in args["rules"]]
        ),
    }
