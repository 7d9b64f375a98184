"""Following live = rebuilding = the rules in plain Python, for any events in any order and any batches."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections import catalogue
from projections.follow.projector import Projector
from projections.read_model import Reader
from projections.rebuild.verify import verify
from service.events import decode
from service.log.event_store import EventStore
from service.sql_files import load
from tests.given import plain_model
from tests.given.asking import Board, services_on
from tests.given.plain_model import Event

AS_OF = load(catalogue.__file__, "as_of.sql")
RECEIVED = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
FOREVER = datetime.max.replace(tzinfo=UTC)
ITEM = [
    "title",
    "description",
    "status",
    "type",
    "effort",
    "created_at",
    "author_id",
    "updated_at",
    "votes_up",
    "votes_down",
    "total_sum",
    "comments",
    "subscribers",
    "trend",
    "scoring",
    "ratio",
    "deleted",
    "deleted_at",
    "status_since",
]
USER = [
    "name",
    "mail",
    "img",
    "admin_id",
    "data_id",
    "full_name",
    "anonymous",
    "segments",
    "custom",
    "system",
    "weight",
    "created_at",
    "deleted",
    "deleted_at",
    "first_seen_at",
    "last_active_at",
]
COMMENT = [
    "item_id",
    "author_id",
    "body",
    "status",
    "type",
    "likes",
    "created_at",
    "updated_at",
    "deleted",
    "deleted_at",
]

ids = st.sampled_from([1, 2, "3", "1", 0, "", None, [7]])
moments = st.sampled_from(
    [
        "2026-05-01 10:00:00",
        "2026-05-02 10:00:00",
        "2024-02-29 23:59:59",
        "2026-02-29 10:00:00",
        "0000-00-00 00:00:00",
        "yesterday",
        "",
        None,
    ]
)
totals = st.sampled_from([0, 1, 2, 3, "4", "-1", "many", None, True, 12345678901])
decimals = st.sampled_from([0, 4, "0.55", 0.25, "-1.5", "high", None])
texts = st.sampled_from(["a", "b", "Grüße 🎉", "", None])
statuses = st.sampled_from(["open", "planned", "merged", "", None])
timestamps = st.sampled_from(
    [
        1780000000,
        1780000001,
        "1780000002",
        1780000002500,
        1780000100,
        "1770000000000",
        None,
        "soon",
        5,
        99999999999,
    ]
)


def some_of(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


embedded = some_of(
    user_id=ids,
    admin_id=st.sampled_from([0, 1, "2", None]),
    data_name=st.sampled_from(["ana", "ben", "", 0, None]),
    data_mail=st.sampled_from(["ana@example.com", "", None]),
    data_img=st.sampled_from(["https://example.com/a.png", ""]),
)
full_user = some_of(
    user_id=ids,
    data_id=texts,
    admin_id=st.sampled_from([0, "1"]),
    anonymous=st.sampled_from([True, "0", 1, "maybe"]),
    data_name=texts,
    data_full_name=texts,
    data_mail=texts,
    segments=st.sampled_from([[], ["pro", "eu"], ["pro"], "pro", None]),
    data=st.sampled_from([{"plan": "pro"}, {}, "none"]),
    weight=totals,
    created=moments,
    updated=moments,
)
whole_post = st.fixed_dictionaries(
    {
        "feedback_id": st.sampled_from([1, "2"]),
        "title": texts,
        "description": texts,
        "status": st.sampled_from(["open", "planned"]),
        "type": st.just("feature"),
        "trend": st.just("0.5"),
        "total_up": st.integers(0, 4),
        "total_down": st.integers(0, 2),
        "total_sum": st.integers(0, 4),
        "total_comments": st.integers(0, 2),
        "total_ratio": st.just(3),
        "total_subscriber": st.just(1),
        "scoring": st.just(0.81),
        "effort": st.sampled_from([0, 1]),
        "created": st.just("2026-05-01 10:00:00"),
        "updated": moments,
        "user": embedded,
    }
)
few_posts = st.builds(
    lambda title, status, up, name: {
        "feedback_id": 1,
        "title": title,
        "status": status,
        "total_up": up,
        "user": {"user_id": 5, "data_name": name},
    },
    st.sampled_from(["a", "b"]),
    st.sampled_from(["open", "planned"]),
    st.sampled_from([1, 2]),
    st.sampled_from(["ana", "ann"]),
)
part_of_post = some_of(
    feedback_id=ids,
    id=ids,
    title=texts,
    description=texts,
    status=statuses,
    type=texts,
    trend=decimals,
    total_up=totals,
    total_down=totals,
    total_sum=totals,
    total_comments=totals,
    total_ratio=decimals,
    total_subscriber=totals,
    scoring=decimals,
    effort=totals,
    created=moments,
    updated=moments,
    user=embedded,
    user_id=ids,
)
post = whole_post | part_of_post
item = st.tuples(
    st.sampled_from(["item.create", "item.update", "item.update", "item.delete", "item.pin"]), post
)
vote = st.tuples(
    st.sampled_from(["vote.create", "vote.create", "vote.update", "vote.delete"]),
    some_of(
        feedback_item=post,
        feedback_id=ids,
        user=embedded,
        user_id=ids,
        vote=st.sampled_from([1, -1, 0, "1", "-1", 5, "up", None]),
        created=moments,
        updated=moments,
    ),
)
subscription = st.tuples(
    st.sampled_from(["subscription.create", "subscription.delete"]),
    some_of(feedback_item=post, post=post, feedback_id=ids, user=embedded, user_id=ids, created=moments),
)
comment = st.tuples(
    st.sampled_from(["comment.create", "comment.update", "comment.delete", "comment.flag"]),
    some_of(
        comment_id=ids,
        feedback_id=ids,
        feedback=post,
        comment=texts,
        value=texts,
        status=statuses,
        likes=totals,
        created=moments,
        updated=moments,
        user=embedded,
    ),
)
user = st.tuples(st.sampled_from(["user.create", "user.update", "user.delete"]), full_user)
other = st.tuples(
    st.sampled_from(
        ["changelog.create", "changelog.update", "changelog.subscribe", "satisfaction.create", "nps.answer"]
    ),
    some_of(
        changelog_id=ids,
        satisfaction_id=ids,
        feedback_id=ids,
        user=embedded,
        user_id=ids,
        vote=totals,
        title=texts,
        draft=st.booleans(),
        created=moments,
        updated=moments,
        segments=st.just([]),
    ),
)
bodies = st.tuples(item | vote | vote | subscription | comment | user | other, timestamps)


late_posts = st.tuples(
    st.sampled_from(["item.update", "item.update", "vote.create"]).flatmap(
        lambda action: st.tuples(
            st.just(action),
            few_posts.map(lambda post: post if action == "item.update" else {"feedback_item": post}),
        )
    ),
    st.integers(1780000000, 1780000006),
)


class History(NamedTuple):
    """What arrives, in its order, when, and where batches end; and a moment to look back to."""

    arrivals: list[tuple[tuple[str, dict[str, Any]], Any]]
    received: list[datetime]
    batch_ends: list[bool]
    moment: tuple[int, int | None]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Any list of events, shuffled by being drawn in any order, with copies of some."""
    sent = draw(st.lists(bodies, min_size=1, max_size=12))
    copies = draw(st.lists(st.sampled_from(sent), max_size=3))
    arrivals = [*sent, *copies]
    size = len(arrivals)
    minutes = draw(st.lists(st.integers(0, 40), min_size=size, max_size=size))
    ends = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    moment = draw(st.tuples(st.integers(0, size), st.none() | st.integers(0, size - 1)))
    return History(arrivals, [RECEIVED + timedelta(minutes=m) for m in minutes], ends, moment)


