"""Every command there is, as the command line's own tree has them, each with arguments to run with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import click

from service.cli.commands import recount

FITTING: Final[dict[str, tuple[str, ...]]] = {
    "simulate": ("--events", "300"),
    "tail": ("--after", "0", "--count", "1"),
    "history": ("42", "--product", "647288130"),
    "asof": ("1",),
    "erase": ("17", "--product", "647288130", "--dry-run"),
    "keys add": ("board",),
    "parked retry": ("1",),
    "quarantine discard": ("1",),
    "quarantine retry": ("--all",),
    "rebuild": ("--product", "647288130"),
}
"""Arguments of commands for which the ones made up from their parameters would not do much."""


def all_commands() -> list[str]:
    """Return the names of all commands, `quarantine list` and the like, each imported."""
    return list(commands())


def commands() -> dict[str, click.Command]:
    """Return all commands by these names."""
    return dict(_leaves(recount, ()))


def arguments(name: str, sample: str) -> list[str]:
    """Return a call of a command; `sample` is a file for those that read one."""
    if name in FITTING:
        return [*name.split(), *FITTING[name]]
    return [*name.split(), *_made_up(commands()[name], sample)]


def parameters(name: str) -> set[str]:
    """Return the names of a command's options and arguments."""
    return {str(parameter.name) for parameter in commands()[name].params}


def _leaves(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def _made_up(command: click.Command, sample: str) -> Iterator[str]:
    """What the parameters demand, of the kind that they demand."""
    for parameter in command.params:
        if parameter.required:
            if isinstance(parameter, click.Option):
                yield parameter.opts[0]
            yield _value(parameter.type, sample)


def _value(kind: Any, sample: str) -> str:
    if isinstance(kind, click.Choice):
        return str(kind.choices[0])
    if isinstance(kind, click.File | click.Path):
        return sample
    return "1"
