"""The fifteen questions of docs/sql.md: each gives in SQL what GraphQL answers, over a service that runs."""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from schema.views import declare_views
from service.log.database import connect
from service.operate.grants import reader_grants
from service.simulator import simulate
from tests.given.asking import new_database
from tests.given.folders import ROOT
from tests.given.serving import Started, serving

Rows = list[tuple[Any, ...]]

TEXT: Final = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
QUESTIONS: Final = dict(re.findall(r"^### (\d+)\. .*?```sql\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL))
EVENTS: Final = 500


@dataclass
class Asked:
    """A service with a history, a role that reads it in SQL, and what the questions are about."""

    service: Started
    sql: asyncpg.Connection[Any]
    values: dict[str, str]

    async def graphql(self, query: str, token: str = "reads") -> Any:
        """What GraphQL answers whoever has a token: by default one who sees nothing personal."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self.service.session.post("/graphql", json={"query": query}, headers=headers) as response:
            answer = await response.json(content_type=None)
        assert "errors" not in answer, answer
        return answer["data"]

    async def rows(self, number: int) -> Rows:
        """What the SQL of a question gives, with psql's variables filled in."""
        text = re.sub(r":'(\w+)'", lambda found: f"'{self.values[found[1]]}'", QUESTIONS[str(number)])
        return [tuple(row) for row in await self.sql.fetch(text)]


@pytest.fixture(scope="module")
async def asked(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Asked]:
    role = f"recount_reads_{secrets.token_hex(4)}"
    async with new_database(server_url, template) as url:
        administrator = await connect(url)
        assert await declare_views(administrator)
        await administrator.execute(reader_grants(role, personal=True, product_id=None))
        async with _history(url, tmp_path_factory.mktemp("asked")) as service:
            reading = await asyncpg.connect(url)
            await reading.execute(f'set session authorization "{role}"; set search_path = board')
            yield Asked(service, reading, await _values(service, reading))
            await reading.close()
        await administrator.execute(f'drop owned by "{role}"; drop role "{role}"')
        await administrator.close()


@asynccontextmanager
async def _history(url: str, folder: Path) -> AsyncIterator[Started]:
    """A service that was told the history, and has counted it in."""
    settings = {
        "database_url": url,
        "data_dir": str(folder),
        "webhook_keys": "key",
        "api_tokens": "reads:read,sees:read+personal",
        "port": "0",
    }
    async with serving(settings) as service:
        position = 0
        for body in simulate(seed=15, events=EVENTS, users=30, items=12, votes_share=0.45):
            _, answer = await service.post(body)
            position = answer["position"]
        while await service.service.hub.wait_beyond("projected", position - 1, 5) < position:
            pass
        yield service


async def _values(service: Started, sql: asyncpg.Connection[Any]) -> dict[str, str]:
    """What the questions ask about: a moment in the middle, and the item with the most to say."""
    events = await sql.fetch("select occurred_at, recorded_at from events order by position")
    item = await sql.fetchval(
        "select item_id from items join (select item_id, count(*) as changes from item_history "
        "where field in ('title', 'description') group by item_id) h using (item_id) "
        "order by changes desc, version desc limit 1"
    )
    middle = events[len(events) // 2]
    return {
        "item": item,
        "position": str(len(events) // 2),
        "morning": middle["occurred_at"].isoformat(),
        "recorded": middle["recorded_at"].isoformat(),
    }


def at(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def net(node: dict[str, Any]) -> int | None:
    return (node["votes"] or {}).get("net")


def key(status: dict[str, Any] | None) -> str | None:
    return None if status is None else status["key"]


def same(rows: Rows, told: Iterable[tuple[Any, ...]]) -> None:
    """Whether both say the same, in whichever order: what is sorted by may be equal."""
    expected = Counter(map(str, told))
    assert expected, "GraphQL answers nothing, so that nothing was compared"
    assert Counter(map(str, rows)) == expected


def test_there_are_fifteen() -> None:
    assert sorted(map(int, QUESTIONS)) == list(range(1, 16))


async def test_01_what_is_wanted_most(asked: Asked) -> None:
    told = await asked.graphql(
        "{ items(first: 20, orderBy: {field: VOTES, direction: DESC}) "
        "{ nodes { sleekplanId title status { key } votes { net } } } }"
    )

    rows = await asked.rows(1)

    nodes = told["items"]["nodes"]
    assert rows == [(each["sleekplanId"], each["title"], key(each["status"]), net(each)) for each in nodes]
    assert len(rows) > 5


@pytest.mark.parametrize(("number", "clock"), [(2, "OCCURRED"), (3, "RECORDED")])
async def test_02_and_03_the_board_that_morning_by_either_clock(
    asked: Asked, number: int, clock: str
) -> None:
    moment = asked.values["morning" if number == 2 else "recorded"]
    told = await asked.graphql(
        f'{{ items(first: 500, asOf: {{time: "{moment}", clock: {clock}}}) '
        "{ nodes { sleekplanId status { key } votes { net } } } }"
    )

    rows = await Asked(asked.service, asked.sql, asked.values | {"morning": moment}).rows(number)

    same(rows, ((each["sleekplanId"], key(each["status"]), net(each)) for each in told["items"]["nodes"]))


async def test_04_the_board_at_a_position(asked: Asked) -> None:
    told = await asked.graphql(
        f"{{ items(first: 500, asOf: {{position: {asked.values['position']}}}) "
        "{ nodes { sleekplanId title votes { net } commentCount } } }"
    )

    nodes = told["items"]["nodes"]
    same(
        await asked.rows(4),
        ((each["sleekplanId"], each["title"], net(each), each["commentCount"]) for each in nodes),
    )


async def _of_item(asked: Asked, selected: str, token: str = "reads") -> Any:
    found = await asked.graphql(
        f'{{ items(first: 1, filter: {{sleekplanId: {{eq: "{asked.values["item"]}"}}, deleted: null}}) '
        f"{{ nodes {{ {selected} }} }} }}",
        token,
    )
    return found["items"]["nodes"][0]


async def test_05_how_long_it_waited_in_each_status(asked: Asked) -> None:
    told = await _of_item(asked, "statusHistory { from { key } to { key } enteredAt leftAt }")

    rows = await asked.rows(5)

    assert [row[:4] for row in rows] == [
        (key(each["from"]), key(each["to"]), at(each["enteredAt"]), at(each["leftAt"]))
        for each in told["statusHistory"]
    ]
    assert all(lasted == left - entered for _, _, entered, left, lasted in rows if left is not None)


async def test_06_what_has_been_promised_for_longest(asked: Asked) -> None:
    told = await asked.graphql(
        '{ items(first: 10, filter: {status: {eq: "planned"}}, '
        "orderBy: {field: TIME_IN_STATUS, direction: DESC}) { nodes { sleekplanId title statusSince } } }"
    )

    rows = await asked.rows(6)

    nodes = told["items"]["nodes"]
    same(
        [row[:3] for row in rows],
        ((each["sleekplanId"], each["title"], at(each["statusSince"])) for each in nodes),
    )


async def test_07_votes_by_day(asked: Asked) -> None:
    told = await _of_item(asked, "voteSeries(bucket: DAY) { t up down }")

    rows = [row for row in await asked.rows(7) if row[1] or row[2]]

    series = told["voteSeries"]
    assert rows == [
        (at(each["t"]), each["up"], each["down"]) for each in series if each["up"] or each["down"]
    ]
    assert rows


async def test_08_who_voted_for_it(asked: Asked) -> None:
    told = await _of_item(asked, "castVotes(first: 500) { nodes { value castAt user { sleekplanId name } } }")

    nodes = [each for each in told["castVotes"]["nodes"] if each["user"] is not None]
    same(
        await asked.rows(8),
        (
            (each["user"]["sleekplanId"], each["user"]["name"], each["value"], at(each["castAt"]))
            for each in nodes
        ),
    )


async def test_09_what_was_changed_of_its_text(asked: Asked) -> None:
    told = await _of_item(
        asked,
        'revisions(fields: ["title", "description"]) '
        "{ at changes { field before after } votesBefore { net } }",
    )

    rows = [
        (moment, field, *(None if each is None else json.loads(each) for each in (before, after)), votes)
        for moment, field, before, after, votes in await asked.rows(9)
    ]

    same(
        rows,
        (
            (at(each["at"]), change["field"], change["before"], change["after"], each["votesBefore"]["net"])
            for each in told["revisions"]
            for change in each["changes"]
            if change["field"] in ("title", "description")
        ),
    )


async def test_10_which_comments_people_like(asked: Asked) -> None:
    told = await asked.graphql(
        "{ comments(first: 500, filter: {likes: {gt: 0}}, orderBy: {field: LIKES, direction: DESC}) "
        "{ nodes { sleekplanId text likes item { sleekplanId } author { sleekplanId } } } }"
    )

    nodes = told["comments"]["nodes"]
    rows = await asked.rows(10)

    same(
        rows,
        (
            (
                each["sleekplanId"],
                (each["item"] or {}).get("sleekplanId"),
                (each["author"] or {}).get("sleekplanId"),
                each["text"],
                each["likes"],
            )
            for each in nodes
        ),
    )
    assert [row[-1] for row in rows] == [each["likes"] for each in nodes]


async def test_11_what_was_deleted(asked: Asked) -> None:
    told = await asked.graphql(
        "{ items(first: 500, filter: {deleted: true}) "
        "{ nodes { sleekplanId title deletedAt votes { net } } } }"
    )

    nodes = told["items"]["nodes"]
    same(
        await asked.rows(11),
        ((each["sleekplanId"], each["title"], at(each["deletedAt"]), net(each)) for each in nodes),
    )


async def test_12_how_satisfied_people_are(asked: Asked) -> None:
    told = await asked.graphql("{ satisfactionAnswers(first: 500) { nodes { value group supersededAt } } }")
    groups: dict[str, list[int]] = {}
    for each in told["satisfactionAnswers"]["nodes"]:
        if each["supersededAt"] is None and each["value"] is not None:
            groups.setdefault(each["group"], []).append(each["value"])

    rows = await asked.rows(12)

    same(
        [(group, n, round(float(mean), 6)) for group, n, mean in rows],
        ((group, len(values), round(sum(values) / len(values), 6)) for group, values in groups.items()),
    )


async def test_13_whom_to_write_to(asked: Asked) -> None:
    followed = await asked.sql.fetchval(
        "select item_id from subscriptions where active and user_id is not null limit 1"
    )
    asking = Asked(asked.service, asked.sql, asked.values | {"item": followed})
    told = await _of_item(
        asking, "subscriptions(first: 500) { nodes { user { sleekplanId mail } } }", token="sees"
    )

    nodes = [each["user"] for each in told["subscriptions"]["nodes"] if each["user"] is not None]
    same(await asking.rows(13), ((each["sleekplanId"], each["mail"]) for each in nodes))


async def test_14_how_much_happens_in_a_week(asked: Asked) -> None:
    told = await asked.graphql("{ eventSeries(bucket: WEEK) { t events } }")

    rows = await asked.rows(14)

    assert rows == [(at(each["t"]), each["events"]) for each in told["eventSeries"] if each["events"]]
    # Without the private notes, as GraphQL has them without the scope.
    assert EVENTS - 20 < sum(row[1] for row in rows) < EVENTS


async def test_15_what_was_released_for_how_many_votes(asked: Asked) -> None:
    told = await asked.graphql(
        "{ changelogEntries(first: 500) { nodes { title publishedAt linkedItem { title votes { net } } } } }"
    )

    same(
        await asked.rows(15),
        (
            (
                each["title"],
                at(each["publishedAt"]),
                (each["linkedItem"] or {}).get("title"),
                net(each["linkedItem"] or {"votes": None}),
            )
            for each in told["changelogEntries"]["nodes"]
        ),
    )
