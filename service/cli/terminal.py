"""How commands talk: colour and bars on a terminal only, JSON for machines."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

import click
import orjson
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from service.errors import NobodyAnswered


class Screen(Console):
    """A console on which a text is nothing but a text, whoever wrote it."""

    def __init__(self, **options: Any) -> None:
        # Texts are told as they are: `:bug:` in a title or a file's name is no picture.
        super().__init__(highlight=False, soft_wrap=True, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as it is to be drawn."""
        return super().render_str(harmless(text), **options)


out = Screen()
err = Screen(stderr=True)

Row = TypeVar("Row")

_GAP: Final = "  "
_WORD_WIDTH_MAX: Final = 40
_ACTING: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal acts on, or turns the rest of a line around by, rather than show it."""


class Group(click.Group):
    """A group of commands whose help shows the first sentence of each whole."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with its sentence, on as many lines as it takes."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(limit=1_000)) for name, command in self.commands.items()]
            )


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def harmless(text: str) -> str:
    """Return a text whose control characters are shown: a title that clears the screen is a stranger's.

    As JSON and TOML write them, so that what is to be pasted into a file of these stays the same.

    >>> harmless("\\x1b[2J gone")
    '\\\\u001b[2J gone'
    """
    return _ACTING.sub(lambda acting: f"\\u{ord(acting[0]):04x}", text)


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


async def agreed(question: str, otherwise: str = "--yes goes without asking") -> None:
    """Come back where the answer is yes. Raises Abort where it is no, NobodyAnswered where there is none."""
    try:
        yes = await asyncio.to_thread(click.confirm, question, err=True)
    except click.Abort:
        click.echo(err=True)  # the question's line has no end yet
        raise NobodyAnswered(otherwise) from None
    if not yes:
        raise click.Abort


def note(text: str) -> None:
    """Print something worth knowing on standard error, so that standard output stays the answer."""
    err.print(text, style="dim", markup=False)


def print_json(value: object) -> None:
    """Print one JSON value on a line of its own."""
    click.echo(orjson.dumps(value, default=str).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their columns: drawn on a terminal, separated by tabs elsewhere.

    On a terminal an id stands in one piece, to be copied; texts are folded. Where the words of all columns do
    not fit beside each other, each row is a block with a line a column.
    """
    if not out.is_terminal:
        click.echo("\t".join(columns))
        for row in rows:
            click.echo("\t".join(" ".join(re.split(r"[\t\n]", harmless(_plainly(cell)))) for cell in row))
        return
    cells = [[_as_text(cell) for cell in row] for row in rows]
    widths = [max(map(_word_width, texts)) for texts in zip(columns, *cells, strict=True)]
    if sum(widths) + len(_GAP) * len(columns) > out.width:
        _print_blocks(columns, cells)
        return
    table = Table(box=None, header_style="bold", padding=(0, len(_GAP), 0, 0))
    for column, *texts in zip(columns, *cells, strict=True):
        table.add_column(column, overflow="fold", no_wrap=all(map(_is_word, texts)))
    for texts in cells:
        table.add_row(*map(Text, texts))
    out.print(table)


def _print_blocks(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    name_width = max(map(len, columns))
    for row in rows:
        for column, text in zip(columns, row, strict=True):
            out.print(f"{column:<{name_width}}", style="bold", end=_GAP, markup=False)
            out.print(text, markup=False)
        out.print("")


def _is_word(text: str) -> bool:
    return " " not in text and cell_len(text) <= _WORD_WIDTH_MAX


def _word_width(text: str) -> int:
    """The place that the longest word takes; what is longer than any id is of a text, and may be broken."""
    return min(max(map(cell_len, text.split()), default=0), _WORD_WIDTH_MAX)


def _as_text(cell: object) -> str:
    if isinstance(cell, datetime):
        return f"{cell.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return harmless(_plainly(cell))


def _plainly(cell: object) -> str:
    return "" if cell is None else str(cell)


def print_records(columns: Sequence[str], rows: Sequence[Mapping[str, object]], as_json: bool) -> None:
    """Print rows as a table, or as one JSON list."""
    if as_json:
        print_json([dict(row) for row in rows])
    else:
        print_table(columns, [[row.get(column) for column in columns] for row in rows])


def print_fields(fields: Mapping[str, object]) -> None:
    """Print what one thing says, a line each."""
    width = max(map(len, fields)) + len(_GAP)
    for name, value in fields.items():
        out.print(f"{name:<{width}}{'' if value is None else value}", markup=False)


def at_most(limit: int, rows: Sequence[Row]) -> Sequence[Row]:
    """Return at most so many of rows of which one more was asked for, and say so if that one was there."""
    if len(rows) > limit:
        note(f"--limit {limit} was reached, and there are more")
    return rows[:limit]


class Advance(Protocol):
    """Says how far a long step has come: `done` of `total`, both in events."""

    def __call__(self, done: int, total: int) -> None: ...


@contextmanager
def progress_bar(title: str, line_seconds: float = 5) -> Iterator[Advance]:
    """Give a function to call with (done, total), which tells how far it is, how fast, and how long yet.

    On a terminal it draws a bar; elsewhere it writes a line on standard error every `line_seconds`.
    """
    if not err.is_terminal:
        yield _lines(title, line_seconds)
        return
    bar = Progress(
        SpinnerColumn(finished_text=" "),  # moves within a step of SQL, too
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        console=err,
    )
    with bar:
        task = bar.add_task(title, total=1, rate="")

        def advance(done: int, total: int) -> None:
            speed = bar.tasks[task].speed
            bar.update(task, completed=done, total=max(total, 1), rate=f"{speed:,.0f}/s" if speed else "")

        yield advance


def _lines(title: str, seconds: float) -> Advance:
    started = told = time.monotonic()
    said = -1

    def advance(done: int, total: int) -> None:
        nonlocal told, said
        now = time.monotonic()
        if now - told < seconds or now == started or done == said:
            return
        told, said, rate = now, done, done / (now - started)
        left = f", {for_people(max(total - done, 0) / rate)} left" if rate else ""
        err.print(f"{title}: {done:,} of {total:,}, {rate:,.0f}/s{left}", markup=False)

    return advance


def for_people(seconds: float) -> str:
    """Return a span in its two largest units, as people say it.

    >>> for_people(14_418_000), for_people(11_520), for_people(59.6), for_people(0.25)
    ('166 d 21 h', '3 h 12 min', '1 min', '0.2 s')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    left, parts = round(seconds), []
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        parts.append((count, unit))
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)
