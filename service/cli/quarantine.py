"""The quarantine: look at deliveries that could not be read as an event, retry or discard them."""

from __future__ import annotations

import sys

import click

from service.cli.database import on_log
from service.cli.options import data_dir_option, given_settings
from service.cli.terminal import Group, json_option, out, print_json, print_records
from service.errors import NotAnEvent
from service.log.database import Pool
from service.log.event_store import EventStore
from service.log.quarantine import Quarantine, Quarantined

LISTED_MAX = 1_000


@click.group(cls=Group)
def quarantine() -> None:
    """Deal with deliveries that are no events.

    Their bytes are kept. After the cause was mended (a newer version that reads them, say), retry; what is
    of no use, discard: that closes a delivery and keeps its bytes.
    """


@quarantine.command(name="list")
@click.option(
    "--state",
    type=click.Choice(["open", "retried", "discarded", "all"]),
    default="open",
    show_default=True,
    help="Which ones.",
)
@click.option("--product", "product_id", type=int, help="One product's only.")
@click.option(
    "--limit",
    type=click.IntRange(1, LISTED_MAX),
    default=100,
    show_default=True,
    help="How many, the newest first.",
)
@data_dir_option
@json_option
def list_quarantine(state: str, product_id: int | None, limit: int, as_json: bool) -> None:
    """List deliveries in the quarantine, the newest first."""

    async def ask(pool: Pool) -> list[Quarantined]:
        return await _quarantine(pool).list(
            state=None if state == "all" else state, product_id=product_id, limit=limit
        )

    columns = ("id", "product_id", "received_at", "copies", "size_bytes", "state", "reason")
    print_records(columns, [_told(found) for found in on_log(ask)], as_json)


def _told(found: Quarantined) -> dict[str, object]:
    return {**found._asdict(), "body": None if found.body is None else found.body.decode("utf-8", "replace")}


@quarantine.command(name="show")
@click.argument("id")
@click.option("--raw", is_flag=True, help="Write the bytes alone, exactly as they came.")
@data_dir_option
@json_option
def show_quarantine(id: str, raw: bool, as_json: bool) -> None:
    """Show one delivery with its bytes."""
    found = on_log(lambda pool: _quarantine(pool).show(id))
    if raw:
        sys.stdout.buffer.write(found.body or b"")
        return
    told = _told(found)
    if as_json:
        print_json(told)
        return
    body = told.pop("body")
    for name, value in told.items():
        out.print(f"{name:<18}{'' if value is None else value}", markup=False)
    out.print(f"\n{body}", markup=False)


@quarantine.command(name="retry")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every open one.")
@data_dir_option
@json_option
def retry_quarantine(ids: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Read deliveries once more and record those that now are events.

    Exits with 1 when one of them still is none.
    """
    results = on_log(lambda pool: _retry(pool, ids, everything))
    print_records(("id", "position", "duplicate", "error"), results, as_json)
    if any(result["error"] for result in results):
        raise SystemExit(1)


async def _retry(pool: Pool, ids: tuple[str, ...], everything: bool) -> list[dict[str, object]]:
    if not ids and not everything:
        raise click.UsageError("name ids, or --all")
    quarantine = _quarantine(pool)
    if everything:
        ids = tuple(found.id for found in await quarantine.list(limit=LISTED_MAX))
    results: list[dict[str, object]] = []
    for id in ids:
        try:
            appended = await quarantine.retry(id)
            results.append({"id": id, **appended._asdict(), "error": None})
        except NotAnEvent as error:
            results.append({"id": id, "position": None, "duplicate": None, "error": error.reason})
    return results


@quarantine.command(name="discard")
@click.argument("ids", nargs=-1, required=True)
@data_dir_option
def discard_quarantine(ids: tuple[str, ...]) -> None:
    """Close deliveries for good; their bytes are kept."""

    async def discard(pool: Pool) -> None:
        for id in ids:
            await _quarantine(pool).discard(id)

    on_log(discard)
    click.echo(f"{len(ids)} discarded")


def _quarantine(pool: Pool) -> Quarantine:
    return Quarantine(pool, EventStore(pool, untimed_window=given_settings().untimed_window))


COMMANDS: tuple[click.Command, ...] = (quarantine,)
