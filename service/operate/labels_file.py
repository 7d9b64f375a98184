"""Looks at the file of labels before a start does, which it would keep from starting."""

from __future__ import annotations

from collections.abc import Iterable

from service.config import Settings
from service.errors import SettingsError
from service.labels import load_labels
from service.operate.finding import Finding, fine, problem
from service.operate.running import with_files_of_service


def check_labels(settings: Settings) -> Iterable[Finding]:
    """Whether the file of the settings, else that of the service that runs here, says what can be meant."""
    file = with_files_of_service(settings).labels
    if file is None:
        return
    try:
        load_labels(file)
    except SettingsError as error:
        yield problem(
            "labels",
            str(error),
            "mend the file: a service that runs goes by what it said before, and does not start with it",
        )
    else:
        yield fine("labels", f"{file} can be read")
