"""A board of a test's own: tell it what Sleekplan would, then ask the schema."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import asyncpg
from graphql import ExecutionResult, GraphQLError

from projections.declare import declare
from projections.follow.projector import Projector, Turn
from projections.read_model import ReadAt, Reader, tables
from schema.answer.documents import Request
from schema.answer.execute import Operations
from schema.answer.limits import Limits
from schema.build import build_schema
from schema.context import EVERYTHING, Caller, Context, Services
from schema.errors import Refused
from service.config import load_settings
from service.events import decode
from service.labels import load_labels
from service.log.database import open_pool
from service.log.event_store import Appended, EventStore
from service.log.hub import Hub
from tests.conftest import _new_database as new_database

PRODUCT: Final = 7
NOW: Final = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
# What is asked of every field at once is over the limits of clients.
LIMITS: Final = Limits(aliases_max=10_000, fields_max=50_000, tokens_max=50_000, cost_max=10**9)
OPERATIONS: Final = Operations(build_schema(), LIMITS, fast=False)


class Following:
    """Counts a log in, in one turn for all that it is told: to begin one costs far more than a step."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._projector = Projector(pool)
        self._held = AsyncExitStack()
        self._turn: Turn | None = None

    async def catch_up(self) -> int:
        """Return the position reached once everything recorded is projected."""
        if self._turn is None:
            self._turn = await self._held.enter_async_context(self._projector.turn())
        assert self._turn is not None, "another projector has the turn"
        while await self._turn.advance():
            pass
        if self._turn.failure is not None:
            raise self._turn.failure
        return self._turn.position

    async def rest(self) -> None:
        """Give the turn back, so that others may follow."""
        self._turn = None
        await self._held.aclose()


class Board:
    """A log with its projections, and the schema over them."""

    def __init__(self, services: Services, projector: Following) -> None:
        self.services = services
        self.projector = projector
        self.position: int | None = None
        self.statements: list[str] = []

    async def tell(
        self, *bodies: Mapping[str, Any], recorded_at: dt.datetime | None = None
    ) -> list[Appended]:
        """Record bodies as one batch and project them."""
        received = recorded_at or NOW
        events = [decode(json.dumps(body).encode(), received) for body in bodies]
        appended = await self.services.store.append(events)
        self.services.hub.advance("projected", await self.projector.catch_up())
        return appended

    async def answer(
        self, query: str, caller: Caller = EVERYTHING, **variables: Any
    ) -> tuple[Any, list[GraphQLError]]:
        """Return data and errors of an operation."""
        context = Context(self.services, caller)
        try:
            request = Request(query, variables)
            document = await OPERATIONS.documents.prepare(query)
            selection = OPERATIONS.asked(document, request).selection
            result, _ = await OPERATIONS.result(document, request, selection, context)
        except Refused as refused:
            result = ExecutionResult(None, refused.errors)
        self.position = context.position
        return result.data, list(result.errors or [])

    async def ask(self, query: str, caller: Caller = EVERYTHING, **variables: Any) -> Any:
        """Return the data of an operation, which must have no errors."""
        data, errors = await self.answer(query, caller, **variables)
        assert not errors, errors
        return data

    async def refusal(self, query: str, caller: Caller = EVERYTHING, **variables: Any) -> Exception:
        """Return what a refused operation was refused with."""
        _, errors = await self.answer(query, caller, **variables)
        assert len(errors) == 1, errors
        return errors[0].original_error or errors[0]


class _Watched(Reader):
    """The reader, noting each statement."""

    def __init__(self, pool: asyncpg.Pool, noted: list[str]) -> None:
        super().__init__(pool)
        self._noted = noted

    async def value(self, sql: str, *args: Any) -> tuple[Any, ReadAt]:
        self._noted.append((await tables(self._pool)).fill(sql))
        return await super().value(sql, *args)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Any]:
        async with super().snapshot() as snapshot:
            fetch = snapshot.fetch

            async def noting(sql: str, *args: Any) -> Any:
                self._noted.append(snapshot.generation.fill(sql))
                return await fetch(sql, *args)

            snapshot.fetch = noting  # type: ignore[method-assign]
            yield snapshot


@asynccontextmanager
async def a_pool(url: str) -> AsyncIterator[asyncpg.Pool]:
    """Open a pool for several tests that only read."""
    pool = await open_pool(url, min_size=1, max_size=5, application_name="recount-tests")
    try:
        yield pool
    finally:
        await pool.close()


def services_on(
    pool: asyncpg.Pool, reader: Reader, store: EventStore, now: dt.datetime = NOW, api_keys: str = ""
) -> Services:
    """Return what resolvers ask, on a database; nobody follows its log by itself."""
    return Services(
        pool=pool,
        reader=reader,
        store=store,
        hub=Hub("postgresql://nowhere"),
        settings=load_settings({"RECOUNT_SLEEKPLAN_API_KEY": api_keys} if api_keys else {}),
        labels=load_labels(None),
        clock=lambda: now,
    )


@asynccontextmanager
async def a_board(pool: asyncpg.Pool, now: dt.datetime = NOW, api_keys: str = "") -> AsyncIterator[Board]:
    """Open an empty board on a fresh database, with keys of Sleekplan's API if some are given."""
    async with pool.acquire() as connection:
        await declare(connection)
    store = EventStore(pool)
    statements: list[str] = []
    services = services_on(pool, _Watched(pool, statements), store, now, api_keys)
    board = Board(services, Following(pool))
    board.statements = statements
    try:
        yield board
    finally:
        await board.projector.rest()
        await store.close()


async def drop_column(pool: asyncpg.Pool, table: str, column: str) -> None:
    """Have a table as an older version counted it: without a column, and no child of what SQL is shown."""
    name = (await tables(pool)).names[table]
    parents = await pool.fetch(
        "select inhparent::regclass::text as name from pg_inherits where inhrelid = $1::text::regclass", name
    )
    for parent in parents:
        await pool.execute(f"alter table {name} no inherit {parent['name']}")
    await pool.execute(f"alter table {name} drop column {column} cascade")


def at_clock(board: Board, now: dt.datetime) -> Board:
    """Return the same board at another time of day."""
    moved = Board(replace(board.services, clock=lambda: now), board.projector)
    moved.statements = board.statements
    return moved


__all__ = ["a_board", "a_pool", "new_database"]

# What Sleekplan sends


def seconds(at: str) -> int:
    """Return a moment, `2026-06-14 09:00`, as Sleekplan's envelope has it."""
    return int(dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC).timestamp())


def body(action: str, at: str, data: Mapping[str, Any], product: int = PRODUCT) -> dict[str, Any]:
    """A delivery."""
    return {"product_id": product, "action": action, "timestamp": seconds(at), "data": dict(data)}


def person(user: int, name: str, admin: int = 0) -> dict[str, Any]:
    """An embedded user."""
    return {
        "user_id": user,
        "admin_id": admin,
        "data_name": name,
        "data_mail": f"{name}@example.com",
        "data_img": "",
    }


def post(item: int, up: int = 0, down: int = 0, **fields: Any) -> dict[str, Any]:
    """A post, with totals that agree with each other; whatever else is given goes in."""
    return {
        "feedback_id": item,
        "total_up": up,
        "total_down": down,
        "total_sum": up + down,
        "total_ratio": up - down,
        "total_comments": 0,
        "total_subscriber": 0,
        "trend": 0,
        "scoring": 0.5,
        "effort": 0,
    } | fields
