"""Arguments that nothing could hold are refused by their name, before anything is done with them."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import pytest

from service.cli.read import as_of_when
from tests.given.command_tree import all_commands, commands

BEYOND = "9" * 23
RAW_BYTE = "\udcff"
WORDS = (click.types.StringParamType, click.types.UnprocessedParamType)
NUMBERS = (click.types.IntParamType, click.types.FloatParamType)


@pytest.mark.parametrize("name", all_commands())
def test_a_number_beyond_bigint_and_a_text_that_is_no_utf_8_are_refused(name: str) -> None:
    command = commands()[name]
    for parameter in command.params:
        if getattr(parameter, "is_flag", False) or not isinstance(parameter.type, WORDS + NUMBERS):
            continue
        if parameter.name == "data_dir":  # a folder may be called anything
            continue
        given = BEYOND if isinstance(parameter.type, NUMBERS) else RAW_BYTE
        several = parameter.multiple or parameter.nargs != 1

        with pytest.raises(click.BadParameter):
            parameter.handle_parse_result(
                click.Context(command), {str(parameter.name): [given] if several else given}, []
            )


def test_a_position_that_no_log_reaches_is_no_moment() -> None:
    with pytest.raises(click.BadParameter):
        as_of_when(BEYOND, False, datetime.now(UTC))
