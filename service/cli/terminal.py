"""How commands talk: colour and bars on a terminal only, JSON for machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def web_address(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Return a URL that an option gave; what is none is refused without a word of it: it may hold a key."""
    try:
        parts = urlsplit("http://localhost" if value is None else value)
        right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise click.BadParameter("must be an address such as https://board.example.com/webhooks?key=…")
    return value


def without_key(url: str) -> str:
    """Return the address alone: the query holds the key, which belongs in no message."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def say_problem(text: str) -> None:
    """Print one refusal on standard error."""
    err.print("recount:", style="bold red", end=" ")
    err.print(text, markup=False)


def note(text: str) -> None:
    """Print something worth knowing on standard error, so that standard output stays the answer."""
    err.print(text, style="dim", markup=False)


def print_json(value: object) -> None:
    """Print one JSON value on a line of its own."""
    click.echo(orjson.dumps(value, default=str).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their columns: drawn on a terminal, separated by tabs elsewhere."""
    if not out.is_terminal:
        click.echo("\t".join(columns))
        for row in rows:
            click.echo("\t".join("" if cell is None else str(cell) for cell in row))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_as_text(cell) for cell in row))
    out.print(table)


def _as_text(cell: object) -> str:
    return "" if cell is None else str(cell).replace("[", r"\[")


def print_records(columns: Sequence[str], rows: Sequence[Mapping[str, object]], as_json: bool) -> None:
    """Print rows as a table, or as one JSON list."""
    if as_json:
        print_json([dict(row) for row in rows])
    else:
        print_table(columns, [[row.get(column) for column in columns] for row in rows])


class Advance(Protocol):
    """Says how far a long step has come: `done` of `total`, both in events."""

    def __call__(self, done: int, total: int) -> None: ...


@contextmanager
def progress_bar(title: str) -> Iterator[Advance]:
    """Give a function to call with (done, total); draws a bar with rate and time left on a terminal."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        console=err,
        disable=not err.is_terminal,
    )
    with bar:
        task = bar.add_task(title, total=1, rate="")

        def advance(done: int, total: int) -> None:
            speed = bar.tasks[task].speed
            bar.update(task, completed=done, total=max(total, 1), rate=f"{speed:,.0f}/s" if speed else "")

        yield advance
