"""The log: bring it up to date, read it in, watch it grow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, get_args

import click
import orjson

from service.cli.database import open_database, open_log_and_hub
from service.cli.options import data_dir_option, given_settings, host_option, port_option
from service.cli.terminal import json_option, note, out, print_json, progress_bar, web_address, without_key
from service.errors import ServiceNotReachable, TailRefused
from service.events import NEWS, Origin

if TYPE_CHECKING:
    import aiohttp

    from service.config import Settings
    from service.operate.interchange import Imported

RECONNECT_SECONDS = (0.2, 5.0)
SILENT_SECONDS_MAX = 60.0
"""The service says at least every twenty seconds that it is there."""

_ON_A_SCREEN = {"scopes": "read"}
"""What is printed is what may be shown: private notes of the team are no part of it."""

_TAIL = """
subscription Tail($after: Position, $filter: EventFilter, $productId: ID) {
  events(after: $after, filter: $filter, productId: $productId) {
    position type action productId occurredAt summary item { sleekplanId title }
  }
}
"""


@click.command()
@data_dir_option
@json_option
def migrate(as_json: bool) -> None:
    """Bring the database up to this version.

    The service does so at its start; run it by hand to have it done before. Forward only.
    """
    names = asyncio.run(_migrate(given_settings()))
    if as_json:
        print_json({"migrated": names})
    else:
        click.echo("\n".join(names) if names else "nothing to do: the database is up to date")


async def _migrate(settings: Settings) -> list[str]:
    from service.log.database import connect
    from service.log.database import migrate as run_migrations

    async with open_database(settings, migrated=False, makes=True) as dsn:
        connection = await connect(dsn)
        try:
            return await run_migrations(connection)
        finally:
            await connection.close()


@click.command(name="import")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--anew", is_flag=True, help="Record the lines of an export at the log's end, at new positions."
)
@click.option(
    "--made-up",
    is_flag=True,
    help="Take what `recount simulate` made up into a log of other events, for good.",
)
@data_dir_option
@json_option
def import_(file: BinaryIO, anew: bool, made_up: bool, as_json: bool) -> None:
    """Record JSON lines.

    They are read from FILE, or from standard input where it is `-`. A line is a webhook's body, recorded
    with the origin IMPORT, or a line of `recount export`, which keeps its position, clocks and bytes and
    therefore needs a log that ends right before it (with --anew it does not). What is no event goes to
    the quarantine. What the log knows is skipped, so after a cut the same file may be imported again.
    Returns once everything is projected.
    """
    import uvloop

    told = uvloop.run(_import(file, anew, made_up))
    if as_json:
        print_json(told)
    else:
        out.print(
            f"{told['recorded']} recorded, {told['duplicates']} known already, "
            f"{told['quarantined']} in the quarantine; all is projected up to position {told['projected']}"
        )


async def _import(file: BinaryIO, anew: bool, made_up: bool) -> dict[str, int]:
    from projections.follow.projector import Projector
    from service.operate.interchange import import_lines

    total = os.fstat(file.fileno()).st_size if file.seekable() else 0
    settings = given_settings()
    async with open_log_and_hub(settings, makes=True) as (pool, hub):
        with progress_bar("importing, bytes") as advance:
            imported = await import_lines(
                file,
                pool,
                now=datetime.now(UTC),
                anew=anew,
                made_up_too=made_up,
                untimed_window=settings.untimed_window,
                advance=lambda done: advance(done, max(total, done)),
                cut_off=lambda became: _tell_cut_off(became, settings),
            )
        note("projecting …")
        projected = await Projector(pool, hub).catch_up()
    return {**imported._asdict(), "projected": projected}


def _tell_cut_off(became: Imported, settings: Settings) -> None:
    if any(became):
        minutes = settings.untimed_window.total_seconds() / 60
        note(
            f"cut off: {became.recorded} recorded, {became.duplicates} known already, "
            f"{became.quarantined} in the quarantine so far. Import the same again, and it goes on: what is "
            f"recorded is known then (a body without a timestamp for {minutes:g} minutes)"
        )


@click.command()
@click.option(
    "--after", type=click.IntRange(min=0), help="Begin behind a position. Default: with the next event."
)
@click.option("--product", "product_id", type=int, help="One product's events only.")
@click.option(
    "--type", "types", multiple=True, help="Only events of a type, such as VOTE_CAST; may be repeated."
)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    type=click.Choice(get_args(Origin), case_sensitive=False),
    help="Only events that came in this way; may be repeated. Default: all but BACKFILL.",
)
@click.option("--count", type=click.IntRange(min=1), help="End after so many events.")
@click.option(
    "--url", callback=web_address, help="The GraphQL URL to ask. Default: the service on the data folder."
)
@data_dir_option
@host_option
@port_option
@json_option
def tail(
    after: int | None,
    product_id: int | None,
    types: tuple[str, ...],
    origins: tuple[str, ...],
    count: int | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Print events as they are recorded.

    Each comes once, for as long as you let it. Asks the running service by its public GraphQL
    subscription; cut off, it comes back and goes on behind the last event. The token, where one is
    needed, is the first of RECOUNT_API_TOKENS.
    """
    from service.operate.running import address_of_service

    asked = {"origins": list(origins or NEWS)}
    variables: dict[str, Any] = {"after": after, "filter": asked}
    if types:
        asked["types"] = list(types)
    if product_id is not None:
        variables["productId"] = str(product_id)
    settings = given_settings()
    if url is None:
        url = f"{address_of_service(settings)}/graphql"
    asyncio.run(_tail(url, _headers(settings), {"query": _TAIL, "variables": variables}, count, as_json))


