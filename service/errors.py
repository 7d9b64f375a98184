"""Every error that Recount raises itself: what happened, with the values, and what to do.

    RecountError
    ├── SettingsError                    the environment says something that cannot be meant
    │   ├── UnknownSetting
    │   ├── InvalidSetting
    │   └── ExposedWithoutSecrets
    └── EmbeddedPostgresError            the Postgres of our own cannot be had
        ├── DataFolderNotWritable
        ├── DataFolderInUse
        ├── PostgresBinariesMissing
        └── PostgresDidNotStart

Each part of the project appends its own below and draws it above.
"""

from __future__ import annotations

from pathlib import Path


class RecountError(Exception):
    """Something went wrong that Recount can explain; `exit_code` is what a command ends with."""

    exit_code: int = 1


# Settings: service/config.py


class SettingsError(RecountError):
    """The environment says something that cannot be meant."""

    exit_code = 2


class UnknownSetting(SettingsError):
    """A RECOUNT_ name that no setting has."""

    def __init__(self, name: str, near: list[str]) -> None:
        self.name, self.near = name, near
        meant = f"did you mean {' or '.join(near)}?" if near else "it is misspelt or of another version."
        super().__init__(f"there is no setting {name}; {meant} `recount config` lists all settings")


class InvalidSetting(SettingsError):
    """A setting whose value cannot be read; the message never shows a secret's value."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"{name} {reason}")


class ExposedWithoutSecrets(SettingsError):
    """An address that others can reach, without the keys and tokens that keep them out."""

    def __init__(self, host: str, missing: list[str]) -> None:
        self.host, self.missing = host, missing
        super().__init__(
            f"RECOUNT_HOST={host} can be reached from other machines, so {' and '.join(missing)} must be set; "
            "set them, or leave RECOUNT_HOST at 127.0.0.1"
        )


# The embedded Postgres: service/embedded.py


class EmbeddedPostgresError(RecountError):
    """The Postgres of our own cannot be had."""


class DataFolderNotWritable(EmbeddedPostgresError):
    """The data folder cannot be made or written."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"the data folder {folder} cannot be written ({reason}); give it to this user, "
            "or name another: RECOUNT_DATA_DIR=/path/to/folder"
        )


class DataFolderInUse(EmbeddedPostgresError):
    """Another service runs on this data folder."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        self.folder, self.pid = folder, pid
        holder = f"process {pid}" if pid else "another process"
        stop = f"kill {pid}" if pid else "stop it"
        super().__init__(
            f"the data folder {folder} is in use by {holder}; stop that service first ({stop}), "
            "or name another folder: RECOUNT_DATA_DIR=/path/to/folder"
        )


class PostgresBinariesMissing(EmbeddedPostgresError):
    """No Postgres to run: neither the wheel's nor the system's."""

    def __init__(self, searched: list[str]) -> None:
        self.searched = searched
        super().__init__(
            "found no PostgreSQL 15 or later to run (looked at: " + ", ".join(searched) + "); install one "
            "(on Debian: apt-get install postgresql), or set RECOUNT_DATABASE_URL to a server that runs"
        )


class PostgresDidNotStart(EmbeddedPostgresError):
    """Postgres or initdb of our own ended, or took too long, before it answered."""

    def __init__(self, what: str, log: Path, tail: str) -> None:
        self.what, self.log, self.tail = what, log, tail
        super().__init__(f"{what}; its log {log} ends: {tail or '(empty)'}")
