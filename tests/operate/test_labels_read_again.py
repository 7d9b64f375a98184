"""The file of labels is read again when it changes, and says the same to the API and to commands."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.given.running import Running, recount, running
from tests.given.waiting import eventually

BODY = {
    "product_id": 7,
    "action": "item.create",
    "timestamp": 1_780_000_000,
    "data": {"feedback_id": 42, "title": "Dark mode", "status": "planned", "type": "t1"},
}
SAID = """{ products { sleekplanId name }
  items(minPosition: 1) { nodes { url typeLabel status { label role } } } }"""
FIRST = '[status]\nplanned = "Next up"\n[type]\nt1 = "Bug"\n[product]\n7 = "Calendar"\n'
SECOND = '[status]\nplanned = { label = "Later", role = "OPEN" }\n[product]\n7 = "Agenda"\n'


@pytest.fixture
async def labelled(tmp_path: Path) -> AsyncIterator[tuple[Running, Path]]:
    file = tmp_path / "labels.toml"
    file.write_text(FIRST)
    env = {
        "RECOUNT_LABELS": str(file),
        "RECOUNT_BOARD_URL": "https://board.example.com/,https://eight.example.com@8",
    }
    async with running(tmp_path / "data", env=env) as service:
        await service.post(json.dumps(BODY).encode())
        yield service, file


def replace(file: Path, text: str) -> None:
    """Write as editors do: beside, then in its place."""
    beside = file.with_suffix(".new")
    beside.write_text(text)
    os.replace(beside, file)


async def said(service: Running) -> tuple[str, str | None, str, str]:
    told = await service.ask(SAID)
    [item] = told["items"]["nodes"]
    [product] = told["products"]
    return item["status"]["label"], item["typeLabel"], item["status"]["role"], product["name"]


async def test_a_running_service_takes_what_the_file_says_now(labelled: tuple[Running, Path]) -> None:
    service, file = labelled
    assert await said(service) == ("Next up", "Bug", "ROADMAP", "Calendar")

    replace(file, SECOND)

    async def taken() -> bool:
        return await said(service) == ("Later", None, "OPEN", "Agenda")

    await eventually(taken)
    [item] = (await service.ask("{ items(filter: {statusRole: [OPEN]}) { nodes { title } } }"))["items"][
        "nodes"
    ]
    assert item["title"] == "Dark mode"


async def test_a_file_that_cannot_be_meant_changes_nothing_and_is_told_once(
    labelled: tuple[Running, Path],
) -> None:
    service, file = labelled

    replace(file, "[status\n")
    await eventually(lambda: "labels_refused" in service.said)
    assert await said(service) == ("Next up", "Bug", "ROADMAP", "Calendar")
    replace(file, SECOND)
    await eventually(lambda: "labels_read_again" in service.said)

    assert await said(service) == ("Later", None, "OPEN", "Agenda")
    assert service.said.count("labels_refused") == 1


async def test_an_item_has_its_address_on_the_board_of_its_product(labelled: tuple[Running, Path]) -> None:
    service, _ = labelled
    await service.post(json.dumps({**BODY, "product_id": 8}).encode())

    told = await service.ask("{ items(minPosition: 2) { nodes { productId url } } }")

    assert {(item["productId"], item["url"]) for item in told["items"]["nodes"]} == {
        ("7", "https://board.example.com/feedback/42"),
        ("8", "https://eight.example.com/feedback/42"),
    }


async def test_a_command_says_the_same_as_the_service_whose_folder_it_reads(
    labelled: tuple[Running, Path],
) -> None:
    service, _ = labelled
    await said(service)

    listed = json.loads((await service.run("labels", "list", "--json")).stdout)

    assert [(each["kind"], each["key"], each["label"], each["role"], each["items"]) for each in listed] == [
        ("status", "planned", "Next up", "ROADMAP", 1),
        ("type", "t1", "Bug", None, 1),
        ("product", "7", "Calendar", None, 1),
    ]


async def test_of_several_products_those_without_a_name_are_missing_one(
    labelled: tuple[Running, Path],
) -> None:
    service, file = labelled
    await service.post(json.dumps({**BODY, "product_id": 8}).encode())

    printed = (await service.run("labels", "missing")).stdout

    assert printed == '[product]\n8 = "8"  # 1 item, the latest: Dark mode\n'
    file.write_text(FIRST + printed.partition("\n")[2])
    assert (await service.run("labels", "missing")).stdout == ""


async def test_the_doctor_says_that_the_next_start_would_be_refused(labelled: tuple[Running, Path]) -> None:
    service, file = labelled

    async def found() -> list[dict[str, str]]:
        looked = await recount("doctor", "--data-dir", service.data_dir, "--json")
        return [each for each in json.loads(looked.stdout) if each["check"] == "labels"]

    assert [each["state"] for each in await found()] == ["fine"]

    replace(file, '[status]\nplanned = "Next up\n')

    [wrong] = await found()
    assert wrong["state"] == "problem"
    assert str(file) in wrong["text"]
    assert "mend the file" in wrong["mend"]
    assert (await said(service))[0] == "Next up"
