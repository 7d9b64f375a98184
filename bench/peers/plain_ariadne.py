"""Ariadne as its documentation has it: a schema in SDL, resolvers over dictionaries, ASGI under uvicorn.

The same statements as the other peers', one a root field; parsed and validated documents are remembered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

import asyncpg
import uvicorn
from ariadne import QueryType, ScalarType, make_executable_schema
from ariadne.asgi import GraphQL
from graphql import DocumentNode, GraphQLResolveInfo, parse
from rows_aiohttp import events, item_with_timeline, items, items_with_votes
from serving import arguments
from starlette.applications import Starlette
from starlette.routing import Mount
from statements import EVENTS, ITEM_WITH_TIMELINE, ITEMS, ITEMS_WITH_VOTES

SDL = """
scalar DateTime
scalar Position
enum Direction { ASC DESC }
enum ItemOrder { VOTES }
enum VoteOrder { CAST_AT }
input ItemOrderBy { field: ItemOrder!, direction: Direction = DESC }
input VoteOrderBy { field: VoteOrder!, direction: Direction = DESC }
type User { sleekplanId: ID!, name: String }
type Vote { productId: ID!, value: Int, castAt: DateTime!, withdrawn: Boolean!, at: Position! }
type VoteConnection { nodes: [Vote!]! }
type VoteTotals { net: Int }
type Event {
  position: Position!, type: String!, action: String!, entity: String,
  occurredAt: DateTime!, recordedAt: DateTime!, item: Item, user: User
}
type EventConnection { nodes: [Event!]! }
type Item {
  sleekplanId: ID!, title: String, type: String, trend: Float, scoring: Float, effort: Int, commentCount: Int,
  subscriberCount: Int, createdAt: DateTime, updatedAt: DateTime, votes: VoteTotals,
  castVotes(first: Int!, orderBy: VoteOrderBy): VoteConnection!, timeline(first: Int!): EventConnection!
}
type ItemConnection { nodes: [Item!]! }
type Query {
  items(productId: ID!, first: Int!, orderBy: ItemOrderBy): ItemConnection!
  item(productId: ID!, sleekplanId: ID!): Item
  events(productId: ID!, first: Int!): EventConnection!
}
"""

GIVEN = arguments()
query = QueryType()
moment = ScalarType("DateTime", serializer=lambda value: value.isoformat())


def selected(node: Any, name: str) -> Any:
    """Return the selected field of a name below a node, at any depth; None without it."""
    for field in node.selection_set.selections if node.selection_set else ():
        if field.name.value == name:
            return field
        if (found := selected(field, name)) is not None:
            return found
    return None


def first_of(field: Any) -> int:
    """Return the literal argument `first` of a field."""
    return next(int(argument.value.value) for argument in field.arguments if argument.name.value == "first")


@query.field("items")
async def resolve_items(
    _: Any, info: GraphQLResolveInfo, *, productId: str, first: int, orderBy: Any = None
) -> Any:
    """Items by net votes."""
    votes = selected(info.field_nodes[0], "castVotes")
    pool = info.context["request"].app.state.pool
    if votes is None:
        return items(await pool.fetch(ITEMS, int(productId), first))["items"]
    return items_with_votes(await pool.fetch(ITEMS_WITH_VOTES, int(productId), first, first_of(votes)))[
        "items"
    ]


@query.field("item")
async def resolve_item(_: Any, info: GraphQLResolveInfo, *, productId: str, sleekplanId: str) -> Any:
    """One item."""
    timeline = selected(info.field_nodes[0], "timeline")
    pool = info.context["request"].app.state.pool
    rows = await pool.fetch(ITEM_WITH_TIMELINE, int(productId), sleekplanId, first_of(timeline))
    return item_with_timeline(rows)["item"] if rows else None


@query.field("events")
async def resolve_events(_: Any, info: GraphQLResolveInfo, *, productId: str, first: int) -> Any:
    """Events, oldest first."""
    pool = info.context["request"].app.state.pool
    return events(await pool.fetch(EVENTS, int(productId), first))["events"]


@lru_cache(maxsize=64)
def parsed(text: str) -> DocumentNode:
    """Parse a document once."""
    return parse(text)


def parser(context: Any, data: dict[str, Any]) -> DocumentNode:
    """Give Ariadne a document by its text."""
    return parsed(data["query"])


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Keep a pool while serving."""
    async with asyncpg.create_pool(GIVEN.dsn, min_size=8, max_size=8) as pool:
        app.state.pool = pool
        yield


SCHEMA = make_executable_schema(SDL, query, moment)
app = Starlette(
    routes=[Mount("/", GraphQL(SCHEMA, query_parser=parser, introspection=False))], lifespan=lifespan
)

if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=GIVEN.port,
        log_level="warning",
        access_log=False,
        loop="uvloop",
        http="httptools",
    )
