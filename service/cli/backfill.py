"""The board that was there before: fetch it by Sleekplan's REST API, and see how that went."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
import uvloop

from projections.declare import declare
from projections.read_model import Reader
from service.backfill.choose import choose
from service.backfill.estimate import CHILDREN, KINDS, ORDINARY, Kind
from service.backfill.look import Look
from service.backfill.look import look as run_look
from service.cli.database import open_log
from service.cli.options import data_dir_option, given_settings
from service.cli.terminal import for_people, json_option, note, out, print_json
from service.config import Settings
from service.sleekplan.client import sleekplan
from service.sleekplan.pace import Pace


def _kinds(context: click.Context, parameter: click.Parameter, value: str | None) -> frozenset[Kind] | None:
    if value is None:
        return None
    names = {name.strip() for name in value.split(",")}
    unknown = sorted(names - set(KINDS))
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)}: there are {', '.join(KINDS)}")
    return frozenset(kind for kind in KINDS if kind in names)


@click.command()
@click.option("--product", "product_id", type=click.IntRange(min=1), help="Which product's board it is.")
@click.option(
    "--dry-run", is_flag=True, help="Ask for the posts alone, write nothing, and say what it takes."
)
@click.option("--only", callback=_kinds, metavar="KIND,…", help="Only these of what a board holds.")
@click.option("--without", callback=_kinds, metavar="KIND,…", help="All but these.")
@click.option("--rate", type=click.FloatRange(0, 100, min_open=True), help="Most requests in a second.")
@data_dir_option
@json_option
def backfill(
    product_id: int | None,
    dry_run: bool,
    only: frozenset[Kind] | None,
    without: frozenset[Kind] | None,
    rate: float | None,
    as_json: bool,
) -> None:
    """Fetch what was there before the first webhook.

    Asks Sleekplan's REST API, with RECOUNT_SLEEKPLAN_API_KEY, for all that still stands on the board. KINDs
    are users, posts, comments, votes, subscribers, updates, satisfaction and promoter, the last of which only
    --only brings.
    """
    if not dry_run:
        raise click.UsageError("there is only --dry-run so far")
    kinds = (ORDINARY if only is None else only) - (without or frozenset())
    settings = given_settings()
    rate = settings.sleekplan_rate if rate is None else rate
    told = uvloop.run(_look(settings, product_id, kinds, rate))
    if as_json:
        print_json(_as_json(told, rate))
    else:
        for line in _in_words(told, kinds, rate):
            out.print(line, markup=False)


async def _look(settings: Settings, product_id: int | None, kinds: frozenset[Kind], rate: float) -> Look:
    async with open_log(settings, makes=True) as pool:
        async with pool.acquire() as connection:
            await declare(connection)
        reader = Reader(pool)
        product_id, key = await choose(settings.sleekplan_api_key, product_id, reader)
        async with sleekplan(settings.sleekplan_api_url, key, Pace(rate)) as client:
            return await run_look(client, reader, product_id, kinds)


def _as_json(told: Look, rate: float) -> dict[str, Any]:
    return {
        "product_id": told.product_id,
        "items": told.estimate.items,
        **{str(kind): rows for kind, rows in told.estimate.rows.items()},
        "requests": told.estimate.requests,
        "seconds": round(told.estimate.requests / rate, 1),
        "known": told.known,
        "known_otherwise": told.otherwise,
        "unknown": told.unknown,
        "rows_of_other_products": told.other_products,
        "clock_ahead_seconds": told.ahead_seconds,
        "first_page": told.forms.first_pages.get("posts"),
        "contract": told.contract.report(),
    }


def _in_words(told: Look, kinds: frozenset[Kind], rate: float) -> Iterable[str]:
    counted = told.estimate
    yield f"product {told.product_id}: {counted.items:,} items on the board"
    for kind in CHILDREN:
        if kind in kinds:
            yield f"  {counted.rows[kind]:,} {kind}"
    yield (
        f"the log knows {told.known:,} of the items as they are, {told.otherwise:,} otherwise, "
        f"and {told.unknown:,} not"
    )
    yield (
        f"{counted.requests:,} requests for what belongs to items, {for_people(counted.requests / rate)} at "
        f"{rate:g} a second; one more for each hundred items, users, entries and answers"
    )
    if told.other_products:
        note("rows name another product than this; the log's is taken")


COMMANDS: tuple[click.Command, ...] = (backfill,)
