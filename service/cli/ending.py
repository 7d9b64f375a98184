"""Runs a command to its end, whatever that is, and says in a sentence what went wrong."""

from __future__ import annotations

import asyncio
import logging
import sys
import warnings

import click

from service.cli.commands import recount
from service.cli.streams import NobodyReads, give_up_output
from service.cli.terminal import say_problem
from service.errors import DatabaseRefused, RecountError, SystemRefused, Unforeseen, reason_of
from service.lines import set_up_lines, tell_crashes, where

_REFUSALS = {
    "DiskFullError": "its disk is full",
    "TooManyConnectionsError": "it has no connection left",
    "ReadOnlySQLTransactionError": "it takes no changes: is it a standby, or set to read only?",
    "InsufficientPrivilegeError": "this user may not do that",
}
"""What Postgres says most often, by asyncpg's names, in words that quote nothing, as its own may."""


def ended() -> int:
    """Run the command that the program was called with; return its exit code. Raises KeyboardInterrupt.

    What standard output still holds is written before, since then it can be told that this went wrong.
    """
    set_up_lines(level="warning")
    tell_crashes()
    try:
        try:
            return _code(recount.main(prog_name="recount", standalone_mode=False))
        except SystemExit as ending:
            return _code(ending.code)
        finally:
            sys.stdout.flush()
    except (KeyboardInterrupt, click.exceptions.Abort, asyncio.CancelledError):
        # Whoever pressed Ctrl-C asked for the end: what it left half done is no news.
        logging.getLogger("asyncio").disabled = True
        warnings.simplefilter("ignore")
        raise KeyboardInterrupt from None
    except Exception as error:
        give_up_output()
        return _told(error)


def _code(answer: object) -> int:
    return answer if isinstance(answer, int) else 0


def _told(error: BaseException) -> int:
    """Say what an error means, on standard error; return the exit code."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, NobodyReads):
        return 0
    if isinstance(error, click.exceptions.Abort | KeyboardInterrupt):  # out of a group
        raise KeyboardInterrupt
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    problem = error if isinstance(error, RecountError) else _in_our_words(error)
    say_problem(str(problem))
    return problem.exit_code


def _in_our_words(error: BaseException) -> RecountError:
    """Return what an error of somebody else's comes to; a text that may quote data is left out."""
    import asyncpg

    from service.log.database import is_away

    if isinstance(error, asyncpg.PostgresError) and type(error).__name__ in _REFUSALS:
        return DatabaseRefused(_REFUSALS[type(error).__name__])
    if is_away(error) and not isinstance(error, OSError):
        return DatabaseRefused("it went away meanwhile")
    if isinstance(error, OSError):
        return SystemRefused(reason_of(error), error.filename)
    told = where(error)
    return Unforeseen(told["error"], told.get("where", ""))
