"""Puts the schema together, and tells the planner where each field's data comes from."""

from __future__ import annotations

from functools import cache
from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.types.base import StrawberryObjectDefinition

from schema.answer.answer import Planner
from schema.declare.source import SPEC
from schema.objects.entities import ENTITIES, derived
from schema.objects.mutation import Mutation
from schema.objects.query import Query
from schema.objects.subscription import Subscription
from schema.plan.planner import Types
from schema.scalars import SCALARS

DERIVED = (
    ("StatusPeriod", "period"),
    ("Revision", "revision"),
    ("VotePoint", "point"),
    ("CountPoint", "point"),
    ("VoteJump", "jump"),
    ("Inference", "inference"),
    ("Provenance", "provenance"),
    ("Impact", "impact"),
    ("ActivityTotals", "activity"),
    ("VoteTotals", "totals"),
    ("Mover", "mover"),
    ("RankSeries", "series"),
    ("DurationStat", "stat"),
    ("ScorePoint", "point"),
    ("BacklogPoint", "point"),
    ("EventCount", "point"),
    ("Ingest", "ingest"),
    ("Product", "product"),
    ("Projection", "projection"),
    ("QuarantinedDelivery", "delivery"),
    ("ItemDelta", "diff"),
    ("BoardDiff", "diffs"),
    ("ItemChange", "change"),
    ("ThresholdHit", "hit"),
)


@cache
def build_schema() -> strawberry.Schema:
    """Return the schema, built once a process."""
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map=SCALARS),
    )


def printed() -> str:
    """Return the schema as text, as `schema.graphql` holds it."""
    return str(build_schema()).rstrip() + "\n"


@cache
def planner() -> Planner:
    """Return the planner over the schema's types."""
    return Planner(types())


@cache
def types() -> Types:
    """Return what the planner reads from the schema: each type's class and its fields' sources."""
    definitions: dict[str, tuple[type, dict[str, tuple[str, Any]]]] = {}
    for name, found in build_schema().schema_converter.type_map.items():
        definition = found.definition
        if not isinstance(definition, StrawberryObjectDefinition) or definition.is_input:
            continue
        converter = build_schema().config.name_converter
        definitions[name] = (
            definition.origin,
            {
                converter.get_graphql_name(field): (field.python_name, field.metadata.get(SPEC))
                for field in definition.fields
            },
        )
    return Types((*ENTITIES, *(derived(name, alias) for name, alias in DERIVED)), definitions)
