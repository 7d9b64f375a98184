"""All commands, by what they are for.

A command's module is loaded when the command is called, or asked for its help or how a word goes on. At its
top it imports what says how the command is called, and nothing more: what does the work is imported where it
is done, at the beginning of the function, and of what only types are named there under TYPE_CHECKING. All of
it takes more than a second, and a help is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from importlib import import_module
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

SECTIONS: Final = {
    "Run": {
        "serve": ("run", "Take webhooks, answer GraphQL, push live updates."),
        "demo": ("run", "Serve a made-up board of 18 months."),
        "up": ("run", "Serve the demo where there is nothing yet, else serve."),
    },
    "Look": {
        "asof": ("read", "Show the board as it was at a moment."),
        "history": ("read", "Tell what happened to an item."),
        "tail": ("log", "Print events as they are recorded."),
        "doctor": ("doctor", "Look at everything that has to be right."),
    },
    "Operate": {
        "backfill": ("backfill", "Fetch what was there before the first webhook."),
        "cells": ("cells", "Deal with products that other cells have."),
        "config": ("config", "Print the settings, or how to reach the database."),
        "erase": ("erase", "Forget a person."),
        "keys": ("keys", "Manage webhook keys and GraphQL tokens."),
        "labels": ("labels", "See what keys are called, and which have no label."),
        "migrate": ("log", "Bring the database up to this version."),
        "parked": ("projections", "Deal with events that a projection could not apply."),
        "projections": ("projections", "See how far the projections are, and drop what one left."),
        "quarantine": ("quarantine", "Deal with deliveries that are no events."),
        "reactions": ("reactions", "Deal with what is told to other systems and people."),
        "rebuild": ("projections", "Count projections again from the first event."),
        "reconcile": ("reconcile", "Find what no webhook told."),
        "sweeps": ("backfill", "Look at what asked Sleekplan's API."),
        "sql": ("sql", "Print SQL for the database's administrator."),
        "verify": ("projections", "Count again beside the tables in use, and compare."),
    },
    "Data": {
        "export": ("export", "Write the log, or a table of the board, as a file."),
        "import": ("log", "Record JSON lines."),
        "schema": ("read", "Print the GraphQL schema."),
        "send": ("traffic", "Post payload files to a running service."),
        "simulate": ("traffic", "Make up a board's traffic."),
    },
}
"""Each command with its module and the first sentence of its help, which a list shows without loading it."""

NUMBERS_END: Final = 2**63
"""Ids, positions and counts are below: PostgreSQL's bigint."""

_ALL: Final = {name: told for section in SECTIONS.values() for name, told in section.items()}


class _Loaded(MutableMapping[str, click.Command]):
    """The commands by name, each imported when it is asked for."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in _ALL:
            raise KeyError(name)
        commands: tuple[click.Command, ...] = import_module(f"service.cli.{_ALL[name][0]}").COMMANDS
        found = next(command for command in commands if command.name == name)
        _refuse_what_nothing_holds(found)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_ALL)

    def __len__(self) -> int:
        return len(_ALL)

    def __setitem__(self, name: str, command: click.Command) -> None:
        raise TypeError("commands are added to SECTIONS")

    def __delitem__(self, name: str) -> None:
        raise TypeError("commands are removed from SECTIONS")


def _refuse_what_nothing_holds(command: click.Command) -> None:
    """Have every parameter refuse numbers beyond those of a database, and bytes that are no text."""
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        _refuse_what_nothing_holds(below)
    for parameter in command.params:
        if not isinstance(parameter.callback, _Checked):
            parameter.callback = _Checked(parameter.callback)


class _Checked:
    """What is called with a parameter's value: it looks at it, then asks the parameter's own callback."""

    def __init__(self, wraps: Callable[[click.Context, click.Parameter, Any], Any] | None) -> None:
        self.wraps = wraps

    def __call__(self, context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        """Return the value, or what the parameter's own callback makes of it. Raises BadParameter."""
        is_path = isinstance(parameter.type, click.Path | click.File) or parameter.name == "data_dir"
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, int | float) and not abs(each) < NUMBERS_END:
                raise click.BadParameter(f"{each} is beyond all numbers that are kept", context, parameter)
            if isinstance(each, str) and not is_path and not each.isascii() and _holds_raw_bytes(each):
                raise click.BadParameter(f"{each!r} holds bytes that are no UTF-8", context, parameter)
        return value if self.wraps is None else self.wraps(context, parameter, value)


def _holds_raw_bytes(text: str) -> bool:
    """Whether Python could not read all bytes of an argument, and left some as lone surrogates."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


class _Commands(click.Group):
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in their sections, each with its whole sentence."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<11}", sentence) for name, (_, sentence) in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without loading any."""
        found = [
            CompletionItem(name, help=sentence)
            for name, (_, sentence) in _ALL.items()
            if name.startswith(incomplete)
        ]
        return found or click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=_Commands, commands=_Loaded(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="recount-feedback", prog_name="recount")
def recount() -> None:
    """Keep every event of a Sleekplan board, and ask how it is, how it was and what changed.

    Settings come from the environment, as RECOUNT_…; `recount config --explain` says what each one means.
    Without RECOUNT_DATABASE_URL a Postgres of our own is used, in the data folder.
    """