class World:
    """One database for all examples: each has a product of its own."""

    def __init__(self, pool: asyncpg.Pool, turn: Any) -> None:
        self.pool, self.turn, self.product_id = pool, turn, 0
        self.store, self.reader = EventStore(pool), Reader(pool)
        self.board = Board(services_on(pool, self.reader, self.store), Projector(pool))

    async def record(
        self, bodies: list[tuple[tuple[str, Any], Any]], received: list[datetime]
    ) -> list[Event]:
        for ((action, data), timestamp), at in zip(bodies, received, strict=True):
            body = {"product_id": self.product_id, "action": action, "data": data, "timestamp": timestamp}
            await self.store.append([decode(json.dumps(body).encode(), at)])
        rows = await self.pool.fetch(
            "select position, product_id, action, entity, occurred_at, data from log.events "
            "where product_id = $1 order by position",
            self.product_id,
        )
        return [
            Event(
                r["position"],
                r["product_id"],
                r["action"],
                r["entity"],
                r["occurred_at"],
                json.loads(r["data"]),
            )
            for r in rows
        ]

    async def follow(self, to: int) -> None:
        while await self.turn.advance(to):
            pass

    async def current(self, table: str, columns: list[str], *keys: str) -> dict[Any, dict[str, Any]]:
        names = ", ".join([*keys, *columns])
        rows, _ = await self.reader.fetch(
            f"select {names} from {{{table}}} where product_id = $1", self.product_id
        )
        return {_key(row, keys): _row(row, columns) for row in rows}

    async def as_of(
        self, statement: str, columns: list[str], *arguments: Any, keys: tuple[str, ...] = ()
    ) -> Any:
        rows, _ = await self.reader.fetch(AS_OF[statement], self.product_id, *arguments)
        if keys:
            return {_key(row, keys): _row(row, columns) for row in rows}
        return _row(rows[0], columns) if rows else None

    async def by_votes(
        self, position: int, time: datetime | None, first: int
    ) -> list[tuple[str, int | None]]:
        """Return the first items of the board then and their net votes, most first."""
        at = {"time": time.isoformat(), "clock": "OCCURRED"} if time else {}
        answer = await self.board.ask(
            """query ($product: ID!, $asOf: AsOf!, $first: Int!) {
              items(productId: $product, asOf: $asOf, first: $first, orderBy: {field: VOTES}) {
                nodes { sleekplanId votes { net } } } }""",
            product=str(self.product_id),
            asOf={"position": position} | at,
            first=first,
        )
        return [
            (node["sleekplanId"], node["votes"] and node["votes"]["net"]) for node in answer["items"]["nodes"]
        ]


