"""An item's tags: what is read as one, which of several tellings holds, and what counts as a change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from projections.rebuild.rebuild import rebuild
from projections.rebuild.verify import verify
from tests.given.asking import Board, a_board, a_pool, body, new_database, person, post

READ = "query ($a: AsOf) { item(sleekplanId: 1, asOf: $a) { tags } }"
LONG = "long " * 20_000
STRANGE: list[tuple[Any, list[str] | None]] = [
    (["b", "a", "B", "a"], ["B", "a", "b"]),
    (
        [{"key": "t1", "name": "One"}, {"name": "Two"}, {"key": "", "name": 3}, {"key": None}],
        ["3", "Two", "t1"],
    ),
    (["a", None, "", True, {}, [], ["nested"], {"key": {"key": "deep"}, "name": ["deep"]}], ["a"]),
    ([1, "1", 2.5, -0.0], ["0.0", "1", "2.5"]),
    (["{b,c}", 'quoted "\\', "null", "Grüße 🎉", " a "], [" a ", "Grüße 🎉", "null", 'quoted "\\', "{b,c}"]),
    ([LONG, "a"], ["a", LONG]),
    ([f"t{number}" for number in range(10_000)], sorted(f"t{number}" for number in range(10_000))),
    ([[["deep"] * 50] * 50], []),
    ([], []),
    (None, None),
    ("a, b", None),
    ({"key": "a"}, None),
    (5, None),
]


def whole(**fields: Any) -> dict[str, Any]:
    """A post that says all that webhooks were seen to say, which is no tags."""
    told = {"title": "Dark mode", "description": "", "status": "open", "type": "idea"}
    return post(1, created="2026-05-01 10:00:00", user=person(17, "ana"), **told | fields)


@pytest.mark.parametrize(("told", "read"), STRANGE, ids=[str(told)[:20] for told, _ in STRANGE])
async def test_tags_are_texts_numbers_and_the_keys_or_names_of_objects(
    pool: asyncpg.Pool, told: Any, read: list[str] | None
) -> None:
    async with a_board(pool) as board:
        await board.tell(body("item.create", "2026-05-01 10:00", whole(tags=told)))

        assert await board.ask(READ) == {"item": {"tags": read}}
        assert await board.ask(READ, a={"position": 1}) == {"item": {"tags": read}}


async def test_what_says_no_tags_keeps_the_older_ones(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        await board.tell(body("item.create", "2026-05-01 10:00", whole(tags=["a"])))
        await board.tell(body("item.update", "2026-05-02 10:00", whole(title="Darker")))
        await board.tell(body("item.update", "2026-05-03 10:00", whole(tags="unreadable")))
        await board.tell(body("item.update", "2026-05-05 10:00", whole(tags=[])))
        late = body("item.update", "2026-05-04 10:00", whole(tags=["late"]))
        await board.tell(late)

        then = [
            (await board.ask(READ, a=moment))["item"]["tags"]
            for moment in (
                *({"position": 2}, {"position": 3}, {"position": 4}),
                *({"time": "2026-05-03T12:00:00Z"}, {"time": "2026-05-04T12:00:00Z"}),
            )
        ]
        now = await board.ask(READ)
        await rebuild(pool)

        assert then == [["a"], ["a"], [], ["a"], ["late"]]
        assert now == await board.ask(READ) == {"item": {"tags": []}}
        assert (await verify(pool)).equal


async def test_the_same_tags_in_another_order_or_shape_are_no_change(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 10:00", whole(tags=["a", "b"])),
            body("item.update", "2026-05-02 10:00", whole(tags=["b", {"key": "a"}, "b"])),
            body("item.update", "2026-05-03 10:00", whole(tags=["b", "c"])),
            body("item.update", "2026-05-04 10:00", whole()),
        )

        answer = await board.ask(
            """{ events { nodes { changedFields changes { field before after } } }
                 item(sleekplanId: 1) {
                     revisions(fields: ["tags"]) { position changes { field before after } }
                     provenance(field: "tags") { position value } }
                 same: boardDiff(from: {position: 1}, to: {position: 2}) { changedCount }
                 boardDiff(from: {position: 1}) { changed { changes { field before after } } } }"""
        )

        change = {"field": "tags", "before": ["a", "b"], "after": ["b", "c"]}
        assert [node["changedFields"] for node in answer["events"]["nodes"]] == [[], [], ["tags"], []]
        assert answer["events"]["nodes"][2]["changes"] == [change]
        assert answer["item"]["revisions"] == [{"position": 3, "changes": [change]}]
        assert answer["item"]["provenance"] == {"position": 3, "value": ["b", "c"]}
        assert answer["same"] == {"changedCount": 0}
        assert answer["boardDiff"]["changed"] == [{"changes": [change]}]


@pytest.fixture(scope="module")
async def tagged(server_url: str, template: str) -> AsyncIterator[Board]:
    """Items with the tags a; a and b; none; unknown ones; 10,000."""
    tags = [["a"], ["a", "b"], [], None, [f"t{number}" for number in range(10_000)]]
    async with new_database(server_url, template) as url, a_pool(url) as pool, a_board(pool) as board:
        for number, each in enumerate(tags, 1):
            await board.tell(body("item.create", "2026-05-01 10:00", post(number, tags=each)))
        yield board


@pytest.mark.parametrize("moment", [None, {"position": 5}], ids=["now", "then"])
@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ({"has": "a"}, "1 2"),
        ({"has": "A"}, ""),
        ({"hasAny": ["b", "t7"]}, "2 5"),
        ({"hasAny": []}, ""),
        ({"hasAll": ["a", "b"]}, "2"),
        ({"hasAll": []}, "1 2 3 5"),
        ({"isEmpty": True}, "3"),
        ({"isEmpty": False}, "1 2 5"),
        ({"isNull": True}, "4"),
        ({"has": "a", "hasAll": ["b"], "isEmpty": None}, "2"),
        ({"hasAny": [f"t{number}" for number in range(9_000, 12_000)]}, "5"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_items_are_found_by_their_tags(
    tagged: Board, filter_: dict[str, Any], found: str, moment: dict[str, int] | None
) -> None:
    query = """query ($f: StringListFilter, $a: AsOf) {
        items(filter: {tags: $f}, asOf: $a) { nodes { sleekplanId } }
        others: items(filter: {not: {tags: $f}}, asOf: $a) { totalCount } }"""

    answer = await tagged.ask(query, f=filter_, a=moment)

    ids = sorted(node["sleekplanId"] for node in answer["items"]["nodes"])
    assert ids == found.split()
    assert answer["others"]["totalCount"] == 5 - len(ids)


@pytest.mark.parametrize("moment", [None, {"position": 5}], ids=["now", "then"])
async def test_items_are_sorted_by_how_many_tags_they_have(
    tagged: Board, moment: dict[str, int] | None
) -> None:
    query = """query ($a: AsOf, $d: Direction) {
        items(orderBy: {field: TAG_COUNT, direction: $d}, asOf: $a) { nodes { sleekplanId } } }"""

    for direction, ids in (("DESC", "52134"), ("ASC", "31254")):
        answer = await tagged.ask(query, a=moment, d=direction)
        assert "".join(node["sleekplanId"] for node in answer["items"]["nodes"]) == ids
