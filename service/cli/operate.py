"""Running it day by day: quarantine, keys, erasure, a look at everything, and the settings."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from projections.after_erasure import count_again
from projections.declare import declare
from projections.projector import Projector
from service.cli.database import open_database, open_log, open_log_and_hub
from service.cli.terminal import json_option, note, out, print_json, print_records, print_table
from service.config import SCOPES, Settings, load_settings, variable
from service.errors import NotAnEvent, RecountError
from service.log.database import Pool
from service.log.event_store import EventStore
from service.log.quarantine import Quarantine, Quarantined
from service.operate import doctor as examination
from service.operate.erasure import Erased, Erasure, Mention
from service.web.keys import Keys

FOUND = 3
LISTED_MAX = 1_000
MENTIONS_SHOWN = 20

T = TypeVar("T")


def _on_log(work: Callable[[Pool], Coroutine[Any, Any, T]]) -> T:
    """Run `work` on the log of the settings."""

    async def run() -> T:
        async with open_log(load_settings()) as pool:
            return await work(pool)

    return asyncio.run(run())


# The quarantine


@click.group()
def quarantine() -> None:
    """Deal with deliveries that could not be read as an event.

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
@json_option
def list_quarantine(state: str, product_id: int | None, limit: int, as_json: bool) -> None:
    """List deliveries in the quarantine, the newest first."""

    async def ask(pool: Pool) -> list[Quarantined]:
        return await _quarantine(pool).list(
            state=None if state == "all" else state, product_id=product_id, limit=limit
        )

    columns = ("id", "product_id", "received_at", "copies", "size_bytes", "state", "reason")
    print_records(columns, [_told(found) for found in _on_log(ask)], as_json)


def _told(found: Quarantined) -> dict[str, object]:
    return {**found._asdict(), "body": None if found.body is None else found.body.decode("utf-8", "replace")}


