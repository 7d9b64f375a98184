"""How an error is told to a client: what it may know, under which code, and nothing else."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Any, Final

import structlog
from graphql import GraphQLError

from service.errors import PostgresAway, RecountError
from service.lines import Seldom, where
from service.log.database import may_pass

SYNTAX: Final = "GRAPHQL_PARSE_FAILED"
INVALID: Final = "GRAPHQL_VALIDATION_FAILED"
INTERNAL: Final = "INTERNAL_ERROR"
MESSAGE_CHARACTERS_MAX: Final = 500
"""GraphQL's own messages quote what was sent, which may be long."""

_log = structlog.get_logger(__name__)
_away: Final = Seldom()
_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def refusal(message: str, code: str, **extensions: object) -> GraphQLError:
    """Return the error of a request that is not executed; `code` is for programs, the message for people."""
    return GraphQLError(message, extensions={"code": code, **extensions})


class Refused(Exception):
    """A request that is not executed: nothing of it was run, and the errors say why.

    `status` is the HTTP status where the media type lets one be told.
    """

    def __init__(self, errors: list[GraphQLError], status: int = 400) -> None:
        self.errors, self.status = errors, status
        super().__init__(errors[0].message)

    @classmethod
    def because(cls, message: str, code: str, status: int = 400, **extensions: object) -> Refused:
        """Return the refusal with one error."""
        return cls([refusal(message, code, **extensions)], status)


def coded(errors: list[GraphQLError]) -> list[GraphQLError]:
    """Return errors of what a client gave, with the code that says so where they have none."""
    for error in errors:
        error.extensions = {"code": "BAD_USER_INPUT", **(error.extensions or {})}
    return errors


def told(errors: Iterable[GraphQLError], *, debug: bool = False) -> list[dict[str, Any]]:
    """Return errors as a response carries them, what is not meant for the client replaced by an id.

    A RecountError explains itself, as does an error of GraphQL's own; its class names the code. That
    Postgres is away, or has no room or connection left, is told as PostgresAway. Anything else is a fault of
    ours: it is logged under the id by its type and place, since the text of a database error may hold the
    data of a person. `debug` shows its text to the client, too.
    """
    return [_told(error, debug) for error in errors]


def _told(error: GraphQLError, debug: bool) -> dict[str, Any]:
    said: dict[str, Any] = {**error.formatted}
    cause = _cause(error)
    if cause is not None and may_pass(cause):
        if times := _away.times():
            _log.warning("graphql_without_postgres", times=times, path=_path(error), **where(cause))
        cause = PostgresAway()
    if isinstance(cause, RecountError):
        said["message"] = str(cause)
        said["extensions"] = {"code": code_of(cause), **(said.get("extensions") or {})}
    elif cause is not None and error.path is not None:
        error_id = secrets.token_hex(6)
        _log.error("graphql_internal_error", error_id=error_id, path=_path(error), **where(cause))
        said["message"] = f"an internal error; the service's log tells more under {error_id}"
        said["extensions"] = {"code": INTERNAL, "id": error_id}
        if debug:
            said["message"] += f" ({type(cause).__name__}: {cause})"
    if len(said["message"]) > MESSAGE_CHARACTERS_MAX:
        said["message"] = said["message"][:MESSAGE_CHARACTERS_MAX] + "…"
    return said


def _cause(error: GraphQLError) -> Exception | None:
    """The exception below the layers of GraphQLError; None when it is GraphQL's own."""
    cause: Exception | None = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def code_of(cause: RecountError) -> str:
    """Return the code that clients know an error by: its own, or its class's name."""
    return getattr(cause, "code", "") or _WORD_START.sub("_", type(cause).__name__).upper()


def _path(error: GraphQLError) -> str:
    return ".".join(str(part) for part in error.path or ())
