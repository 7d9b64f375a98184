"""What is compared with Sleekplan, and what `recount verify` compares: every cell of an item and a comment.

The control: a cell that is changed by hand is told by both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from projections.follow.projector import Projector
from projections.read_model import Reader, tables
from projections.rebuild.verify import verify
from service.backfill.compare import Kind, compare
from tests.given.asking import PRODUCT, a_pool, body, new_database, person, post
from tests.given.projecting import record

POST: dict[str, Any] = {
    **post(1, 4, 1, title="Dark mode", description="My eyes hurt.", status="merged", type="bug"),
    "created": "2026-06-14 09:00:00",
    "updated": "2026-06-14 09:00:00",
    "user": person(17, "ana"),
    "tags": ["ui"],
    "owner_id": 5,
    "estimated": "2026-09",
    "merge_id": 2,
}
COMMENT: dict[str, Any] = {
    "comment_id": 8,
    "feedback_id": 1,
    "comment": "Yes, please.",
    "status": "open",
    "type": "comment",
    "created": "2026-06-14 09:00:00",
    "updated": "2026-06-14 09:00:00",
    "user": person(17, "ana"),
    "parent": 7,
    "pinned": True,
    "public": False,
    "likes": 3,
}
CELLS = [
    *[("posts", "item_states", column, value) for column, value in {
        "owner_id": "6", "estimated": "2026-10", "merged_into": "3", "tags": ["api"], "title": "Light mode",
        "status": "open", "type": "idea", "effort": 2, "author_id": "18",
    }.items()],
    ("posts", "item_texts", "description", ""),
    *[("comments", "comments", column, value) for column, value in {
        "parent_id": "6", "pinned": False, "public": True, "body": "No.", "status": "spam", "type": "note",
        "author_id": "18",
    }.items()],
]  # fmt: skip


@pytest.fixture(scope="module")
async def told(server_url: str, template: str) -> AsyncIterator[asyncpg.Pool]:
    """A board with an item and a comment, each of which says all there is; it is left as it was."""
    async with new_database(server_url, template) as url, a_pool(url) as pool:
        await record(
            pool,
            [
                body("item.create", "2026-06-14 09:00", POST),
                body("comment.create", "2026-06-14 09:00", COMMENT),
            ],
        )
        await Projector(pool).catch_up()
        yield pool


async def listed(pool: asyncpg.Pool, kind: Kind, row: dict[str, Any]) -> list[str]:
    [known] = await compare(Reader(pool), kind, PRODUCT, [row])
    assert known.known
    assert known.same == (not known.fields)
    return known.fields


@pytest.mark.parametrize(("kind", "table", "column", "value"), CELLS)
async def test_a_changed_cell_is_told_by_a_comparison_and_by_verify(
    kind: Kind, table: str, column: str, value: object, told: asyncpg.Pool
) -> None:
    row = POST if kind == "posts" else COMMENT
    assert await listed(told, kind, row) == []
    assert (await verify(told)).equal
    name = (await tables(told)).names[table]
    before = await told.fetchval(f"select {column} from {name}")
    await told.execute(f"update {name} set {column} = $1", value)
    try:
        assert await listed(told, kind, row) == [column]
        assert [each.table for each in (await verify(told)).tables if not each.equal] == [table]
    finally:
        await told.execute(f"update {name} set {column} = $1", before)


@pytest.mark.parametrize(
    ("kind", "members", "columns"),
    [
        ("posts", {"owner_id": 0}, ["owner_id"]),
        ("posts", {"owner_id": "6"}, ["owner_id"]),
        ("posts", {"estimated": ""}, ["estimated"]),
        ("posts", {"merge_id": 3}, ["merged_into"]),
        ("posts", {"merge_id": 0}, ["merged_into"]),
        ("posts", {"owner_id": "5", "merge_id": "2", "trend": 9, "is_active": False, "vote": 1}, []),
        ("comments", {"parent": 6}, ["parent_id"]),
        ("comments", {"parent": 0}, []),
        ("comments", {"pinned": 0}, ["pinned"]),
        ("comments", {"public": True}, ["public"]),
        ("comments", {"pinned": 1, "public": "false", "parent": "7", "child_count": 2, "liked": True}, []),
    ],
)
async def test_what_is_listed_otherwise_is_told_however_it_is_spelled(
    kind: Kind, members: dict[str, Any], columns: list[str], told: asyncpg.Pool
) -> None:
    row = POST if kind == "posts" else COMMENT

    assert await listed(told, kind, {**row, **members}) == columns


async def test_nothing_told_and_nothing_listed_are_the_same(pool: asyncpg.Pool) -> None:
    bare = post(1, title="Dark mode", user=person(17, "ana"), created="2026-06-14 09:00:00")
    note = {"comment_id": 8, "feedback_id": 1, "comment": "Yes.", "user": person(17, "ana")}
    await record(
        pool,
        [body("item.create", "2026-06-14 09:00", bare), body("comment.create", "2026-06-14 09:00", note)],
    )
    await Projector(pool).catch_up()

    assert (
        await listed(pool, "posts", {**bare, "owner_id": 0, "estimated": "", "merge_id": 0, "tags": []}) == []
    )
    assert await listed(pool, "comments", {**note, "parent": 0, "pinned": False, "public": True}) == []
