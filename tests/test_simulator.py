"""The simulated board: the same for a seed, true in its totals, and as varied as the real thing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address, ip_network
from itertools import islice, pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import InvalidKnob, NotAnEvent
from service.events import decode
from service.labels import load_labels
from service.simulator import (
    DEFAULT_ENDING,
    LABELS,
    Chaos,
    Delivery,
    Knobs,
    Traffic,
    Unannounced,
    deliveries,
    simulate,
)
from service.simulator.chaos import MALFORMED, STRANGE
from service.simulator.dice import Dice
from service.simulator.rhythm import MONTH_SECONDS
from service.simulator.texts import Topics
from tests.given import folders
from tests.given.folders import ROOT

ACTIONS = {".".join(path.name.split(".")[:2]) for path in (folders.PAYLOADS).glob("*.json")}
PINNED = "140ef66bd63c2050ce19ca9d07915cc79a5dfac9426f166e24b869411b4ce004"
SEEDS = st.integers(min_value=-(2**40), max_value=2**40)


def seconds(envelope: dict[str, Any]) -> float:
    """Return the moment of an envelope, however it is spelled."""
    number = float(envelope["timestamp"])
    return number / 1000 if number > 1e11 else number


def post_of(envelope: dict[str, Any]) -> dict[str, Any] | None:
    """Return the post that a body carries, if any."""
    data = envelope["data"]
    if envelope["action"] in ("item.create", "item.update"):
        return dict(data)
    found = data.get("feedback_item")
    return dict(found) if found else None


class Count:
    """Counts a board from its bodies and the changes that no body tells of; checks every post against it."""

    def __init__(self) -> None:
        self.up: Counter[int] = Counter()
        self.down: Counter[int] = Counter()
        self.comments: Counter[int] = Counter()
        self.followers: Counter[int] = Counter()
        self.comment_items: dict[int, int] = {}
        self.unannounced: Counter[str] = Counter()
        self.posts = 0

    def silent(self, change: Unannounced) -> None:
        self.up[change.item] += change.up
        self.down[change.item] += change.down
        self.comments[change.item] += change.comments
        self.unannounced[change.why] += 1

    def take(self, envelope: dict[str, Any], nameless: Callable[[int, int], int]) -> None:
        action, data, post = envelope["action"], envelope["data"], post_of(envelope)
        item = int((post or data).get("feedback_id", 0))
        if action == "vote.create":
            way = (
                int(data["vote"]) if post is None or "vote" in data else nameless(item, int(post["total_up"]))
            )
            (self.up if way > 0 else self.down)[item] += 1
        elif action.startswith("subscription."):
            self.followers[item] += 1 if action.endswith("create") else -1
        elif action == "comment.create":
            self.comments[item] += 1
            self.comment_items[int(data["comment_id"])] = item
        elif action == "comment.delete":
            self.comments[self.comment_items[int(data["comment_id"])]] -= 1
        if post is not None:
            self.check(post)

    def check(self, post: dict[str, Any]) -> None:
        item = int(post["feedback_id"])
        self.posts += 1
        assert {
            "total_up": int(post["total_up"]),
            "total_down": int(post["total_down"]),
            "total_sum": int(post["total_sum"]),
            "total_ratio": int(post["total_ratio"]),
            "total_comments": int(post["total_comments"]),
            "total_subscriber": int(post["total_subscriber"]),
        } == {
            "total_up": self.up[item],
            "total_down": self.down[item],
            "total_sum": self.up[item] + self.down[item],
            "total_ratio": self.up[item] - self.down[item],
            "total_comments": self.comments[item],
            "total_subscriber": self.followers[item],
        }


def recounted(knobs: Knobs, ticks: int = 0) -> Count:
    """Return the count of a whole history (and some moments after it), every post in it checked."""
    count = Count()
    traffic = Traffic(knobs, on_unannounced=count.silent)

    def nameless(item: int, total_up: int) -> int:
        return 1 if total_up > count.up[item] else -1

    for body in traffic.history():
        count.take(orjson.loads(body), nameless)
    for tick in range(ticks):
        count.take(orjson.loads(traffic.next_body(knobs.ending + timedelta(seconds=tick))), nameless)
    return count


@pytest.fixture(scope="module")
def months() -> list[bytes]:
    """The history that the demo shows, all eighteen months of it."""
    return list(simulate(seed=1, events=50_000))


@pytest.fixture(scope="module")
def envelopes(months: list[bytes]) -> list[dict[str, Any]]:
    return [orjson.loads(body) for body in months]


# The same for a seed


@given(seed=SEEDS, events=st.integers(1, 400))
@settings(max_examples=20, deadline=None)
def test_the_same_seed_gives_the_same_bytes(seed: int, events: int) -> None:
    assert list(simulate(seed=seed, events=events)) == list(simulate(seed=seed, events=events))


def test_different_seeds_give_different_boards() -> None:
    assert len({b"".join(simulate(seed=seed, events=50)) for seed in (-2, -1, 0, 1, 2)}) == 5


def test_a_seed_means_the_same_bytes_for_ever() -> None:
    """A failure here means that everybody's `--seed 1` became another board: only on purpose, with a note."""
    first = b"\n".join(islice(simulate(seed=1, events=50_000), 1_000))

    assert sha256(first).hexdigest() == PINNED


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_the_hash_seed_of_python_changes_nothing(hash_seed: str) -> None:
    program = (
        "from hashlib import sha256; from service.simulator import simulate\n"
        "print(sha256(b'\\n'.join(simulate(seed=5, events=3000, chaos=True))).hexdigest())"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )

    here = sha256(b"\n".join(simulate(seed=5, events=3_000, chaos=True))).hexdigest()
    assert printed.stdout.strip() == here


