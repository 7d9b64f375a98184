"""Running the service: `serve`, `demo`, and `up`, which chooses between them for `make run`."""

from __future__ import annotations

import asyncio

import click
import uvloop

from service import app
from service.config import load_settings


@click.command()
def serve() -> None:
    """Take webhooks, answer GraphQL and push live updates, in one process.

    Without RECOUNT_DATABASE_URL it starts a Postgres of its own in the data folder. Ctrl-C stops
    both and loses nothing.
    """
    _run(app.Plan.SERVE)


@click.command()
def demo() -> None:
    """Serve a board with 18 months of made-up history, then let new events tick in.

    The history is written in seconds, once; killed half way, the next start goes on where it
    stopped. Refused where the log already holds real events.
    """
    _run(app.Plan.DEMO)


@click.command(hidden=True)
def up() -> None:
    """What `make run` runs: the demo on an embedded, empty log, otherwise the service."""
    _run(app.Plan.CHOOSE)


def _run(plan: app.Plan) -> None:
    settings = load_settings()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(app.run(settings, plan))


COMMANDS: tuple[click.Command, ...] = (serve, demo, up)
