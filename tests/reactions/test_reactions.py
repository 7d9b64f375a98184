"""Reactions: what happens is told to each rule's target, in order, whatever either side does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from projections.lease import Lease
from schema.resume import ResumePoint, marked
from service.log.database import Pool
from service.log.event_store import EventStore
from service.reactions import courier
from service.reactions.cursors import Come, Cursors, ReactionState, SenderTurn
from service.reactions.reactions import reacting
from tests.given.bodies import a_body, an_event
from tests.given.receiver import Receiver, a_file, a_rule, answers, hang, receiving, take, unmarked
from tests.given.serving import Started, serving
from tests.given.waiting import eventually
from tests.live.test_restored import backup, restore


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "PAUSE_SECONDS", 0.01)


class House:
    """Where a service with reactions lives: its database, and its file of rules."""

    def __init__(self, folder: Path, url: str, pool: Pool) -> None:
        self.folder, self.url, self.pool = folder, url, pool
        self.cursors = Cursors(pool)

    def serving(self, path: Path, **settings: str) -> AbstractAsyncContextManager[Started]:
        given = {"database_url": self.url, "data_dir": str(self.folder / "data"), "port": "0"}
        return serving(given | {"webhook_keys": "key", "reactions": str(path)} | settings)

    @asynccontextmanager
    async def begun(self, path: Path, **settings: str) -> AsyncIterator[Started]:
        """Run a service whose rules have begun."""
        async with self.serving(path, **settings) as started:
            names = path.read_text().count("[[reaction]]")
            await eventually(lambda: self._are(names))
            yield started

    async def _are(self, names: int) -> bool:
        return sum(one.in_file for one in (await self.cursors.all()).values()) == names

    async def state(self, name: str = "all") -> ReactionState:
        return (await self.cursors.all())[name]

    async def append(self, *events: Any) -> None:
        store = EventStore(self.pool)
        await store.append(list(events))
        await store.close()


@pytest.fixture
async def house(database_url: str, pool: Pool, tmp_path: Path) -> House:
    return House(tmp_path, database_url, pool)


async def test_what_happens_is_told_in_order_and_signed(house: House, receiver: Receiver) -> None:
    path = a_file(house.folder, a_rule(house.folder, receiver.url))

    async with house.begun(path) as started:
        for number in range(1, 21):
            await started.post(a_body(number))
        await receiver.has(20)

    assert receiver.positions == list(range(1, 21))
    summary = receiver.taken[0]["data"]["events"].pop("summary")
    assert "Idea 1" in summary
    assert receiver.taken[0] == {
        "type": "all",
        "id": f"all_{str(await _place(house, 1)).replace('-', '_')}",
        "position": 1,
        "data": {"events": {"position": 1, "type": "ITEM_CREATED"}},
    }
    assert receiver.forged == 0


async def _place(house: House, position: int) -> ResumePoint:
    at = await house.pool.fetchval("select recorded_at from log.events where position = $1", position)
    return marked(position, at)


async def test_it_goes_on_where_it_was_and_a_new_rule_begins_at_the_head(
    house: House, receiver: Receiver
) -> None:
    rule = a_rule(house.folder, receiver.url)
    path = a_file(house.folder, rule)
    async with house.begun(path) as started:
        await started.post(a_body(1))
        await receiver.has(1)
        await eventually(lambda: _is_noted(house, 1))
    await house.append(an_event(2), an_event(3))

    later = a_rule(house.folder, receiver.url, "later")
    async with house.begun(a_file(house.folder, rule, later)) as started:
        await receiver.has(3)
        await started.post(a_body(4))
        await receiver.has(5)

    assert sorted(receiver.ids) == ["all_1", "all_2", "all_3", "all_4", "later_4"]
    assert [id for id in receiver.ids if id != "later_4"] == ["all_1", "all_2", "all_3", "all_4"]


async def test_what_was_imported_or_fetched_is_told_only_to_rules_that_ask_for_it(
    house: House, receiver: Receiver
) -> None:
    path = a_file(
        house.folder,
        a_rule(house.folder, receiver.url, "news"),
        a_rule(house.folder, receiver.url, "whole", origins=["WEBHOOK", "IMPORT", "BACKFILL"]),
    )

    async with house.begun(path):
        imported = an_event(1)._replace(origin="IMPORT")
        fetched = an_event(2)._replace(origin="BACKFILL")
        await house.append(imported, fetched, an_event(3))
        await receiver.has(4)

    told = [(message["type"], message["position"]) for message in receiver.taken]
    assert sorted(told) == [("news", 3), ("whole", 1), ("whole", 2), ("whole", 3)]


@pytest.mark.usefixtures("hasty")
async def test_what_is_not_taken_comes_again_with_the_same_id_before_anything_else(
    house: House, receiver: Receiver
) -> None:
    receiver.behaves = answers(500, 503, 429, headers={"Retry-After": "0"})

    async with house.begun(a_file(house.folder, a_rule(house.folder, receiver.url))) as started:
        await started.post(a_body(1))
        await started.post(a_body(2))
        await receiver.has(2)
        await eventually(lambda: _is_noted(house, 2))
        state = await house.state()

    assert list(map(unmarked, receiver.asked)) == ["/hook all_1"] * 4 + ["/hook all_2"]
    assert len(set(receiver.asked)) == 2
    assert (state.attempts, state.failing_since, state.problem, state.sent) == (0, None, None, 2)


@pytest.mark.usefixtures("hasty")
async def test_what_waits_to_be_told_tells_nothing_of_whom_was_forgotten_meanwhile(
    house: House, receiver: Receiver
) -> None:
    """One message is tried again and again, the other waits behind it; both were made before the erasure."""
    document = "subscription { events { position rawPayload user { name } } }"
    rule = a_rule(house.folder, receiver.url, document=document, scopes=["read", "raw"])
    person = {"user_id": 17, "data_name": "ana_w77", "data_mail": "ana@example.com"}
    offered: list[bytes] = []

    async def refuse(request: web.Request) -> web.Response:
        offered.append(await request.read())
        return web.Response(status=503)

    receiver.behaves = refuse
    async with house.begun(a_file(house.folder, rule)) as started:
        await started.post(a_body(1, action="user.create", data=person))
        await started.post(a_body(2, data={"feedback_id": 2, "title": "Idea", "user": person}))
        await eventually(lambda: len(offered) > 1)
        first = offered[0]
        answer = await started.ask(
            'mutation { userErase(productId: "5456534244", sleekplanId: "17") { eventsRedacted } }'
        )
        await eventually(lambda: b"ana" not in offered[-1])
        receiver.behaves = take
        await receiver.has(2)

    assert b"ana_w77" in first
    assert answer["data"]["userErase"] == {"eventsRedacted": 2}
    assert [each["data"]["events"]["user"]["name"] for each in receiver.taken] == [None, None]
    assert "ana" not in str(receiver.taken)


async def _is_noted(house: House, position: int) -> bool:
    return (await house.state()).position == position


@pytest.mark.usefixtures("hasty")
async def test_a_rule_that_skips_lists_what_it_gave_up_and_goes_on(house: House, receiver: Receiver) -> None:
    receiver.behaves = answers(500)
    rule = a_rule(house.folder, receiver.url, then="skip", retry_hours=0)

    async with house.begun(a_file(house.folder, rule)) as started:
        await started.post(a_body(1))
        await started.post(a_body(2))
        await receiver.has(1)
        skipped = await house.cursors.skipped("all", 10)

    assert receiver.positions == [2]
    assert [(one["position"], one["reason"]) for one in skipped] == [(1, "it answered 500")]


@pytest.mark.usefixtures("hasty")
async def test_a_rule_that_stops_says_why_and_goes_on_once_it_is_resumed(
    house: House, receiver: Receiver
) -> None:
    receiver.behaves = answers(500)
    rule = a_rule(house.folder, receiver.url, retry_hours=0)

    async with house.begun(a_file(house.folder, rule)) as started:
        await started.post(a_body(1))
        await started.post(a_body(2))
        await eventually(lambda: _has_state(house, "STOPPED"))
        stopped = await house.state()
        await house.cursors.resume("all")
        await receiver.has(2)

    assert (stopped.position, stopped.problem) == (0, "it answered 500")
    assert receiver.positions == [1, 2]


async def _has_state(house: House, state: str) -> bool:
    return (await house.state()).state == state


async def test_a_receiver_that_wants_nothing_more_is_left_alone_at_once(
    house: House, receiver: Receiver
) -> None:
    receiver.behaves = answers(410)

    async with house.begun(a_file(house.folder, a_rule(house.folder, receiver.url, then="skip"))) as started:
        await started.post(a_body(1))
        await eventually(lambda: _has_state(house, "STOPPED"))

    assert list(map(unmarked, receiver.asked)) == ["/hook all_1"]


async def test_a_rule_that_is_paused_tells_nothing_and_one_that_is_replayed_tells_it_again(
    house: House, receiver: Receiver
) -> None:
    rules = [a_rule(house.folder, receiver.url), a_rule(house.folder, receiver.url, "other")]

    async with house.begun(a_file(house.folder, *rules)) as started:
        await started.post(a_body(1))
        await receiver.has(2)
        await house.cursors.pause("all")
        await house.cursors.replay("other", 0)  # seen together with the pause, and told
        await receiver.has(3)
        await started.post(a_body(2))
        await receiver.has(4)
        assert receiver.ids[2:] == ["other_1", "other_2"]
        await house.cursors.resume("all")
        await receiver.has(5)

    assert receiver.ids[4] == "all_2"


async def test_a_changed_document_keeps_the_place_and_a_refused_file_keeps_the_rules(
    house: House, receiver: Receiver, lines: Any
) -> None:
    path = a_file(house.folder, a_rule(house.folder, receiver.url))

    async with house.begun(path) as started:
        await started.post(a_body(1))
        await receiver.has(1)
        path.write_text(path.read_text().replace("summary", "sumary"))
        await eventually(lambda: "reactions_refused" in lines.getvalue())
        await started.post(a_body(2))
        await receiver.has(2)
        path.write_text(path.read_text().replace("sumary", "productId"))
        await eventually(lambda: _gives(house, started, receiver, "productId"))

    told = [*dict.fromkeys(receiver.positions)]  # what was on its way as the rules changed comes again
    assert told == list(range(1, len(told) + 1))
    assert "reactions.toml:6: all: Cannot query field 'sumary'" in lines.getvalue()


async def _gives(house: House, started: Started, receiver: Receiver, member: str) -> bool:
    """Have something happen until the new document is what is told."""
    count = len(receiver.taken)
    await started.post(a_body(100 + count))
    await receiver.has(count + 1)
    return member in receiver.taken[-1]["data"]["events"]


async def test_of_two_instances_one_sends_and_the_other_takes_over(house: House, receiver: Receiver) -> None:
    path = a_file(house.folder, a_rule(house.folder, receiver.url))

    async with house.serving(path, data_dir=str(house.folder / "other")) as other:
        async with house.begun(path) as started:
            for number in range(1, 11):
                await started.post(a_body(number))
            await receiver.has(10)
        await other.post(a_body(11))
        await receiver.has(11)

    assert receiver.positions == list(range(1, 12))


async def test_several_bounds_of_one_event_are_messages_of_their_own(
    house: House, receiver: Receiver
) -> None:
    document = """
      subscription {
        thresholds(rules: [{metric: NET_VOTES, gte: 5}, {metric: UPVOTES, gte: 10}]) { metric value gte }
      }
    """

    async with house.begun(
        a_file(house.folder, a_rule(house.folder, receiver.url, document=document))
    ) as started:
        await started.post(a_body(1, data={"feedback_id": 1, "title": "Dark mode", "total_up": 0}))
        await started.post(
            a_body(2, action="item.update", data={"feedback_id": 1, "title": "Dark mode", "total_up": 12})
        )
        await receiver.has(2)

    assert receiver.ids == ["all_2_1", "all_2_2"]
    assert [message["ordinal"] for message in receiver.taken] == [1, 2]


async def test_one_whose_receiver_hangs_holds_up_no_other(house: House, receiver: Receiver) -> None:
    async with receiving() as slow:
        slow.behaves = hang
        path = a_file(
            house.folder,
            a_rule(house.folder, slow.url, "hangs", timeout_seconds=60),
            a_rule(house.folder, receiver.url),
        )
        async with house.begun(path) as started:
            for number in range(1, 6):
                await started.post(a_body(number))
            await receiver.has(5)
            assert list(map(unmarked, slow.asked)) == ["/hook hangs_1"]
            slow.behaves = take

    assert receiver.positions == [1, 2, 3, 4, 5]


async def test_without_a_match_its_place_is_noted_all_the_same(house: House, receiver: Receiver) -> None:
    document = "subscription { events(filter: {types: [ITEM_DELETED]}) { position } }"

    async with house.begun(a_file(house.folder, a_rule(house.folder, receiver.url, document=document))):
        await house.append(*(an_event(number) for number in range(1, 11)))
        await eventually(lambda: _is_noted(house, 10))

    assert receiver.asked == []


async def test_a_place_that_the_log_does_not_hold_any_more_stops_the_rule_and_says_so(
    house: House, receiver: Receiver
) -> None:
    await house.append(an_event(1))
    await house.pool.execute("insert into log.reactions (name, position) values ('all', 1000)")

    async with house.begun(a_file(house.folder, a_rule(house.folder, receiver.url, then="skip"))):
        await eventually(lambda: _has_state(house, "STOPPED"))

    state = await house.state()
    assert "the log does not hold its place any more" in str(state.problem)
    assert "1000" in str(state.problem)
    assert receiver.asked == []


async def test_a_place_at_which_another_event_stands_now_stops_the_rule_until_its_place_is_set(
    house: House, receiver: Receiver
) -> None:
    await house.append(*(an_event(number) for number in range(1, 4)))
    await house.pool.execute("insert into log.reactions (name, position, mark) values ('all', 2, '00000000')")

    async with house.begun(a_file(house.folder, a_rule(house.folder, receiver.url))) as started:
        await eventually(lambda: _has_state(house, "STOPPED"))
        stopped = await house.state()
        assert receiver.asked == []
        await house.cursors.replay("all", 1)
        await started.post(a_body(4))
        await eventually(lambda: _is_noted(house, 4))
        state = await house.state()

    assert "the log does not hold its place any more" in str(stopped.problem)
    assert "recount reactions replay" in str(stopped.problem)
    assert receiver.positions == [2, 3, 4]
    assert state.place == await _place(house, 4)


async def test_what_came_to_stand_where_the_log_lost_its_end_is_told_by_another_id(
    house: House, receiver: Receiver
) -> None:
    path = a_file(house.folder, a_rule(house.folder, receiver.url))
    kept = await backup(house.url, "log", "read_model")
    for number in (1, 2):
        async with house.begun(path) as started:
            await started.post(a_body(number))
            await receiver.has(number)
        if number == 1:
            await restore(house.url, kept)

    assert receiver.positions == [1, 1]
    assert receiver.taken[0]["id"] != receiver.taken[1]["id"]


async def test_of_the_demo_only_a_rule_that_asks_for_it_tells(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.app.reacting", lambda *given, is_demo: reacting(*given, is_demo=True))
    path = a_file(
        house.folder,
        a_rule(house.folder, receiver.url, "quiet"),
        a_rule(house.folder, receiver.url, "shows", demo=True),
    )

    async with house.begun(path) as started:
        await started.post(a_body(1))
        await receiver.has(1)
        await eventually(lambda: _shows(house, 1))

    assert receiver.ids == ["shows_1"]
    assert (await house.state("quiet")).position == 0


async def _shows(house: House, position: int) -> bool:
    return (await house.state("shows")).position == position


async def test_what_one_says_that_lost_its_turn_counts_no_more(house: House) -> None:
    before, after = Lease("reactions", 0.0), Lease("reactions", 60.0)
    await house.cursors.begin(["all"])
    assert await before.take(house.pool)
    assert await after.take(house.pool)
    turn, place = SenderTurn("all", (await house.state()).revision, before.task, before.epoch), ResumePoint(7)

    await house.cursors.failed(turn, "it answered 500")
    await house.cursors.skip(turn, place, "it answered 500")
    await house.cursors.stop(turn, place, "it answered 410")
    await house.cursors.note([Come("all", turn.revision, place, None, 1)], before)
    state = await house.state()

    assert (state.state, state.position, state.attempts, state.sent) == ("RUNNING", 0, 0, 0)
    assert await house.cursors.skipped("all", 10) == []
    await house.cursors.failed(turn._replace(epoch=after.epoch), "it answered 500")
    assert (await house.state()).attempts == 1
