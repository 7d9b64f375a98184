"""`recount labels missing` says which keys have no label, and what it prints is a labels' file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.events import decode
from service.labels import load_labels
from service.log.database import open_pool
from service.log.event_store import EventStore
from tests.given.projecting import RECEIVED
from tests.given.running import recount

OPAQUE, ODD, GONE, LABELLED, TYPE = "s68dfa8421c534", 'two words "\x7f', "s1", "s2", "t68df02a7ea223"


def post(item: int, title: str, status: str, type: str = TYPE) -> bytes:
    data = {"feedback_id": item, "title": title, "status": status, "type": type}
    return json.dumps(
        {"product_id": 7, "action": "item.update", "timestamp": 1_780_000_000 + item, "data": data}
    ).encode()


@pytest.fixture
async def board(database_url: str) -> str:
    """The address of a log with keys of all sorts."""
    bodies = [
        post(1, "Dark\nmode\x1b[2J", OPAQUE),
        post(2, "Export", OPAQUE),
        post(3, "Import", "planned"),
        post(4, "Search", GONE),
        post(5, "Search more", LABELLED),
        post(6, "Print", ODD),
        b'{"product_id": 7, "action": "item.delete", "timestamp": 1780000100, "data": {"feedback_id": 4}}',
    ]
    pool = await open_pool(database_url, min_size=1, max_size=2)
    store = EventStore(pool)
    await store.append([decode(body, RECEIVED, "WEBHOOK") for body in bodies])
    await store.close()
    await pool.close()
    return database_url


async def test_what_is_printed_is_a_labels_file_that_misses_nothing(board: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.toml"
    file.write_text(f'[status]\n{LABELLED} = "Later"\n[type]\n{GONE} = "A status is meant"\n')
    env = {"RECOUNT_DATABASE_URL": board, "RECOUNT_LABELS": str(file)}

    printed = (await recount("labels", "missing", env=env)).stdout

    assert "  # and role = OPEN, ROADMAP, DONE or DECLINED; 2 items, the latest: Export" in printed
    assert (
        f'{GONE} = {{ label = "{GONE}" }}  # and role = OPEN, ROADMAP, DONE or DECLINED; no item' in printed
    )
    assert "\x1b" not in printed
    assert LABELLED not in printed.replace(OPAQUE, "")
    file.write_text(f'{printed}\n[status.{LABELLED}]\nlabel = "Later"\n')
    assert {key for key, label in load_labels(file).items() if label.label == key} == {
        OPAQUE,
        ODD,
        GONE,
        TYPE,
    }
    again = await recount("labels", "missing", env=env)
    assert (again.stdout, again.stderr.strip()) == ("", "every key has a label")


async def test_an_item_that_was_only_seen_is_not_the_latest(database_url: str, pool: asyncpg.Pool) -> None:
    seen = post(1, "Old", OPAQUE).replace(b"item.update", b"item.snapshot")
    store = EventStore(pool)
    await store.append([decode(seen, RECEIVED, "BACKFILL"), decode(post(2, "New", OPAQUE), RECEIVED)])
    await store.close()

    printed = (await recount("labels", "missing", env={"RECOUNT_DATABASE_URL": database_url})).stdout

    assert printed.count("2 items, the latest: New") == 2


async def test_it_says_the_same_to_machines_and_for_a_file_in_json(board: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text("{}")
    env = {"RECOUNT_DATABASE_URL": board, "RECOUNT_LABELS": str(file)}

    told: list[dict[str, Any]] = json.loads((await recount("labels", "missing", "--json", env=env)).stdout)
    file.write_text((await recount("labels", "missing", env=env)).stdout)

    assert [(each["kind"], each["key"], each["items"]) for each in told] == [
        ("status", OPAQUE, 2),
        ("status", LABELLED, 1),
        ("status", ODD, 1),
        ("status", GONE, 0),
        ("type", TYPE, 5),
    ]
    assert told[0]["title"] == "Export"
    assert {OPAQUE, ODD, GONE, LABELLED, TYPE} <= load_labels(file).keys()
