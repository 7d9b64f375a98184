"""Looks at the rules of the reactions: at their file, before a start does, and at how each of them does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from service.config import Settings
from service.errors import ReactionsRefused, SettingsError
from service.log.database import Connection
from service.operate.finding import Finding, fine, note, problem
from service.operate.running import with_files_of_service
from service.reactions.hidden import NOT_SET
from service.reactions.reactions import refuse_wrong_rules
from service.sql_files import load

_sql = load(__file__, "rules.sql")

_MEND_RULES: Final = (
    "mend the file: a service that runs goes by the rules of before, and does not start with it"
)


def _wants_variables_alone(error: SettingsError) -> bool:
    """Whether rules of a service that runs lack nothing but what stands in its environment, not in ours."""
    return isinstance(error, ReactionsRefused) and all(text.endswith(NOT_SET) for _, text in error.wrong)


async def check_rules(settings: Settings, connection: Connection) -> AsyncIterator[Finding]:
    """Whether the file can be read, of the settings or of a service that runs here; how each rule does."""
    used = with_files_of_service(settings)
    if used.reactions is not None:
        try:
            await refuse_wrong_rules(used)
        except SettingsError as error:
            if settings.reactions is None and _wants_variables_alone(error):
                yield fine("reactions", f"{used.reactions} can be read; its variables are the service's")
            else:
                yield problem("reactions", str(error), _MEND_RULES)
        else:
            yield fine("reactions", f"{used.reactions} can be read")
    rows = await connection.fetch(_sql["reactions"])
    for row in rows:
        if row["state"] == "STOPPED":
            said = f"{row['name']} has stopped: {row['problem']}"
            yield problem("reactions", said, f"mend that, then: recount reactions resume {row['name']}")
        elif row["fails"]:
            yield note(
                "reactions", f"{row['name']} is tried again: {row['problem']}", "recount reactions list"
            )
    running = [row["name"] for row in rows if row["state"] == "RUNNING" and not row["fails"]]
    if running:
        yield fine("reactions", f"as far as they could be told: {', '.join(running)}")