def test_two_streams_side_by_side_do_not_disturb_each_other() -> None:
    one, other = simulate(seed=1, events=300), simulate(seed=2, events=300)

    both = list(zip(one, other, strict=True))

    assert [body for body, _ in both] == list(simulate(seed=1, events=300))


# True in its totals


@given(seed=SEEDS, events=st.integers(1, 3_000), withdrawn=st.floats(0, 0.2))
@settings(max_examples=12, deadline=None)
def test_every_post_has_the_totals_of_the_votes_so_far(seed: int, events: int, withdrawn: float) -> None:
    recounted(Knobs(seed=seed, events=events, withdrawn_share=withdrawn), ticks=50)


def test_totals_also_move_in_silence_by_withdrawals_switches_and_merges() -> None:
    count = recounted(Knobs(seed=1, events=50_000))

    assert count.posts > 35_000
    assert set(count.unannounced) == {"withdrawn", "switched", "merged-away", "merged-into"}
    assert 100 < count.unannounced["withdrawn"] < 500
    assert 10 <= count.unannounced["merged-away"] == count.unannounced["merged-into"]


def test_nobody_votes_twice_for_one_item_without_having_withdrawn() -> None:
    withdrawn = Counter[int]()
    again = Counter[int]()
    seen: set[tuple[str, str]] = set()
    knobs = Knobs(seed=3, events=20_000)

    traffic = Traffic(knobs, on_unannounced=lambda change: withdrawn.update([change.item]))
    for envelope in map(orjson.loads, traffic.history()):
        if envelope["action"] == "vote.create" and len(envelope["data"]) > 1:
            data = envelope["data"]
            voter = str(data["user"]["user_id"] if "user" in data else data["user_id"])
            item = str((data.get("feedback_item") or data)["feedback_id"])
            again[int(item)] += (voter, item) in seen
            seen.add((voter, item))

    assert all(times <= withdrawn[item] for item, times in again.items())


# Plausible bodies


def test_every_body_is_an_event_with_the_envelope_and_arrives_once(months: list[bytes]) -> None:
    received_at = DEFAULT_ENDING + timedelta(hours=1)

    for body in months:
        event = decode(body, received_at)
        assert event.product_id == 647288130
        assert event.action in ACTIONS
        assert event.entity_id is not None or event.action == "vote.create"
        assert not event.occurred_assumed
        assert event.raw is None
    assert len(set(months)) == 50_000


def test_all_sixteen_actions_happen_within_a_few_hundred_events() -> None:
    assert len(ACTIONS) == 16
    for seed in range(5):
        assert {orjson.loads(body)["action"] for body in simulate(seed=seed, events=400)} == ACTIONS


