"""A merge that a post tells, who owns an item, and when it is expected."""

from __future__ import annotations

from typing import Any

import asyncpg

from projections.rebuild.verify import verify
from tests.given.asking import a_board, body, person, post

READ = """query ($a: AsOf) {
  one: item(sleekplanId: 1, asOf: $a) { mergedInto { title mergedInto { title } } mergedFrom { title } }
  two: item(sleekplanId: 2, asOf: $a) { mergedInto { title } mergedFrom { sleekplanId title } }
}"""


async def test_a_merge_that_is_told_is_read_from_both_sides_now_and_then(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 10:00", post(1, title="Dark mode", status="open", merge_id=0)),
            body("item.create", "2026-05-01 11:00", post(2, title="Darker mode", status="open")),
            body(
                "item.update", "2026-05-02 10:00", post(1, title="Dark mode", status="merged", merge_id="2")
            ),
            body("item.update", "2026-05-03 10:00", post(1, title="Dark mode", status="merged", merge_id=2)),
        )

        then, now = [await board.ask(READ, a=moment) for moment in ({"position": 2}, None)]
        told = await board.ask("{ events { nodes { type summary changes { field before after } } } }")

        assert then == {
            "one": {"mergedInto": None, "mergedFrom": []},
            "two": {"mergedInto": None, "mergedFrom": []},
        }
        assert now == await board.ask(READ, a={"position": 4})
        assert now == {
            "one": {"mergedInto": {"title": "Darker mode", "mergedInto": None}, "mergedFrom": []},
            "two": {"mergedInto": None, "mergedFrom": [{"sleekplanId": "1", "title": "Dark mode"}]},
        }
        types = [node["type"] for node in told["events"]["nodes"]]
        assert types == ["ITEM_CREATED", "ITEM_CREATED", "MERGED", "ITEM_EDITED"]
        merge: dict[str, Any] = told["events"]["nodes"][2]
        assert merge["summary"] == "“Dark mode” was merged into another"
        assert {"field": "mergedInto", "before": "", "after": "2"} in merge["changes"]
        assert (await verify(pool)).equal


async def test_a_merge_that_is_taken_back_is_told_now_and_then_and_explains_no_votes(
    pool: asyncpg.Pool,
) -> None:
    async with a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 10:00", post(1, title="Dark mode", merge_id=0)),
            body("item.create", "2026-05-01 11:00", post(2, title="Darker mode")),
            body("item.update", "2026-05-02 10:00", post(1, title="Dark mode", merge_id=2)),
            body("item.update", "2026-05-03 10:00", post(1, title="Dark mode", merge_id="0")),
        )

        merged, now = [await board.ask(READ, a=moment) for moment in ({"position": 3}, None)]
        told = await board.ask(
            '{ item(sleekplanId: 1) { revisions(fields: ["mergedInto"]) { changes { before after } } }'
            "  items(filter: {mergedIntoId: {isNull: false}}) { totalCount }"
            "  events(last: 2) { nodes { type changedFields } } }"
        )

        assert merged["two"]["mergedFrom"] == [{"sleekplanId": "1", "title": "Dark mode"}]
        assert now == await board.ask(READ, a={"position": 4})
        assert now["one"] == {"mergedInto": None, "mergedFrom": []}
        assert now["two"] == {"mergedInto": None, "mergedFrom": []}
        assert told["item"]["revisions"] == [
            {"changes": [{"before": None, "after": "2"}]},
            {"changes": [{"before": "2", "after": None}]},
        ]
        assert told["items"] == {"totalCount": 0}
        assert [node["type"] for node in told["events"]["nodes"]] == ["MERGED", "ITEM_EDITED"]
        assert told["events"]["nodes"][1]["changedFields"] == ["mergedInto"]
        assert (await verify(pool)).equal


