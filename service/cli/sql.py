"""What an administrator of the database does by SQL: roles."""

from __future__ import annotations

import re

import click

from service.cli.terminal import Group
from service.operate.grants import service_grants

_ROLE_BYTES_MAX = 63
"""Postgres cuts longer names off without a word."""


def _role(_: click.Context, __: click.Parameter, name: str) -> str:
    if not re.fullmatch(r"[\w.@-]+", name) or len(name.encode()) > _ROLE_BYTES_MAX:
        raise click.BadParameter(
            f"{name!r} is no name of a role: letters, digits and _ . @ -, up to 63 bytes"
        )
    return name


@click.group(cls=Group)
def sql() -> None:
    """Print SQL for the database's administrator. Nothing is run here."""


@sql.command()
@click.option(
    "--service",
    "role",
    default="recount",
    show_default=True,
    callback=_role,
    metavar="ROLE",
    help="What Recount's own role is called.",
)
def grants(role: str) -> None:
    """Print what makes the role that Recount runs as: the least that it needs.

    Run it in the database, as somebody who may make roles and schemas there:
    recount sql grants | psql 'postgresql://admin@db.example.com/recount'
    """
    click.echo(service_grants(role))


COMMANDS: tuple[click.Command, ...] = (sql,)
