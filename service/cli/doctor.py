"""A look at everything that has to be right."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from service.cli.database import open_database
from service.cli.options import data_dir_option, given_settings, host_option, port_option
from service.cli.terminal import json_option, out, print_json, web_address
from service.errors import DatabaseUnreachable, NoDatabaseHere, RecountError
from service.operate.finding import Finding, State

if TYPE_CHECKING:
    from service.config import Settings

FOUND = 3


@click.command()
@click.option(
    "--url",
    callback=web_address,
    help="The webhook's URL as entered in Sleekplan, key included: is tried from here.",
)
@data_dir_option
@host_option
@port_option
@json_option
def doctor(url: str | None, as_json: bool) -> None:
    """Look at everything that has to be right.

    What is not, it says how to mend. Looks at the data folder, disk and fsync, the spool, Postgres with
    its version, settings and clock, the guards of the log, quarantine, keys, silence, and posts to the
    running service without leaving anything in the log. Exits with 3 when there is a problem.
    """
    findings = asyncio.run(_examine(given_settings(), url))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            _print_finding(finding)
    if any(finding.state is State.PROBLEM for finding in findings):
        raise SystemExit(FOUND)


async def _examine(settings: Settings, url: str | None) -> list[Finding]:
    from service.operate.doctor import examine

    try:
        async with open_database(settings, migrated=False) as dsn:
            return await examine(settings, dsn, public_url=url)
    except NoDatabaseHere as nothing:
        found = Finding("Postgres", State.NOTE, str(nothing))
    except DatabaseUnreachable as away:
        found = Finding("Postgres", State.PROBLEM, away.what, away.mend)
    except RecountError as problem:
        found = Finding("Postgres", State.PROBLEM, str(problem))
    return [found, *await examine(settings, None, public_url=url)]


_STYLES = {
    State.FINE: ("ok", "green"),
    State.NOTE: ("note", "yellow"),
    State.PROBLEM: ("PROBLEM", "bold red"),
}


def _print_finding(finding: Finding) -> None:
    word, style = _STYLES[finding.state]
    out.print(f"{word:<8}", style=style, end="", markup=False)
    out.print(f"{finding.check:<12} {finding.text}", markup=False)
    if finding.mend:
        out.print(f"{'':<21}→ {finding.mend}", style="dim", markup=False)


COMMANDS: tuple[click.Command, ...] = (doctor,)
