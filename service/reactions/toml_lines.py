"""Finds the line of a TOML file that says something, which its reader does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Final

_OPENS: Final = re.compile(r"""=\s*(?:\"{3}|'{3})\s*$""")


class TomlLines:
    """The lines of a file of `[[reaction]]` tables; all numbers count from 1.

    A line begins something where all before it can be read alone: it is not inside of a longer text then.
    """

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines(keepends=True)
        self.rules: Final = list(self._found(r"\[\[\s*reaction\s*\]\]", 0, len(self._lines)))
        """Where each rule begins."""

    @property
    def last(self) -> int:
        """The last line."""
        return max(len(self._lines), 1)

    def of_file(self, member: str) -> int:
        """Return where the file gives a member."""
        name = re.escape(member)
        return next(self._found(rf"{name}\s*=|\[+\s*{name}\b", 0, len(self._lines)), 1)

    def of_rule(self, index: int, member: str, line: int = 0) -> int:
        """Return where a rule gives a member, or a line of its text; else where the rule begins."""
        start = self.rules[index]
        end = self.rules[index + 1] - 1 if index + 1 < len(self.rules) else len(self._lines)
        found, inner = self._member(member, start, end)
        if not line or not inner:
            return found
        # A text that is opened at the end of a line begins in the next one.
        return found + line - 1 + bool(_OPENS.search(self._lines[found - 1]))

    def _member(self, member: str, start: int, end: int) -> tuple[int, bool]:
        """Return where a member like `message.text` is given, and whether in a line of its own."""
        for part in reversed(member.split(".")):
            name = re.escape(part)
            for found in self._found(rf"{name}\s*=|\[\s*reaction\s*\.\s*{name}\s*\]", start, end):
                return found, part == member.rpartition(".")[2]
        return start, False

    def _found(self, pattern: str, start: int, end: int) -> Iterator[int]:
        begins = re.compile(rf"\s*(?:{pattern})")
        for index in range(start, end):
            if begins.match(self._lines[index]) and _can_be_read("".join(self._lines[:index])):
                yield index + 1


def _can_be_read(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True
