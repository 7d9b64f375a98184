"""The command line: one group of commands, each in the module named for what it is about.

Exit codes: 0 done; 1 a problem that the message names; 2 the call's words are off; 3 `verify` and
`doctor` found something; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from service.cli.terminal import say_problem
from service.errors import RecountError
from service.web.request_log import set_up_logging, tell_crashes

INTERRUPTED = 130

MODULES = {
    "run": ("serve", "demo", "up"),
    "traffic": ("simulate", "send"),
    "log": ("migrate", "export", "import", "tail"),
    "projections": ("rebuild", "verify", "parked"),
    "read": ("history", "asof", "schema"),
    "quarantine": ("quarantine",),
    "keys": ("keys",),
    "erase": ("erase",),
    "doctor": ("doctor",),
    "config": ("config",),
    "sql": ("sql",),
}


class Commands(click.Group):
    """Imports only the module of the command that is asked for: all of them take a second."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. That nobody reads its output any longer (`recount tail | head`) is no problem."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whatever is still to be written, on leaving too, goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names."""
        return sorted(name for names in MODULES.values() for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command."""
        for module, names in MODULES.items():
            if cmd_name in names:
                commands: tuple[click.Command, ...] = import_module(f"service.cli.{module}").COMMANDS
                return commands[names.index(cmd_name)]
        return None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="recount-feedback", prog_name="recount")
def recount() -> None:
    """Keep every event of a Sleekplan board, and ask how it is, how it was and what changed.

    Settings come from the environment, as RECOUNT_…; `recount config` lists them. Without
    RECOUNT_DATABASE_URL a Postgres of our own is used, in the data folder.
    """


def main() -> None:
    """Run one command and leave with its exit code: what is refused is one line, never a traceback."""
    set_up_logging(level="warning")
    tell_crashes()
    try:
        code = recount.main(prog_name="recount", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except click.ClickException as refused:
        refused.show()
        sys.exit(refused.exit_code)
    except RecountError as problem:
        say_problem(str(problem))
        sys.exit(problem.exit_code)
