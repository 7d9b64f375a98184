"""A schema small enough to see through, for tests of what stands between a client and a schema."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry

from schema.build import Schema
from service.errors import BadArgument

SECRET = "someone@example.com"


@strawberry.type
class Vote:
    value: int = 1

    @strawberry.field
    def item(self) -> Item:
        return Item()


@strawberry.type
class VoteConnection:
    nodes: list[Vote]
    total_count: int = 0


@strawberry.type
class Item:
    title: str = "Dark mode"

    @strawberry.field
    def votes(self, first: int = 50, after: str | None = None) -> VoteConnection:
        return VoteConnection(nodes=[Vote()])

    @strawberry.field
    def tags(self) -> list[str]:
        return ["one"]


@strawberry.type
class User:
    title: int = 1
    name: str = "Ada"


Node = Annotated[Item | User, strawberry.union("Node")]


@strawberry.type
class ItemConnection:
    nodes: list[Item]
    total_count: int = 0


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "you") -> str:
        return f"hello {name}"

    @strawberry.field
    def item(self) -> Item:
        return Item()

    @strawberry.field
    def items(self, first: int = 50) -> ItemConnection:
        return ItemConnection(nodes=[Item()])

    @strawberry.field
    def node(self) -> Node:
        return Item()

    @strawberry.field
    def long_text(self, length: int) -> str:
        return "x" * length

    @strawberry.field
    def fault(self) -> str | None:
        raise LookupError(SECRET)

    @strawberry.field
    def refusal(self) -> str | None:
        raise BadArgument("first", -1, "is out of bounds")

    @strawberry.field
    async def never(self) -> str | None:
        await asyncio.Event().wait()
        return None


@strawberry.type
class Mutation:
    @strawberry.mutation
    def poke(self) -> str:
        return "poked"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int) -> AsyncGenerator[int, None]:
        for number in range(1, to + 1):
            yield number

    @strawberry.subscription
    async def silence(self) -> AsyncGenerator[int, None]:
        await asyncio.Event().wait()
        yield 0

    @strawberry.subscription
    async def failing(self) -> AsyncGenerator[int, None]:
        raise BadArgument("first", -1, "is out of bounds")
        yield 0


schema = Schema(Query, Mutation, Subscription)
