"""Loads the named SQL statements of the .sql file beside a module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

_NAME_LINE = re.compile(r"^-- name: *(\S*) *$", re.MULTILINE)


def load(package_file: str, name: str) -> Mapping[str, str]:
    """Return the statements of the file `name` beside `package_file`, by the name on their `-- name:` line.

    Comments stay in the statement, so that a slow query in Postgres's log still says what it is for.
    What stands above the first name is for the reader only. Raises ValueError for a name that is
    missing, empty or given twice, and for a statement without text.
    """
    return MappingProxyType(dict(_statements(Path(package_file).parent / name)))


@cache
def _statements(path: Path) -> tuple[tuple[str, str], ...]:
    _, *parts = _NAME_LINE.split(path.read_text(encoding="utf-8"))
    statements: dict[str, str] = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        if not name or name in statements:
            raise ValueError(f"{path.name}: the name {name!r} is empty or given twice")
        if not _has_sql(text):
            raise ValueError(f"{path.name}: {name} has no statement")
        statements[name] = text.strip()
    if not statements:
        raise ValueError(f"{path.name}: no `-- name:` line")
    return tuple(statements.items())


def _has_sql(text: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("--") for line in text.splitlines())
