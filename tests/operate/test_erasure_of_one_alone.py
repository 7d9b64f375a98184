"""Forgetting somebody leaves everybody else as they are, whatever their names hold of one another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.follow.projector import Projector
from projections.read_model import tables
from projections.rebuild.after_erasure import count_again
from service.events import decode
from service.log.event_store import EventStore
from service.log.quarantine import Quarantine, Unreadable
from service.operate.erasure import Erasure
from tests.given.bodies import a_body
from tests.given.whole_words import without

PRODUCT: Final = 647288130
RECEIVED: Final = datetime(2026, 8, 1, tzinfo=UTC)
ANA: Final[dict[str, Any]] = {
    "user_id": 2,
    "data_name": "user2",
    "data_full_name": "Ana Weber",
    "data_mail": "an@example.com",
    "data_system": {"city": "Bern"},
}
OTHERS: Final[list[dict[str, Any]]] = [
    {"user_id": 20, "data_name": "user20", "data_full_name": "Ana Weber", "data_mail": "susan@example.com"},
    {"user_id": "22", "data_name": "user2", "data_full_name": "Ana Weber H", "data_mail": "an@example.com"},
    {"user_id": 24, "data_name": "Jo", "data_id": "user2", "data_system": {"user_agent": "user2 Mozilla"}},
]  # fmt: skip


def body(number: int, action: str, data: dict[str, Any], product_id: int = PRODUCT) -> bytes:
    return a_body(number, product_id=product_id, action=action, data=data)


def comment(number: int, text: str, user: object, product_id: int = PRODUCT) -> bytes:
    said = {"comment_id": number, "feedback_id": 1, "comment": text, "user": user}
    return body(number, "comment.create", said, product_id)


async def record(pool: asyncpg.Pool, bodies: Sequence[bytes]) -> None:
    store = EventStore(pool)
    await store.append([decode(each, RECEIVED) for each in bodies])
    await store.close()


@pytest.fixture
def erasure(pool: asyncpg.Pool, tmp_path: Path) -> Erasure:
    async def replay(product_id: int) -> None:
        await Projector(pool).catch_up()
        await count_again(pool, product_id)

    return Erasure(pool, replay, data_dir=tmp_path)


async def bodies_of(pool: asyncpg.Pool, product_id: int = PRODUCT) -> dict[object, Any]:
    """Return the bodies in the log and the quarantine by position or id, with the bytes that are kept."""
    events = await pool.fetch(
        "select position, raw, (envelope || jsonb_build_object('data', data))::text as said from log.events "
        "where product_id = $1 order by position",
        product_id,
    )
    held: dict[object, Any] = {row["position"]: (json.loads(row["said"]), row["raw"]) for row in events}
    for row in await pool.fetch("select id, body from log.quarantine"):
        try:
            held[row["id"]] = (json.loads(row["body"]), None)
        except ValueError:
            held[row["id"]] = (None, row["body"])
    return held


async def rows_of(pool: asyncpg.Pool) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the tables in use."""
    return {
        table: [json.loads(row[0]) for row in await pool.fetch(f"select to_jsonb(t)::text from {name} t")]
        for table, name in (await tables(pool)).names.items()
    }


def changed_cells(
    before: dict[str, list[dict[str, Any]]],
    after: dict[str, list[dict[str, Any]]],
    keys: dict[str, dict[str, Any]],
) -> set[tuple[str, str, str | None]]:
    """Give the columns in which rows with one key differ; of tables without a key, that they changed."""
    changed: set[tuple[str, str, str | None]] = set()
    for table, rows in before.items():
        if table not in keys:
            if sorted(map(repr, rows)) != sorted(map(repr, after[table])):
                changed.add((table, "", None))
            continue
        old, new = (
            {json.dumps({column: row[column] for column in keys[table]}): row for row in side}
            for side in (rows, after[table])
        )
        changed |= {(table, key, None) for key in old.keys() ^ new.keys()}
        for key in old.keys() & new.keys():
            changed |= {(table, key, column) for column, was in old[key].items() if new[key][column] != was}
    return changed


