"""A release: the changelog's heading, the version, its bill of materials; or a sentence, and no change."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.given.folders import ROOT

CHANGES = (
    "# Changes\n\n## Not released yet\n\n### Added\n\n- A door.\n\n## 0.1.0 – 2026-01-02\n\n- A house.\n"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a release reads and writes, with a changelog of its own."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "release.py", tmp_path / ".ci")
    for name in ("pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "CHANGELOG.md").write_text(CHANGES)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


def release(checkout: Path, version: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / ".ci" / "release.py"), version]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_changelog_has_a_place_for_what_is_not_released_yet():
    text = (ROOT / "CHANGELOG.md").read_text()
    groups = re.findall(
        r"^### (.+)$", text.partition("\n## Not released yet\n")[2].partition("\n## ")[0], re.M
    )

    assert groups
    assert set(groups) <= {"Added", "Changed", "Fixed", "Removed"}


def test_a_release_names_the_version_and_the_day_and_lists_every_package(checkout):
    if not (ROOT / ".venv" / "release" / "bin" / "cyclonedx-py").exists():
        pytest.skip("the bill of materials: its tool is not installed (make release fetches it)")

    made = release(checkout, "0.2.0")

    assert made.returncode == 0, made.stderr
    assert re.search(
        r"^## 0\.2\.0 – \d{4}-\d\d-\d\d\n\n### Added", (checkout / "CHANGELOG.md").read_text(), re.M
    )
    assert '\nversion = "0.2.0"\n' in (checkout / "pyproject.toml").read_text()
    bill = json.loads((checkout / "dist" / "recount-feedback-0.2.0.cdx.json").read_text())
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([\w.]+)", (checkout / "requirements.txt").read_text(), re.M))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["version"] == "0.2.0"
    assert {part["name"]: part["version"] for part in bill["components"]} == pinned
    assert "- A door." in made.stdout


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("", "VERSION= is not of the form 1.2.0"),
        ("v2", "VERSION=v2 is not of the form 1.2.0"),
        ("0.1.0", "CHANGELOG.md has 0.1.0 already"),
    ],
)
def test_a_version_that_cannot_be_is_refused_and_nothing_changes(checkout, version, told):
    before = (checkout / "pyproject.toml").read_text()

    made = release(checkout, version)

    assert (made.returncode, told in made.stderr) == (1, True)
    assert (checkout / "CHANGELOG.md").read_text() == CHANGES
    assert (checkout / "pyproject.toml").read_text() == before


def test_a_release_of_nothing_is_refused(checkout):
    (checkout / "CHANGELOG.md").write_text(CHANGES.replace("### Added\n\n- A door.\n\n", ""))

    made = release(checkout, "0.2.0")

    assert (made.returncode, "tells nothing under" in made.stderr) == (1, True)