def _key(row: asyncpg.Record, keys: tuple[str, ...]) -> Any:
    return row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys)


def _row(row: asyncpg.Record, columns: list[str]) -> dict[str, Any]:
    found = {name: row[name] for name in columns if row[name] is not None}
    return {n: json.loads(v) if n in ("custom", "system") else v for n, v in found.items()}


def expected(rows: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {key: {n: v for n, v in row.items() if v is not None} for key, row in rows.items()}


@pytest.fixture
async def world(pool: asyncpg.Pool) -> AsyncIterator[World]:
    async with Projector(pool).turn() as turn:
        assert turn is not None
        world = World(pool, turn)
        yield world
        await world.store.close()


async def _compare_now(world: World, events: list[Event]) -> None:
    now = plain_model.board(events, events[-1].position)
    assert await world.current("items", ITEM, "item_id") == expected(now.items)
    assert await world.current("users", USER, "user_id") == expected(now.users)
    columns = ["user_id", "value", "withdrawn", "cast_at"]
    assert await world.current("votes", columns, "item_id", "voter") == expected(now.votes)
    columns = ["user_id", "active", "since"]
    assert await world.current("subscriptions", columns, "item_id", "subscriber") == expected(
        now.subscriptions
    )
    assert await world.current("comments", COMMENT, "comment_id") == expected(now.comments)


async def _compare_as_of(world: World, events: list[Event], position: int, time: datetime | None) -> None:
    then = plain_model.board(events, position, time)
    at = time or FOREVER
    ids = await world.as_of("items", [], position, at, keys=("item_id",))
    assert set(ids) == set(then.items)
    for item_id in {*then.items, "1", "2", "nobody"}:
        row = await world.as_of("item", ITEM, item_id, position, at)
        assert (item_id, row) == (item_id, expected(then.items).get(item_id))
        found = await world.as_of(
            "votes", ["user_id", "value", "withdrawn", "cast_at"], item_id, position, at, keys=("voter",)
        )
        assert found == {voter: row for (i, voter), row in expected(then.votes).items() if i == item_id}
        found = await world.as_of(
            "subscriptions", ["user_id", "active", "since"], item_id, position, at, keys=("subscriber",)
        )
        assert found == {who: row for (i, who), row in expected(then.subscriptions).items() if i == item_id}
    for user_id, row in expected(then.users).items():
        assert await world.as_of("user", USER, user_id, position, at) == row
    for comment_id, row in expected(then.comments).items():
        assert await world.as_of("comment", COMMENT, comment_id, position, at) == row
    net = {
        item_id: row["votes_up"] - row.get("votes_down", 0) if "votes_up" in row else None
        for item_id, row in expected(then.items).items()
        if not row["deleted"]
    }
    ranked = sorted(net, key=lambda item_id: (-(net[item_id] or 0), item_id))
    ranked.sort(key=lambda item_id: net[item_id] is None)
    for first in (1, 2, 100):
        page = await world.by_votes(position, time, first)
        assert page == [(item_id, net[item_id]) for item_id in ranked[:first]]


async def _compare_facts(world: World, events: list[Event]) -> None:
    rows, _ = await world.reader.fetch(
        "select position, type, changed_fields, action from {event_facts} where product_id = $1",
        world.product_id,
    )
    compared = ("item.update", "comment.update")
    found = {
        r["position"]: (r["type"], frozenset(r["changed_fields"]) if r["action"] in compared else None)
        for r in rows
    }
    assert found == plain_model.facts(events)
    rows, _ = await world.reader.fetch(
        "select position, field, delta, user_id from {inferences} where product_id = $1", world.product_id
    )
    assert {(r["position"], r["field"], r["delta"]) for r in rows} == plain_model.drifts(events)
    assert all(r["user_id"] is None for r in rows)


@pytest.mark.parametrize("style", ["ISO, MDY", "ISO, DMY", "German", "SQL, DMY"])
async def test_moments_are_read_as_the_plain_model_reads_them_in_sessions_of_any_date_style(
    world: World, style: str
) -> None:
    texts = [
        *("2026-05-01 10:00:00", "2026-12-31 23:59:59", "1000-01-01 00:00:00", "9999-12-31 23:59:59"),
        *("2024-02-29 00:00:00", "2000-02-29 00:00:00", "2026-02-29 00:00:00", "1900-02-29 00:00:00"),
        *("2026-02-30 10:00:00", "2026-04-31 10:00:00", "2026-13-01 10:00:00", "2026-00-10 10:00:00"),
        *("0000-00-00 00:00:00", "0999-01-01 00:00:00", "2026-01-00 10:00:00", "2026-05-01 24:00:00"),
        *("2026-05-01 23:60:00", "2026-05-01 23:59:60", "2026-05-01 9:00:000", "2026-05-01  9:00:00"),
        *("2026-05- 1 09:00:00", "2026-05-01T10:00:00", "2026-05-01 10:00:0Z", "2026-05-01 10:00:0+"),
        *("2026-05-01 T1:00:00", "01.05.2026 10:00:00", "01/05/2026 10:00:00", "26-05-2001 10:00:00"),
        *("2026-05-01 1::00:00", "2026-05-0: 10:00:00", "2026-05-01 10:0;:00", "20<6-05-01 10:00:00"),
        *("2026-05-0= 10:00:00", "202>-05-01 10:00:00", "2026-05-01 10:00:0?", "2026-05-1é 10:00:00"),
        *("12026-05-01 10:00:00", "2026-05-01 10:00:00.5", "2026-05-01 10:00", "2026-05-01", "infinity"),
        *("2026-05-01 10:00 BC", "2026-05-01 10:00:00 BC", "now", "٢٠٢٦-05-01 10:00:00", "", None),
    ]
    async with world.pool.acquire() as connection:
        await connection.execute("select set_config('datestyle', $1, false)", style)
        try:
            found = await connection.fetch(
                "select v, read_model.moment_of(v) as moment from unnest($1::text[]) as t (v)", texts
            )
        finally:
            await connection.execute("reset datestyle")
    assert {r["v"]: r["moment"] for r in found} == {text: plain_model.moment(text) for text in texts}


async def test_following_in_any_batches_equals_the_plain_model_and_a_rebuild(world: World) -> None:
    @settings(
        max_examples=120,
        deadline=None,
        derandomize=True,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.function_scoped_fixture,
            HealthCheck.data_too_large,
        ],
    )
    @given(history=histories())
    async def holds(history: History) -> None:
        world.product_id += 1
        events = await world.record(history.arrivals, history.received)

        for event, batch_ends in zip(events, history.batch_ends, strict=False):
            if batch_ends:
                await world.follow(event.position)
        await world.follow(events[-1].position)

        await _compare_now(world, events)
        await _compare_facts(world, events)
        arrived, happened = history.moment
        position = events[0].position - 1 + min(arrived, len(events))
        time = None if happened is None else events[min(happened, len(events) - 1)].occurred_at
        await _compare_as_of(world, events, position, time)

    # Hypothesis calls a plain function; ours runs on the test's own loop.
    await _run_examples(holds)

    report = await verify(world.pool, events_a_step=37)
    assert report.equal, [(t.table, t.differences) for t in report.tables if not t.equal]


