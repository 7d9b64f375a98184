"""Compare the log with the board: what no webhook told, made, changed or gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from service.cli.backfill import LINE_SECONDS, print_report, report_as_json, show_look
from service.cli.database import open_log_and_hub
from service.cli.options import data_dir_option, given_settings
from service.cli.terminal import json_option, print_json, progress_bar

if TYPE_CHECKING:
    from service.backfill.reconcile import WantedReconcile
    from service.backfill.report import SweepReport
    from service.config import Settings

CEILING_EXIT = 3


@click.command()
@click.option("--product", "product_id", type=click.IntRange(min=1), help="Which product's board it is.")
@click.option("--full", is_flag=True, help="Ask for all that belongs to items, not only where totals differ.")
@click.option(
    "--dry-run", is_flag=True, help="Ask for posts alone, write nothing, and say what differs and is gone."
)
@click.option(
    "--accept-deletions",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Record up to N of a kind as gone, where that is more than is believed.",
)
@click.option("--rate", type=click.FloatRange(0, 100, min_open=True), help="Most requests in a second.")
@data_dir_option
@json_option
def reconcile(
    product_id: int | None,
    full: bool,
    dry_run: bool,
    accept_deletions: int,
    rate: float | None,
    as_json: bool,
) -> None:
    """Find what no webhook told.

    Compares the log with the board, by Sleekplan's REST API: lost deliveries, edits, withdrawn votes,
    deletions and merges are recorded with the origin RECONCILE, and between which moments they happened.
    Light, it asks for votes, comments and followers only of items whose totals differ from what is known;
    with --full of all. Exits with 1 when something could not be read, and with 3 when more of a kind is gone
    than is believed: 10 and 2 %.
    """
    import uvloop

    from service.backfill.reconcile import WantedReconcile
    from service.backfill.run import WantedBoard

    settings = given_settings()
    if dry_run:
        show_look(settings, WantedBoard(product_id, rate=rate), as_json, gone=True)
        return
    report = uvloop.run(_reconcile(settings, WantedReconcile(product_id, full, accept_deletions, rate)))
    if as_json:
        print_json(report_as_json(report))
    else:
        print_report(report)
    if report.state != "COMPLETE":
        raise SystemExit(CEILING_EXIT if report.withheld else 1)


async def _reconcile(settings: Settings, wanted: WantedReconcile) -> SweepReport:
    from service.backfill.reconcile import reconcile as run_reconcile

    async with open_log_and_hub(settings) as (pool, hub):
        with progress_bar("comparing, requests", LINE_SECONDS) as advance:
            return await run_reconcile(pool, hub, settings, wanted, advance)


COMMANDS: tuple[click.Command, ...] = (reconcile,)
