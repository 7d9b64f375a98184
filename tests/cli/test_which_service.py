"""Which service a command talks to: the one on the data folder that is meant, wherever that is, or none."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.cli.options import given_settings
from service.config import load_settings
from service.operate.reach import check_reach
from service.operate.running import running_services, service_here, told
from tests.given import folders
from tests.given.command_tree import all_commands, parameters
from tests.given.running import Running, recount, running

PAYLOADS = sorted(folders.PAYLOADS.glob("*.json"))
WITHOUT_SETTINGS = {"simulate", "schema", "sql grants"}
OF_A_SERVICE = {"serve", "demo", "up", "send", "tail", "doctor", "config"}


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(tmp_path_factory.mktemp("which") / "the board") as service:
        yield service


def said_of(service: Running) -> str:
    return f"{service.address} on {service.data_dir}"


async def test_send_and_tail_find_the_service_on_the_data_folder_wherever_it_listens(
    service: Running,
) -> None:
    sent = await recount("send", "--data-dir", service.data_dir, *PAYLOADS)
    seen = await recount("tail", "--data-dir", service.data_dir, "--after", "0", "--count", "1", "--json")
    looked = await recount("doctor", "--data-dir", service.data_dir, "--json")

    assert sent.returncode == 0, sent.stderr
    assert json.loads(seen.stdout)["position"] == 1
    assert {"check": "webhook", "state": "fine", "text": "accepts our key", "mend": ""} in json.loads(
        looked.stdout
    )


@pytest.mark.parametrize("command", [("send", PAYLOADS[0]), ("tail", "--after", "0")], ids=["send", "tail"])
async def test_where_only_others_run_it_says_which(
    service: Running, tmp_path: Path, command: tuple[str | Path, ...]
) -> None:
    refused = await recount(*command, env={"RECOUNT_DATA_DIR": str(tmp_path / "another")})

    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"no service runs on the data folder {tmp_path / 'another'}" in refused.stderr
    assert said_of(service) in refused.stderr
    assert f"--data-dir {shlex.quote(str(service.data_dir))}" in refused.stderr


@pytest.mark.parametrize("command", [("asof", "1"), ("config", "--connection")], ids=["asof", "config"])
async def test_where_no_service_runs_the_one_to_start_is_on_the_folder_that_was_meant(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    refused = await recount(*command, "--data-dir", tmp_path / "a board")

    started = shlex.split(refused.stderr.rpartition(": recount ")[2])
    assert started == ["serve", "--data-dir", str(tmp_path / "a board")]


async def test_doctor_takes_no_other_folders_service_for_its_own(service: Running, tmp_path: Path) -> None:
    looked = json.loads((await recount("doctor", "--data-dir", tmp_path / "another", "--json")).stdout)

    [said] = [one for one in looked if one["check"] == "service"]
    assert said_of(service) in said["text"]
    assert [one for one in looked if one["check"] == "webhook"] == []


async def test_a_key_that_is_not_taken_is_said_once(service: Running) -> None:
    port = service.address.rpartition(":")[2]
    refused = await recount(
        "send", *PAYLOADS, "--port", port, env={"RECOUNT_WEBHOOK_KEYS": "of-another-service"}
    )

    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "does not take the key of RECOUNT_WEBHOOK_KEYS" in refused.stderr
    assert "of-another-service" not in refused.stderr


async def test_a_url_of_tail_is_asked_and_told_without_what_is_secret_in_it(service: Running) -> None:
    await recount("send", "--data-dir", service.data_dir, PAYLOADS[0])
    seen = await recount("tail", "--after", "0", "--count", "1", "--url", service.graphql_url)
    away = await recount("tail", "--url", "http://ada:secret@127.0.0.1:1/graphql?token=secret")

    assert seen.returncode == 0
    assert (away.returncode, "http://127.0.0.1:1/graphql" in away.stderr) == (1, True)
    assert "secret" not in away.stderr


async def test_a_service_is_told_of_until_it_ends_however_that_is(tmp_path: Path) -> None:
    settings = load_settings({}, data_dir=str(tmp_path / "data"))
    async with running(settings.data_dir) as service:
        here = service_here(settings)
        assert here is not None
        assert here.address == service.address

        await service.stop(signal.SIGKILL)

        assert service_here(settings) is None


async def test_doctor_tells_of_the_address_that_the_service_listens_on(tmp_path: Path) -> None:
    with told(load_settings({}, data_dir=tmp_path, host="0.0.0.0"), 8099):
        [found] = await check_reach(load_settings({}, data_dir=tmp_path), None)

    assert "this machine only" not in found.text


def test_a_service_is_told_of_while_its_block_lasts(tmp_path: Path) -> None:
    settings = load_settings({"RECOUNT_HOST": "::"}, data_dir=str(tmp_path))
    with told(settings, 8099):
        assert service_here(settings) in running_services()
        assert service_here(settings).address == "http://[::1]:8099"  # type: ignore[union-attr]

    assert service_here(settings) is None


async def test_options_go_before_the_environment(tmp_path: Path) -> None:
    data, port = tmp_path / "data", "0"
    command = ("serve", "--data-dir", str(data), "--host", "127.0.0.1", "--port", port)
    async with running(
        tmp_path / "not this", command=command, env={"RECOUNT_HOST": "192.0.2.1", "RECOUNT_PORT": "1"}
    ) as service:
        assert service.address.startswith("http://127.0.0.1:")
        assert (data / "postgres").is_dir()
        assert not (tmp_path / "not this").exists()
    assert given_settings() == load_settings()


@pytest.mark.parametrize("name", all_commands())
def test_each_command_has_the_options_of_what_it_uses(name: str) -> None:
    has = parameters(name)

    assert ("data_dir" in has) == (name not in WITHOUT_SETTINGS)
    assert ({"host", "port"} <= has) == (name in OF_A_SERVICE)


async def test_an_option_without_a_value_is_no_folder() -> None:
    refused = await recount("export", "--data-dir", "")

    assert (refused.returncode, "'--data-dir': is empty" in refused.stderr) == (2, True)


async def test_commands_show_the_labels_that_the_running_service_shows(tmp_path: Path) -> None:
    labels = tmp_path / "labels.toml"
    labels.write_text('[status]\nplanned = "Next up"\n')
    async with running(tmp_path / "data", env={"RECOUNT_LABELS": str(labels)}) as service:
        await service.run("send", *PAYLOADS)

        shown = await recount("history", "42", "--product", "647288130", "--data-dir", service.data_dir)

    assert "Next up" in shown.stdout, shown.stderr


async def test_doctor_looks_at_the_rules_that_the_running_service_has(tmp_path: Path) -> None:
    rule = """[[reaction]]