@quarantine.command(name="show")
@click.argument("id")
@click.option("--raw", is_flag=True, help="Write the bytes alone, exactly as they came.")
@json_option
def show_quarantine(id: str, raw: bool, as_json: bool) -> None:
    """Show one delivery with its bytes."""
    found = _on_log(lambda pool: _quarantine(pool).show(id))
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
@json_option
def retry_quarantine(ids: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Read deliveries once more and record those that now are events.

    Exits with 1 when one of them still is none.
    """
    results = _on_log(lambda pool: _retry(pool, ids, everything))
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
def discard_quarantine(ids: tuple[str, ...]) -> None:
    """Close deliveries for good; their bytes are kept."""

    async def discard(pool: Pool) -> None:
        for id in ids:
            await _quarantine(pool).discard(id)

    _on_log(discard)
    click.echo(f"{len(ids)} discarded")


def _quarantine(pool: Pool) -> Quarantine:
    return Quarantine(pool, EventStore(pool))


# Keys and tokens


@click.group()
def keys() -> None:
    """Manage the keys of the webhook and the tokens of GraphQL.

    Only digests are kept: a key is shown once, when it is made. A running service follows within seconds.
    Keys of RECOUNT_WEBHOOK_KEYS and RECOUNT_API_TOKENS are not listed here.
    """


@keys.command(name="list")
@json_option
def list_keys(as_json: bool) -> None:
    """List keys and tokens, with when each was last used."""
    columns = (
        "label",
        "kind",
        "product_id",
        "scopes",
        "created_at",
        "expires_at",
        "revoked_at",
        "last_used_at",
    )
    found = _on_log(lambda pool: Keys(pool).list())
    print_records(
        columns, [{**key._asdict(), "scopes": "+".join(sorted(key.scopes))} for key in found], as_json
    )


@keys.command(name="add")
@click.argument("name")
@click.option("--api", is_flag=True, help="A token for GraphQL. Default: a key for the webhook.")
@click.option("--product", "product_id", type=int, help="Good for one product only.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(sorted(SCOPES)),
    help="What a token may do; may be repeated. Default: everything.",
)
@click.option("--days", type=click.IntRange(min=1), help="Ends after so many days.")
@json_option
def add_key(
    name: str, api: bool, product_id: int | None, scopes: tuple[str, ...], days: int | None, as_json: bool
) -> None:
    """Make a key called NAME and print it, this once."""
    if scopes and not api:
        raise click.UsageError("--scope is for tokens: add --api")
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    secret = _on_log(
        lambda pool: Keys(pool).add(
            "API" if api else "WEBHOOK",
            name,
            product_id=product_id,
            scopes=frozenset(scope for scope in SCOPES if scope in scopes),
            expires_at=expires_at,
        )
    )
    _show_secret(name, secret, as_json)


@keys.command(name="rotate")
@click.argument("name")
@click.option(
    "--overlap-hours",
    type=click.FloatRange(min=0),
    default=24,
    show_default=True,
    help="How long the old one works on.",
)
@json_option
def rotate_key(name: str, overlap_hours: float, as_json: bool) -> None:
    """Make another key called NAME and print it; the old one works on for a while."""
    secret = _on_log(lambda pool: Keys(pool).rotate(name, overlap=timedelta(hours=overlap_hours)))
    _show_secret(name, secret, as_json)


@keys.command(name="revoke")
@click.argument("name")
def revoke_key(name: str) -> None:
    """Let every key called NAME open nothing any more."""
    click.echo(f"{_on_log(lambda pool: Keys(pool).revoke(name))} revoked")


def _show_secret(name: str, secret: str, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "secret": secret})
    else:
        note(f"{name}, shown this once:")
        click.echo(secret)


# Erasure


@click.command()
@click.argument("user", required=False)
@click.option("--product", "product_id", type=int, help="The product, where several know the person.")
@click.option(
    "--texts", is_flag=True, help="What the person wrote as well: titles, descriptions, comments, answers."
)
@click.option("--reason", default="asked on the command line", help="For the record. Put no name in it.")
@click.option("--dry-run", is_flag=True, help="List what would be redacted, and change nothing.")
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
    """Forget a person: name, address, picture, location, custom fields, and on demand their texts.

    USER is Sleekplan's id, your own id of them, or their address. They are redacted in the log, in the
    quarantine and in everything counted from them; votes and counts stay, without a name. What arrives of
    them later is redacted as it is recorded. This cannot be undone, and dumps taken before still hold them.
    """
    if listing:
        found = _on_log(lambda pool: _erasure(pool, load_settings()).suppressions())
        print_records(("product_id", "user_id", "texts", "since"), [one._asdict() for one in found], as_json)
    elif again:
        done = asyncio.run(_with_erasure(lambda erasure: erasure.reapply(ledger)))
        print_records(("id", "product_id", "events", "quarantined"), [one._asdict() for one in done], as_json)
    elif user is None:
        raise click.UsageError("name the person: recount erase USER")
    elif lift:
        _lift(user, product_id)
    elif dry_run:
        _print_preview(
            *asyncio.run(_with_erasure(lambda erasure: _preview(erasure, user, product_id, texts))), as_json
        )
    else:
        _erase(user, product_id, texts, reason, yes, as_json)


def _erase(user: str, product_id: int | None, texts: bool, reason: str, yes: bool, as_json: bool) -> None:
    async def run(erasure: Erasure) -> Erased:
        product, person = await erasure.find(user, product_id)
        if not yes:
            question = f"Erase user {person} of product {product}? This cannot be undone"
            await asyncio.to_thread(click.confirm, question, abort=True, err=True)
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


async def _preview(
    erasure: Erasure, user: str, product_id: int | None, texts: bool
) -> tuple[list[Mention], list[str]]:
    product, person = await erasure.find(user, product_id)
    return await erasure.preview(product, person, texts=texts)


def _print_preview(mentions: list[Mention], quarantined: list[str], as_json: bool) -> None:
    if as_json:
        print_json({"events": [mention._asdict() for mention in mentions], "quarantined": quarantined})
        return
    print_table(("position", "action", "occurred_at"), mentions[:MENTIONS_SHOWN])
    shown = min(len(mentions), MENTIONS_SHOWN)
    out.print(f"{shown} of {len(mentions)} events shown; {len(quarantined)} deliveries in the quarantine")


async def _with_erasure(work: Callable[[Erasure], Coroutine[Any, Any, T]]) -> T:
    settings = load_settings()
    async with open_log_and_hub(settings) as (pool, hub):
        await Projector(pool, hub).catch_up()
        return await work(_erasure(pool, settings))


def _erasure(pool: Pool, settings: Settings) -> Erasure:
    async def replay(product_id: int) -> None:
        async with pool.acquire() as connection:
            await declare(connection)
        await count_again(pool, product_id)

    return Erasure(pool, replay, data_dir=settings.data_dir)


# A look at everything


@click.command()
@click.option("--url", help="The webhook's URL as entered in Sleekplan, key included: is tried from here.")
@json_option
def doctor(url: str | None, as_json: bool) -> None:
    """Look at everything that has to be right, and say how to mend what is not.

    Looks at the data folder, disk and fsync, the spool, Postgres with its version, settings and clock, the
    guards of the log, quarantine, keys, silence, and posts to the running service without leaving anything
    in the log. Exits with 3 when there is a problem.
    """
    findings = asyncio.run(_examine(load_settings(), url))
    if as_json:
        print_json([{**vars_of(finding)} for finding in findings])
    else:
        for finding in findings:
            _print_finding(finding)
    if any(finding.state is examination.State.PROBLEM for finding in findings):
        raise SystemExit(FOUND)


def vars_of(finding: examination.Finding) -> dict[str, str]:
    """Return a finding as JSON has it."""
    return {"check": finding.check, "state": finding.state, "text": finding.text, "mend": finding.mend}


async def _examine(settings: Settings, url: str | None) -> list[examination.Finding]:
    try:
        async with open_database(settings, migrated=False) as dsn:
            return await examination.examine(settings, dsn, public_url=url)
    except RecountError as problem:
        found = examination.Finding("Postgres", examination.State.PROBLEM, str(problem))
        return [found, *await examination.examine(settings, None, public_url=url)]


_STYLES = {
    examination.State.FINE: ("ok", "green"),
    examination.State.NOTE: ("note", "yellow"),
    examination.State.PROBLEM: ("PROBLEM", "bold red"),
}


def _print_finding(finding: examination.Finding) -> None:
    word, style = _STYLES[finding.state]
    out.print(f"{word:<8}", style=style, end="", markup=False)
    out.print(f"{finding.check:<12} {finding.text}", markup=False)
    if finding.mend:
        out.print(f"{'':<21}→ {finding.mend}", style="dim", markup=False)


# Settings


@click.command()
@click.option("--explain", is_flag=True, help="With what each one means.")
@click.option(
    "--connection",
    is_flag=True,
    help="Print how to reach the database, as lines for a shell: for psql, pg_dump and the like.",
)
@json_option
def config(explain: bool, connection: bool, as_json: bool) -> None:
    """Print the settings as this environment gives them, secrets left out.

    `eval "$(recount config --connection)"` sets PGHOST and the like, and puts Postgres's own programs on the
    PATH, so that psql and pg_dump reach the same database. The embedded one has to run: start the service.
    """
    settings = load_settings()
    if connection:
        _print_connection(settings)
        return
    shown = settings.redacted()
    if as_json:
        print_json(shown)
        return
    for name, field in type(settings).model_fields.items():
        value = shown[variable(name)]
        line = f"{variable(name)}={value}"
        out.print(f"{line:<44} {field.description}" if explain else line, markup=False)


def _print_connection(settings: Settings) -> None:
    for line in examination.connection_lines(settings):
        click.echo(line)


COMMANDS: tuple[click.Command, ...] = (quarantine, keys, erase, doctor, config)
