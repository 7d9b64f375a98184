"""The rules that docs/reactions.md shows are rules, and tell what it says of the documentation's samples."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schema.answer.execute import Operations
from schema.build import build_schema
from service.reactions.rules_file import read_rules
from tests.given.folders import ROOT
from tests.given.receiver import SECRET, receiving
from tests.given.running import recount, running
from tests.given.waiting import eventually

PAGE = (ROOT / "docs" / "reactions.md").read_text()
SHOWN = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
SAMPLES = sorted((ROOT / "docs" / "samples").glob("*.json"))
TOLD = {
    "promises": ["promises_10", "promises_12"],
    "new-from-pro": ["new-from-pro_2"],
    "addresses": ["addresses_1"],
}
TEXTS = [
    "“Dark mode, by schedule too” moved to Planned",
    "“Dark mode, by schedule too” moved to Complete",
    "“Dark mode, by schedule too” has shipped. 0 people waited for it.",
]


def _whole(folder: Path) -> str:
    """All that the page shows as one file: what is said of the file goes before the rules."""
    (folder / "crm").write_text(SECRET)
    shown = sorted(SHOWN, key=lambda block: "[[reaction]]" in block)
    return "\n".join(shown).replace("/run/secrets/crm", str(folder / "crm"))


def _variables(url: str, people: str) -> dict[str, str]:
    names = set(re.findall(r'_env = "(\w+)"', PAGE))
    given = {name: SECRET if name.endswith("_SECRET") else url for name in names}
    return given | {"CHANNEL": people, "ONCALL": people, "NATS_URL": "nats://streams.example.com:4222"}


async def test_each_rule_that_is_shown_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _variables("https://crm.example.com/hooks", "json://chat.example.com/hook").items():
        monkeypatch.setenv(name, value)
    (tmp_path / "reactions.toml").write_text(_whole(tmp_path))
    operations = Operations(build_schema())

    file = await read_rules(tmp_path / "reactions.toml", operations)

    operations.close()
    assert len(file.reactions) == PAGE.count("[[reaction]]")


async def test_the_rules_tell_what_the_page_says(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "reactions.toml").write_text(_whole(tmp_path))
    async with receiving() as receiver:
        env = _variables(receiver.url, receiver.people) | {
            "RECOUNT_DATABASE_URL": database_url,
            "RECOUNT_REACTIONS": str(tmp_path / "reactions.toml"),
        }
        async with running(tmp_path / "data", env=env) as service:
            begun = PAGE.count("[[reaction]]")

            async def all_begun() -> bool:
                ended = await service_list(service.data_dir, env)
                return ended.count("RUNNING") == begun

            await eventually(all_begun, 60)
            await service.run("send", *SAMPLES)
            await eventually(lambda: _all_told({*receiver.ids}), 60)
            await eventually(lambda: len(receiver.texts) >= len(TEXTS), 60)
            tried = await recount(
                "reactions",
                "test",
                "promises",
                "--send",
                env=env | {"RECOUNT_DATA_DIR": str(service.data_dir)},
            )

    assert receiver.forged == 0
    assert sorted(receiver.texts) == sorted(TEXTS)
    for rule, ids in TOLD.items():
        told = [id for id in receiver.ids if id.startswith(f"{rule}_")]
        assert [id for id in told if "trial" not in id] == ids
    assert tried.returncode == 0, tried.stderr
    assert re.search(r'"id":"promises_12_[0-9a-f]{8}_trial_', tried.stdout)
    assert receiver.ids[-1].startswith("promises_12_trial")


async def service_list(data_dir: Path, env: dict[str, str]) -> str:
    return (await recount("reactions", "list", env=env | {"RECOUNT_DATA_DIR": str(data_dir)})).stdout


def _all_told(ids: set[str]) -> bool:
    return ids >= {id for expected in TOLD.values() for id in expected}
