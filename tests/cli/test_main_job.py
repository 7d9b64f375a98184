"""The main job from end to end: deliveries in, questions answered, rebuilt, stopped and started again."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from service.log.database import Connection, connect
from service.postgres.embedded import attach
from service.process import ending_signals
from tests.given import folders
from tests.given.running import RECOUNT, Running, environment, recount, running
from tests.given.waiting import eventually

PAYLOADS = sorted((folders.PAYLOADS).glob("*.json"))
BOARD = """
query Board($position: Position) {
  three: item(productId: "5456534244", sleekplanId: "3", minPosition: $position) { votes { up down } }
  gone: item(productId: "647288130", sleekplanId: "42", minPosition: $position) {
    deletedAt votes { up down } subscriberCount
  }
  before: item(
    productId: "647288130", sleekplanId: "42", asOf: { time: "2026-06-14T09:13:10Z" }, minPosition: $position
  ) { deletedAt votes { up down } }
}
"""
EXPECTED = {
    "three": {"votes": {"up": 9, "down": 0}},
    "gone": {
        "deletedAt": "2026-06-14T09:14:15Z",
        "votes": {"up": 133, "down": 2},
        "subscriberCount": 58,
    },
    "before": {"deletedAt": None, "votes": {"up": 132, "down": 2}},
}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path / "data") as service:
        yield service


async def _board(service: Running) -> Any:
    return await service.ask(BOARD, position=len(PAYLOADS))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_samples_in_any_order_end_in_the_same_board(service: Running, seed: int) -> None:
    files = random.Random(seed).sample(PAYLOADS, len(PAYLOADS))

    sent = await service.run("send", "--json", *files)

    answers = [json.loads(line)["answer"] for line in sent.stdout.splitlines()]
    assert [answer["position"] for answer in answers] == list(range(1, len(PAYLOADS) + 1))
    assert await _board(service) == EXPECTED


async def test_a_second_sending_is_answered_duplicate_throughout(service: Running) -> None:
    await service.run("send", *PAYLOADS)

    again = await service.run("send", "--json", *PAYLOADS)

    assert again.returncode == 0
    answers = [json.loads(line)["answer"] for line in again.stdout.splitlines()]
    assert answers == [
        {"position": position, "duplicate": True, "spooled": False}
        for position in range(1, len(PAYLOADS) + 1)
    ]


async def test_a_rebuild_leaves_the_same_answers(service: Running) -> None:
    await service.run("send", *PAYLOADS)
    before = await _board(service)

    rebuilt = await service.run("rebuild")
    verified = await service.run("verify")

    assert rebuilt.returncode == 0, rebuilt.stderr
    assert verified.returncode == 0, verified.stderr
    assert await _board(service) == before == EXPECTED


async def test_stopping_and_starting_again_loses_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as service:
        await service.run("send", *PAYLOADS)
        assert await service.stop(list(ending_signals())[-1]) == 0

    async with running(tmp_path / "data") as service:
        assert await _board(service) == EXPECTED


async def test_a_wrong_key_is_refused_and_nothing_is_stored(service: Running) -> None:
    async with aiohttp.ClientSession() as session:
        refusals = []
        for url in (f"{service.address}/webhooks?key=wrong", f"{service.address}/webhooks"):
            async with session.post(url, data=PAYLOADS[0].read_bytes()) as answer:
                refusals.append((answer.status, await answer.read()))

    assert refusals[0] == refusals[1]
    assert refusals[0][0] == 401
    status, kept = await service.post(PAYLOADS[0].read_bytes())
    assert (status, kept["position"]) == (200, 1)


async def test_a_body_that_is_no_event_is_kept_in_the_quarantine(service: Running) -> None:
    status, answer = await service.post(b"this is no JSON")

    assert status == 202
    assert answer["error"]
    listed = await service.run("quarantine", "list", "--json")
    assert [entry["id"] for entry in json.loads(listed.stdout)] == [answer["quarantined"]]


async def test_an_unknown_action_is_an_event_like_any_other(service: Running) -> None:
    body = b'{"product_id": 7, "action": "nps.create", "data": {"score": 9}, "timestamp": 1781428365}'

    status, answer = await service.post(body)

    assert (status, answer["position"]) == (200, 1)
    found = await service.ask("{ events(minPosition: 1) { nodes { position type action } } }")
    assert found["events"]["nodes"] == [{"position": 1, "type": "OTHER", "action": "nps.create"}]


async def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = await recount(
            "serve", env={"RECOUNT_DATA_DIR": str(tmp_path / "data"), "RECOUNT_PORT": str(port)}
        )

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"127.0.0.1:{port}" in refused.stderr


async def test_a_database_that_never_answered_is_said_in_one_line(tmp_path: Path) -> None:
    refused = await recount(
        "serve",
        env={
            "RECOUNT_DATA_DIR": str(tmp_path / "data"),
            "RECOUNT_PORT": "0",
            "RECOUNT_DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/none",
        },
    )

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "secret" not in refused.stderr


async def test_a_wrong_setting_is_said_in_one_line(tmp_path: Path) -> None:
    refused = await recount("serve", env={"RECOUNT_DATA_DIR": str(tmp_path / "data"), "RECOUNT_PROT": "1"})

    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "RECOUNT_PORT" in refused.stderr


async def test_a_second_service_on_one_data_folder_is_refused(service: Running) -> None:
    refused = await recount("serve", env={"RECOUNT_DATA_DIR": str(service.data_dir), "RECOUNT_PORT": "0"})

    assert refused.returncode == 1
    assert str(service.process.pid) in refused.stderr


async def test_a_demo_killed_half_way_goes_on_where_it_stopped_and_logs_what_others_send(
    tmp_path: Path,
) -> None:
    """With a key of its own: here others were added before its first start, and none was made."""
    data_dir = tmp_path / "data"
    key = (await recount("keys", "add", "board", env={"RECOUNT_DATA_DIR": str(data_dir)})).stdout.strip()
    await _run_the_demo_until_it_writes_and_kill_it(data_dir)

    async with running(data_dir, command=("demo",)) as service:
        found = await service.ask(
            """{
              events(productId: "9000000001", filter: {origins: [IMPORT]}, minPosition: 50021) { totalCount }
              projections { head }
            }"""
        )
        await eventually(lambda: _has_ticked(service), 60)
        assert (await service.post(PAYLOADS[0].read_bytes(), key))[0] == 200

    assert found["events"]["totalCount"] == 50_021
    assert found["projections"][0]["head"] < 50_100
    assert not (data_dir / "webhook-key").exists()
    # Before it may stand that the killed one's Postgres is waited for.
    assert "writing 18 months of history: 50,021 events" in service.said.splitlines()
    assert service.said.count('/webhooks"') == 1


async def _has_ticked(service: Running) -> bool:
    told = await service.ask(
        '{ events(productId: "9000000001", filter: {origins: [WEBHOOK]}, first: 1) { totalCount } }'
    )
    return bool(told["events"]["totalCount"])


async def _run_the_demo_until_it_writes_and_kill_it(data_dir: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        RECOUNT,
        "demo",
        env=environment({"RECOUNT_DATA_DIR": str(data_dir), "RECOUNT_PORT": "0"}),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await eventually(lambda: asyncio.to_thread(attach, data_dir), 60)
        connection = await connect(attach(data_dir) or "")
        try:
            await eventually(lambda: _has_events(connection), 60)
        finally:
            connection.terminate()
    finally:
        process.kill()
        await process.wait()


async def _has_events(connection: Connection) -> bool:
    try:
        return bool(await connection.fetchval("select exists (select from log.events)"))
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return False
