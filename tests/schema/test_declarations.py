"""What the nouns declare holds together: whatever a block of SQL names is there when a statement is made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain

import pytest
from strawberry.types.base import StrawberryObjectDefinition

from schema.build import build_schema
from schema.declare.blocks import named, put
from schema.declare.filters import Between, Compare, Filter, Flag, Given, Search
from schema.declare.source import SPEC, ByPosition, Leaf, Page, Rows, Single, Spec, Whole
from schema.plan.statement import NAMES_OF_A_MOMENT

ENTITIES = build_schema().planner.entities
EVERYWHERE = {
    *NAMES_OF_A_MOMENT,
    *("visible", "personal", "every_product"),
    *(entity.table for entity in ENTITIES.values()),
    *chain.from_iterable(entity.shared for entity in ENTITIES.values()),
}

Block = tuple[str, str, Collection[str]]


def blocks_of_entities() -> Iterator[Block]:
    for name, entity in ENTITIES.items():
        yield name, entity.then, ("rows", "columns", "joins", "but_private")
        yield name, entity.then_by_position or "", ("rows", "columns", "joins", "but_private")
        yield name, entity.private_then, ()
        for parts in (
            *(entity.columns, entity.joins, entity.joins_of_few, entity.shared),
            entity.without_private,
        ):
            for part, text in parts.items():
                yield f"{name}.{part}", text, ()


def blocks_of_fields() -> Iterator[Block]:
    for type_name, found in build_schema().schema_converter.type_map.items():
        if isinstance(found.definition, StrawberryObjectDefinition):
            for field in found.definition.fields:
                spec = field.metadata.get(SPEC)
                for text, provided in blocks_of(spec) if spec is not None else ():
                    yield f"{type_name}.{field.python_name}", text, provided


def blocks_of(spec: Spec) -> Iterator[tuple[str, Collection[str]]]:
    match spec:
        case Leaf():
            yield from ((text, ()) for text in spec.exprs)
        case Whole(rows) | (Rows() as rows):
            ends = (*(("from", "until") if rows.windowed else ()), *(("zone",) if rows.zoned else ()))
            yield rows.block, (*rows.parameters, *ends)
        case Single():
            yield spec.block, (*spec.parameters, *(("from", "until") if spec.windowed else ()))
        case ByPosition():
            yield spec.block, (*spec.parameters, *spec.rows)
        case Page():
            yield from ((text or "", tuple(spec.parameters)) for text in (spec.where, spec.base_filter))
            for order in spec.orders.by_name.values():
                names = ("from", "until") if order.windowed else ("words",) if order.searched else ()
                yield from ((text, names) for text in (order.expr, order.once))
                yield order.then or "", (*names, *(["once"] if order.once else []))
            yield from blocks_of_filter(spec.filter) if spec.filter is not None else ()


def blocks_of_filter(filter_: Filter) -> Iterator[tuple[str, Collection[str]]]:
    for test in filter_.tests.values():
        match test:
            case Compare():
                yield test.expr, ()
            case Flag():
                yield from ((text, ()) for text in (test.when_true, test.when_false))
            case Between():
                yield test.condition, ("from", "until")
            case Given():
                yield test.condition, ("value",)
            case Search():
                yield from ((text, ("words",)) for text in (test.now, test.then))


def test_whatever_a_block_names_is_provided() -> None:
    lacking: set[tuple[str, str]] = set()
    for where, text, provided in (*blocks_of_entities(), *blocks_of_fields()):

        def note(name: str, _: list[str], where: str = where, provided: Collection[str] = provided) -> None:
            if name not in EVERYWHERE and name not in provided:
                lacking.add((where, name))

        named(text, note)

    assert lacking == set()


def test_a_part_that_is_a_function_is_given_the_arguments() -> None:
    block = "select :value(one, two), :left::text from {items}"

    assert (
        put(block, value=lambda *columns: " + ".join(columns)) == "select one + two, :left::text from {items}"
    )


def test_what_is_put_into_a_block_is_not_looked_through_again() -> None:
    assert put(":one", one=":two", two="never") == ":two"


def test_statements_that_are_loaded_cannot_be_changed() -> None:
    from schema.objects import item

    with pytest.raises(TypeError):
        item._SQL["then"] = "select"  # type: ignore[index]
    assert isinstance(item._SQL, Mapping)