name = "told"
document = "subscription { events { position } }"
webhook = { url_env = "HOOK_URL", secret_env = "HOOK_SECRET" }
"""
    rules = tmp_path / "rules.toml"
    rules.write_text(rule)
    # Of the service alone: it is no fault of the rules that the doctor does not have them.
    variables = {"HOOK_URL": "https://hook.example.com/", "HOOK_SECRET": f"whsec_{'c' * 32}"}
    async with running(tmp_path / "data", env={"RECOUNT_REACTIONS": str(rules), **variables}) as service:
        fine = await _found_of_reactions(service)
        rules.write_text(f"{rule}colour = 1\n")  # refused while it runs, and at its next start
        wrong = await _found_of_reactions(service)

    assert ("fine", f"{rules} can be read; its variables are the service's") in fine
    [(_, told)] = [one for one in wrong if one[0] == "problem"]
    assert f"{rules}:5: " in told
    assert "colour" in told


async def _found_of_reactions(service: Running) -> list[tuple[str, str]]:
    looked = json.loads((await recount("doctor", "--data-dir", service.data_dir, "--json")).stdout)
    return [(one["state"], one["text"]) for one in looked if one["check"] == "reactions"]


async def test_the_samples_are_one_story_from_first_to_last_that_ends_with_a_board(tmp_path: Path) -> None:
    samples = sorted((folders.ROOT / "docs" / "samples").glob("*.json"))
    async with running(tmp_path / "data") as service:
        sent = await service.run("send", *samples)
        assert sent.returncode == 0, sent.stdout

        held = await service.ask(
            "query ($last: Position) { items(minPosition: $last) "
            "{ nodes { title deletedAt votes { up } } } "
            "events(first: 50, orderBy: {field: POSITION, direction: ASC}) { nodes { occurredAt } } "
            "quarantine { id } }",
            last=len(samples),
        )

    moments = [event["occurredAt"] for event in held["events"]["nodes"]]
    assert moments == sorted(moments)
    assert {moment[:4] for moment in moments} == {"2026"}
    assert len(moments) == len(samples)
    assert held["quarantine"] == []
    assert [item["deletedAt"] for item in held["items"]["nodes"]] == [None, None]


FORGOTTEN = (
    ("keys", "add", "board"),
    ("erase", "17", "--product", "647288130", "--yes"),
    ("export",),
    ("verify",),
    ("config", "--connection"),
    ("serve", "--port", "0"),
)


async def test_a_folder_that_goes_with_a_database_elsewhere_is_used_with_no_other(
    tmp_path: Path, database_url: str
) -> None:
    folder = tmp_path / "board"
    async with running(folder, env={"RECOUNT_DATABASE_URL": database_url}) as service:
        await service.post(PAYLOADS[0].read_bytes())
        refused = [await recount(*command, "--data-dir", folder) for command in FORGOTTEN]
        looked = json.loads((await recount("doctor", "--data-dir", folder, "--json")).stdout)

    for command, answer in zip(FORGOTTEN, refused, strict=True):
        assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (2, "", 1), command
        assert "RECOUNT_DATABASE_URL" in answer.stderr
        assert f"delete {folder / 'database.json'}" in answer.stderr
    assert [finding["check"] for finding in looked if finding["state"] == "problem"] == ["Postgres"]
    assert not (folder / "postgres").exists()

    (folder / "database.json").unlink()
    assert (await recount("keys", "add", "board", "--data-dir", folder)).returncode == 0