def differences(before: Any, after: Any, path: str = "$") -> Iterator[str]:
    """Give the places in which two bodies differ, as JSONPath."""
    if isinstance(before, dict) and isinstance(after, dict):
        for member in before.keys() | after.keys():
            here = f"{path}.{member}" if member.isidentifier() else f"{path}['{member}']"
            if member in before and member in after:
                yield from differences(before[member], after[member], here)
            else:
                yield here
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for at, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, f"{path}[{at}]")
    elif before != after:
        yield path


async def test_forgetting_user2_leaves_user20_and_all_whose_names_hold_theirs(
    pool: asyncpg.Pool, erasure: Erasure
) -> None:
    text = "Ask user20, susan@example.com or Ana Webers; jo.an%40example.com"
    await record(
        pool,
        [
            body(1, "user.create", ANA),
            *(body(10 + n, "user.update", other) for n, other in enumerate(OTHERS)),
            *(comment(20 + n, text, other) for n, other in enumerate(OTHERS)),
            body(30, "item.update", {"feedback_id": 1, "watchers": [OTHERS[0], {"by": OTHERS[1]}]}),
            body(31, "changelog_subscriber.create", {"id": 3, "mail": "an@example.com"}),
            body(32, "user.update", ANA, product_id=7),
        ],
    )
    before = await bodies_of(pool), await bodies_of(pool, 7)

    await erasure.erase(PRODUCT, "2", texts=True, reason="they asked")

    after = await bodies_of(pool), await bodies_of(pool, 7)
    assert after[0].pop(1)[0]["data"] == {"user_id": 2, "erased": True}
    before[0].pop(1)
    assert after == before


async def test_whom_sleekplan_deleted_is_forgotten_alone_as_well(
    pool: asyncpg.Pool, erasure: Erasure
) -> None:
    await record(
        pool,
        [
            body(1, "user.create", ANA),
            *(body(10 + n, "user.update", other) for n, other in enumerate(OTHERS)),
            comment(20, "Ask user20, user2 or ＡＮ; AN%40example.com, susan@example.com", OTHERS[0]),
            body(30, "user.delete", {"user_id": 2}),
        ],
    )
    await Projector(pool).catch_up()

    assert await erasure.honour_deletions(timedelta(0)) == 1

    left = [said["data"] for said, _ in (await bodies_of(pool)).values()]
    assert left[1:4] == OTHERS
    assert left[4]["user"] == OTHERS[0]
    assert left[4]["comment"] == "Ask user20, [erased] or ＡＮ; [erased], susan@example.com"


async def test_a_member_called_by_their_address_goes_and_words_for_machines_stay(
    pool: asyncpg.Pool, erasure: Erasure
) -> None:
    data = {"feedback_id": 5, "status": "user2", "votes_by": {"an@example.com": 1, "susan@example.com": 2}}
    await record(pool, [body(1, "user.create", ANA), body(2, "item.update", data)])

    await erasure.erase(PRODUCT, "2", reason="they asked")

    left = (await bodies_of(pool))[2][0]["data"]
    assert left == data | {"votes_by": {"susan@example.com": 2}}


async def test_an_author_whose_id_is_called_id_goes_before_and_after_as_do_bytes_with_an_id_given_twice(
    pool: asyncpg.Pool, erasure: Erasure
) -> None:
    def post(number: int, id: int) -> bytes:
        author = {"id": id, "name": "Someone", "mail": "x@example.com"}
        return body(number, "item.update", {"feedback_id": 5, "id": 2, "author": author})

    twice = b'{"product_id":%d,"action":"nps.update","timestamp":%d,"data":{"user_id":2,"user_id":20}}'
    await record(pool, [body(1, "user.create", ANA), post(2, 2), post(3, 20), twice % (PRODUCT, 1781521201)])

    await erasure.erase(PRODUCT, "2", reason="they asked")
    await record(pool, [post(4, 2), post(5, 20), twice % (PRODUCT, 1781521202)])

    left = await bodies_of(pool)
    assert [left[at][0]["data"]["author"] for at in (2, 5)] == [{"id": 2, "erased": True}] * 2
    assert [left[at][0]["data"]["author"]["name"] for at in (3, 6)] == ["Someone"] * 2
    assert [left[at][1] for at in (4, 7)] == [None, None]


