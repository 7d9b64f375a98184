"""Traffic: make it up (`simulate`), or post files to a running service (`send`)."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from service.cli.options import data_dir_option, given_settings, host_option, port_option
from service.cli.terminal import json_option, out, print_json, progress_bar, web_address, without_key
from service.errors import DeliveriesRefused, KeyNotTaken, NoWebhookKey, ServiceNotReachable

if TYPE_CHECKING:
    import aiohttp

    from service.config import Settings

# Enough posts under way to fill the appender's batches, few enough to leave the service's limit alone.
POSTS_IN_FLIGHT = 32
POST_TIMEOUT_SECONDS = 30


@click.command()
@click.option("--events", type=click.IntRange(min=1), required=True, help="How many deliveries to make up.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same bytes.")
@click.option(
    "--months", type=click.IntRange(1, 120), default=18, show_default=True, help="The span they cover."
)
@click.option(
    "--items", type=click.IntRange(min=1), default=400, show_default=True, help="Items on the board."
)
@click.option(
    "--users", type=click.IntRange(min=1), default=900, show_default=True, help="People on the board."
)
@click.option(
    "--chaos",
    is_flag=True,
    help="Mix in duplicates, late and reordered deliveries, unknown actions and malformed bodies.",
)
@click.option(
    "--url",
    callback=web_address,
    help="The webhook URL to post to, key included. Default: to standard output.",
)
def simulate(
    events: int, seed: int, months: int, items: int, users: int, chaos: bool, url: str | None
) -> None:
    """Make up a board's traffic.

    It is one webhook body a line on standard output, or posted to --url. The same seed and options give
    the same bytes on every machine. Needs no database.
    """
    from service.simulator import simulate as simulated_traffic

    bodies = simulated_traffic(seed=seed, events=events, months=months, items=items, users=users, chaos=chaos)
    if url is None:
        for body in bodies:
            sys.stdout.buffer.write(body + b"\n")
        sys.stdout.buffer.flush()
        return
    statuses = asyncio.run(_post_all(url, bodies, events))
    for status, count in sorted(statuses.items()):
        click.echo(f"{count} answered {status}")
    refused = sum(count for status, count in statuses.items() if status >= 400)
    if refused:
        raise DeliveriesRefused(refused, statuses.total())


async def _post_all(url: str, bodies: Iterable[bytes], total: int) -> Counter[int]:
    """Post bodies, some at a time; return how many answers had which status."""
    import aiohttp

    statuses: Counter[int] = Counter()
    waiting: Iterator[bytes] = iter(bodies)
    with progress_bar("posting") as advance:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(POST_TIMEOUT_SECONDS)) as session:

            async def post_next() -> None:
                for body in waiting:
                    status, _ = await _post(session, url, body)
                    statuses[status] += 1
                    advance(statuses.total(), total)

            async with asyncio.TaskGroup() as group:
                for _ in range(POSTS_IN_FLIGHT):
                    group.create_task(post_next())
    return statuses


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> tuple[int, bytes]:
    import aiohttp

    try:
        async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
            return answer.status, await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ServiceNotReachable(without_key(url), error) from error


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--url",
    callback=web_address,
    help="The webhook URL to post to, key included. Default: the service on the data folder, with its key.",
)
@data_dir_option
@host_option
@port_option
@json_option
def send(files: tuple[Path, ...], url: str | None, as_json: bool) -> None:
    """Post payload files to a running service.

    That is the one on the data folder, wherever it listens; with --host or --port the one there. What it
    answered to each is printed. Exits with 1 when one of them was refused.
    """
    settings = given_settings()
    refused = asyncio.run(_send(files, url, settings, as_json))
    if refused:
        raise SystemExit(1)


async def _send(files: tuple[Path, ...], url: str | None, settings: Settings, as_json: bool) -> int:
    refused = 0
    # Closed before the loop ends, also when printing fails: its connections would be cut off in the middle.
    async with aclosing(_answers(files, url, settings)) as answers:
        async for path, status, answer in answers:
            refused += status >= 400
            if as_json:
                print_json({"file": str(path), "status": status, "answer": answer})
            else:
                out.print(f"{path.name:<28} {status} {_in_words(answer)}", markup=False)
    return refused


async def _answers(
    files: tuple[Path, ...], url: str | None, settings: Settings
) -> AsyncGenerator[tuple[Path, int, object]]:
    import aiohttp

    from service.operate.running import address_of_service
    from service.web.key_files import LOCAL_KEY_FILE, key_of_this_machine

    headers, source = {"Content-Type": "application/json"}, "the URL"
    if url is None:
        url = f"{address_of_service(settings)}/webhooks"
        if (key := key_of_this_machine(settings)) is None:
            raise NoWebhookKey(settings.data_dir)
        headers["X-Secret"] = key
        source = "RECOUNT_WEBHOOK_KEYS" if settings.webhook_keys else str(settings.data_dir / LOCAL_KEY_FILE)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(POST_TIMEOUT_SECONDS)) as session:
        for path in files:
            try:
                async with session.post(url, data=path.read_bytes(), headers=headers) as answer:
                    raw = await answer.read()
                    if answer.status == 401:
                        raise KeyNotTaken(without_key(url), source)
                    yield path, answer.status, _json_or_text(raw)
            except (aiohttp.ClientError, TimeoutError) as error:
                raise ServiceNotReachable(without_key(url), error) from error


def _json_or_text(raw: bytes) -> object:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode("utf-8", "replace")


def _in_words(answer: object) -> str:
    if not isinstance(answer, dict):
        return str(answer)
    if "quarantined" in answer:
        return f"quarantined as {answer['quarantined']}: {answer.get('error')}"
    if answer.get("spooled"):
        return "spooled: safe on disk, recorded as soon as Postgres answers"
    if "position" in answer:
        return f"position {answer['position']}" + (", duplicate" if answer.get("duplicate") else "")
    return str(answer.get("error", answer))


COMMANDS: tuple[click.Command, ...] = (simulate, send)
