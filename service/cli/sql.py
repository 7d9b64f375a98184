"""What an administrator of the database does by SQL: roles."""

from __future__ import annotations

import re

import click

from service.cli.terminal import Group

_ROLE_BYTES_MAX = 63
"""Postgres cuts longer names off without a word."""


def _role(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    if name is not None and (not re.fullmatch(r"[\w.@-]+", name) or len(name.encode()) > _ROLE_BYTES_MAX):
        raise click.BadParameter(
            f"{name!r} is no name of a role: letters, digits and _ . @ -, up to 63 bytes"
        )
    return name


@click.group(cls=Group)
def sql() -> None:
    """Print SQL for the database's administrator. Nothing is run here."""


@sql.command()
@click.argument("reader", metavar="[ROLE]", required=False, callback=_role)
@click.option(
    "--personal", is_flag=True, help="With what is personal: ROLE reads the views `…_personal` too."
)
@click.option("--product", "product_id", type=click.IntRange(min=1), help="Of this product alone.")
@click.option(
    "--service",
    "role",
    callback=_role,
    metavar="ROLE",
    help="What Recount's own role is called.  [default: recount]",
)
def grants(reader: str | None, personal: bool, product_id: int | None, role: str | None) -> None:
    """Print what makes a role that reads the board in SQL, or the one that Recount runs as.

    With ROLE, one that may read the views of the schema `board`, and nothing else. Without, what Recount's
    own role needs at least.

    Run it in the database, as somebody who may make roles and schemas there:
    recount sql grants | psql 'postgresql://admin@db.example.com/recount'
    """
    from service.operate.grants import reader_grants, service_grants

    if reader is not None and role is not None:
        raise click.UsageError("ROLE reads views, and --service names the role of Recount: give one of both")
    if reader is not None:
        click.echo(reader_grants(reader, personal=personal, product_id=product_id))
    elif personal or product_id is not None:
        raise click.UsageError("--personal and --product say what a ROLE reads: name it")
    else:
        click.echo(service_grants(role or "recount"))


COMMANDS: tuple[click.Command, ...] = (sql,)
