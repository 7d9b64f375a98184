"""Named statements in .sql files: how they are read, and what a slip in one is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.sql_files import load
from tests.given.folders import ROOT

_LOADS = re.compile(r"""\b_sql = load\(__file__, "(\w+\.sql)"\)""")
MODULES = {
    module.relative_to(ROOT): loaded[1]
    for package in ("service", "projections", "schema")
    for module in sorted((ROOT / package).rglob("*.py"))
    if (loaded := _LOADS.search(module.read_text(encoding="utf-8")))
}


@pytest.fixture
def beside(tmp_path: Path) -> str:
    """The path of a module that need not exist: its folder is what counts."""
    return str(tmp_path / "module.py")


def test_each_statement_is_found_by_its_name_with_its_comments(tmp_path, beside):
    (tmp_path / "q.sql").write_text(
        "-- Hi.\n\n-- name: head\n-- The newest position.\nselect 1;\n\n-- name: tail\nselect 2;\n"
    )

    assert load(beside, "q.sql") == {"head": "-- The newest position.\nselect 1;", "tail": "select 2;"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("select 1;", "no `-- name:` line"),
        ("-- name:\nselect 1;", "the name '' is empty or given twice"),
        ("-- name: a\nselect 1;\n-- name: a\nselect 2;", "the name 'a' is empty or given twice"),
        ("-- name: a\n-- name: b\nselect 2;", "a has no statement"),
        ("-- name: a\n-- only a remark\n", "a has no statement"),
    ],
)
def test_a_slip_is_told_with_the_file_and_the_name(tmp_path, beside, text, reason):
    (tmp_path / "q.sql").write_text(text)

    with pytest.raises(ValueError, match=r"q\.sql: ") as caught:
        load(beside, "q.sql")

    assert reason in str(caught.value)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_runs_every_statement_of_its_file(module):
    text = (ROOT / module).read_text(encoding="utf-8")

    assert [name for name in load(str(ROOT / module), MODULES[module]) if f'"{name}"' not in text] == []


def test_a_file_of_sql_is_loaded_by_one_module():
    files = [module.parent / name for module, name in MODULES.items()]

    assert len(files) >= 18
    assert sorted(set(files)) == sorted(files)
