"""The log as lines that can be imported again, and the tables of the board as files for other tools."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, get_args

import click

from service.cli.database import open_log, open_projected
from service.cli.options import data_dir_option, given_settings
from service.cli.output import written
from service.cli.read import as_of_when
from service.cli.terminal import note, progress_bar
from service.operate.table_file import FileFormat

if TYPE_CHECKING:
    from service.operate.warehouse import WantedTable

LINES: Final = "jsonl"
TABLES: Final = (
    "items", "item_history", "status_periods", "votes", "vote_history", "comments", "users", "subscriptions",
    "changelog", "satisfaction", "events",
)  # fmt: skip
PERSONAL: Final = frozenset(("comments", "users", "satisfaction", "events"))
"""Those that have more for whoever may see what is personal: `board.users_personal`."""


@click.command()
@click.option(
    "--format",
    "kind",
    type=click.Choice((LINES, *get_args(FileFormat))),
    default=LINES,
    show_default=True,
    help="jsonl is the log, to be imported again; the others are tables, for other tools.",
)
@click.option("--of", "table", type=click.Choice(TABLES), help="Which table, with --format parquet or csv.")
@click.option(
    "--after",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Events alone: begin behind a position.",
)
@click.option("--product", "product_id", type=int, help="One product's rows only.")
@click.option(
    "--as-of", "when", metavar="WHEN", help="Items alone: as they were, as `recount asof` takes it."
)
@click.option("--recorded", is_flag=True, help="WHEN is on our clock: what was known then.")
@click.option(
    "--personal", is_flag=True, help="With personal columns, private notes of the team, and bodies of events."
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="A file, a FIFO or a device to write, or - for standard output, which is the default.",
)
@data_dir_option
def export(
    kind: str,
    table: str | None,
    after: int,
    product_id: int | None,
    when: str | None,
    recorded: bool,
    personal: bool,
    output: Path | None,
) -> None:
    """Write the log, or a table of the board, as a file.

    JSON lines are the log: an event a line, with the position, both clocks, the digest and the body, the
    bytes too where JSON cannot hold them; `recount import` of all lines into an empty log makes the same log.
    Who was erased comes first, by id.

    With --format parquet or csv a table of the schema `board` is written, all of it as of one moment:
    recount export --format parquet --of items -o items.parquet

    May run beside the service; what arrives meanwhile is left out.
    """
    if kind == LINES:
        if table or when or recorded or personal:
            raise click.UsageError("--of, --as-of, --recorded and --personal are of tables: add --format")
        with written(output) as file:
            asyncio.run(_export_lines(file, after, product_id))
        return
    wanted = _wanted(table, after, product_id, when, recorded, personal)
    with written(output) as file:
        asyncio.run(_export_table(file, wanted, kind))


async def _export_lines(file: BinaryIO, after: int, product_id: int | None) -> None:
    from service.operate.interchange import export as export_lines

    async with open_log(given_settings()) as pool:
        with progress_bar("exporting") as advance:
            async for line in export_lines(pool, after=after, product_id=product_id, advance=advance):
                file.write(line)


async def _export_table(file: BinaryIO, wanted: WantedTable, kind: Any) -> None:
    """Write a table, once everything recorded so far is projected."""
    from service.operate.warehouse import write_table

    async with open_projected(given_settings()) as (pool, _):
        rows, position = await write_table(pool, wanted, kind, file)
    note(f"{rows:,} rows; all up to position {position} is counted in")


def _wanted(
    table: str | None, after: int, product_id: int | None, when: str | None, recorded: bool, personal: bool
) -> WantedTable:
    if table is None:
        raise click.UsageError(f"--of says which table: {', '.join(TABLES)}")
    if after and table != "events":
        raise click.UsageError("--after is of events, which have positions")
    if (when or recorded) and (table != "items" or when is None):
        raise click.UsageError("--as-of is of items, and --recorded of --as-of")
    if personal and table not in PERSONAL:
        raise click.UsageError(f"{table} has nothing that is personal; {', '.join(sorted(PERSONAL))} have")
    from service.operate.warehouse import WantedTable

    wanted = WantedTable(table, personal, product_id, after)
    if when is None:
        return wanted
    as_of = as_of_when(when, recorded, datetime.now(UTC))
    if "position" in as_of:
        return wanted._replace(at=as_of["position"])
    return wanted._replace(at=datetime.fromisoformat(as_of["time"]), clock=as_of["clock"])


COMMANDS: tuple[click.Command, ...] = (export,)
