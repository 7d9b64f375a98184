"""The projections: look at them, count them again, check them, and deal with events that they set aside."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import orjson

from service.cli.database import on_read_model, open_log, open_projected
from service.cli.options import data_dir_option, given_settings
from service.cli.terminal import (
    Group,
    agreed,
    at_most,
    for_people,
    json_option,
    out,
    print_fields,
    print_json,
    print_records,
    print_table,
    progress_bar,
)

if TYPE_CHECKING:
    from projections.rebuild.report import RebuildReport
    from projections.rebuild.verify import VerifyReport
    from service.log.database import Pool

FOUND = 3

_names = click.argument("names", nargs=-1, metavar="[NAME]...")


@click.command()
@_names
@click.option("--product", "product_id", type=int, help="Count one product alone.")
@click.option("--item", "item_id", help="Put in the rows of one item (Sleekplan's id); needs --product.")
@data_dir_option
@json_option
def rebuild(names: tuple[str, ...], product_id: int | None, item_id: str | None, as_json: bool) -> None:
    """Count projections again from the first event.

    All of them are, unless NAMEs are given. Queries are answered meanwhile, from the old tables until the
    new ones have caught up. Killed, the next rebuild goes on where it stopped. Returns once the new
    tables are in use. With --product one product is counted, and its rows are put in place of those in
    use; where it is most of a long log, all of it is counted instead.
    """
    if item_id is not None and product_id is None:
        raise click.UsageError("--item needs --product: ids are unique within a product")
    report = asyncio.run(_rebuild(names, product_id, item_id))
    if as_json:
        print_json(
            {
                "projections": report.projections,
                "events": report.events,
                "seconds": report.seconds,
                "rate": report.rate_per_second,
                "resumed_at": report.resumed_at,
            }
        )
    else:
        out.print(
            f"{', '.join(report.projections)}: {report.events:,} events in {for_people(report.seconds)} "
            f"({report.rate_per_second:,.0f}/s)"
        )


async def _rebuild(names: tuple[str, ...], product_id: int | None, item_id: str | None) -> RebuildReport:
    from projections.rebuild.rebuild import rebuild as run_rebuild

    async with open_log(given_settings()) as pool:
        with progress_bar("rebuilding") as advance:
            return await run_rebuild(
                pool, names or None, product_id=product_id, item_id=item_id, progress=advance
            )


@click.command()
@_names
@data_dir_option
@json_option
def verify(names: tuple[str, ...], as_json: bool) -> None:
    """Count again beside the tables in use, and compare.

    The copy is thrown away. Exits with 3 when a table differs; `recount rebuild` mends it.
    """
    report = asyncio.run(_verify(names))
    if as_json:
        print_json({"equal": report.equal, **asdict(report)})
    else:
        _print_verified(report)
    if not report.equal:
        raise SystemExit(FOUND)


async def _verify(names: tuple[str, ...]) -> VerifyReport:
    from projections.rebuild.verify import verify as run_verify

    async with open_projected(given_settings()) as (pool, _):
        with progress_bar("verifying") as advance:
            return await run_verify(pool, names or None, progress=advance)


def _print_verified(report: VerifyReport) -> None:
    rows = [
        (table.table, table.rows, table.rows_anew, "equal" if table.equal else "DIFFERENT")
        for table in report.tables
    ]
    print_table(("table", "rows", "rows counted again", ""), rows)
    for table in report.tables:
        for side, row in table.differences:
            out.print(f"{table.table}, {side}: {row}", markup=False)
    out.print(f"at position {report.position}, in {for_people(report.seconds)}")


@click.group(cls=Group)
def projections() -> None:
    """See how far the projections are, and drop what one left."""


@projections.command(name="list")
@data_dir_option
@json_option
def list_projections(as_json: bool) -> None:
    """List the projections with the state of each."""
    from projections.status import status

    columns = ("name", "state", "position", "head", "lag_seconds", "parked", "progress", "last_error")
    print_records(columns, [asdict(standing) for standing in on_read_model(status)], as_json)


@projections.command(name="drop")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def drop_projection(name: str, yes: bool) -> None:
    """Drop the tables of a projection that is installed no more.

    It is ABSENT in the list. The log is not touched: installed again, it is counted from the first event.
    """
    from projections.declare import check_absent, drop_absent

    async def drop(pool: Pool) -> list[str]:
        await check_absent(pool, name)
        if not yes:
            question = f"Drop the tables of the projection {name}?"
            await agreed(question)
        return await drop_absent(pool, name)

    out.print(f"dropped: {', '.join(on_read_model(drop))}", markup=False)


@click.group(cls=Group)
def parked() -> None:
    """Deal with events that a projection could not apply.

    Such an event is set aside with its error, and later events about the same thing wait behind it; all
    others go on. After the cause was mended (a newer version, say), retry.
    """


@parked.command(name="list")
@click.option("--waiting", is_flag=True, help="With those that only wait behind another.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many at most.")
@data_dir_option
@json_option
def list_parked(waiting: bool, limit: int, as_json: bool) -> None:
    """List the events that are set aside, the oldest first."""

    from projections.follow.parking import parked_list

    found = on_read_model(lambda pool: parked_list(pool, limit=limit + 1, waiting=waiting))
    columns = (
        "position",
        "product_id",
        "entity",
        "entity_id",
        "waiting",
        "waiting_events",
        "error",
        "parked_at",
    )
    print_records(columns, [asdict(each) for each in at_most(limit, found)], as_json)


@parked.command(name="show")
@click.argument("position", type=click.IntRange(min=1))
@data_dir_option
@json_option
def show_parked(position: int, as_json: bool) -> None:
    """Show one event that is set aside, with what it says and why it could not be applied."""

    from projections.follow.parking import parked_show
    from service.log.event_store import EventStore

    async def ask(pool: Pool) -> tuple[dict[str, object], str]:
        found = await parked_show(pool, position)
        [event] = await EventStore(pool).read_after(position - 1, 1)
        return asdict(found), event.data

    told, data = on_read_model(ask)
    if as_json:
        print_json({**told, "data": orjson.loads(data)})
    else:
        print_fields(told)
        out.print(f"\n{data}", markup=False)


@parked.command(name="retry")
@click.argument("position", type=click.IntRange(min=1), required=False)
@click.option("--all", "everything", is_flag=True, help="Every one that waits behind no other.")
@click.option("--projection", help="Of these, one projection's only.")
@data_dir_option
@json_option
def retry_parked(position: int | None, everything: bool, projection: str | None, as_json: bool) -> None:
    """Apply set-aside events, and those that wait behind them, in their places.

    Exits with 1 when one still cannot be applied.
    """
    if (position is not None) == everything:
        raise click.UsageError(f"name a position{' or --all, not both' if everything else ', or --all'}")
    if projection is not None and not everything:
        raise click.UsageError("--projection needs --all")
    if position is None:
        _retry_all(projection, as_json)
        return

    from projections.follow.parking import parked_retry

    retried = on_read_model(lambda pool: parked_retry(pool, position))
    if as_json:
        print_json(asdict(retried))
    elif retried.done:
        out.print(f"applied: {', '.join(map(str, retried.positions)) or 'nothing was left to do'}")
    else:
        out.print(f"still cannot be applied: {retried.error}", markup=False)
    if not retried.done:
        raise SystemExit(1)


def _retry_all(projection: str | None, as_json: bool) -> None:
    from projections.catalogue import all_projections
    from projections.follow.parking import parked_list, parked_retry
    from service.errors import ParkedUnknown, TablesOutdated, UnknownProjection

    async def ask(pool: Pool) -> list[dict[str, object]]:
        results: list[dict[str, object]] = []
        found = await parked_list(pool, limit=None, projection=projection)
        known = ["*", *(each.name for each in all_projections())]
        if not found and projection is not None and projection not in known:
            raise UnknownProjection(projection, known)
        with progress_bar("retrying") as advance:
            for done, each in enumerate(found, 1):
                told: dict[str, object] = {"projection": each.projection, "position": each.position}
                try:
                    told |= asdict(await parked_retry(pool, each.position, each.projection))
                except ParkedUnknown:  # it went with another, or somebody else was quicker
                    continue
                except (TablesOutdated, UnknownProjection) as error:
                    told |= {"positions": (), "error": str(error)}
                finally:
                    advance(done, len(found))
                results.append(told)
        return results

    results = on_read_model(ask)
    print_records(("projection", "position", "positions", "error"), results, as_json)
    if any(each["error"] for each in results):
        raise SystemExit(1)


COMMANDS: tuple[click.Command, ...] = (projections, rebuild, verify, parked)