async def test_a_quarantined_delivery_loses_what_an_event_would_and_can_be_retried(
    pool: asyncpg.Pool, erasure: Erasure
) -> None:
    await record(pool, [body(1, "user.create", ANA)])
    store = EventStore(pool)
    quarantine = Quarantine(pool, store)

    async def keep(said: bytes, product_id: int | None) -> str:
        return await quarantine.keep(Unreadable("it is no event", said, RECEIVED, "WEBHOOK", product_id))

    mentioned = await keep(comment(2, "Ask user20 and user2", OTHERS[0]), None)
    other = await keep(body(3, "user.update", OTHERS[0]), PRODUCT)
    elsewhere = await keep(body(4, "user.update", ANA, product_id=7), PRODUCT)
    here = await keep(body(5, "user.update", ANA), 7)
    nowhere = await keep(body(6, "user.update", ANA).replace(str(PRODUCT).encode(), b'"board 1"'), None)
    cut = await keep(b'{"user_id":2,"data_name":"us', PRODUCT)
    cut_other = await keep(b'{"user_id":20,"data_mail":"susan@example.com","x', PRODUCT)

    erased = await erasure.erase(PRODUCT, "2", reason="they asked")

    assert erased.quarantined == 4
    ids = (mentioned, other, elsewhere, here, nowhere, cut, cut_other)
    kept = {id: await quarantine.show(id) for id in ids}
    assert json.loads(kept[mentioned].body or b"")["data"]["comment"] == "Ask user20 and [erased]"
    assert kept[other].body == body(3, "user.update", OTHERS[0])
    assert kept[elsewhere].body == body(4, "user.update", ANA, product_id=7)
    assert json.loads(kept[here].body or b"")["data"] == {"user_id": 2, "erased": True}
    assert json.loads(kept[nowhere].body or b"")["data"] == {"user_id": 2, "erased": True}
    assert (kept[cut].state, kept[cut].body) == ("discarded", b'{"erased": true}')
    assert (kept[cut_other].state, kept[other].state, kept[mentioned].state) == ("open", "open", "open")
    assert (await quarantine.retry(mentioned)).position > 0
    await store.close()


async def test_a_dry_run_shows_exactly_the_places_that_the_run_changes(
    pool: asyncpg.Pool, erasure: Erasure, tmp_path: Path
) -> None:
    twice = (
        b'{"product_id":%d,"action":"item.update","timestamp":1781521201,'
        b'"data":{"note":"Ana Weber","note":"x"}}'
    )
    await record(
        pool,
        [
            body(1, "user.create", ANA),
            comment(2, "I am Ana Weber", ANA),
            comment(3, "Ask Ana Weber of susan@example.com, or user2; Ana Weber!", OTHERS[0]),
            comment(4, "Ask user20", OTHERS[1]),
            body(
                5, "vote.create", {"user_id": 2, "vote": 1, "feedback_item": {"feedback_id": 1, "user": ANA}}
            ),
            body(
                6,
                "item.update",
                {"feedback_id": 9, "log": [{"by": ANA}, {"an@example.com": "an%40example.com"}]},
            ),
            twice % PRODUCT,
        ],
    )
    store = EventStore(pool)
    quarantine = Quarantine(pool, store)
    for said in (comment(7, "Thanks, user2", OTHERS[0]), b'{"user_id": 2, "cut', b'{"user_id": 20, "cut'):
        await quarantine.keep(Unreadable("it is no event", said, RECEIVED, "WEBHOOK", PRODUCT))
    await store.close()
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "00000000000000000001.damaged").write_bytes(b"RSPL")
    await Projector(pool).catch_up()
    before, counted = await bodies_of(pool), await rows_of(pool)

    preview = await erasure.preview(PRODUCT, "2", texts=True)
    assert (await bodies_of(pool), await rows_of(pool)) == (before, counted)
    await erasure.erase(PRODUCT, "2", texts=True, reason="they asked")

    after = await bodies_of(pool)
    changed = {(of, path) for of in before for path in differences(before[of][0], after[of][0])}
    changed |= {(of, "$") for of in before if before[of][1] != after[of][1]}
    found = [*preview.events, *preview.quarantined]
    assert {
        (each.position or each.quarantined, place.json_path) for each in found for place in each.places
    } == changed
    assert preview.tables
    assert {(cell.table, json.dumps(cell.key), cell.column) for cell in preview.tables} == changed_cells(
        counted, await rows_of(pool), {cell.table: cell.key for cell in preview.tables}
    )
    assert {
        ("users", "mail", "identity field of this person"),
        ("users", "erased", "mark that this person was erased"),
        ("comments", "body", "text that this person wrote"),
        ("comments", "body", "their name as a whole word"),
        ("comments", "search", "counted from what changes"),
    } <= {(cell.table, cell.column, cell.reason) for cell in preview.tables}
    assert preview.files == ["00000000000000000001.damaged"]
    assert not (tmp_path / "spool" / "00000000000000000001.damaged").exists()
    assert [place.context for each in found if each.position == 3 for place in each.places] == [
        "Ask ‹Ana Weber› of …",
        "… or ‹user2›; Ana Weber!",
        "… or user2; ‹Ana Weber›!",
    ]
    assert {place.reason for each in found for place in each.places} == {
        "identity field of this person",
        "mark that this person was erased",
        "text that this person wrote",
        "their name as a whole word",
        "their address as a whole address",
        "the bytes as they came tell of this person",
    }
    assert await erasure.preview(PRODUCT, "2", texts=True) == ([], [], [], [])


