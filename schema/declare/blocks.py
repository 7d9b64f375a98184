"""Blocks of SQL, which never change once they are loaded, and the one way to put them together."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_NAME: Final = re.compile(r"(?<![:\w]):([a-z_]+)(?:\(([a-z_., ]*)\))?")


def named(text: str, replaced: Callable[[str, list[str]], str | None]) -> str:
    """Return a block with each `:name` or `:name(…)` replaced, given its arguments; None leaves it."""

    def replace(found: re.Match[str]) -> str:
        arguments = [each.strip() for each in (found[2] or "").split(",") if each.strip()]
        made = replaced(found[1], arguments)
        return found[0] if made is None else made

    return _NAME.sub(replace, text)


def put(block: str, **parts: str | Callable[..., str]) -> str:
    """Return a block with parts put where it names them; one that is a function is given the arguments.

    >>> put("select :columns(one) from {items} where :known(one)", columns=lambda row: f"{row}.title")
    'select one.title from {items} where :known(one)'
    """

    def replaced(name: str, arguments: list[str]) -> str | None:
        part = parts.get(name)
        return part if part is None or isinstance(part, str) else part(*arguments)

    return named(block, replaced)


def taking(name: str, block: str) -> Callable[[str], str]:
    """Return a block as a function of what it names so: of a `row`, of the moment `when`."""
    return lambda argument: put(block, **{name: argument})


def each(block: str, *columns: str) -> dict[str, str]:
    """Return a block once for each column, which it calls `:column`."""
    return {column: put(block, column=column) for column in columns}