async def test_an_owner_and_what_is_expected_are_told_and_taken_back(pool: asyncpg.Pool) -> None:
    query = """query ($a: AsOf) {
        item(sleekplanId: 1, asOf: $a) { owner { name } estimated }
        owned: items(asOf: $a, filter: {ownerId: {isNull: false}}) { totalCount }
        expected: items(asOf: $a, filter: {estimated: {startsWith: "2026"}}) { totalCount } }"""
    async with a_board(pool) as board:
        team = body("user.create", "2026-05-01 09:00", person(9, "tess", admin=4))
        owned = body("item.create", "2026-05-01 10:00", post(1, owner_id=9, estimated="2026-09"))
        silent = body("item.update", "2026-05-02 10:00", post(1, title="Dark mode"))
        taken_back = body("item.update", "2026-05-03 10:00", post(1, owner_id=0, estimated=""))
        await board.tell(team, owned, silent, taken_back)

        kept, gone = [await board.ask(query, a=moment) for moment in ({"position": 3}, None)]

        assert kept == {
            "item": {"owner": {"name": "tess"}, "estimated": "2026-09"},
            "owned": {"totalCount": 1},
            "expected": {"totalCount": 1},
        }
        assert gone == {
            "item": {"owner": None, "estimated": None},
            "owned": {"totalCount": 0},
            "expected": {"totalCount": 0},
        }
        changed = await board.ask("{ events(last: 1) { nodes { changedFields } } }")
        assert changed["events"]["nodes"] == [{"changedFields": ["owner", "estimated"]}]
        assert (await verify(pool)).equal


async def test_owner_estimate_and_merge_are_in_revisions_provenance_and_differences(
    pool: asyncpg.Pool,
) -> None:
    query = """{ item(sleekplanId: 1) {
        revisions(fields: ["owner", "estimated", "mergedInto"]) { position changes { field before after } }
        owner: provenance(field: "owner") { position value }
        estimated: provenance(field: "estimated") { position value }
        merged: provenance(field: "mergedInto") { position value } }
      boardDiff(from: {position: 1}, to: {position: 4}) { changed { changes { field before after } } } }"""
    async with a_board(pool) as board:
        await board.tell(
            body("item.create", "2026-05-01 10:00", post(1, title="Dark mode", owner_id=0, estimated="")),
            body("item.update", "2026-05-02 10:00", post(1, owner_id="9", estimated="2026-09")),
            body("item.update", "2026-05-03 10:00", post(1, owner_id=9, estimated="")),
            body("item.update", "2026-05-04 10:00", post(1, merge_id=2)),
        )

        told = await board.ask(query)

    def change(field: str, before: str | None, after: str | None) -> dict[str, str | None]:
        return {"field": field, "before": before, "after": after}

    assert told["item"]["revisions"] == [
        {"position": 2, "changes": [change("owner", None, "9"), change("estimated", None, "2026-09")]},
        {"position": 3, "changes": [change("estimated", "2026-09", None)]},
        {"position": 4, "changes": [change("mergedInto", None, "2")]},
    ]
    assert told["item"]["owner"] == {"position": 2, "value": "9"}
    assert told["item"]["estimated"] == {"position": 3, "value": None}
    assert told["item"]["merged"] == {"position": 4, "value": "2"}
    assert told["boardDiff"]["changed"] == [
        {"changes": [change("owner", None, "9"), change("mergedInto", None, "2")]}
    ]


async def test_a_note_is_beside_a_jump_once_it_is_published_and_no_draft(pool: asyncpg.Pool) -> None:
    async with a_board(pool) as board:
        note = {"changelog_id": 7, "title": "Dark mode is here"}
        await board.tell(
            body("item.create", "2026-05-01 09:00", post(1, up=1)),
            body("changelog.create", "2026-05-02 09:50", note | {"draft": True}),
            body("changelog.update", "2026-05-02 09:51", note | {"draft": True, "title": "Dark mode"}),
            body("changelog.update", "2026-05-02 09:55", note | {"draft": False}),
            body("changelog.create", "2026-05-02 09:56", {"changelog_id": 8, "draft": False}),
            body("changelog.create", "2026-05-02 09:57", {"changelog_id": 9}),
            body("item.update", "2026-05-02 10:00", post(1, up=30)),
            body("changelog.update", "2026-05-02 10:05", note | {"draft": True}),
        )

        told = await board.ask("{ item(sleekplanId: 1) { voteJumps { nearbyEvents { position } } } }")

    (jump,) = told["item"]["voteJumps"]
    assert [each["position"] for each in jump["nearbyEvents"]] == [6, 5, 4]
