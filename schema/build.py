"""Puts the schema together: types, the planner over them, and one resolver for whatever has a source."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import strawberry
from graphql import GraphQLObjectType, GraphQLResolveInfo
from strawberry.schema.config import StrawberryConfig
from strawberry.types.base import StrawberryObjectDefinition

from schema.declare.source import SPEC, Leaf
from schema.objects.entities import ENTITIES, derived
from schema.objects.mutation import Mutation
from schema.objects.query import Query
from schema.objects.subscription import Subscription
from schema.plan.kept import Planner
from schema.plan.statement import Types
from schema.scalars import SCALARS

_DERIVED: Final = tuple(
    derived(name, alias)
    for name, alias in (
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
)


class Schema(strawberry.Schema):
    """A schema with its planner: fields that say where their data comes from need no resolver."""

    def __init__(self, query: type, mutation: type, subscription: type) -> None:
        super().__init__(query, mutation, subscription, config=StrawberryConfig(scalar_map=SCALARS))
        self.planner: Final = Planner(Types((*ENTITIES, *_DERIVED), self._definitions()))
        for type_ in self._schema.type_map.values():
            if isinstance(type_, GraphQLObjectType) and type_ is not self._schema.subscription_type:
                resolver = _root if type_ is self._schema.query_type else _part
                for name, field in type_.fields.items():
                    source = self.planner.types.source(type_.name, name) if "__" not in type_.name else None
                    if source is not None and not isinstance(source, Leaf):
                        field.resolve = resolver

    def _definitions(self) -> dict[str, tuple[type, dict[str, tuple[str, Any]]]]:
        """Return what the planner reads: each type's class, and its fields' names and sources."""
        definitions: dict[str, tuple[type, dict[str, tuple[str, Any]]]] = {}
        converter = self.config.name_converter
        for name, found in self.schema_converter.type_map.items():
            definition = found.definition
            if isinstance(definition, StrawberryObjectDefinition) and not definition.is_input:
                definitions[name] = (
                    definition.origin,
                    {
                        converter.get_graphql_name(field): (field.python_name, field.metadata.get(SPEC))
                        for field in definition.fields
                    },
                )
        return definitions


@cache
def build_schema() -> Schema:
    """Return the schema, built once a process."""
    return Schema(Query, Mutation, Subscription)


def printed() -> str:
    """Return the schema as text, as `schema.graphql` holds it."""
    return str(build_schema()).rstrip() + "\n"


async def _root(source: dict[str, Any], info: GraphQLResolveInfo[Any], **_: object) -> Any:
    # A coroutine, or else the first field that fails would keep graphql-core from telling of the others.
    found = source[str(info.path.key)]
    if isinstance(found, Exception):
        raise found
    return found


def _part(source: Any, info: GraphQLResolveInfo[Any], **_: object) -> Any:
    return source.__dict__[f"@{info.path.key}"]
