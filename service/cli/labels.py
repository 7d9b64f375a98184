"""The labels of the board's status and type keys, and the names of products."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click
import uvloop

from projections.follow.projector import Projector
from service.cli.database import open_log_and_hub
from service.cli.options import data_dir_option, given_settings
from service.cli.terminal import Group, json_option, note, out, print_json, print_records
from service.config import Settings
from service.labels import Labels
from service.log.database import Pool
from service.operate import demo
from service.operate.running import service_here
from service.operate.unlabelled import Named, as_json_file, as_toml, named, unlabelled

T = TypeVar("T")


@click.group(cls=Group)
def labels() -> None:
    """See what keys are called, and which have no label.

    Sleekplan sends opaque keys of statuses and types, and products by their numbers; the file of
    RECOUNT_LABELS says what they mean, to the page, the API and these commands alike.
    """


@labels.command(name="list")
@data_dir_option
@json_option
def list_(as_json: bool) -> None:
    """List what the log has that the labels' file can name, with what it is called.

    A key that nobody gave a label is shown without one.
    """
    settings = given_settings()
    found = uvloop.run(_asked(settings, _file(settings), named))
    print_records(Named._fields, [each._asdict() for each in found], as_json)


@labels.command()
@data_dir_option
@json_option
def missing(as_json: bool) -> None:
    """Print the status and type keys of the log that have no label, as lines of the labels' file.

    Each stands there for its own label: write what it means instead.
    """
    settings = given_settings()
    path = _file(settings)
    found = uvloop.run(_asked(settings, path, unlabelled))
    if as_json:
        print_json([each._asdict() for each in found])
    elif not found:
        note("every key has a label")
    else:
        lines = [as_json_file(found)] if path and path.suffix == ".json" else as_toml(found)
        for line in lines:
            out.print(line, markup=False)
        where = f"into {path}" if path else "into a file, and name that in RECOUNT_LABELS"
        note(f"paste them {where}, below the tables of these names, with what they mean for a label")


def _file(settings: Settings) -> Path | None:
    """Return the settings' file, else that of the service that runs here."""
    running = service_here(settings)
    return settings.labels or (running.labels if running else None)


async def _asked(
    settings: Settings, path: Path | None, ask: Callable[[Pool, Labels], Awaitable[list[T]]]
) -> list[T]:
    async with open_log_and_hub(settings) as (pool, hub):
        await Projector(pool, hub).catch_up()
        return await ask(pool, await demo.labels(pool, settings, path))


COMMANDS: tuple[click.Command, ...] = (labels,)
