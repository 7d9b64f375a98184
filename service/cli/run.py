"""Running the service: `serve`, `demo`, and `up`, which chooses between them for `make run`."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import click

from service.cli.options import data_dir_option, given_settings, host_option, port_option
from service.cli.terminal import Advance, err, note, progress_bar
from service.lines import set_up_lines

if TYPE_CHECKING:
    from service.app import Ready
    from service.config import Settings


@click.command()
@data_dir_option
@host_option
@port_option
def serve() -> None:
    """Take webhooks, answer GraphQL, push live updates.

    Without RECOUNT_DATABASE_URL it starts a Postgres of its own in the data folder. Ctrl-C stops
    both and loses nothing.
    """
    _run("serve")


@click.command()
@data_dir_option
@host_option
@port_option
@click.option("--with-api", is_flag=True, help="Also fetch an older board from a made-up API of Sleekplan's.")
def demo(with_api: bool) -> None:
    """Serve a made-up board of 18 months.

    New events tick in. The history is written in seconds, once; killed half way, the next start goes on
    where it stopped. Refused where the log already holds other events.
    """
    _run("demo", with_api=with_api)


@click.command()
@data_dir_option
@host_option
@port_option
def up() -> None:
    """Serve the demo where there is nothing yet, else serve.

    That is, where the database is the embedded one and its log is empty or the demo's. `make run` does this.
    """
    _run("choose")


def _run(plan: str, *, with_api: bool = False) -> None:
    import uvloop

    from service.app import ToRun
    from service.process import run

    settings = given_settings()
    _set_up_logging(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, _Banner() as banner:
        runner.run(run(settings, ToRun(plan), banner, with_api=with_api))


def _set_up_logging(settings: Settings) -> None:
    wanted = settings.log_format
    set_up_lines(json=None if wanted == "auto" else wanted == "json", level=settings.log_level)


LINE_SECONDS: Final = 2
"""How often a start is told of where no bar can be drawn."""


class _Banner:
    """Tells a terminal how the start goes; elsewhere a few plain lines, and never a key."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._bars: dict[str, Advance] = {}

    def __enter__(self) -> _Banner:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def history(self, done: int, total: int) -> None:
        self._draw("writing 18 months of history", done, total)

    def counting(self, done: int, total: int) -> None:
        self._draw("counting them", done, total)

    def _draw(self, title: str, done: int, total: int) -> None:
        if title not in self._bars:
            self._stack.close()
            if not err.is_terminal:
                note(f"{title}: {total:,} events")
            self._bars[title] = self._stack.enter_context(progress_bar(title, LINE_SECONDS))
        self._bars[title](done, total)

    def ready(self, ready: Ready) -> None:
        self._stack.close()
        note("")
        title = "Recount, with a made-up board" if ready.is_demo else "Recount"
        err.print(f"  {title}", style="bold", markup=False)
        for name, value in _lines(ready):
            err.print(f"  {name:<10}", style="cyan", end="")
            err.print(value, markup=False)
        note("\n  Ctrl-C stops it; nothing is lost.\n")


def _lines(ready: Ready) -> list[tuple[str, str]]:
    from service.web.pages import DOCS

    lines = [
        ("Board", f"{ready.address}/"),
        *([("Docs", f"{ready.address}/docs/")] if (DOCS / "index.html").exists() else []),
        ("GraphiQL", f"{ready.address}/graphql"),
        ("Webhook", _webhook(ready)),
        ("Data", f"{ready.data_dir} ({ready.database})"),
    ]
    if ready.is_open:
        lines.append(("Open", "to every program of this machine; set RECOUNT_API_TOKENS before a proxy"))
    if ready.spooling:
        lines.append(("Database", "does not answer; deliveries are kept in the spool until it does"))
    return lines


def _webhook(ready: Ready) -> str:
    """Return the URL to paste into Sleekplan: with the key only where nobody but its owner can read it."""
    from service.web.key_files import LOCAL_KEY_FILE

    url = f"{ready.address}/webhooks?key="
    if ready.webhook_key is None:
        return f"{url}… (a key of RECOUNT_WEBHOOK_KEYS, or of recount keys add)"
    if not err.is_terminal:
        return f"{url}… (the key is in {ready.data_dir / LOCAL_KEY_FILE})"
    return url + ready.webhook_key


COMMANDS: tuple[click.Command, ...] = (serve, demo, up)
