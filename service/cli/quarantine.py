"""The quarantine: look at deliveries that could not be read as an event, retry or discard them."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from service.cli.database import on_log
from service.cli.options import data_dir_option, given_settings
from service.cli.terminal import (
    Group,
    agreed,
    at_most,
    err,
    json_option,
    out,
    print_fields,
    print_json,
    print_records,
    progress_bar,
)
from service.errors import NotAnEvent, ProductElsewhere, QuarantineClosed, QuarantineUnknown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from service.log.database import Pool
    from service.log.quarantine import Quarantine, Quarantined

READ_AT_ONCE = 1_000


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
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How many, the newest first.",
)
@data_dir_option
@json_option
def list_quarantine(state: str, product_id: int | None, limit: int, as_json: bool) -> None:
    """List deliveries in the quarantine, the newest first."""

    async def ask(pool: Pool) -> list[Quarantined]:
        async with _quarantine(pool) as quarantine:
            return await quarantine.list(
                state=None if state == "all" else state, product_id=product_id, limit=limit + 1
            )

    columns = ("id", "product_id", "received_at", "copies", "size_bytes", "state", "reason")
    print_records(columns, [_told(found) for found in at_most(limit, on_log(ask))], as_json)


def _told(found: Quarantined) -> dict[str, object]:
    return {**found._asdict(), "body": None if found.body is None else found.body.decode("utf-8", "replace")}


@quarantine.command(name="show")
@click.argument("id")
@click.option("--raw", is_flag=True, help="Write the bytes alone, exactly as they came.")
@data_dir_option
@json_option
def show_quarantine(id: str, raw: bool, as_json: bool) -> None:
    """Show one delivery with its bytes."""

    async def ask(pool: Pool) -> Quarantined:
        async with _quarantine(pool) as quarantine:
            return await quarantine.show(id)

    found = on_log(ask)
    if raw:
        sys.stdout.buffer.write(found.body or b"")
        return
    told = _told(found)
    if as_json:
        print_json(told)
        return
    body = told.pop("body")
    print_fields(told)
    out.print(f"\n{body}", markup=False)


_everything = click.option("--all", "everything", is_flag=True, help="Every open one.")


@quarantine.command(name="retry")
@click.argument("ids", nargs=-1)
@_everything
@data_dir_option
@json_option
def retry_quarantine(ids: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Read deliveries once more and record those that now are events.

    Exits with 1 when one of them still is none.
    """
    _named(ids, everything)
    results: list[dict[str, object]] = []

    async def retry(quarantine: Quarantine, id: str) -> None:
        told: dict[str, object] = {"id": id, "position": None, "duplicate": None, "error": None}
        results.append(told)
        try:
            told |= (await quarantine.retry(id))._asdict()
        except NotAnEvent as error:
            told["error"] = error.reason
        except (ProductElsewhere, QuarantineUnknown, QuarantineClosed) as error:
            told["error"] = str(error)

    async def run(pool: Pool) -> None:
        async with _quarantine(pool) as quarantine:
            await _each(quarantine, ids or await _open(quarantine), "retrying", retry)

    on_log(run)
    print_records(("id", "position", "duplicate", "error"), results, as_json)
    if any(result["error"] for result in results):
        raise SystemExit(1)


@quarantine.command(name="discard")
@click.argument("ids", nargs=-1)
@_everything
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def discard_quarantine(ids: tuple[str, ...], everything: bool, yes: bool) -> None:
    """Close deliveries for good; their bytes are kept.

    Exits with 1 when one of them was closed before, or is unknown.
    """
    _named(ids, everything)
    refused: list[str] = []

    async def discard(quarantine: Quarantine, id: str) -> None:
        try:
            await quarantine.discard(id)
        except (QuarantineUnknown, QuarantineClosed) as error:
            refused.append(str(error))

    async def run(pool: Pool) -> int:
        async with _quarantine(pool) as quarantine:
            found = ids or await _open(quarantine)
            if everything and found and not yes:
                question = f"Close {len(found):,} deliveries for good? None of them can be retried then"
                await agreed(question)
            await _each(quarantine, found, "discarding", discard)
        return len(found) - len(refused)

    click.echo(f"{on_log(run)} discarded")
    for problem in refused:
        err.print(problem, markup=False)
    if refused:
        raise SystemExit(1)


def _named(ids: Sequence[str], everything: bool) -> None:
    if bool(ids) == everything:
        raise click.UsageError("name ids, or --all" if not ids else "name ids or --all, not both")


async def _each(
    quarantine: Quarantine, ids: Sequence[str], title: str, act: Callable[[Quarantine, str], Awaitable[None]]
) -> None:
    """Do something with each delivery, saying how far it is."""
    with progress_bar(title) as advance:
        for done, id in enumerate(ids, 1):
            await act(quarantine, id)
            advance(done, len(ids))


async def _open(quarantine: Quarantine) -> list[str]:
    """Return the ids of all open ones, the oldest first: retried, they are recorded as they arrived."""
    found: list[Quarantined] = []
    while page := await quarantine.list(limit=READ_AT_ONCE, before=found[-1].id if found else None):
        found += page
    return [each.id for each in reversed(found)]


@asynccontextmanager
async def _quarantine(pool: Pool) -> AsyncIterator[Quarantine]:
    from service.log.event_store import EventStore
    from service.log.quarantine import Quarantine

    store = EventStore(pool, untimed_window=given_settings().untimed_window)
    try:
        yield Quarantine(pool, store)
    finally:
        await store.close()  # else the pool waits for its connection for ever


COMMANDS: tuple[click.Command, ...] = (quarantine,)
