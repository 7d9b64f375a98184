"""Strawberry as its documentation has it: types, resolvers, objects made of rows, its aiohttp view.

Lean all the same: a root field looks at what was selected and runs one statement, the same as the other
peers', so what is measured is the way from rows to the answer. Validation and parsing are remembered by the
extensions that Strawberry has for it.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import AsyncIterator
from typing import Any, NewType

import asyncpg
import strawberry
from aiohttp import web
from serving import arguments, serve
from statements import EVENTS, ITEM_WITH_TIMELINE, ITEMS, ITEMS_WITH_VOTES
from strawberry.aiohttp.views import GraphQLView
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig

Position = NewType("Position", int)


@strawberry.enum
class Direction(enum.Enum):
    """Which way a list goes."""

    ASC = "ASC"
    DESC = "DESC"


@strawberry.enum
class ItemOrder(enum.Enum):
    """What items are sorted by."""

    VOTES = "VOTES"


@strawberry.enum
class VoteOrder(enum.Enum):
    """What votes are sorted by."""

    CAST_AT = "CAST_AT"


@strawberry.input
class ItemOrderBy:
    """How items are sorted."""

    field: ItemOrder
    direction: Direction = Direction.DESC


@strawberry.input
class VoteOrderBy:
    """How votes are sorted."""

    field: VoteOrder
    direction: Direction = Direction.DESC


@strawberry.type
class User:
    """Who did something."""

    sleekplan_id: strawberry.ID
    name: str | None


@strawberry.type
class Vote:
    """A vote."""

    product_id: strawberry.ID
    value: int | None
    cast_at: dt.datetime
    withdrawn: bool
    at: Position


@strawberry.type
class VoteConnection:
    """A page of votes."""

    nodes: list[Vote]


@strawberry.type
class VoteTotals:
    """Votes as totals."""

    net: int | None


@strawberry.type
class Event:
    """An event."""

    position: Position
    type: str
    action: str
    entity: str | None
    occurred_at: dt.datetime
    recorded_at: dt.datetime
    item: Item | None
    user: User | None


@strawberry.type
class EventConnection:
    """A page of events."""

    nodes: list[Event]


@strawberry.type
class Item:
    """An item."""

    sleekplan_id: strawberry.ID
    title: str | None = None
    type: str | None = None
    trend: float | None = None
    scoring: float | None = None
    effort: int | None = None
    comment_count: int | None = None
    subscriber_count: int | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    votes: VoteTotals | None = None
    its_votes: strawberry.Private[VoteConnection | None] = None
    its_events: strawberry.Private[EventConnection | None] = None

    @strawberry.field
    def cast_votes(self, first: int, order_by: VoteOrderBy | None = None) -> VoteConnection:
        """The votes, which the root field has read already."""
        assert self.its_votes
        return self.its_votes

    @strawberry.field
    def timeline(self, first: int) -> EventConnection:
        """The events, which the root field has read already."""
        assert self.its_events
        return self.its_events


@strawberry.type
class ItemConnection:
    """A page of items."""

    nodes: list[Item]


def selected(fields: list[Any], name: str) -> Any:
    """Return the selected field of a name below the given ones, at any depth; None without it."""
    for field in fields:
        if field.name == name:
            return field
        if (found := selected(field.selections, name)) is not None:
            return found
    return None


def user_of(row: asyncpg.Record) -> User | None:
    """Return the user of a joined row."""
    return User(sleekplan_id=row["user_id"], name=row["user_name"]) if row["user_id"] else None


@strawberry.type
class Query:
    """What can be asked."""

    @strawberry.field
    async def items(
        self,
        info: strawberry.Info,
        product_id: strawberry.ID,
        first: int,
        order_by: ItemOrderBy | None = None,
    ) -> ItemConnection:
        """Items by net votes."""
        pool = info.context["request"].app[POOL]
        votes = selected(info.selected_fields, "castVotes")
        if votes is None:
            rows = await pool.fetch(ITEMS, int(product_id), first)
            return ItemConnection(
                nodes=[
                    Item(
                        sleekplan_id=row[0],
                        title=row[1],
                        type=row[2],
                        trend=row[3],
                        scoring=row[4],
                        effort=row[5],
                        comment_count=row[6],
                        subscriber_count=row[7],
                        created_at=row[8],
                        updated_at=row[9],
                    )
                    for row in rows
                ]
            )
        rows = await pool.fetch(ITEMS_WITH_VOTES, int(product_id), first, int(votes.arguments["first"]))
        items: dict[str, list[Vote]] = {}
        for item_id, product, value, cast_at, withdrawn, at in rows:
            known = items.setdefault(item_id, [])
            if product is not None:
                known.append(
                    Vote(product_id=product, value=value, cast_at=cast_at, withdrawn=withdrawn, at=at)
                )
        return ItemConnection(
            nodes=[
                Item(sleekplan_id=key, its_votes=VoteConnection(nodes=nodes)) for key, nodes in items.items()
            ]
        )

    @strawberry.field
    async def item(
        self, info: strawberry.Info, product_id: strawberry.ID, sleekplan_id: strawberry.ID
    ) -> Item | None:
        """One item."""
        pool = info.context["request"].app[POOL]
        timeline = selected(info.selected_fields, "timeline")
        first = int(timeline.arguments["first"]) if timeline else 0
        rows = await pool.fetch(ITEM_WITH_TIMELINE, int(product_id), sleekplan_id, first)
        if not rows:
            return None
        events = [
            Event(
                position=row["position"],
                type=row["type"],
                action=row["action"],
                entity=None,
                occurred_at=row["occurredAt"],
                recorded_at=row["recordedAt"],
                item=None,
                user=user_of(row),
            )
            for row in rows
        ]
        return Item(
            sleekplan_id=rows[0]["sleekplanId"],
            title=rows[0]["title"],
            votes=VoteTotals(net=rows[0]["votes_net"]),
            its_events=EventConnection(nodes=events),
        )

    @strawberry.field
    async def events(self, info: strawberry.Info, product_id: strawberry.ID, first: int) -> EventConnection:
        """Events, oldest first."""
        pool = info.context["request"].app[POOL]
        return EventConnection(
            nodes=[
                Event(
                    position=row["position"],
                    type=row["type"],
                    action=row["action"],
                    entity=row["entity"],
                    occurred_at=row["occurredAt"],
                    recorded_at=row["recordedAt"],
                    item=Item(sleekplan_id=row["item_id"], title=row["item_title"])
                    if row["item_id"]
                    else None,
                    user=user_of(row),
                )
                for row in await pool.fetch(EVENTS, int(product_id), first)
            ]
        )


POOL = web.AppKey("pool", asyncpg.Pool)
SCHEMA = strawberry.Schema(
    Query,
    extensions=[ParserCache, ValidationCache],
    config=StrawberryConfig(scalar_map={Position: strawberry.scalar(name="Position", serialize=int)}),
)


def main() -> None:
    """Serve until told to end."""
    given = arguments()

    async def with_pool(app: web.Application) -> AsyncIterator[None]:
        async with asyncpg.create_pool(given.dsn, min_size=8, max_size=8) as pool:
            app[POOL] = pool
            yield

    app = web.Application()
    app.cleanup_ctx.append(with_pool)
    app.router.add_route("*", "/graphql", GraphQLView(schema=SCHEMA))
    serve(app, given.port)


if __name__ == "__main__":
    main()
