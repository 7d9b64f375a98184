"""Options that stand for a setting, and the settings as the options and the environment give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from service.config import Settings

_GIVEN: Final = f"{__name__}.given"


def _keep(context: click.Context, parameter: click.Parameter, value: str | int | None) -> None:
    """Keep an option for `given_settings`. An empty one is a shell's variable that is not set: no folder."""
    if value == "":
        raise click.BadParameter("is empty")
    context.meta.setdefault(_GIVEN, {})[parameter.name] = value


data_dir_option = click.option(
    "--data-dir",
    metavar="FOLDER",
    callback=_keep,
    expose_value=False,
    help="The data folder. Default: RECOUNT_DATA_DIR, else .recount here.",
)
host_option = click.option(
    "--host",
    metavar="ADDRESS",
    callback=_keep,
    expose_value=False,
    help="The address that the service listens on. Default: RECOUNT_HOST, else 127.0.0.1.",
)
port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="NUMBER",
    callback=_keep,
    expose_value=False,
    help="The port that the service listens on. Default: RECOUNT_PORT, else 8080.",
)


def given_settings() -> Settings:
    """Return the settings of this call: its options go before the environment. Raises SettingsError."""
    from service.config import load_settings

    context = click.get_current_context(silent=True)
    return load_settings(**({} if context is None else context.meta.get(_GIVEN, {})))