@pytest.mark.parametrize(
    ("actions", "least", "most"),
    [
        (("vote.create",), 0.62, 0.70),
        (("comment.create", "comment.update", "comment.delete"), 0.10, 0.125),
        (("item.update",), 0.07, 0.09),
        (("subscription.create", "subscription.delete"), 0.045, 0.06),
        (("user.create", "user.update", "user.delete"), 0.03, 0.05),
        (("satisfaction.create",), 0.025, 0.04),
    ],
)
def test_the_shares_of_the_actions(
    envelopes: list[dict[str, Any]], actions: tuple[str, ...], least: float, most: float
) -> None:
    share = sum(envelope["action"] in actions for envelope in envelopes) / len(envelopes)

    assert least <= share <= most


def test_a_bench_sets_the_share_of_votes_and_the_size_of_the_board() -> None:
    knobs = Knobs(seed=1, events=40_000, votes_share=0.7, users=2_000, items=1_000)

    actions = Counter(orjson.loads(body)["action"] for body in Traffic(knobs).history())

    assert 0.69 < actions["vote.create"] / 40_000 < 0.71
    assert abs(actions["user.create"] - 2_000) < 20
    assert abs(actions["item.create"] - 1_000) < 20


def test_a_board_grows_with_votes_that_would_not_fit() -> None:
    users, items = Knobs(seed=1, events=5_000_000, votes_share=0.7).people_and_items()

    assert users * items * 0.2 > 5_000_000 * 0.7


@given(seed=SEEDS, events=st.integers(1, 1_500), months=st.integers(1, 30))
@settings(max_examples=15, deadline=None)
def test_times_rise_and_fill_the_months(seed: int, events: int, months: int) -> None:
    ending = datetime(2026, 3, 3, 15, tzinfo=UTC)

    times = [
        seconds(orjson.loads(body))
        for body in simulate(seed=seed, events=events, months=months, ending=ending)
    ]

    assert len(times) == events
    assert all(before <= after for before, after in pairwise(times))
    assert ending.timestamp() - months * MONTH_SECONDS <= times[0]
    assert times[-1] <= ending.timestamp()


def test_without_a_number_of_events_a_rate_a_day_gives_it() -> None:
    assert Knobs(seed=1).length == pytest.approx(50_000, rel=0.01)
    assert sum(1 for _ in simulate(seed=1, months=1, rate=10)) == 304


def test_weekdays_and_later_months_are_busier(envelopes: list[dict[str, Any]]) -> None:
    days = Counter(datetime.fromtimestamp(seconds(envelope), UTC).weekday() for envelope in envelopes)
    half = seconds(envelopes[0]) + 9 * MONTH_SECONDS

    assert min(days[day] for day in range(5)) > 2 * max(days[5], days[6])
    assert sum(seconds(envelope) > half for envelope in envelopes) > 0.6 * len(envelopes)


def test_a_release_is_followed_by_a_rush(envelopes: list[dict[str, Any]]) -> None:
    times = [seconds(envelope) for envelope in envelopes]
    releases = [seconds(envelope) for envelope in envelopes if envelope["action"] == "changelog.create"]
    week = 7 * 86_400  # compare with the same weekdays a week before, when that is no release's week

    def events_within_two_days(start: float) -> int:
        return sum(start <= at < start + 2 * 86_400 for at in times)

    def also_released_before(at: float) -> bool:
        return any(at - week - 4 * 86_400 < other < at - week + 2 * 86_400 for other in releases)

    calm = [at for at in releases if not also_released_before(at)]
    assert len(calm) > 10
    after, before = (sum(events_within_two_days(at - ago) for at in calm) for ago in (0, week))
    assert after > 1.2 * before


