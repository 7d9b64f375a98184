"""quarantine, keys, erase, history, asof, doctor and config, as people run them beside a service."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from schema.build import printed
from service.cli.commands import SECTIONS
from service.cli.commands import recount as recount_commands
from service.config import Settings, variable
from tests.given import folders
from tests.given.running import Running, recount, running
from tests.given.waiting import eventually

PAYLOADS = sorted((folders.PAYLOADS).glob("*.json"))


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """One service for this file: its tests ask about different things."""
    async with running(tmp_path_factory.mktemp("operate") / "data") as service:
        sent = await service.run("send", *PAYLOADS)
        assert sent.returncode == 0
        yield service


async def test_an_item_that_several_products_have_is_told_with_its_product_and_asked_for_by_it(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "data") as service:
        for product in (11, 22):
            body = {
                "product_id": product,
                "action": "item.create",
                "data": {"feedback_id": 42, "title": "Dark"},
            }
            assert (await service.post(json.dumps(body).encode()))[0] == 200

        refused = await service.run("history", "42")
        found = await service.run("history", "42", "--product", "22")
        board = await service.run("asof", "2")
        one = await service.run("asof", "2", "--product", "22")

    assert refused.returncode == 1
    assert "exists in several products: 11, 22; say which by" in refused.stderr
    assert "--product" in refused.stderr
    assert found.returncode == 0
    assert [line.split("\t")[:3] for line in board.stdout.splitlines()] == [
        ["item", "product", "title"], ["42", "11", "Dark"], ["42", "22", "Dark"],
    ]  # fmt: skip
    assert one.stdout.splitlines()[1].split("\t")[:2] == ["42", "Dark"]


async def test_a_quarantined_delivery_is_listed_shown_refused_again_and_discarded(service: Running) -> None:
    status, answer = await service.post(b"no JSON at all")
    assert status == 202
    id = answer["quarantined"]

    listed = json.loads((await service.run("quarantine", "list", "--json")).stdout)
    assert [found["id"] for found in listed] == [id]
    assert (await service.run("quarantine", "show", "--raw", id)).stdout == "no JSON at all"
    retried = await service.run("quarantine", "retry", id)
    assert (retried.returncode, "not JSON" in retried.stdout) == (1, True)
    assert (await service.run("quarantine", "discard", id)).returncode == 0
    assert json.loads((await service.run("quarantine", "list", "--json")).stdout) == []
    unknown = await service.run("quarantine", "show", "nothing")
    assert (unknown.returncode, "holds no delivery nothing" in unknown.stderr) == (1, True)


async def test_all_of_the_quarantine_is_retried_and_discarded_however_many_they_are(
    service: Running, tmp_path: Path
) -> None:
    bodies = tmp_path / "no-events.jsonl"
    bodies.write_text("".join(f"[{number}]\n" for number in range(1_003)))
    await service.run("import", str(bodies))

    some = await service.run("quarantine", "list", "--json", "--limit", "2")
    retried = await service.run("quarantine", "retry", "--all", "--json")
    [newest, second] = [found["id"] for found in json.loads(some.stdout)]
    one = await service.run("quarantine", "discard", newest, "nothing", second)
    unasked = await service.run("quarantine", "discard", "--all")
    rest = await service.run("quarantine", "discard", "--all", "--yes")

    assert "--limit 2 was reached, and there are more" in some.stderr
    ids = [found["id"] for found in json.loads(retried.stdout)]
    assert (len(ids), ids[-2:]) == (1_003, [second, newest])
    assert (one.stdout, one.returncode) == ("2 discarded\n", 1)
    assert "holds no delivery nothing" in one.stderr
    assert "1,001 deliveries" in unasked.stderr
    assert (rest.stdout, rest.returncode) == ("1001 discarded\n", 0)


async def test_a_key_that_was_added_opens_until_it_is_revoked(service: Running) -> None:
    secret = (await service.run("keys", "add", "board", "--product", "7")).stdout.strip()
    url = f"{service.address}/webhooks"
    body = b'{"product_id": 7, "action": "item.create", "data": {"feedback_id": 1}, "timestamp": 1781438400}'

    await _status_becomes(url, secret, body, 200)
    rotated = (await service.run("keys", "rotate", "board", "--overlap-hours", "1")).stdout.strip()
    await _status_becomes(url, rotated, body, 200)
    await _status_becomes(url, secret, body, 200)
    assert (await service.run("keys", "revoke", "board")).returncode == 0
    await _status_becomes(url, secret, body, 401)

    listed = await service.run("keys", "list", "--json")
    assert secret not in listed.stdout
    assert [key["label"] for key in json.loads(listed.stdout)] == ["board", "board"]


async def _status_becomes(url: str, secret: str, body: bytes, wanted: int) -> None:
    """A running service follows changes of keys within seconds."""
    async with aiohttp.ClientSession() as session:

        async def answered() -> bool:
            async with session.post(url, data=body, headers={"X-Secret": secret}) as answer:
                return answer.status == wanted

        await eventually(answered)


async def test_history_tells_an_items_statuses_and_events(service: Running) -> None:
    told = json.loads((await service.run("history", "42", "--product", "647288130", "--json")).stdout)

    assert (told["title"], told["votes"]["up"], told["deletedAt"] is not None) == ("Dark mode", 133, True)
    assert told["timeline"]["nodes"][0]["position"] > 0
    plain = await service.run("history", "42", "--product", "647288130")
    assert "Dark mode" in plain.stdout
    assert re.search(r"\d+ d( \d+ h)?", plain.stdout), "how long a status stood, as people say it"
    missing = await service.run("history", "4242", "--product", "647288130")
    assert (missing.returncode, "there is no item '4242'" in missing.stderr) == (1, True)


async def test_asof_shows_the_board_at_a_moment_and_at_a_position(service: Running) -> None:
    by_time = json.loads((await service.run("asof", "2026-06-14T09:13:10Z", "--json")).stdout)
    by_position = json.loads((await service.run("asof", "1", "--json")).stdout)

    votes = {node["sleekplanId"]: node["votes"]["up"] for node in by_time["nodes"] if node["votes"]}
    assert votes["42"] == 132
    assert by_position["totalCount"] <= 1
    wrong = await service.run("asof", "next tuesday")
    assert (wrong.returncode, "no position, day, moment or span" in wrong.stderr) == (2, True)


async def test_doctor_tells_machines_too_how_a_postgres_that_is_away_is_mended(tmp_path: Path) -> None:
    away = {"RECOUNT_DATABASE_URL": "postgresql://recount@127.0.0.1:1/recount"}

    looked = await recount("doctor", "--data-dir", tmp_path, "--json", env=away)

    [found] = [found for found in json.loads(looked.stdout) if found["check"] == "Postgres"]
    assert (found["state"], found["mend"].partition(",")[0]) == ("problem", "start it")


async def test_doctor_knocks_at_the_running_service_and_leaves_nothing_in_the_log(service: Running) -> None:
    events = f"{{ events(first: 1, minPosition: {len(PAYLOADS)}) {{ totalCount }} quarantine {{ id }} }}"
    before = await service.ask(events)

    told = await service.run("doctor", "--json")

    findings = {(finding["check"], finding["text"]): finding["state"] for finding in json.loads(told.stdout)}
    assert ("webhook", "accepts our key") in findings
    assert findings[("webhook", f"{service.address}/webhooks refuses a wrong key")] == "fine"
    assert await service.ask(events) == before
    key = (service.data_dir / "webhook-key").read_text().strip()
    assert key not in told.stdout + told.stderr + service.said


async def test_doctor_says_that_a_key_in_the_open_is_a_problem(service: Running) -> None:
    told = await service.run("doctor", "--url", service.webhook_url)

    assert told.returncode == 3
    assert "the key would travel in the open" in told.stdout


async def test_erase_asks_lists_and_forgets(service: Running) -> None:
    ana = ("17", "--product", "647288130")
    listed = json.loads((await service.run("erase", *ana, "--dry-run", "--json")).stdout)
    assert len(listed["events"]) > 5
    unanswered = await service.run("erase", *ana)
    assert (unanswered.returncode, "nobody answered; --yes" in unanswered.stderr) == (130, True)

    erased = await service.run("erase", *ana, "--texts", "--yes", "--reason", "ticket 4711", "--json")

    assert json.loads(erased.stdout)["events"] >= len(listed["events"])
    user = '{ user(productId: "647288130", sleekplanId: "17") { erased name mail } }'
    assert (await service.ask(user))["user"] == {"erased": True, "name": None, "mail": None}
    assert (await service.run("verify")).returncode == 0
    assert "17" in (await service.run("erase", "--list")).stdout
    exported = (await service.run("export")).stdout
    assert not [word for word in ("ana_w", "Ana Weber", "ana@example.com", "203.0.113.7") if word in exported]


async def test_an_erased_person_is_known_again_from_the_next_delivery_once_it_is_lifted(
    tmp_path: Path,
) -> None:
    ana = ("17", "--product", "647288130")
    user = """query ($position: Position!) {
        users(first: 1, minPosition: $position) { totalCount }
        user(productId: "647288130", sleekplanId: "17") { erased name } }"""
    async with running(tmp_path / "data") as service:
        await service.run("send", *PAYLOADS)
        before = await service.run("erase", *ana, "--lift")
        await service.run("erase", *ana, "--yes")
        lifted = await service.run("erase", *ana, "--lift")
        told = json.loads((folders.PAYLOADS / "vote.create.json").read_text())
        told["timestamp"] = str(int(told["timestamp"]) + 1_000)
        _, answer = await service.post(json.dumps(told).encode())
        found = await service.ask(user, position=answer["position"])

    assert (before.returncode, lifted.returncode) == (1, 0), lifted.stderr
    assert "this person was not erased" in before.stderr
    assert lifted.stdout.startswith("lifted: what is delivered from now on is kept")
    assert found["user"] == {"erased": False, "name": "ana_w"}


async def test_config_lists_every_setting_and_no_secret() -> None:
    env = {
        "RECOUNT_WEBHOOK_KEYS": "s3cret-key",
        "RECOUNT_DATABASE_URL": "postgresql://ada:s3cret@db.example.com/log",
    }

    told = await recount("config", "--json", env=env)

    assert set(json.loads(told.stdout)) == {variable(name) for name in Settings.model_fields}
    assert "s3cret" not in told.stdout
    explained = await recount("config", "--explain", env=env)
    assert "RECOUNT_WEBHOOK_KEYS=********" in explained.stdout
    assert "s3cret" not in explained.stdout


def test_the_list_of_commands_says_of_each_what_its_own_help_begins_with() -> None:
    for section in SECTIONS.values():
        for name, (_, sentence) in section.items():
            command = recount_commands.commands[name]
            assert (command.name, command.get_short_help_str(1_000)) == (name, sentence)


async def test_schema_prints_the_schema_without_a_database(tmp_path: Path) -> None:
    told = await recount("schema", env={"RECOUNT_DATA_DIR": str(tmp_path / "none")})

    assert told.stdout == printed()
    assert not (tmp_path / "none").exists()
