"""Whatever the schema serves is held against the plain model, or it is said here why it is not."""

from __future__ import annotations

from typing import Final

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    parse,
    validate,
    visit,
)
from graphql.language import FieldNode

from tests.given.folders import ROOT
from tests.given.plain_filters import COMPARATORS, FILTERS
from tests.given.plain_lists import LISTS
from tests.given.served_state import STATE
from tests.projections.test_plain_history import DIFFERENCE, HISTORY
from tests.projections.test_plain_lists import BELOW, query_of
from tests.projections.test_plain_series import SERIES
from tests.projections.test_plain_stages import STAGES

SCHEMA: Final = build_schema((ROOT / "schema" / "schema.graphql").read_text(encoding="utf-8"))
ASKED: Final = (STATE, HISTORY, DIFFERENCE, SERIES, STAGES, BELOW, *map(query_of, LISTS.values()))
# What the comparison leaves out, and why. A name alone stands for a field of any type, or for a whole type.
_OPERATING: Final = "of how the service goes, not of what was told: tests/operate and test_status.py"
_LIVE: Final = "told as it happens, of what queries answer as of the same position: tests/live"
_DOES: Final = "does something and answers what became of it: tests/schema/test_graphql_mutations.py"
_FETCHED: Final = "of what was fetched, which no example has: tests/projections/test_told_again.py"
LEFT_OUT: Final = {
    "sleekplanId": "a part of the opaque id, which is compared",
    "productId": "a part of the opaque id, which is compared",
    "Query.node": "finds what lists show by its id: tests/schema/test_graphql_isolation.py",
    "Query.nodes": "finds what lists show by its id: tests/schema/test_graphql_isolation.py",
    "Item.mergedFrom": "the other side of mergedInto, which is compared: tests/schema/test_merges.py",
    "Query.ingest": _OPERATING,
    "Ingest": _OPERATING,
    "Query.products": _OPERATING,
    "Product": _OPERATING,
    "Query.setup": _OPERATING,
    "Setup": _OPERATING,
    "Item.url": "of the settings, not of what was told: tests/operate/test_labels_read_again.py",
    "Query.projections": _OPERATING,
    "Projection": _OPERATING,
    "Query.quarantine": _OPERATING,
    "Query.reactions": _OPERATING,
    "Reaction": _OPERATING,
    "QuarantinedDelivery": _OPERATING,
    "Event.observation": _FETCHED,
    "Observation": _FETCHED,
    "Event.sameAs": _FETCHED,
    "Inference.explainedBy": _FETCHED,
    "Query.sweeps": _OPERATING,
    "Sweep": _OPERATING,
    "SweptLists": _OPERATING,
    "Mutation": _DOES,
    "ProjectionRebuildPayload": _DOES,
    "QuarantineDiscardPayload": _DOES,
    "QuarantineRetryPayload": _DOES,
    "UserErasePayload": _DOES,
    "ReconcilePayload": _DOES,
    "BackfillPayload": _DOES,
    "WebhookKeyPayload": _DOES,
    "UserError": _DOES,
    "Subscription": _LIVE,
    "ItemChange": _LIVE,
    "ThresholdHit": _LIVE,
}
ARGUMENTS_LEFT_OUT: Final = {
    "minPosition": "waits, and changes no answer",
    "id": "another way to name what sleekplanId names",
}
ORDERS_LEFT_OUT: Final = {
    "RELEVANCE": "how well a text matches is no rule of ours: tests/schema/test_search.py"
}


class _Asked(Visitor):
    """Collects each field, with its type, and each argument of a root field that documents name."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self.types = types
        self.fields: set[str] = set()
        self.arguments: set[str] = set()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        parent = self.types.get_parent_type()
        assert parent is not None
        self.fields.add(f"{parent.name}.{node.name.value}")
        if parent.name == "Query":
            self.arguments |= {f"{node.name.value}.{each.name.value}" for each in node.arguments or ()}


def _asked() -> _Asked:
    found = _Asked(TypeInfo(SCHEMA))
    for document in map(parse, ASKED):
        assert validate(SCHEMA, document) == []
        visit(document, TypeInfoVisitor(found.types, found))
    return found


def _served(schema: GraphQLSchema) -> dict[str, GraphQLObjectType]:
    return {
        name: kind
        for name, kind in schema.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not name.startswith("__")
    }


def test_every_field_is_asked_for_by_the_comparison_or_is_left_out_for_a_reason() -> None:
    asked = _asked().fields

    missing = {
        f"{name}.{field}"
        for name, kind in _served(SCHEMA).items()
        for field in kind.fields
        if f"{name}.{field}" not in asked and not {name, field, f"{name}.{field}"} & LEFT_OUT.keys()
    }

    assert missing == set()


def test_every_argument_of_a_root_field_is_given_by_the_comparison_or_is_left_out_for_a_reason() -> None:
    asked = _asked()

    missing = {
        f"{name}.{argument}"
        for name, field in _served(SCHEMA)["Query"].fields.items()
        for argument in field.args
        if f"Query.{name}" in asked.fields
        and f"{name}.{argument}" not in asked.arguments
        and argument not in ARGUMENTS_LEFT_OUT
    }

    assert missing == set()


def test_every_field_of_a_filter_and_every_order_is_tried() -> None:
    for kind, listed in LISTS.items():
        given = SCHEMA.type_map[listed.filter]
        assert isinstance(given, GraphQLInputObjectType)
        assert given.fields.keys() == {*FILTERS[kind].fields, "and", "or", "not"}
        order = SCHEMA.type_map[listed.filter.replace("Filter", "Order")]
        assert isinstance(order, GraphQLEnumType)
        assert order.values.keys() - ORDERS_LEFT_OUT.keys() == listed.orders.keys()
    for name, tests in COMPARATORS.items():
        comparator = SCHEMA.type_map[name]
        assert isinstance(comparator, GraphQLInputObjectType)
        assert comparator.fields.keys() == tests.keys()


def test_nothing_is_left_out_that_is_not_served_or_is_compared_after_all() -> None:
    served = {f"{name}.{field}" for name, kind in _served(SCHEMA).items() for field in kind.fields}
    asked = _asked().fields

    for name in LEFT_OUT:
        if "." in name:
            assert name in served - asked
        else:
            assert any(name in field.split(".") for field in served)