async def test_posts_that_come_late_are_history_from_their_own_time_to_the_next(world: World) -> None:
    @settings(
        max_examples=100,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(
        arrivals=st.lists(late_posts, min_size=3, max_size=9),
        batch_ends=st.lists(st.booleans(), min_size=9, max_size=9),
        moment=st.tuples(st.integers(1, 9), st.integers(1780000000, 1780000006)),
    )
    async def holds(arrivals: Any, batch_ends: list[bool], moment: tuple[int, int]) -> None:
        world.product_id += 1
        events = await world.record(arrivals, [RECEIVED] * len(arrivals))
        for event, batch_ends_here in zip(events, batch_ends, strict=False):
            if batch_ends_here:
                await world.follow(event.position)
        await world.follow(events[-1].position)

        await _compare_now(world, events)
        await _compare_facts(world, events)
        position = events[0].position - 1 + min(moment[0], len(events))
        await _compare_as_of(world, events, position, datetime.fromtimestamp(moment[1], UTC))

    await _run_examples(holds)

    report = await verify(world.pool, events_a_step=11)
    assert report.equal, [(t.table, t.differences) for t in report.tables if not t.equal]


async def _run_examples(holds: Any) -> None:
    """Run a Hypothesis test whose body is a coroutine: its examples in a thread, each body on this loop."""
    import asyncio
    import functools

    loop = asyncio.get_running_loop()
    inner = holds.hypothesis.inner_test

    @functools.wraps(inner)
    def on_this_loop(*args: Any, **kwargs: Any) -> None:
        asyncio.run_coroutine_threadsafe(inner(*args, **kwargs), loop).result()

    holds.hypothesis.inner_test = on_this_loop
    await asyncio.to_thread(holds)
