"""The page on the architecture speaks of files and folders that are there."""

from __future__ import annotations

import re

from tests.given.folders import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_every_file_that_it_names_exists() -> None:
    named = set(re.findall(r"`((?:service|projections|schema|tests|docs|bench)/[\w/.]*\w\.\w+)`", PAGE))

    assert len(named) > 30
    assert {name for name in named if not (ROOT / name).is_file()} == set()


def test_every_folder_of_the_program_has_its_line() -> None:
    folders = {
        f"{module.parent.relative_to(ROOT)}/"
        for package in ("service", "projections", "schema")
        for module in (ROOT / package).rglob("__init__.py")
    }

    listed = set(re.findall(r"^\| `([\w/]+/)`", PAGE, re.M))

    assert listed - {"tests/", "bench/"} == folders
