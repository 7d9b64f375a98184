"""The settings as this environment gives them, and how to reach the database."""

from __future__ import annotations

import click

from service.cli.terminal import json_option, out, print_json
from service.config import Settings, load_settings, variable
from service.operate import doctor as examination


@click.command()
@click.option("--explain", is_flag=True, help="With what each one means.")
@click.option(
    "--connection",
    is_flag=True,
    help="Print how to reach the database, as lines for a shell: for psql, pg_dump and the like.",
)
@json_option
def config(explain: bool, connection: bool, as_json: bool) -> None:
    """Print the settings as this environment gives them, secrets left out.

    `eval "$(recount config --connection)"` sets PGHOST and the like, and puts Postgres's own programs on the
    PATH, so that psql and pg_dump reach the same database. The embedded one has to run: start the service.
    """
    settings = load_settings()
    if connection:
        _print_connection(settings)
        return
    shown = settings.redacted()
    if as_json:
        print_json(shown)
        return
    for name, field in type(settings).model_fields.items():
        value = shown[variable(name)]
        line = f"{variable(name)}={value}"
        out.print(f"{line:<44} {field.description}" if explain else line, markup=False)


def _print_connection(settings: Settings) -> None:
    for line in examination.connection_lines(settings):
        click.echo(line)


COMMANDS: tuple[click.Command, ...] = (config,)