# People whose names and addresses hold one another, and texts made of them.

PARTS = st.lists(st.sampled_from(["an", "ana", "2", "_7", "é", "王", "we"]), min_size=1, max_size=3).map(
    "".join
)
NAMES = st.builds("{} {}".format, PARTS, PARTS) | PARTS
HOSTS = st.sampled_from(["example.com", "an.example.com"])
ADDRESSES = st.builds("{}@{}".format, st.sampled_from(["an", "susan", "x.an", "an2"]), HOSTS)
PEOPLE = st.lists(st.tuples(NAMES, NAMES, ADDRESSES), min_size=2, max_size=4)
BETWEEN = st.sampled_from([" ", ", ", "(", "-", ".", "an", "_", "é", "王", "'"])


def is_looked_for(name: str) -> bool:
    return "@" in name or (" " in name and len(name) > 6) or (
        any(letter in "0123456789_" for letter in name) and len(name) > 4
    )  # fmt: skip


async def test_of_any_people_named_like_one_another_only_the_forgotten_one_goes(
    pool: asyncpg.Pool, erasure: Erasure
) -> None:
    product = 0

    async def holds(people: list[tuple[str, str, str]], pieces: list[str]) -> None:
        nonlocal product
        product += 1
        users = [
            {"user_id": 2 * 10**n, "data_name": name, "data_full_name": full, "data_mail": mail}
            for n, (name, full, mail) in enumerate(people)
        ]
        text = "".join(pieces)
        said = [
            *(body(n, "user.update", user, product) for n, user in enumerate(users)),
            *(comment(10 + n, text, user, product) for n, user in enumerate(users)),
        ]
        await record(pool, said)

        await erasure._redact(product, ["2"], False, "they asked")

        called = [name for name in people[0] if is_looked_for(name)]
        left = [body["data"] for body, _ in (await bodies_of(pool, product)).values()]
        gone = {"user_id": 2, "erased": True}
        assert left[: len(users)] == [gone, *users[1:]]
        assert [each["user"] for each in left[len(users) :]] == [gone, *users[1:]]
        assert {each["comment"] for each in left[len(users) :]} == {without(text, called)}

    loop = asyncio.get_running_loop()

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(data=st.data(), people=PEOPLE)
    def run(data: st.DataObject, people: list[tuple[str, str, str]]) -> None:
        names = st.sampled_from([name for person in people for name in person])
        pieces = data.draw(st.lists(names | BETWEEN, max_size=8))
        asyncio.run_coroutine_threadsafe(holds(people, pieces), loop).result()

    await asyncio.to_thread(run)