async def _tail(
    url: str, headers: dict[str, str], asked: dict[str, Any], count: int | None, as_json: bool
) -> None:
    seen = 0
    async with aclosing(_events(url, headers, asked)) as events:
        async for event in events:
            if as_json:
                print_json(event)
            else:
                _print_event(event)
            seen += 1
            if seen == count:
                return


def _print_event(event: dict[str, Any]) -> None:
    moment = event["occurredAt"][:19].replace("T", " ")
    out.print(f"{event['position']:>8}", style="cyan", end="  ", markup=False)
    out.print(moment, style="dim", end="  ", markup=False)
    out.print(event["summary"], markup=False)


async def _events(url: str, headers: dict[str, str], asked: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    """Give the events of a subscription for ever, coming back behind the last one when cut off.

    Raises ServiceNotReachable when no service answers the first time, TailRefused when it says no.
    """
    import aiohttp

    last_id: str | None = None
    pause, connected = RECONNECT_SECONDS[0], False
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=SILENT_SECONDS_MAX)
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        while True:
            try:
                async with aclosing(_once(session, url, asked, last_id)) as frames:
                    async for kind, id, data in frames:
                        connected, pause = True, RECONNECT_SECONDS[0]
                        if kind == "complete":
                            return
                        last_id = id or last_id
                        if data:
                            yield _event_of(data)
            except (aiohttp.ClientError, TimeoutError) as error:
                if not connected:
                    raise ServiceNotReachable(without_key(url), error) from error
            behind = f" behind position {last_id.partition('-')[0]}" if last_id else ""
            note(f"the service is away; asking again{behind}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, RECONNECT_SECONDS[1])


async def _once(
    session: aiohttp.ClientSession, url: str, asked: dict[str, Any], last_id: str | None
) -> AsyncGenerator[tuple[str, str | None, bytes]]:
    """Give what comes over one connection as (kind, id, data), first that it is open. Raises TailRefused."""
    resumed = {"Last-Event-ID": last_id} if last_id else {}
    async with session.post(url, json=asked, headers=resumed, params=_ON_A_SCREEN) as answer:
        if answer.status in (400, 401, 403, 404, 405, 406):
            raise TailRefused(await _reason(answer))
        if answer.status == 200:
            yield "open", None, b""
            async with aclosing(_frames(answer.content)) as frames:
                async for frame in frames:
                    yield frame


def _headers(settings: Settings) -> dict[str, str]:
    headers = {"Accept": "text/event-stream"}
    for token in settings.api_tokens:
        headers["Authorization"] = f"Bearer {token.secret.get_secret_value()}"
        break
    return headers


async def _reason(answer: aiohttp.ClientResponse) -> str:
    try:
        return str((await answer.json(content_type=None))["errors"][0]["message"])
    except (ValueError, KeyError, IndexError, TypeError):
        return f"status {answer.status}"


def _event_of(data: bytes) -> dict[str, Any]:
    content = orjson.loads(data)
    if content.get("errors"):
        raise TailRefused(str(content["errors"][0]["message"]))
    event: dict[str, Any] = content["data"]["events"]
    return event


async def _frames(stream: aiohttp.StreamReader) -> AsyncGenerator[tuple[str, str | None, bytes]]:
    """Give the events of an event stream as (kind, id, data); comments are skipped."""
    kind, id, data = "message", None, b""
    buffer = b""
    async for chunk in stream.iter_any():
        buffer += chunk
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if not line:
                if data or kind == "complete":
                    yield kind, id, data
                kind, id, data = "message", None, b""
            elif name == b"event":
                kind = value.decode()
            elif name == b"id":
                id = value.decode()
            elif name == b"data":
                data += value


COMMANDS: tuple[click.Command, ...] = (migrate, import_, tail)
