"""Series over a board say at each step what the board says of that moment, and are refused when too long."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from service.errors import BadArgument
from tests.given.asking import Board, a_board, a_pool, body, new_database, post

BEGIN = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
DAYS = 24
ITEMS = 14
PRODUCTS = (7, 8)


@pytest.fixture(scope="module")
async def board(server_url: str, template: str) -> AsyncIterator[Board]:
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await board.tell(*history(random.Random(5)))
        yield board


def history(dice: random.Random) -> list[dict[str, Any]]:
    """Return made-up events of two boards out of order: votes both ways, moves, deletions, some undone."""
    told = []
    for product in PRODUCTS:
        for item in range(1, ITEMS + 1):
            up, status = 0, "open"
            gone = dice.randrange(DAYS) if item % 5 in (0, 1) else DAYS
            back = dice.randrange(DAYS) if item % 5 == 1 else DAYS
            for _ in range(dice.randrange(1, 30)):
                day = dice.randrange(DAYS)
                if day < gone or day > back:
                    at = BEGIN + dt.timedelta(days=day, minutes=dice.randrange(24 * 60))
                    up = max(0, up + dice.choice((-2, -1, 1, 1, 3)))
                    status = dice.choice((status, status, "planned", "done", "open"))
                    said = post(item, up=up, down=dice.choice((0, 0, 2)), status=status)
                    told.append(body("item.update", f"{at:%Y-%m-%d %H:%M}", said, product))
            if gone < DAYS:
                at = BEGIN + dt.timedelta(days=gone, hours=12)
                told.append(body("item.delete", f"{at:%Y-%m-%d %H:%M}", {"feedback_id": item}, product))
    dice.shuffle(told)
    return told


async def boards(board: Board) -> list[list[dict[str, Any]]]:
    """Return what stood on the boards at the end of each day, as the lists of those moments say."""
    found = []
    for day in range(1, DAYS + 1):
        end = BEGIN + dt.timedelta(days=day, microseconds=-1)
        answer = await board.ask(
            """query ($at: DateTime!) { items(first: 500, asOf: {time: $at}) {
                nodes { id productId status { key } votes { net } } } }""",
            at=end.isoformat(),
        )
        found.append(answer["items"]["nodes"])
    return found


WINDOW = (
    f'window: {{from: "2026-05-01T00:00:00Z", to: "{BEGIN + dt.timedelta(days=DAYS):%Y-%m-%dT%H:%M:%SZ}"}}'
)


@pytest.mark.parametrize("top", [1, 4, 500])
async def test_a_rank_history_says_what_the_board_of_each_day_says(board: Board, top: int) -> None:
    answer = await board.ask(
        f"{{ rankHistory(bucket: DAY, top: {top}, {WINDOW}) {{ item {{ id }} points {{ t rank value }} }} }}"
    )

    lines: dict[str, list[tuple[str, int, int]]] = {}
    for day, items in enumerate(await boards(board)):
        ranked = [item for item in items if item["votes"] is not None]
        for item in ranked:
            ahead = sum(
                other["productId"] == item["productId"] and other["votes"]["net"] > item["votes"]["net"]
                for other in ranked
            )
            t = f"{BEGIN + dt.timedelta(days=day):%Y-%m-%dT%H:%M:%SZ}"
            lines.setdefault(item["id"], []).append((t, ahead + 1, item["votes"]["net"]))
    last = max(line[-1][0] for line in lines.values())
    leaders = {name: line for name, line in lines.items() if line[-1][0] == last and line[-1][1] <= top}
    assert len(leaders) >= min(top, 20)
    assert {
        series["item"]["id"]: [(point["t"], point["rank"], point["value"]) for point in series["points"]]
        for series in answer["rankHistory"]
    } == leaders


async def test_a_backlog_says_what_the_board_of_each_day_says(board: Board) -> None:
    answer = await board.ask(
        f"{{ statusBacklog(bucket: DAY, {WINDOW}) {{ t byStatus {{ status {{ key }} items votes }} }} }}"
    )

    expected = []
    for items in await boards(board):
        count, votes = Counter[str](), Counter[str]()
        for item in items:
            if item["status"] is not None:
                count[item["status"]["key"]] += 1
                votes[item["status"]["key"]] += (item["votes"] or {"net": 0})["net"]
        expected.append({key: (count[key], votes[key]) for key in count})
    assert [
        {each["status"]["key"]: (each["items"], each["votes"]) for each in point["byStatus"]}
        for point in answer["statusBacklog"]
    ] == expected


@pytest.mark.parametrize("metric", ["NET_VOTES", "ACTIVITY"])
@pytest.mark.parametrize(("begin", "end"), [(0, 8), (5, 12), (9, 20), (15, DAYS)])
async def test_movers_rank_what_stood_on_the_board_at_either_end_of_the_window(
    board: Board, begin: int, end: int, metric: str
) -> None:
    days = [(BEGIN + dt.timedelta(days=day)).isoformat() for day in (begin, end)]

    answer = await board.ask(
        f"""query ($begin: DateTime!, $end: DateTime!) {{
            movers(window: {{from: $begin, to: $end}}, metric: {metric}, first: 500) {{
                item {{ id }} rankBefore rankNow }} }}""",
        begin=days[0],
        end=days[1],
    )

    ranks = []
    for at in days:
        just_before = (dt.datetime.fromisoformat(at) - dt.timedelta(microseconds=1)).isoformat()
        then = await board.ask(
            """query ($at: DateTime!) { items(first: 500, asOf: {time: $at}) { nodes {
                id productId votes { net } timeline { totalCount } } } }""",
            at=just_before,
        )
        values = {
            item["id"]: (
                item["productId"],
                item["timeline"]["totalCount"] if metric == "ACTIVITY" else item["votes"]["net"],
            )
            for item in then["items"]["nodes"]
            if metric == "ACTIVITY" or item["votes"] is not None
        }
        ranks.append(
            {
                name: 1 + sum(other[0] == own[0] and other[1] > own[1] for other in values.values())
                for name, own in values.items()
            }
        )
    assert answer["movers"]
    for mover in answer["movers"]:
        name = mover["item"]["id"]
        assert (mover["rankBefore"], mover["rankNow"]) == (ranks[0].get(name), ranks[1][name])


async def test_a_deletion_that_was_taken_back_leaves_a_gap_in_the_ranks(
    server_url: str, template: str
) -> None:
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 12:00", post(1, up=5)),
            body("item.create", "2026-05-01 12:00", post(2, up=7)),
            body("item.delete", "2026-05-04 12:00", {"feedback_id": 2}),
            body("item.update", "2026-05-07 12:00", post(2, up=8)),
        )
        answer = await board.ask(
            """{ rankHistory(bucket: DAY, top: 5, window: {
                from: "2026-05-01T00:00:00Z", to: "2026-05-09T00:00:00Z"}) {
                item { sleekplanId } points { t rank value } } }"""
        )

    lines = {line["item"]["sleekplanId"]: line["points"] for line in answer["rankHistory"]}
    assert [point["rank"] for point in lines["1"]] == [2, 2, 2, 1, 1, 1, 2, 2]
    assert [(point["t"][8:10], point["value"]) for point in lines["2"]] == [
        ("01", 7), ("02", 7), ("03", 7), ("07", 8), ("08", 8),
    ]  # fmt: skip


async def test_nothing_leads_a_board_on_which_nothing_stands_at_the_end(
    server_url: str, template: str
) -> None:
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 12:00", post(1, up=5)),
            body("item.delete", "2026-05-04 12:00", {"feedback_id": 1}),
        )
        answer = await board.ask(
            """query ($to: DateTime!) { rankHistory(bucket: DAY, window: {
                from: "2026-05-01T00:00:00Z", to: $to}) { points { t rank } } }""",
            to="2026-05-09T00:00:00Z",
        )

    assert answer["rankHistory"] == []


CHANGES = [
    ("Europe/Zurich", "HOUR", "2025-10-25T22:00:00Z", 6),
    ("Europe/Zurich", "HOUR", "2026-03-28T22:00:00Z", 6),
    ("Europe/Zurich", "DAY", "2025-10-24T22:00:00Z", 72),
    ("Australia/Lord_Howe", "HOUR", "2026-04-04T12:00:00Z", 6),
    ("Australia/Lord_Howe", "HOUR", "2025-10-04T13:00:00Z", 6),
    ("America/Havana", "HOUR", "2025-11-02T02:00:00Z", 6),
    ("America/Havana", "DAY", "2025-11-01T04:00:00Z", 72),
    ("Asia/Beirut", "DAY", "2025-10-24T21:00:00Z", 72),
    ("Africa/Cairo", "DAY", "2026-04-22T22:00:00Z", 72),
]


@pytest.mark.parametrize(("zone", "bucket", "begin", "hours"), CHANGES)
async def test_every_event_is_in_the_one_step_that_holds_it_when_clocks_change(
    server_url: str, template: str, zone: str, bucket: str, begin: str, hours: int
) -> None:
    """A vote each quarter of an hour; the steps' lengths are those of the zone's own calendar."""
    first = dt.datetime.fromisoformat(begin)
    moments = [first + dt.timedelta(minutes=15 * step + 7) for step in range(hours * 4)]
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        # Submitted in a local time that Sleekplan gives without a zone: later than what is told of it.
        created = f"{moments[-1]:%Y-%m-%d %H:%M:%S}"
        told = []
        for number, at in enumerate(moments, start=1):
            said = post(1, up=number, created=created)
            ballot = {"vote": 1, "user_id": number, "feedback_item": said}
            told.append(body("vote.create", f"{at:%Y-%m-%d %H:%M}", ballot))
        await board.tell(*told)
        answer = await board.ask(
            f"""query ($begin: DateTime!, $end: DateTime!) {{
                item(sleekplanId: "1", asOf: {{time: $end}}) {{
                    voteSeries(bucket: {bucket}, timeZone: "{zone}",
                    window: {{from: $begin, to: $end}}) {{ t up cumulative }} }}
                eventSeries(bucket: {bucket}, timeZone: "{zone}", asOf: {{time: $end}},
                    window: {{from: $begin, to: $end}}) {{ t events }} }}""",
            begin=begin,
            end=(first + dt.timedelta(hours=hours)).isoformat(),
        )

    votes, events = answer["item"]["voteSeries"], answer["eventSeries"]
    starts = [dt.datetime.fromisoformat(point["t"]) for point in votes]
    assert starts == sorted(set(starts))
    ends = [*starts[1:], first + dt.timedelta(hours=hours)]
    expected = [sum(start <= at < end for at in moments) for start, end in zip(starts, ends, strict=True)]
    assert [point["up"] for point in votes] == expected
    assert [point["cumulative"] for point in votes] == [sum(expected[: i + 1]) for i in range(len(expected))]
    assert sum(expected) == len(moments)
    # An hour that comes twice is two steps; where clocks are turned by half an hour, it goes on for longer.
    longest = dt.timedelta(hours=1.5 if zone == "Australia/Lord_Howe" else 1)
    lengths = [end - start for start, end in zip(starts, ends, strict=True)]
    assert bucket != "HOUR" or max(lengths) <= longest
    assert {point["t"]: point["events"] for point in events} == {
        point["t"]: count for point, count in zip(votes, expected, strict=True) if count
    }
    local = ZoneInfo(zone)
    for start in starts[1:]:
        here = start.astimezone(local)
        before = (start - dt.timedelta(seconds=1)).astimezone(local)
        assert here.minute == 0 or before.utcoffset() != here.utcoffset()
        assert bucket == "HOUR" or here.date() > before.date()


async def test_an_hour_that_a_change_of_clocks_leaves_out_is_no_step(board: Board) -> None:
    answer = await board.ask(
        """{ statusBacklog(bucket: HOUR, timeZone: "Europe/Zurich", asOf: {time: "2027-04-01T00:00:00Z"},
            window: {from: "2027-03-27T23:00:00Z", to: "2027-03-28T04:00:00Z"}) { t byStatus { items } } }"""
    )

    hours = [point["t"] for point in answer["statusBacklog"]]
    assert hours == [f"2027-03-{day}:00:00Z" for day in ("27T23", "28T00", "28T01", "28T02", "28T03")]
    [counts] = {tuple(each["items"] for each in point["byStatus"]) for point in answer["statusBacklog"]}
    assert sum(counts) < len(PRODUCTS) * ITEMS


@pytest.mark.parametrize(
    "zone",
    [
        "+03:00",
        "-3",
        "UTC+3",
        "EST5EDT,M3.2.0,M11.1.0",
        "Mars/Olympus",
        "",
        "europe/zurich",
        "a\x00",
    ],
)
async def test_a_zone_that_the_iana_database_does_not_name_is_refused(board: Board, zone: str) -> None:
    """Postgres takes `+03:00` for three hours behind UTC, and nonsense for UTC."""
    refused = await board.refusal(
        'query ($zone: String!) { statusBacklog(bucket: DAY, timeZone: $zone, window: {last: "P3D"}) { t } }',
        zone=zone,
    )

    assert isinstance(refused, BadArgument)
    assert "is no zone of the IANA database" in str(refused)


SERIES = {
    "rankHistory": "rankHistory(bucket: HOUR, window: {}, top: 3, asOf: {time: $at}) { points { t } }",
    "statusBacklog": "statusBacklog(bucket: HOUR, window: {}, asOf: {time: $at}) { t }",
    "satisfactionSeries": "satisfactionSeries(bucket: HOUR, window: {}, asOf: {time: $at}) { t }",
    "voteSeries": """item(sleekplanId: "1", productId: 7, asOf: {time: $at}) {
        voteSeries(bucket: HOUR) { t } }""",
    "subscriberSeries": """item(sleekplanId: "1", productId: 7, asOf: {time: $at}) {
        subscriberSeries(bucket: HOUR) { t } }""",
}


@pytest.mark.parametrize("name", SERIES)
async def test_a_series_of_more_than_ten_thousand_steps_is_refused(board: Board, name: str) -> None:
    query = f"query ($at: DateTime!) {{ {SERIES[name]} }}"

    refused = await board.refusal(query, at="2027-07-01T00:00:00Z")

    assert isinstance(refused, BadArgument)
    assert str(refused) == (
        "bucket: HOUR makes more than 10,000 steps of this window; "
        "ask for a shorter window, or for longer steps"
    )
    assert await board.ask(query, at="2026-05-03T00:00:00Z")
