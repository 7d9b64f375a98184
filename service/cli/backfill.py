"""The board that was there before: fetch it by Sleekplan's REST API, and see how that went."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from service.cli.database import on_log, open_log_and_hub, open_read_model
from service.cli.options import data_dir_option, given_settings
from service.cli.terminal import (
    Group,
    at_most,
    for_people,
    json_option,
    note,
    out,
    print_fields,
    print_json,
    print_records,
    progress_bar,
)
from service.errors import NoApiKey

if TYPE_CHECKING:
    from service.backfill.compare import Kind
    from service.backfill.look import Look
    from service.backfill.report import SweepReport
    from service.backfill.run import WantedBoard
    from service.backfill.sweeps import ScopesCounted
    from service.config import Settings

LINE_SECONDS = 60


def _kinds(context: click.Context, parameter: click.Parameter, value: str | None) -> frozenset[Kind] | None:
    if value is None:
        return None
    from service.backfill.compare import KINDS

    names = {name.strip() for name in value.split(",")}
    unknown = sorted(names - set(KINDS))
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)}: there are {', '.join(KINDS)}")
    return frozenset(kind for kind in KINDS if kind in names)


@click.command()
@click.option("--product", "product_id", type=click.IntRange(min=1), help="Which product's board it is.")
@click.option("--dry-run", is_flag=True, help="Ask for posts alone, write nothing, and say what it takes.")
@click.option("--only", callback=_kinds, metavar="KIND,…", help="Only these of what a board holds.")
@click.option("--without", callback=_kinds, metavar="KIND,…", help="All but these.")
@click.option(
    "--users",
    type=click.Choice(["basic", "full", "none"]),
    default="basic",
    show_default=True,
    help="What of users: basic leaves out addresses, places and what customers added.",
)
@click.option("--rate", type=click.FloatRange(0, 100, min_open=True), help="Most requests in a second.")
@click.option("--restart", is_flag=True, help="Begin anew where one was stopped, rather than go on.")
@data_dir_option
@json_option
def backfill(
    product_id: int | None,
    dry_run: bool,
    only: frozenset[Kind] | None,
    without: frozenset[Kind] | None,
    users: str,
    rate: float | None,
    restart: bool,
    as_json: bool,
) -> None:
    """Fetch what was there before the first webhook.

    Asks Sleekplan's REST API, with RECOUNT_SLEEKPLAN_API_KEY, for all that still stands on the board, and
    records what the log does not know: each thing at its own date, how it is now at the moment it was seen.
    May run beside the service. Stopped, the same call goes on where it was; done, another one records
    nothing. KINDs are users, posts, comments, votes, subscribers, updates and satisfaction. Exits with 1
    when something is missing, which is listed.
    """
    import uvloop

    from service.backfill.estimate import EVERYTHING
    from service.backfill.run import WantedBoard

    kinds = (EVERYTHING if only is None else only) - (without or frozenset())
    if users == "none":
        kinds -= {"users"}
    wanted = WantedBoard(product_id, kinds, users == "full", rate, restart)
    settings = given_settings()
    if not settings.sleekplan_api_key:
        raise NoApiKey(product_id)
    if dry_run:
        show_look(settings, wanted, as_json)
        return
    report = uvloop.run(_backfill(settings, wanted))
    if as_json:
        print_json(report_as_json(report))
    else:
        print_report(report)
    if report.state != "COMPLETE":
        raise SystemExit(1)


async def _backfill(settings: Settings, wanted: WantedBoard) -> SweepReport:
    from service.backfill.run import backfill as run_backfill

    async with open_log_and_hub(settings, makes=True) as (pool, hub):
        with progress_bar("fetching, requests", LINE_SECONDS) as advance:
            return await run_backfill(pool, hub, settings, wanted, advance)


def report_as_json(report: SweepReport) -> dict[str, Any]:
    """Return how a sweep went."""
    recorded = [{"action": action, "events": count} for action, count in sorted(report.recorded.items())]
    scopes = [scope._asdict() for scope in report.scopes]
    withheld = [each._asdict() for each in report.withheld]
    return {**asdict(report), "recorded": recorded, "scopes": scopes, "withheld": withheld}


def print_report(report: SweepReport) -> None:
    """Say how a sweep went."""
    for line in _report_in_words(report):
        out.print(line, markup=False)


def _report_in_words(report: SweepReport) -> Iterator[str]:
    went_on = ", gone on with" if report.resumed else ""
    yield f"sweep {report.sweep}{went_on}: {report.state.lower()}, {report.requests:,} requests"
    for action, count in sorted(report.recorded.items()):
        yield f"  {count:,} {action}"
    if not report.recorded:
        yield "  nothing that the log did not know"
    yield from _missing(report.scopes)
    if report.problem:
        yield f"stopped: {report.problem}" if not report.withheld else f"not recorded: {report.problem}"
    if report.spared:
        yield f"{report.spared:,} votes are not listed as their people are gone; they stay"
    if report.dates_ahead:
        yield f"{report.dates_ahead:,} dates lay ahead of Sleekplan's clock and were not taken"
    if report.loops:
        yield f"gave the same page again and again, or no end: {', '.join(report.loops)}"


def _missing(scopes: list[ScopesCounted]) -> Iterator[str]:
    from service.backfill.absence import AGAIN

    forbidden = [scope for scope in scopes if scope.state == "FORBIDDEN"]
    if forbidden:
        names = dict.fromkeys(scope.scope.removesuffix(AGAIN) for scope in forbidden)
        yield f"missing: {', '.join(names)}: {forbidden[0].problem}"
    for scope in scopes:
        if scope.state in ("OPEN", "FAILED"):
            why = f": {scope.problem}" if scope.problem else ""
            yield f"missing: {scope.scope}, {scope.scopes:,} {scope.state.lower()}{why}"
        elif scope.otherwise:
            yield f"{scope.scope}: {scope.otherwise:,} items list another number than their totals say"


def show_look(settings: Settings, wanted: WantedBoard, as_json: bool, *, gone: bool = False) -> None:
    """Look what a sweep would take and bring, with what a comparison would find `gone`, and say it."""
    import uvloop

    told, rate = uvloop.run(_look(settings, wanted, gone)), wanted.rate or settings.sleekplan_rate
    if as_json:
        print_json(_look_as_json(told, rate))
    else:
        for line in _look_in_words(told, wanted.kinds, rate):
            out.print(line, markup=False)


async def _look(settings: Settings, wanted: WantedBoard, gone: bool) -> Look:
    from projections.read_model import Reader
    from service.backfill.choose import choose
    from service.backfill.look import look as run_look
    from service.sleekplan.client import sleekplan
    from service.sleekplan.pace import Pace

    async with open_read_model(settings) as pool:
        reader = Reader(pool)
        product_id, key = await choose(settings.sleekplan_api_key, wanted.product_id, reader)
        pace = Pace(wanted.rate or settings.sleekplan_rate)
        async with sleekplan(settings.sleekplan_api_url, key, pace) as client:
            return await run_look(client, reader, product_id, wanted.kinds, gone=gone)


def _look_as_json(told: Look, rate: float) -> dict[str, Any]:
    return {
        "product_id": told.product_id,
        "items": told.estimate.items,
        **{str(kind): rows for kind, rows in told.estimate.rows.items()},
        "requests": told.estimate.requests,
        "seconds": round(told.estimate.requests / rate, 1),
        "known": told.known,
        "known_otherwise": told.otherwise,
        "unknown": told.unknown,
        **(
            {}
            if told.gone is None
            else {"gone": [{"what": what, "least": told.gone[what]} for what in _what_goes()]}
        ),
        "rows_of_other_products": told.other_products,
        "clock_ahead_seconds": told.ahead_seconds,
        "dates_apart_minutes": told.dates_apart_minutes,
        "first_page": told.forms.first_pages.get("posts"),
        "contract": [
            {"list": name, "member": member, "kinds": kinds}
            for name, members in told.contract.report().items()
            for member, kinds in members.items()
        ],
    }


def _what_goes() -> tuple[str, ...]:
    from service.backfill.estimate import CHILDREN

    return ("items", "merged", *CHILDREN)


def _look_in_words(told: Look, kinds: frozenset[Kind], rate: float) -> Iterator[str]:
    from service.backfill.estimate import CHILDREN

    counted = told.estimate
    yield f"product {told.product_id}: {counted.items:,} items on the board"
    for kind in CHILDREN:
        if kind in kinds:
            yield f"  {counted.rows[kind]:,} {kind}"
    yield (
        f"the log knows {told.known:,} of the items as they are, {told.otherwise:,} otherwise, "
        f"and {told.unknown:,} not"
    )
    if told.gone is not None:
        yield "gone by what the posts say, at least: " + ", ".join(
            f"{told.gone[what]:,} {what}" for what in _what_goes()
        )
    full = "" if told.gone is None else "with --full "
    yield (
        f"{full}{counted.requests:,} requests for what belongs to items, "
        f"{for_people(counted.requests / rate)} at "
        f"{rate:g} a second; one more for each hundred items, users, entries and answers"
    )
    if told.other_products:
        note(f"rows name another product; they are taken for {told.product_id}'s")
    if told.dates_apart_minutes:
        apart = told.dates_apart_minutes
        note(
            f"by webhooks, items were made {abs(apart)} minutes {'later' if apart > 0 else 'earlier'} than "
            "their dates say: Sleekplan's dates may be of another zone than UTC; RECOUNT_SLEEKPLAN_TIMEZONE "
            "says of which"
        )


@click.group(cls=Group)
def sweeps() -> None:
    """Look at what asked Sleekplan's API.

    Those are back-fills and comparisons: how far each came, and what is missing of it. `recount backfill`
    goes on with the last back-fill that was stopped, unless it was abandoned.
    """


@sweeps.command(name="list")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@data_dir_option
@json_option
def list_(limit: int, as_json: bool) -> None:
    """List the sweeps, the newest first."""
    from service.backfill.sweeps import list_sweeps

    columns = ("id", "product_id", "kind", "state", "started_at", "finished_at", "requests", "recorded")
    found = on_log(lambda pool: list_sweeps(pool, limit + 1))
    print_records(columns, at_most(limit, found), as_json)


@sweeps.command()
@click.argument("sweep")
@data_dir_option
@json_option
def show(sweep: str, as_json: bool) -> None:
    """Show a sweep, by its id or how that begins: what it was asked for, and how far each list came."""
    from service.backfill.sweeps import ScopesCounted, show_sweep

    told, scopes = on_log(lambda pool: show_sweep(pool, sweep))
    if as_json:
        print_json({**told, "scopes": [scope._asdict() for scope in scopes]})
        return
    print_fields(told)
    out.print("")
    print_records(ScopesCounted._fields, [scope._asdict() for scope in scopes], False)


@sweeps.command()
@click.argument("sweep")
@data_dir_option
def abandon(sweep: str) -> None:
    """Leave a sweep for good: the next back-fill begins anew. What it recorded stays."""
    from service.backfill.sweeps import abandon_sweep

    abandoned = on_log(lambda pool: abandon_sweep(pool, sweep))
    out.print(f"abandoned: {abandoned}" if abandoned else "it has ended already", markup=False)


COMMANDS: tuple[click.Command, ...] = (backfill, sweeps)
