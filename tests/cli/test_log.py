"""export, import, tail and migrate, as people run them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.given import folders
from tests.given.fake_board import TINY, a_fake
from tests.given.ports import free_port
from tests.given.running import RECOUNT, Running, recount, running

PAYLOADS = sorted((folders.PAYLOADS).glob("*.json"))
BOARD = ("simulate", "--events", "800", "--seed", "7", "--months", "3", "--items", "20", "--users", "40")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path / "data", port=free_port()) as service:
        yield service


async def test_an_import_returns_once_all_is_projected_and_the_export_of_it_makes_the_same_log(
    service: Running, tmp_path: Path
) -> None:
    lines, exported, again = tmp_path / "board.jsonl", tmp_path / "log.jsonl", tmp_path / "again.jsonl"
    lines.write_text((await recount(*BOARD)).stdout)

    imported = await service.run("import", "--json", lines)

    told = json.loads(imported.stdout)
    assert (told["recorded"], told["projected"]) == (800, 800)
    assert (await service.ask("{ events(first: 1) { totalCount } }"))["events"]["totalCount"] == 800
    assert (await service.run("export", "--output", exported)).returncode == 0
    # Without a service: the command starts a Postgres for itself meanwhile.
    elsewhere = {"RECOUNT_DATA_DIR": str(tmp_path / "elsewhere")}
    restored = await recount("import", "--json", exported, env=elsewhere)
    assert json.loads(restored.stdout)["recorded"] == 800
    assert (await recount("export", "--output", again, env=elsewhere)).returncode == 0
    assert again.read_bytes() == exported.read_bytes()
    assert (await recount("verify", env=elsewhere)).returncode == 0


async def test_tail_prints_what_was_and_what_comes_and_comes_back_when_cut_off(
    service: Running, tmp_path: Path
) -> None:
    await service.run("send", *PAYLOADS)
    port = service.address.rpartition(":")[2]
    tail = await asyncio.create_subprocess_exec(
        RECOUNT, "tail", "--after", "10", "--json", "--count", str(len(PAYLOADS) - 10 + 2),
        env={"RECOUNT_DATA_DIR": str(service.data_dir), "RECOUNT_PORT": port, "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert tail.stdout is not None
    seen = [json.loads(await tail.stdout.readline())["position"] for _ in range(len(PAYLOADS) - 10)]

    await service.stop()
    async with running(service.data_dir, port=int(port)) as again:
        for number in (1, 2):
            body = {"product_id": 7, "action": "item.create", "data": {"feedback_id": number, "title": "New"}}
            await again.post(json.dumps(body).encode())
        out, _ = await asyncio.wait_for(tail.communicate(), 30)

    seen += [json.loads(line)["position"] for line in out.splitlines()]
    assert seen == list(range(11, len(PAYLOADS) + 3))
    assert tail.returncode == 0


async def test_tail_tells_a_back_fill_only_when_asked(service: Running) -> None:
    fake = a_fake(TINY)
    async with fake.serving() as address:
        asked = {"RECOUNT_SLEEKPLAN_API_URL": address, "RECOUNT_SLEEKPLAN_API_KEY": fake.key}
        env = {"RECOUNT_DATA_DIR": str(service.data_dir), "RECOUNT_SLEEKPLAN_RATE": "100"} | asked
        ended = await recount("backfill", "--only", "posts", "--product", str(TINY.product_id), env=env)
    assert ended.returncode == 0, ended.stderr
    _, posted = await service.post(
        json.dumps({"product_id": 7, "action": "item.create", "data": {"feedback_id": 1}}).encode()
    )

    first = await service.run("tail", "--after", "0", "--count", "1", "--json")
    filled = await service.run("tail", "--after", "0", "--count", "1", "--json", "--origin", "backfill")

    assert json.loads(first.stdout)["position"] == posted["position"] > 1
    assert json.loads(filled.stdout)["position"] == 1


async def test_tail_without_a_service_says_so(tmp_path: Path) -> None:
    told = await recount("tail", env={"RECOUNT_DATA_DIR": str(tmp_path), "RECOUNT_PORT": "1"})

    assert told.returncode == 1
    assert "no service answers" in told.stderr


async def test_migrate_is_done_once(tmp_path: Path) -> None:
    env = {"RECOUNT_DATA_DIR": str(tmp_path / "data")}

    first = json.loads((await recount("migrate", "--json", env=env)).stdout)["migrated"]
    second = json.loads((await recount("migrate", "--json", env=env)).stdout)["migrated"]

    assert first[:3] == ["0001_log", "0002_demo", "0003_erasure"]
    assert second == []


async def test_an_import_of_a_broken_export_names_the_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"recount":1,"position":')

    told = await recount("import", broken, env={"RECOUNT_DATA_DIR": str(tmp_path / "data")})

    assert told.returncode == 1
    assert "line 1 is neither" in told.stderr


async def test_an_import_that_stops_says_how_far_it_got_and_goes_on_when_it_is_called_again(
    tmp_path: Path,
) -> None:
    lines, env = tmp_path / "board.jsonl", {"RECOUNT_DATA_DIR": str(tmp_path / "data")}
    bodies = (
        await recount("simulate", "--events", "2500", "--seed", "7", "--items", "20", "--users", "40")
    ).stdout
    lines.write_text(bodies + '{"recount":1,"position":')

    stopped = await recount("import", lines, env=env)
    lines.write_text(bodies)
    again = json.loads((await recount("import", "--json", lines, env=env)).stdout)

    [recorded] = re.findall(r"cut off: (\d+) recorded, 0 known already", stopped.stderr)
    assert stopped.returncode == 1
    assert (again["recorded"], again["duplicates"]) == (2500 - int(recorded), int(recorded))
