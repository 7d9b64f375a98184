"""The schema as it is committed, described and shaped."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
    is_enum_type,
    is_introspection_type,
    is_specified_scalar_type,
    parse,
    validate,
)

from schema.build import build_schema, printed
from schema.declare.source import spec_of
from tests.given.folders import QUESTIONS, ROOT

SCHEMA = build_schema()._schema


def test_the_committed_schema_is_the_one_that_is_served() -> None:
    committed = (ROOT / "schema" / "schema.graphql").read_text(encoding="utf-8")

    assert committed == printed(), "print it anew: recount schema > schema/schema.graphql"


def test_every_type_field_argument_and_enum_value_is_described() -> None:
    bare: list[str] = []
    for name, type_ in SCHEMA.type_map.items():
        if is_introspection_type(type_) or is_specified_scalar_type(type_):
            continue
        if not type_.description:
            bare.append(name)
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field_name, field in type_.fields.items():
                if not field.description:
                    bare.append(f"{name}.{field_name}")
                for argument_name, argument in getattr(field, "args", {}).items():
                    if not argument.description:
                        bare.append(f"{name}.{field_name}({argument_name})")
        if is_enum_type(type_):
            bare += [f"{name}.{value}" for value, given in type_.values.items() if not given.description]

    assert bare == []


def test_every_root_field_that_reads_state_takes_as_of_and_min_position() -> None:
    query = SCHEMA.query_type
    assert query is not None
    # These say how the service is, not how the board was.
    about_the_service = {"ingest", "products", "projections", "quarantine", "reactions", "setup", "sweeps"}
    # Relay takes no `node` with more than an id; `nodes` reads as of a moment.
    about_the_service |= {"node"}
    lacking = {
        name: missing
        for name, field in query.fields.items()
        if name not in about_the_service
        and (
            missing := {"asOf", "minPosition"}
            - set(field.args)
            - ({"asOf"} if name == "boardDiff" else set())
        )
    }

    assert lacking == {}


def test_every_connection_pages_both_ways() -> None:
    for type_ in SCHEMA.type_map.values():
        if isinstance(type_, GraphQLObjectType):
            for name, field in type_.fields.items():
                if get_named_type(field.type).name.endswith("Connection"):
                    assert {"first", "after", "last", "before"} <= set(field.args), f"{type_.name}.{name}"


def test_every_field_of_an_object_that_is_a_row_says_where_its_data_comes_from() -> None:
    # A field without a source would be absent from what the planner makes, and fail when it is selected.
    made_by_python = {
        *(
            "Status",
            "WordChange",
            "FieldChange",
            "RankPoint",
            "StatusCount",
            "PageInfo",
            "UserError",
            "Observation",
            "Setup",
        ),
        *("Query", "Mutation", "Subscription"),
    }
    without: list[str] = []
    for name, type_ in SCHEMA.type_map.items():
        if not isinstance(type_, GraphQLObjectType) or name in made_by_python or name.startswith("__"):
            continue
        if not name.endswith(("Connection", "Edge", "Payload")):
            without += [f"{name}.{field}" for field, each in type_.fields.items() if spec_of(each) is None]

    assert without == []


@pytest.mark.parametrize("path", sorted(QUESTIONS.glob("*.graphql")), ids=lambda path: path.stem)
def test_the_operation_of_each_question_is_valid(path: Path) -> None:
    assert validate(SCHEMA, parse(path.read_text(encoding="utf-8"))) == []
