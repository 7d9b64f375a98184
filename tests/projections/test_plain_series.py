"""Series of random histories around changes of clocks are those of the plain model, now and of any moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.given import plain_series
from tests.given.any_bodies import about, of_kind
from tests.given.plain_model import Moment
from tests.given.plain_series import FOR_EVER, LONG_AGO, Question
from tests.given.plain_world import World, a_world, examples, run_examples
from tests.given.served_state import as_of

CHANGES: Final = {
    "Europe/Zurich in spring": ("Europe/Zurich", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    "Europe/Zurich in autumn": ("Europe/Zurich", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "America/Havana in autumn, at midnight": ("America/Havana", datetime(2026, 11, 1, 5, tzinfo=UTC)),
}
SERIES: Final = """
query (
  $product: ID!, $asOf: AsOf, $window: Window!, $moved: Window!,
  $zone: String!, $bucket: Bucket!, $metric: Metric!, $group: String!
) {
  eventSeries(productId: $product, asOf: $asOf, window: $window, timeZone: $zone, bucket: $bucket) {
    t events lastPosition
  }
  statusBacklog(productId: $product, asOf: $asOf, window: $window, timeZone: $zone, bucket: $bucket) {
    t byStatus { status { key } items votes }
  }
  rankHistory(
    productId: $product, asOf: $asOf, window: $window, timeZone: $zone, bucket: $bucket,
    metric: $metric, top: 2
  ) { item { sleekplanId } points { t rank value } }
  movers(productId: $product, asOf: $asOf, window: $moved, metric: $metric) {
    item { sleekplanId } gained gainedPrevious acceleration rankNow rankBefore
  }
  best: movers(productId: $product, asOf: $asOf, window: $moved, metric: $metric, first: 1) { gained }
  satisfactionSeries(
    productId: $product, asOf: $asOf, window: $window, timeZone: $zone, bucket: $bucket, group: $group
  ) {
    t n avg replacedAnswers
  }
  item(productId: $product, sleekplanId: "1", asOf: $asOf) {
    voteSeries(window: $window, timeZone: $zone, bucket: $bucket) { t up down withdrawn cumulative }
    subscriberSeries(window: $window, timeZone: $zone, bucket: $bucket) { t added removed cumulative }
  }
}
"""
quarters = st.integers(-8, 8) | st.integers(-130, 130)  # of an hour, from the change
few_items = st.integers(1, 3)
updated = st.sampled_from(["2026-03-01 10:00:00", "2026-03-02 10:00:00"])
totals = about(
    {},
    total_up=st.integers(0, 4),
    total_down=st.integers(0, 2),
    total_comments=st.integers(0, 2),
    total_subscriber=st.integers(0, 2),
)
items = of_kind(
    "item.create,update,update,update,delete,delete,pin",
    st.builds(
        lambda item_id, post, more: {"feedback_id": item_id} | post | more,
        few_items,
        totals,
        about({}, status=st.sampled_from(["open", "planned"]), updated=updated, created=quarters),
    ),
)
votes = of_kind(
    "vote.create,create,create,delete,remove",
    st.fixed_dictionaries(
        {"feedback_id": st.just(1), "user_id": st.sampled_from([5, 6])},
        optional={"vote": st.sampled_from([1, -1, 0]), "updated": updated},
    ),
)
subscriptions = of_kind(
    "subscription.create,create,delete,pause",
    st.fixed_dictionaries({"feedback_id": st.just(1), "user_id": st.sampled_from([5, 6])}),
)
answers = of_kind(
    "satisfaction.create,update,delete",
    st.fixed_dictionaries(
        {
            "satisfaction_id": st.integers(1, 3),
            "user_id": st.sampled_from([5, 6]),
            "vote": st.integers(1, 5),
        },
        optional={"data": st.just("csat")},
    ),
)


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    """A window in quarters of an hour from the change, a step, a zone and a moment."""
    return {
        "from": draw(st.none() | quarters),
        "to": draw(st.none() | quarters),
        "bucket": draw(st.sampled_from(["HOUR", "HOUR", "DAY", "DAY", "WEEK", "MONTH"])),
        "in_zone": draw(st.sampled_from([True, True, True, False])),
        "metric": draw(st.sampled_from(["NET_VOTES", "UPVOTES", "COMMENTS", "SUBSCRIBERS", "ACTIVITY"])),
        "position": draw(st.none() | st.integers(0, 14)),
        "time": draw(st.none() | quarters),
        "recorded": draw(st.none() | st.integers(0, 13)),
        "group": draw(st.sampled_from(["default", "default", "csat"])),
    }


@pytest.fixture
async def world(pool: asyncpg.Pool) -> AsyncIterator[World]:
    async with a_world(pool) as world:
        yield world


@pytest.mark.parametrize("max_examples", [12, pytest.param(400, marks=pytest.mark.torture)])
@pytest.mark.parametrize("name", CHANGES)
async def test_series_around_a_change_of_clocks_are_those_of_the_plain_model(
    world: World, name: str, max_examples: int
) -> None:
    await _compare_histories(world, *CHANGES[name], max_examples=max_examples)


async def _compare_histories(world: World, zone: str, change: datetime, *, max_examples: int) -> None:
    world.now = change + timedelta(days=2)

    @examples(max_examples)
    @given(
        arrivals=st.lists(
            st.tuples(items | items | votes | subscriptions | answers, quarters), min_size=3, max_size=14
        ),
        batch_ends=st.lists(st.booleans(), min_size=14, max_size=14),
        asked=questions(),
    )
    async def holds(arrivals: Any, batch_ends: list[bool], asked: dict[str, Any]) -> None:
        world.product_id += 1
        bodies = [(_dated(change, body), int(_time(change, at).timestamp())) for body, at in arrivals]
        events = await world.record(bodies, [world.now] * len(bodies))

        await world.follow(events, batch_ends)

        position = None
        if asked["position"] is not None:
            position = events[0].position - 1 + min(asked["position"], len(events))
        then = Moment(position, _time(change, asked["time"]))
        if asked["recorded"] is not None:
            then = Moment(position, None, events[min(asked["recorded"], len(events) - 1)].recorded_at)
        for moment in (Moment(), then):
            await _compare(world, events, moment, change, zone, asked)

    await run_examples(holds)


def _dated(change: datetime, body: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    action, data = body
    if "created" not in data:
        return body
    return action, data | {"created": f"{_time(change, data['created']):%Y-%m-%d %H:%M:%S}"}


def _time(change: datetime, quarters: int | None) -> Any:
    return None if quarters is None else change + timedelta(minutes=15 * quarters)


async def _compare(
    world: World, events: Any, moment: Moment, change: datetime, zone: str, asked: dict[str, Any]
) -> None:
    begins, until = _time(change, asked["from"]), _time(change, asked["to"])
    if moment.recorded is not None and until is None:
        until = change + timedelta(days=2)  # our clock is far from theirs
    question = Question(
        asked["bucket"],
        zone if asked["in_zone"] else "UTC",
        begins or LONG_AGO,
        until or FOR_EVER,
        moment,
        await world.read_at(moment),
    )
    window = {"from": begins and begins.isoformat(), "to": until and until.isoformat()}
    moves = begins is not None and begins < min(question.until, question.at)
    answer = await world.ask(
        SERIES,
        asOf=as_of(moment),
        window=window,
        moved=window if moves else {"from": question.at.isoformat()},
        zone=question.zone,
        bucket=question.bucket,
        metric=asked["metric"],
        group=asked["group"],
    )
    assert _told(answer["eventSeries"]) == plain_series.event_series(events, question)
    backlog = [
        point | {"byStatus": {s["status"]["key"]: (s["items"], s["votes"]) for s in point["byStatus"]}}
        for point in _told(answer["statusBacklog"])
    ]
    assert backlog == plain_series.status_backlog(events, question)
    ranks = {series["item"]["sleekplanId"]: _told(series["points"]) for series in answer["rankHistory"]}
    assert ranks == plain_series.rank_history(events, question, asked["metric"], 2)
    if moves:
        moved = [mover | {"item": mover["item"]["sleekplanId"]} for mover in answer["movers"]]
        expected = plain_series.movers(events, question, asked["metric"])
        assert moved == expected
        assert [mover["gained"] for mover in answer["best"]] == [mover["gained"] for mover in expected[:1]]
    scores = plain_series.satisfaction_series(events, question, asked["group"])
    assert _told(answer["satisfactionSeries"]) == scores
    if answer["item"] is not None:
        item = answer["item"]
        assert _told(item["voteSeries"]) == plain_series.vote_series("1", events, question)
        assert _told(item["subscriberSeries"]) == plain_series.subscriber_series("1", events, question)


def _told(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [point | {"t": datetime.fromisoformat(point["t"])} for point in points]
