"""Puts the schema together: types, the planner over them, and one resolver for whatever has a source."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import strawberry
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
)
from strawberry.schema.config import StrawberryConfig

from schema.declare.fields import entity_of
from schema.declare.source import Entity, spec_of
from schema.objects.mutation import Mutation
from schema.objects.query import Query
from schema.objects.subscription import Subscription
from schema.plan.kept import Planner
from schema.plan.shape import TYPE_KEY
from schema.scalars import SCALARS


class Schema(strawberry.Schema):
    """A schema with its planner: fields that say where their data comes from need no resolver."""

    def __init__(self, query: type, mutation: type, subscription: type) -> None:
        super().__init__(query, mutation, subscription, config=StrawberryConfig(scalar_map=SCALARS))
        self.planner: Final = Planner(self._entities())
        roots = [(self._schema.query_type, _root), (self._schema.subscription_type, _part)]
        planned = [
            (definition, resolver)
            for type_, resolver in roots
            for definition in (type_.fields.values() if type_ is not None else ())
            if spec_of(definition) is not None
        ]
        for definition, resolver in planned:
            definition.resolve = resolver
        for type_ in _below(self._schema, (definition for definition, _ in planned)):
            if isinstance(type_, GraphQLObjectType):
                type_.is_type_of = None
                for definition in type_.fields.values():
                    definition.resolve = _part
            elif isinstance(type_, GraphQLInterfaceType):
                type_.resolve_type = _type_of

    def _entities(self) -> dict[str, Entity]:
        """Return what the objects of each type are rows of, by the type's name."""
        found = {}
        for name, type_ in self.schema_converter.type_map.items():
            origin = getattr(type_.definition, "origin", None)
            if (entity := entity_of(origin) if origin is not None else None) is not None:
                found[name] = entity
        return found


@cache
def build_schema() -> Schema:
    """Return the schema, built once a process."""
    return Schema(Query, Mutation, Subscription)


def printed() -> str:
    """Return the schema as text, as `schema.graphql` holds it."""
    return str(build_schema()).rstrip() + "\n"


def root_fields() -> list[str]:
    """The names that a metric may tell of an operation: what a client calls it may be anything."""
    schema = build_schema()._schema
    roots = [root for root in (schema.query_type, schema.mutation_type) if root is not None]
    return [name for root in roots for name in root.fields]


async def _root(source: dict[str, Any], info: GraphQLResolveInfo[Any], **_: object) -> Any:
    # A coroutine, or else the first field that fails would keep graphql-core from telling of the others.
    found = source[str(info.path.key)]
    if isinstance(found, Exception):
        raise found
    return found


def _part(source: dict[str, Any], info: GraphQLResolveInfo[Any], **_: object) -> Any:
    return source[str(info.path.key)]


def _type_of(source: dict[str, Any], _info: GraphQLResolveInfo[Any], _type: object) -> str:
    return str(source[TYPE_KEY])


def _below(schema: GraphQLSchema, definitions: Iterable[GraphQLField]) -> set[GraphQLNamedType]:
    """Return the types of whatever can be selected below some fields."""
    found: set[GraphQLNamedType] = set()
    pending = [get_named_type(definition.type) for definition in definitions]
    while pending:
        type_ = pending.pop()
        if type_ in found:
            continue
        found.add(type_)
        if is_abstract_type(type_):
            pending.extend(schema.get_possible_types(type_))
        elif isinstance(type_, GraphQLObjectType):
            pending.extend(get_named_type(definition.type) for definition in type_.fields.values())
    return found
