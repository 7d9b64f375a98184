"""How long items took, which moved back and what was done are those of the plain model, of two products."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.given import plain_stages
from tests.given.any_bodies import about, of_kind, some_of
from tests.given.plain_model import Moment, board
from tests.given.plain_series import FOR_EVER, LONG_AGO
from tests.given.plain_stages import ROLES, Spans, Stretch, lasted, seconds_of
from tests.given.plain_words import Event
from tests.given.plain_world import World, a_world, examples, run_examples, sees
from tests.given.served_state import as_of

CHANGE: Final = datetime(2026, 6, 1, tzinfo=UTC)
"""A Monday with which a month begins."""
STAGES: Final = """
query (
  $product: ID, $asOf: AsOf, $window: Window, $zone: String!, $groupBy: GroupBy!,
  $from: StatusRole!, $to: StatusRole!, $length: Duration!
) {
  cycleTime(
    productId: $product, asOf: $asOf, window: $window, timeZone: $zone, groupBy: $groupBy,
    from: $from, to: $to
  ) { group n p50 p90 stillOpen }
  firstResponse(productId: $product, asOf: $asOf, window: $window, timeZone: $zone, groupBy: $groupBy) {
    group n p50 p90 stillOpen
  }
  statusRegressions(productId: $product, asOf: $asOf, window: $window, first: 500) {
    item { productId sleekplanId } from { key role } to { key role } enteredAt leftAt lasted at
    causedBy { position }
  }
  latest: statusRegressions(productId: $product, asOf: $asOf, window: $window, first: 1) { at }
  users(productId: $product, asOf: $asOf, filter: {deleted: null}) {
    nodes { productId sleekplanId activity(window: $window) { votes comments newItems csatAvg csatN } }
  }
  changelogEntries(productId: $product, asOf: $asOf, filter: {deleted: null}) {
    nodes {
      productId sleekplanId
      impact(window: $length) {
        before { votes comments newItems csatAvg csatN } after { votes comments newItems csatAvg csatN }
      }
    }
  }
}
"""
quarters = (
    st.integers(-8, 8) | st.integers(-130, 130) | st.integers(-3000, 3000)
)  # of an hour, from the change
few_items = st.sampled_from([1, 1, 1, 2, 3])
people = st.sampled_from([4, 5, 6]).map(lambda who: {"user_id": who, "admin_id": int(who == 4)})
items = of_kind(
    "item.create,update,update,update,update,delete",
    st.builds(
        lambda item_id, post: {"feedback_id": item_id} | post,
        few_items,
        about(
            {},
            status=st.sampled_from([*ROLES, "open", "planned", "s1"]),
            type=st.sampled_from(["bug", "idea"]),
            created=quarters,
            user=people,
        ),
    ),
)
done = (
    of_kind(
        "vote.create,create,delete",
        st.builds(
            lambda item_id, who, how: {"feedback_id": item_id, "user": who, "vote": how},
            few_items,
            people,
            st.sampled_from([1, -1]),
        ),
    )
    | of_kind(
        "comment.create,create,update,delete",
        st.builds(
            lambda comment_id, more: {"comment_id": comment_id} | more,
            st.integers(1, 3),
            some_of(feedback_id=few_items, user=people, created=quarters),
        ),
    )
    | of_kind(
        "satisfaction.create,update,delete",
        st.builds(
            lambda answer_id, who, vote: {"satisfaction_id": answer_id, "user": who, "vote": vote},
            st.integers(1, 2),
            people,
            st.integers(1, 5),
        ),
    )
    | of_kind(
        "changelog.create,update,delete", about({"changelog_id": 1}, draft=st.booleans(), created=quarters)
    )
)


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    """A window in quarters of an hour from the change, what to group by, two stages and a moment."""
    return {
        "from": draw(st.none() | quarters),
        "to": draw(st.none() | quarters),
        "groupBy": draw(st.sampled_from(["NONE", "MONTH", "WEEK", "TYPE", "STATUS"])),
        "zone": draw(st.sampled_from(["UTC", "Europe/Zurich", "America/Havana"])),
        "stages": draw(st.permutations(["OPEN", "ROADMAP", "DONE", "DECLINED"])),
        "position": draw(st.none() | st.integers(0, 16)),
        "time": draw(st.none() | st.integers(0, 15)),
        "clock": draw(st.sampled_from(["happened", "recorded"])),
        "hours": draw(st.integers(0, 400)),
    }


@pytest.fixture
async def world(pool: asyncpg.Pool) -> AsyncIterator[World]:
    async with a_world(pool) as world:
        yield world


@pytest.mark.parametrize("max_examples", [25, pytest.param(300, marks=pytest.mark.torture)])
async def test_what_items_took_and_people_did_is_that_of_the_plain_model(
    world: World, max_examples: int
) -> None:
    @examples(max_examples)
    @given(
        arrivals=st.lists(st.tuples(items | items | done, quarters, st.booleans()), min_size=3, max_size=16),
        batch_ends=st.lists(st.booleans(), min_size=16, max_size=16),
        asked=questions(),
    )
    async def holds(arrivals: Any, batch_ends: list[bool], asked: dict[str, Any]) -> None:
        world.product_id += 2
        two = [world.product_id - 1, world.product_id]
        bodies = [(_dated(body), int(_time(at).timestamp())) for body, at, _ in arrivals]
        products = [two[is_second] for _, _, is_second in arrivals]
        events = await world.record(bodies, [CHANGE] * len(bodies), products)

        await world.follow(events, batch_ends)

        of_each = {product: [e for e in events if e.product_id == product] for product in two}
        for moment in (Moment(), _moment(events, asked)):
            await _compare(world, of_each, moment, asked, None)
            await _compare(world, {two[0]: of_each[two[0]]}, moment, asked, str(two[0]))

    await run_examples(holds)


def _dated(body: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    action, data = body
    if "created" not in data:
        return body
    return action, data | {"created": f"{_time(data['created']):%Y-%m-%d %H:%M:%S}"}


def _time(quarters: int | None) -> Any:
    return None if quarters is None else CHANGE + timedelta(minutes=15 * quarters)


def _moment(events: list[Event], asked: dict[str, Any]) -> Moment:
    position = asked["position"]
    if position is not None:
        position = events[0].position - 1 + min(position, len(events))
    if asked["time"] is None:
        return Moment(position)
    event = events[min(asked["time"], len(events) - 1)]
    if asked["clock"] == "happened":
        return Moment(position, event.occurred_at)
    return Moment(position, None, event.recorded_at)


async def _compare(
    world: World,
    of_each: dict[int, list[Event]],
    moment: Moment,
    asked: dict[str, Any],
    product: str | None,
) -> None:
    begins, until = _time(asked["from"]), _time(asked["to"])
    from_role, to_role, *_ = asked["stages"]
    answer = await world.ask(
        STAGES,
        sees(*of_each),
        product=product,
        asOf=as_of(moment),
        window={"from": begins and begins.isoformat(), "to": until and until.isoformat()},
        zone=asked["zone"],
        groupBy=asked["groupBy"],
        **{"from": from_role, "to": to_role},
        length=f"PT{asked['hours']}H",
    )
    stretch = Stretch(begins or LONG_AGO, until or FOR_EVER)
    spans = Spans(stretch, asked["groupBy"], asked["zone"])
    cycles = [span for of in of_each.values() for span in plain_stages.cycles(of, moment, from_role, to_role)]
    assert _statistics(answer["cycleTime"]) == plain_stages.grouped(cycles, spans)
    responses = [span for of in of_each.values() for span in plain_stages.responses(of, moment)]
    assert _statistics(answer["firstResponse"]) == plain_stages.grouped(responses, spans)
    _compare_regressions(answer, of_each, moment, stretch, await world.read_at(moment))
    _compare_done(answer, of_each, moment, stretch, timedelta(hours=asked["hours"]))


def _statistics(told: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert [each["group"] for each in told] == sorted(each["group"] for each in told)
    return {
        each["group"]: {
            "n": each["n"],
            "p50": seconds_of(each["p50"]),
            "p90": seconds_of(each["p90"]),
            "stillOpen": each["stillOpen"],
        }
        for each in told
    }


def _compare_regressions(
    answer: Any, of_each: dict[int, list[Event]], moment: Moment, stretch: Stretch, at: datetime
) -> None:
    expected = []
    for product, events in of_each.items():
        expected += [(period, str(product)) for period in plain_stages.regressions(events, moment, stretch)]
    expected.sort(key=lambda each: each[0]["enteredAt"], reverse=True)
    assert [_regression(each) for each in answer["statusRegressions"]] == [
        {
            "product": product,
            "item": period["item"],
            "from": (period["from"], ROLES[period["from"]]),
            "to": (period["to"], ROLES[period["to"]]),
            "enteredAt": period["enteredAt"],
            "leftAt": period["leftAt"],
            "lasted": lasted(period, at),
            "at": period["at"],
        }
        for period, product in expected
    ]
    assert [each["at"] for each in answer["latest"]] == [period["at"] for period, _ in expected[:1]]


def _regression(told: dict[str, Any]) -> dict[str, Any]:
    assert told["causedBy"]["position"] == told["at"]
    return {
        "product": told["item"]["productId"],
        "item": told["item"]["sleekplanId"],
        "from": (told["from"]["key"], told["from"]["role"]),
        "to": (told["to"]["key"], told["to"]["role"]),
        "enteredAt": datetime.fromisoformat(told["enteredAt"]),
        "leftAt": told["leftAt"] and datetime.fromisoformat(told["leftAt"]),
        "lasted": seconds_of(told["lasted"]),
        "at": told["at"],
    }


def _compare_done(
    answer: Any, of_each: dict[int, list[Event]], moment: Moment, stretch: Stretch, length: timedelta
) -> None:
    users, entries = {}, {}
    for product, events in of_each.items():
        known = board(events, moment)
        for key in known.users:
            users[str(product), key] = plain_stages.activity(events, moment, stretch, key)
        for key, entry in known.entries.items():
            published = entry.get("published_at")
            entries[str(product), key] = plain_stages.impact(events, moment, published, length)
    for name, told, expected in (("users", "activity", users), ("changelogEntries", "impact", entries)):
        nodes = answer[name]["nodes"]
        assert {(node["productId"], node["sleekplanId"]): node[told] for node in nodes} == expected