def test_few_items_have_most_of_the_votes(envelopes: list[dict[str, Any]]) -> None:
    newest = {int(post["feedback_id"]): post for post in map(post_of, envelopes) if post}
    totals = sorted((int(post["total_sum"]) for post in newest.values()), reverse=True)

    assert sum(totals[: len(totals) // 5]) > 0.5 * sum(totals)
    assert totals[0] > 6 * totals[len(totals) // 2]


def test_posts_read_like_a_board(envelopes: list[dict[str, Any]]) -> None:
    texts = [envelope["data"] for envelope in envelopes if envelope["action"] == "item.create"]
    votes = [envelope for envelope in envelopes if envelope["action"] == "vote.create"]
    sizes = sorted(len(orjson.dumps(envelope)) for envelope in votes)

    assert len({post["title"] for post in texts}) > 0.97 * len(texts)
    assert all(8 < len(post["title"]) < 110 for post in texts)
    assert all(40 < len(post["description"]) < 700 for post in texts)
    assert any(post["description"].startswith("<p>") for post in texts)
    assert any("**" in post["description"] for post in texts)
    assert 700 < sizes[len(sizes) // 2] < 1_200


def test_thousands_of_topics_have_titles_of_their_own() -> None:
    topics = Topics(Dice(1))

    titles = [topics.next().titles[0] for _ in range(5_000)]

    assert len(set(titles[:300])) == 300
    assert len(set(titles)) > 4_900


def test_titles_change_and_statuses_move_both_ways(
    envelopes: list[dict[str, Any]],
) -> None:
    titles: dict[int, list[str]] = defaultdict(list)
    statuses: dict[int, list[str]] = defaultdict(list)
    for post in filter(None, map(post_of, envelopes)):
        item = int(post["feedback_id"])
        for seen, value in ((titles[item], post["title"]), (statuses[item], post["status"])):
            if not seen or seen[-1] != value:
                seen.append(value)
    moves = Counter(move for path in statuses.values() for move in pairwise(path))

    assert sum(len(path) > 1 for path in titles.values()) > 50
    assert moves["planned", "in-progress"] > moves["planned", "under-review"] > 5
    assert moves["complete", "in-progress"] > 3
    assert sum(moves.values()) > 500


def test_an_item_is_reworded_once_to_three_times_at_most(envelopes: list[dict[str, Any]]) -> None:
    wordings: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for post in filter(None, map(post_of, envelopes)):
        words = post["title"], post["description"]
        if wordings[int(post["feedback_id"])][-1:] != [words]:
            wordings[int(post["feedback_id"])].append(words)
    reworded = sorted(len(path) - 1 for path in wordings.values())

    assert reworded[-1] == 3
    assert sum(reworded) / len(reworded) > 1


def test_people_hardly_ever_say_what_was_said_of_an_item_before(envelopes: list[dict[str, Any]]) -> None:
    said: dict[int, list[str]] = defaultdict(list)
    for envelope in envelopes:
        data = envelope["data"]
        if envelope["action"] == "comment.create" and str(data["user"]["admin_id"]) == "0":
            said[int(data["feedback_id"])].append(
                data.get("comment") or data.get("value") or data.get("text")
            )
    texts = [text for of_item in said.values() for text in of_item]
    again = sum(len(of_item) - len(set(of_item)) for of_item in said.values())

    assert again < 0.005 * len(texts)
    assert len(set(texts)) > 0.5 * len(texts)


def test_labels_name_every_status_and_type_that_occurs(envelopes: list[dict[str, Any]]) -> None:
    labels = load_labels(LABELS)
    unused = load_labels(None).keys() - orjson.loads(LABELS.read_bytes())["status"].keys()

    posts = [post for post in map(post_of, envelopes) if post]

    for kind in ("status", "type"):
        named = {key for key, label in labels.items() if label.kind == kind and key not in unused}
        assert {post[kind] for post in posts} == named
    assert {label.role for label in labels.values()} == {"OPEN", "ROADMAP", "DONE", "DECLINED", None}


def test_the_team_comments_and_users_come_rename_themselves_and_go(envelopes: list[dict[str, Any]]) -> None:
    names: dict[str, set[str]] = defaultdict(set)
    last_seen: dict[str, float] = {}
    team = 0
    for envelope in envelopes:
        user = envelope["data"].get("user")
        if user and envelope["action"] in ("vote.create", "comment.create"):
            names[str(user["user_id"])].add(user["data_name"])
            last_seen[str(user["user_id"])] = seconds(envelope)
            team += user["admin_id"] != 0 and envelope["action"] == "comment.create"
    end = seconds(envelopes[-1])

    assert team > 300
    assert sum(len(used) > 1 for used in names.values()) > 50
    assert sum(end - at > 90 * 86_400 for at in last_seen.values()) > 0.1 * len(last_seen)


def test_what_is_rare_on_a_board_is_told_rarely(envelopes: list[dict[str, Any]]) -> None:
    comments = [each["data"] for each in envelopes if each["action"] in ("comment.create", "comment.update")]
    posts = [each["data"] for each in envelopes if each["action"] == "item.update"]
    team = {str(each["user"]["user_id"]) for each in comments if str(each["user"]["admin_id"]) != "0"}
    of_comment = {str(each["comment_id"]): str(each["feedback_id"]) for each in comments}

    notes = [each for each in comments if each.get("public") is False]
    answers = [each for each in comments if "parent" in each]
    pinned = [each for each in comments if each.get("pinned")]
    owned = [each for each in posts if str(each.get("owner_id", 0)) != "0"]
    expected = [each for each in posts if each.get("estimated")]
    merged = [each for each in posts if "merge_id" in each]

    for found, most in ((notes, 0.05), (answers, 0.2), (pinned, 0.1)):
        assert 0 < len(found) < most * len(comments)
    for found, most in ((owned, 0.5), (expected, 0.3), (merged, 0.1)):
        assert 0 < len(found) < most * len(posts)
    assert {str(each["user"]["user_id"]) for each in notes} <= team
    assert {str(each["owner_id"]) for each in owned} <= team
    assert all(of_comment[str(each["parent"])] for each in answers)
    assert all(re.fullmatch(r"20\d\d-[01]\d", each["estimated"]) for each in expected)
    assert {each["status"] for each in merged} == {"merged"}
    told = [each for each in posts if each["status"] == "merged"]
    assert len(merged) < len(told)


def test_people_answer_again_weeks_later_with_another_score(envelopes: list[dict[str, Any]]) -> None:
    answers: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for envelope in envelopes:
        if envelope["action"] == "satisfaction.create":
            data = envelope["data"]
            who = str(data["user"]["user_id"] if "user" in data else data["user_id"])
            answers[who].append((int(data["satisfaction_id"]), int(data["vote"])))
    ids = [number for given in answers.values() for number, _ in given]

    assert len(ids) == len(set(ids))
    assert sum(len({vote for _, vote in given}) > 1 for given in answers.values()) > 100
    assert {vote for given in answers.values() for _, vote in given} == {1, 2, 3, 4, 5}


def test_people_are_invented_and_so_are_their_addresses(
    months: list[bytes], envelopes: list[dict[str, Any]]
) -> None:
    documentation = [ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
    users = [e["data"] for e in envelopes if e["action"] in ("user.create", "user.update")]

    assert all(user["data_mail"] == "" or user["data_mail"].endswith("@example.com") for user in users)
    assert all(any(ip_address(user["data_system"]["ip"]) in net for net in documentation) for user in users)
    assert {host for body in months for host in re.findall(rb"https?://([^/\"]*)", body)} == {
        b"example.com",
        b"app.example.com",
    }


def test_ids_keep_clear_of_the_sample_payloads(envelopes: list[dict[str, Any]]) -> None:
    """People send the samples to a running demo; they must not fall on its items."""
    least = {"feedback_id": 1_000, "user_id": 3_000, "comment_id": 10_000, "changelog_id": 100}

    for envelope in envelopes:
        for name in least.keys() & envelope["data"].keys():
            number = int(envelope["data"][name])
            assert number == 0 or number > least[name]


def test_some_bodies_are_spelled_as_in_the_older_docs(envelopes: list[dict[str, Any]]) -> None:
    quoted = [envelope for envelope in envelopes if isinstance(envelope["timestamp"], str)]

    assert 0.04 < len(quoted) / len(envelopes) < 0.08
    assert any(isinstance(envelope["product_id"], str) for envelope in quoted)
    assert all(isinstance((post_of(envelope) or {"total_up": ""})["total_up"], str) for envelope in quoted)


def test_votes_come_in_four_shapes_and_mostly_name_the_voter(envelopes: list[dict[str, Any]]) -> None:
    shapes = Counter(tuple(envelope["data"]) for envelope in envelopes if envelope["action"] == "vote.create")

    assert set(shapes) == {
        ("vote", "user", "created", "feedback_item"),
        ("feedback_item",),
        ("feedback_id", "user_id", "vote"),
        ("feedback_id", "user_id", "vote", "feedback_item"),
    }
    assert shapes["vote", "user", "created", "feedback_item"] > 0.75 * sum(shapes.values())


# Going on after the history


def ticks(count: int) -> list[datetime]:
    return [DEFAULT_ENDING + timedelta(seconds=2.5 * number) for number in range(count)]


def test_traffic_goes_on_from_its_history() -> None:
    traffic = Traffic(Knobs(seed=4, events=2_000))
    history = [orjson.loads(body) for body in traffic.history()]

    fresh = [orjson.loads(traffic.next_body(moment)) for moment in ticks(600)]

    times = [seconds(envelope) for envelope in (*history, *fresh)]
    comments = [int(e["data"]["comment_id"]) for e in (*history, *fresh) if e["action"] == "comment.create"]
    assert all(before <= after for before, after in pairwise(times))
    assert all(at - moment.timestamp() < 3 for at, moment in zip(times[2_000:], ticks(600), strict=True))
    assert comments == sorted(set(comments))
    assert len({envelope["action"] for envelope in fresh}) > 10


def test_traffic_resumed_after_a_restart_goes_on_as_if_it_had_never_stopped() -> None:
    knobs = Knobs(seed=4, events=2_000)
    unbroken = Traffic(knobs)
    for _ in unbroken.history():
        pass
    expected = [unbroken.next_body(moment) for moment in ticks(90)]

    from_moments = Traffic.resume(knobs, ticks(50))
    told = [datetime.fromtimestamp(seconds(orjson.loads(body)), UTC) for body in expected[:50]]
    from_bodies = Traffic.resume(knobs, told)

    assert [from_moments.next_body(moment) for moment in ticks(90)[50:]] == expected[50:]
    assert [from_bodies.next_body(moment) for moment in ticks(90)[50:]] == expected[50:]


# What cannot be


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("events", -1),
        ("months", 0),
        ("users", 0),
        ("votes_share", 1.5),
        ("withdrawn_share", float("nan")),
        ("product_id", 2**63),
        ("ending", datetime(2026, 1, 1)),  # noqa: DTZ001
    ],
)
def test_a_board_that_cannot_be_is_refused_with_the_value(knob: str, value: Any) -> None:
    with pytest.raises(InvalidKnob, match=rf"^cannot simulate a board with {knob} = ") as refused:
        Knobs(seed=1, **{knob: value})

    assert refused.value.value is value


def test_no_events_are_no_bodies() -> None:
    assert list(simulate(seed=1, events=0)) == []


# Chaos


@pytest.fixture(scope="module")
def disturbed() -> list[Delivery]:
    return list(deliveries(Knobs(seed=1, events=20_000)))


def test_chaos_loses_nothing_and_adds_every_kind_of_disturbance(disturbed: list[Delivery]) -> None:
    calm = Counter(simulate(seed=1, events=20_000))

    kinds = Counter(delivery.kind for delivery in disturbed)
    own = Counter(delivery.body for delivery in disturbed if delivery.kind in ("plain", "late"))
    copies = {delivery.body for delivery in disturbed if delivery.kind == "duplicate"}

    assert set(kinds) == {"plain", "late", "duplicate", *STRANGE, *MALFORMED}
    assert own == calm
    assert copies <= set(calm)


def test_chaos_says_of_each_body_whether_it_can_be_read_as_an_event(disturbed: list[Delivery]) -> None:
    for delivery in disturbed:
        try:
            decode(delivery.body, DEFAULT_ENDING)
            readable = True
        except NotAnEvent:
            readable = False
        assert readable == (delivery.kind not in MALFORMED), delivery.kind


def test_late_deliveries_come_after_later_events(disturbed: list[Delivery]) -> None:
    behind: list[float] = []
    newest = 0.0
    for delivery in disturbed:
        if delivery.kind in ("plain", "late"):
            at = seconds(orjson.loads(delivery.body))
            newest = max(newest, at)
            if delivery.kind == "late":
                behind.append(newest - at)

    assert sum(lag > 0 for lag in behind) > 300
    assert max(behind) > 86_400


def test_noise_does_not_touch_the_items_of_the_board(disturbed: list[Delivery]) -> None:
    """What chaos adds must leave the board as without it, so that a calm and a wild run can be compared."""
    for delivery in disturbed:
        if delivery.kind in STRANGE and delivery.kind != "wrong-product":
            event = decode(delivery.body, DEFAULT_ENDING)
            assert event.action in ("note.create", "nps.create", "vote.update", "item.merge")
            assert b'"feedback_id":1' not in delivery.body


@given(seed=SEEDS, events=st.integers(1, 300), share=st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_chaos_is_as_deterministic_as_calm_and_fits_json_lines(seed: int, events: int, share: float) -> None:
    chaos = Chaos(duplicates=share, late=share, strange=share, malformed=share)

    def run() -> Iterator[bytes]:
        return simulate(seed=seed, events=events, chaos=chaos)

    bodies = list(run())
    assert bodies == list(run())
    assert not any(b"\n" in body or body == b"" for body in bodies)
