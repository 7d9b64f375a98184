"""The router's map of which cell has a product: as a file, and in a HAProxy that runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from service.errors import SplitRefused, reason_of

_LINE: Final = re.compile(r"^(?P<product>[0-9]+)(?P<gap>[ \t]+)(?P<cell>[^ \t\r\n]+)", re.ASCII)
_ANSWER_SECONDS_MAX: Final = 10.0
_ENTRIES_AT_ONCE: Final = 100
_RUNNING: Final = "2"
"""What HAProxy calls a server that its check finds well: srv_op_state, in `show servers state`."""


class CellsMap:
    """`cells.map` of deploy/cells: a line for each product, with the cell that has it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def cells(self) -> dict[int, str]:
        """Return the cell of each product. Raises SplitRefused where the file cannot be read."""
        found = (_LINE.match(line) for line in self._text().splitlines())
        return {int(line["product"]): line["cell"] for line in found if line}

    def cell_of(self, products: Collection[int]) -> str:
        """Return the one cell that has these products. Raises SplitRefused where there is none."""
        cells = self.cells()
        if missing := sorted(set(products) - set(cells)):
            raise SplitRefused(
                f"{self.path} names no cell for product {missing[0]}: give it a line, such as "
                f"`{missing[0]} a`, and reload HAProxy"
            )
        had = sorted({cells[product] for product in products})
        if len(had) > 1:
            raise SplitRefused(
                f"{self.path} has these products on several cells ({', '.join(had)}): split one"
            )
        return had[0]

    def check_writable(self) -> None:
        """Raise SplitRefused where the file could not be replaced."""
        if not os.access(self.path, os.W_OK) or not os.access(self.path.parent, os.W_OK):
            raise SplitRefused(f"{self.path} or its folder cannot be written: run this as somebody who may")

    def send(self, products: Collection[int], cell: str) -> None:
        """Have the file name another cell for these products: whole, or as it was."""
        lines = (_sent(line, products, cell) for line in self._text().splitlines(keepends=True))
        try:
            number, name = tempfile.mkstemp(prefix=f".{self.path.name}-", dir=self.path.parent)
            new = Path(name)
            try:
                with open(number, "w", encoding="utf-8") as file:
                    file.writelines(lines)
                    file.flush()
                    os.fsync(file.fileno())
                shutil.copystat(self.path, new)
                owner = self.path.stat()
                with contextlib.suppress(PermissionError):
                    os.chown(new, owner.st_uid, owner.st_gid)
                new.replace(self.path)
            finally:
                new.unlink(missing_ok=True)
        except OSError as error:
            raise SplitRefused(f"{self.path} cannot be written ({error.strerror})") from None

    def _text(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SplitRefused(f"{self.path} cannot be read ({reason_of(error)})") from None


def _sent(line: str, products: Collection[int], cell: str) -> str:
    found = _LINE.match(line)
    if found is None or int(found["product"]) not in products:
        return line
    return f"{found['product']}{found['gap']}{cell}{line[found.end() :]}"


class RunningRouter:
    """A HAProxy that runs, by its socket (`stats socket … level admin`)."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    async def check(self, path: Path, cell: str) -> None:
        """Raise SplitRefused where it does not answer, or knows no such map or no such cell."""
        await self._number_of(path)
        if cell not in (await self._ask("show backend")).split():
            raise SplitRefused(
                f"HAProxy has no backend {cell}: give haproxy.cfg one, with its instances, and reload"
            )

    async def is_served(self, cell: str) -> bool:
        """Whether HAProxy finds an instance of a cell well."""
        rows = [line.split() for line in (await self._ask(f"show servers state {cell}")).splitlines()]
        return any(len(row) > 5 and row[1] == cell and row[5] == _RUNNING for row in rows)

    async def send(self, path: Path, products: Sequence[int], cell: str) -> None:
        """Have it send what names these products to a cell, from now on. Raises SplitRefused."""
        number = await self._number_of(path)
        for start in range(0, len(products), _ENTRIES_AT_ONCE):
            some = products[start : start + _ENTRIES_AT_ONCE]
            asked = (f"set map #{number} {product} {cell}" for product in some)
            if said := (await self._ask("; ".join(asked))).strip():
                raise SplitRefused(f"HAProxy did not take the change of its map: {said.splitlines()[0]}")
        entries = (line.split() for line in (await self._ask(f"show map #{number}")).splitlines())
        sent = {
            int(entry[1]) for entry in entries if len(entry) == 3 and entry[2] == cell and entry[1].isdigit()
        }
        if missing := sorted(set(products) - sent):
            raise SplitRefused(f"HAProxy's map has no product {missing[0]}: reload it, then run this again")

    async def _number_of(self, path: Path) -> str:
        """Return HAProxy's number of a map: of this path, as its configuration has it, or of this name."""
        known = list(_maps(await self._ask("show map")))
        for wanted in (str(path), path.name):
            for number, name in known:
                if wanted in (name, Path(name).name):
                    return number
        raise SplitRefused(f"the HAProxy at {self.socket} has read no map of the name {path.name}")

    async def _ask(self, command: str) -> str:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS_MAX):
                reader, writer = await asyncio.open_unix_connection(self.socket)
                try:
                    writer.write(command.encode() + b"\n")
                    return (await reader.read()).decode("utf-8", "replace")
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            raise SplitRefused(f"HAProxy does not answer at {self.socket} ({reason_of(error)})") from None


def _maps(said: str) -> Iterator[tuple[str, str]]:
    for line in said.splitlines():
        if found := re.match(r"(-?[0-9]+) \((.*?)\) ", line):
            yield found[1], found[2]
