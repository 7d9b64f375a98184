"""A walk brings all rows of a list, each once, in every way in which Sleekplan may answer."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import SleekplanFailed, SleekplanGone
from service.sleekplan.client import Sleekplan
from service.sleekplan.listings import POSTS, SATISFACTION, UPDATES, USERS, comments_of, votes_of
from service.sleekplan.walk import Forms, SleekplanList, Walk
from tests.given.fake_board import VARIANTS, a_fake, asking


async def walked(
    client: Sleekplan, listing: SleekplanList, forms: Forms | None = None
) -> list[dict[str, Any]]:
    """All rows of a list, in the order in which they came."""
    walk = Walk(client, listing, Forms() if forms is None else forms)
    return [row async for page in walk.pages() for row in page.rows]


def numbers(rows: list[dict[str, Any]], id: str) -> list[int]:
    return sorted(int(row[id]) for row in rows)


def voters(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(int(row["user"]["user_id"]) for row in rows)


@pytest.mark.parametrize("name", VARIANTS)
async def test_a_walk_brings_every_row_once_however_the_api_answers(name: str) -> None:
    fake = a_fake(**VARIANTS[name])
    board, people = fake.traffic.scene.board, fake.traffic.scene.people
    forms = Forms()

    async with asking(fake) as client:
        posts = await walked(client, POSTS, forms)
        users = await walked(client, USERS, forms)
        entries = await walked(client, UPDATES, forms)
        answers = await walked(client, SATISFACTION, forms)
        children = {
            item.number: (
                await walked(client, comments_of(str(item.number)), forms),
                await walked(client, votes_of(str(item.number), "all"), forms),
            )
            for item in board.items
        }

    assert numbers(posts, "feedback_id") == sorted(item.number for item in board.items)
    assert numbers(users, "user_id") == [person.number for person in people.everybody if not person.gone]
    assert numbers(entries, "changelog_id") == [
        int(e["changelog_id"]) for e in fake.traffic.releasing.entries
    ]
    assert numbers(answers, "satisfaction_id") == [
        answer["satisfaction_id"] for _, answer in fake.rows.satisfaction({}).sources
    ]
    for item in board.items:
        comments, votes = children[item.number]
        assert numbers(comments, "comment_id") == sorted(item.remarks)
        assert voters(votes) == sorted([*item.up, *item.down])
    assert fake.broken == []


@pytest.mark.parametrize(
    ("variant", "requests"),
    [
        ({"first_page": "zero"}, {0: 3, 1: 3}),
        ({"first_page": "one"}, {0: 4, 1: 3}),
        ({"first_page": "both"}, {0: 4, 1: 3}),
    ],
)
async def test_what_the_first_page_is_called_is_found_out_once(
    variant: dict[str, Any], requests: dict[int, int]
) -> None:
    fake = a_fake(**variant)
    forms = Forms()
    async with asking(fake) as client:
        for walk in (0, 1):
            before = client.requests
            await walked(client, USERS, forms)
            assert client.requests - before == requests[walk]


async def test_votes_without_a_user_are_each_a_row() -> None:
    fake = a_fake(voterless=True)
    item = max(fake.traffic.scene.board.items, key=lambda item: len(item.up))

    async with asking(fake) as client:
        rows = await walked(client, votes_of(str(item.number), "all"))

    assert len(rows) == len(item.up) + len(item.down)
    assert any("user" not in row for row in rows)


async def test_a_walk_that_was_left_goes_on_behind_the_page_it_had() -> None:
    fake = a_fake(per_page="ignored")
    async with asking(fake) as client:
        forms = Forms()
        whole = await walked(client, USERS, forms)
        first: list[dict[str, Any]] = []
        async for page in Walk(client, USERS, forms).pages():
            first += page.rows
            if page.number == 3:
                break
        rest = [row async for page in Walk(client, USERS, forms).pages(4) for row in page.rows]

    assert first + rest == whole


async def test_a_list_that_gives_the_same_page_for_ever_ends_and_is_noted() -> None:
    fake = a_fake(end="always")

    async with asking(fake) as client:
        forms = Forms()

        async def always_page_1(number: int) -> None:
            fake.asked[-1][1]["page"] = "1"

        fake.before_request = always_page_1
        rows = await walked(client, USERS, forms)

    assert len(rows) == 100
    assert forms.loops == {"users"}


async def test_another_shape_is_an_error_and_never_an_empty_list() -> None:
    fake = a_fake(fault="shape", fault_at=0, fault_path="users")
    async with asking(fake) as client:
        with pytest.raises(SleekplanFailed, match="neither a list nor an object"):
            await walked(client, USERS)


async def test_the_children_of_an_item_that_went_are_gone_and_not_none() -> None:
    async with asking(a_fake()) as client:
        with pytest.raises(SleekplanGone):
            await walked(client, comments_of("1"))
