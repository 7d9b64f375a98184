"""Forgetting a person: look, erase, lift, and erase again after a restore."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from service.cli.database import on_log, open_projected
from service.cli.options import data_dir_option, given_settings
from service.cli.terminal import agreed, json_option, out, print_json, print_records, print_table
from service.errors import RecountError

if TYPE_CHECKING:
    from service.config import Settings
    from service.log.database import Pool
    from service.operate.erasure import Erased, Erasure, Preview
    from service.operate.redaction import Affected

PLACES_SHOWN = 100

T = TypeVar("T")


@click.command()
@click.argument("user", required=False)
@click.option("--product", "product_id", type=int, help="The product, where several know the person.")
@click.option(
    "--texts", is_flag=True, help="What the person wrote as well: titles, descriptions, comments, answers."
)
@click.option("--reason", default="asked on the command line", help="For the record. Put no name in it.")
@click.option("--dry-run", is_flag=True, help="List each place that would change, and why; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--list", "listing", is_flag=True, help="List who was erased, by id.")
@click.option("--lift", is_flag=True, help="Let USER be known again, from the next delivery on.")
@click.option(
    "--again", is_flag=True, help="Erase again whom the ledger names: after an older dump was restored."
)
@click.option(
    "--ledger",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The ledger to read with --again. Default: erasures.jsonl in the data folder.",
)
@data_dir_option
@json_option
def erase(
    user: str | None,
    product_id: int | None,
    texts: bool,
    reason: str,
    dry_run: bool,
    yes: bool,
    listing: bool,
    lift: bool,
    again: bool,
    ledger: Path | None,
    as_json: bool,
) -> None:
    """Forget a person.

    That is their name, address, picture, location, custom fields, and on demand their texts. USER is
    Sleekplan's id, your own id of them, or their address. They are redacted in the log, in the quarantine
    and in everything counted from them; votes and counts stay, without a name. What arrives of them later
    is redacted as it is recorded. This cannot be undone, and dumps taken before still hold them.
    """
    if listing:
        found = on_log(lambda pool: _erasure(pool, given_settings()).suppressions())
        print_records(("product_id", "user_id", "texts", "since"), [one._asdict() for one in found], as_json)
    elif again:
        done = asyncio.run(_with_erasure(lambda erasure: erasure.reapply(ledger)))
        print_records(("id", "product_id", "events", "quarantined"), [one._asdict() for one in done], as_json)
    elif user is None:
        raise click.UsageError("name the person: recount erase USER")
    elif lift:
        _lift(user, product_id)
    elif dry_run:
        preview = asyncio.run(_with_erasure(lambda erasure: _preview(erasure, user, product_id, texts)))
        _print_preview(preview, as_json)
    else:
        _erase(user, product_id, texts, reason, yes, as_json)


def _erase(user: str, product_id: int | None, texts: bool, reason: str, yes: bool, as_json: bool) -> None:
    async def run(erasure: Erasure) -> Erased:
        product, person = await erasure.find(user, product_id)
        if not yes:
            question = f"Erase user {person} of product {product}? This cannot be undone"
            await agreed(question)
        return await erasure.erase(product, person, texts=texts, reason=reason)

    erased = asyncio.run(_with_erasure(run))
    if as_json:
        print_json(erased._asdict())
    else:
        out.print(
            f"erased: {erased.events} events and {erased.quarantined} quarantined deliveries redacted. "
            "Dumps and exports taken before still hold the person: delete them"
        )


def _lift(user: str, product_id: int | None) -> None:
    async def run(erasure: Erasure) -> bool:
        product, person = await erasure.find(user, product_id)
        return await erasure.lift(product, person)

    if not asyncio.run(_with_erasure(run)):
        raise RecountError("this person was not erased; `recount erase --list` shows who was")
    click.echo("lifted: what is delivered from now on is kept; what was redacted stays so")


async def _preview(erasure: Erasure, user: str, product_id: int | None, texts: bool) -> Preview:
    product, person = await erasure.find(user, product_id)
    return await erasure.preview(product, person, texts=texts)


def _print_preview(preview: Preview, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "events": [_as_json(found) for found in preview.events],
                "quarantined": [_as_json(found) for found in preview.quarantined],
                "tables": [cell._asdict() for cell in preview.tables],
                "files": preview.files,
            }
        )
        return
    rows = [
        (
            found.position or str(found.quarantined),
            found.action or "",
            place.json_path,
            place.reason,
            place.context or "",
        )
        for found in (*preview.events, *preview.quarantined)
        for place in found.places
    ]
    rows += [
        (cell.table, "", cell.column or "the row", cell.reason, " ".join(map(str, cell.key.values())))
        for cell in preview.tables
    ]
    print_table(("where", "action", "place", "reason", "text"), rows[:PLACES_SHOWN])
    for name in preview.files:
        out.print(f"spool/{name} would be deleted: nobody can tell whose data it holds")
    out.print(
        f"{min(len(rows), PLACES_SHOWN)} of {len(rows)} places shown (--json: all), "
        f"in {len(preview.events)} events, {len(preview.quarantined)} deliveries of the quarantine "
        f"and {len({cell.table for cell in preview.tables})} tables"
    )


def _as_json(found: Affected) -> dict[str, Any]:
    where = {"id": str(found.quarantined)} if found.position is None else {"position": found.position}
    places = [
        {"path": place.json_path, "reason": place.reason, "context": place.context} for place in found.places
    ]
    return where | {"action": found.action, "at": found.at, "places": places}


async def _with_erasure(work: Callable[[Erasure], Coroutine[Any, Any, T]]) -> T:
    settings = given_settings()
    async with open_projected(settings) as (pool, _):
        return await work(_erasure(pool, settings))


def _erasure(pool: Pool, settings: Settings) -> Erasure:
    from projections.rebuild.after_erasure import count_again
    from service.operate.erasure import Erasure

    return Erasure(pool, partial(count_again, pool), data_dir=settings.data_dir)


COMMANDS: tuple[click.Command, ...] = (erase,)
