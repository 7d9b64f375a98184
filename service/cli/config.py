"""The settings as this environment gives them, and how to reach the database."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from service.cli.options import data_dir_option, given_settings, host_option, port_option
from service.cli.terminal import json_option, note, out, print_json
from service.errors import EmbeddedPostgresNotRunning, RecountError

if TYPE_CHECKING:
    from service.config import Settings


@click.command()
@click.option("--explain", is_flag=True, help="With what each one means.")
@click.option(
    "--connection",
    is_flag=True,
    help="Print how to reach the database, as lines for a shell: for psql, pg_dump and the like.",
)
@data_dir_option
@host_option
@port_option
@json_option
def config(explain: bool, connection: bool, as_json: bool) -> None:
    """Print the settings, or how to reach the database.

    Settings are shown as this environment gives them, secrets left out.

    `eval "$(recount config --connection)"` sets PGHOST and the like, and puts Postgres's own programs on the
    PATH, so that psql and pg_dump reach the same database. The embedded one has to run: start the service.
    """
    from service.config import variable

    settings = given_settings()
    if connection:
        for line in _connection_lines(settings, with_password=not out.is_terminal):
            click.echo(line)
        return
    shown = settings.redacted()
    if as_json:
        print_json(shown)
        return
    for name, field in type(settings).model_fields.items():
        value = shown[variable(name)]
        line = f"{variable(name)}={value}"
        out.print(f"{line:<44} {field.description}" if explain else line, markup=False)


def _connection_lines(settings: Settings, *, with_password: bool) -> Iterator[str]:
    """Give lines for a shell that let libpq's programs reach the database that we reach, and no other.

    Only a shell that evaluates them sees the password. Raises InvalidSetting, DatabaseUrlMissing,
    EmbeddedPostgresNotRunning.
    """
    from service.dsn import Dsn
    from service.log.known import KnownDatabase
    from service.postgres.binaries import find_binaries
    from service.postgres.embedded import attach

    given = settings.database_url
    KnownDatabase(settings.data_dir, given).refuse_another()
    dsn = attach(settings.data_dir) if given is None else given.get_secret_value()
    if dsn is None:
        raise EmbeddedPostgresNotRunning(settings.data_dir)
    variables = Dsn.read(dsn, os.environ).variables()
    if not with_password and variables.pop("PGPASSWORD"):
        note("PGPASSWORD is left out on a terminal")
    yield f"unset {' '.join(name for name, value in variables.items() if value is None)}"
    for name, value in variables.items():
        if value is not None:
            yield f"export {name}={shlex.quote(value)}"
    if given is None:
        try:
            yield f'export PATH={shlex.quote(str(find_binaries().folder))}:"$PATH"'
        except RecountError:
            note("this installation has no pg_dump of its own")


COMMANDS: tuple[click.Command, ...] = (config,)
