"""The labels of the board's status and type keys."""

from __future__ import annotations

from pathlib import Path

import click
import uvloop

from projections.follow.projector import Projector
from service.cli.database import open_log_and_hub
from service.cli.options import data_dir_option, given_settings
from service.cli.terminal import Group, json_option, note, out, print_json
from service.config import Settings
from service.operate import demo
from service.operate.running import service_here
from service.operate.unlabelled import Unlabelled, as_json_file, as_toml, unlabelled


@click.group(cls=Group)
def labels() -> None:
    """Find out which keys have no label.

    Sleekplan sends opaque keys of statuses and types; the file of RECOUNT_LABELS says what they mean.
    """


@labels.command()
@data_dir_option
@json_option
def missing(as_json: bool) -> None:
    """Print the status and type keys of the log that have no label, as lines of the labels' file.

    Each stands there for its own label: write what it means instead.
    """
    settings = given_settings()
    running = service_here(settings)
    path = settings.labels or (running.labels if running else None)
    found = uvloop.run(_missing(settings, path))
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


async def _missing(settings: Settings, path: Path | None) -> list[Unlabelled]:
    async with open_log_and_hub(settings) as (pool, hub):
        await Projector(pool, hub).catch_up()
        return await unlabelled(pool, await demo.labels(pool, path))


COMMANDS: tuple[click.Command, ...] = (labels,)
