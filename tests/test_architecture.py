"""The page on the architecture speaks of what is there, and a class name means one thing."""

from __future__ import annotations

import ast
import re
from collections import Counter

from service import errors
from service.errors import RecountError
from tests.given.folders import ROOT
from tests.given.long_files import LONGEST_FIRST

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


def test_a_class_name_means_one_thing() -> None:
    classes = Counter(
        node.name
        for package in ("service", "projections", "schema")
        for module in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )

    assert {name for name, count in classes.items() if count > 1} == set()


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    above, drawn = [RecountError.__name__], set()
    for indent, name in re.findall(r"^ {4}((?:[│ ] {3})*)[├└]── (\w+)", errors.__doc__ or "", re.M):
        above[len(indent) // 4 + 1 :] = [name]
        drawn.add((above[-2], name))

    there = [each for each in vars(errors).values() if isinstance(each, type) and each is not RecountError]
    assert drawn == {
        (each.__bases__[0].__name__, each.__name__) for each in there if issubclass(each, RecountError)
    }


def test_the_files_of_tests_that_are_begun_first_exist() -> None:
    assert [name for name in LONGEST_FIRST if not (ROOT / "tests" / name).is_file()] == []
