"""The labels of the board's status and type keys, and the names of products."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click

from service.cli.database import open_projected
from service.cli.options import data_dir_option, given_settings
from service.cli.terminal import Group, json_option, note, out, print_json, print_records

if TYPE_CHECKING:
    from service.config import Settings
    from service.labels import Labels
    from service.log.database import Pool

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
    import uvloop

    from service.operate.unlabelled import Named, named

    found = uvloop.run(_asked(_settings(), named))
    print_records(Named._fields, [each._asdict() for each in found], as_json)


@labels.command()
@data_dir_option
@json_option
def missing(as_json: bool) -> None:
    """Print the status and type keys of the log that have no label, as lines of the labels' file.

    Each stands there for its own label: write what it means instead.
    """
    import uvloop

    from service.operate.unlabelled import as_json_file, as_toml, unlabelled

    settings = _settings()
    path = settings.labels
    found = uvloop.run(_asked(settings, unlabelled))
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


def _settings() -> Settings:
    """Return the settings of this call; where they name no file, with that of the service that runs here."""
    from service.operate.running import with_files_of_service

    return with_files_of_service(given_settings())


async def _asked(settings: Settings, ask: Callable[[Pool, Labels], Awaitable[list[T]]]) -> list[T]:
    from service.operate import demo

    async with open_projected(settings) as (pool, _):
        return await ask(pool, await demo.labels(pool, settings))


COMMANDS: tuple[click.Command, ...] = (labels,)
