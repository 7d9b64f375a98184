"""Keeps in the data folder what is known of keys: the one made at the first start, and the others' digests.

The database holds the keys; what is kept here is as it last told, for a start while it does not answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from service.config import Settings
from service.errors import DataFolderNotWritable
from service.log.known import KnownDatabase
from service.private_file import write_private

DIGESTS_FILE: Final = "keys.json"
LOCAL_KEY_FILE: Final = "webhook-key"
"""The name of the file, and of the key in it."""

Kind = Literal["WEBHOOK", "API"]

_log = structlog.get_logger(__name__)


class StoredKey(BaseModel):
    """A key or token that opens something, as the database and the folder hold it: without its secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="hex", val_json_bytes="hex")

    digest: bytes
    kind: Kind
    label: str
    product_id: int | None
    scopes: frozenset[str]
    expires_at: AwareDatetime | None


class _Digests(BaseModel):
    """What is in the file. It is good for the database that told it, and for no other."""

    model_config = ConfigDict(extra="forbid")

    database: str
    keys: list[StoredKey]


class KeyFiles:
    """The files about keys in the data folder of a database."""

    def __init__(self, database: KnownDatabase) -> None:
        self._database = database
        self._digests = database.data_dir / DIGESTS_FILE

    def stored(self) -> list[StoredKey] | None:
        """Return the keys that the database held when it was last asked; None where that is not known."""
        try:
            found = _Digests.model_validate_json(self._digests.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            _log.warning("keys_file_unreadable", file=DIGESTS_FILE, reason=type(error).__name__)
            return None
        if found.database != self._database.digest:
            _log.warning("keys_file_of_another_database", file=DIGESTS_FILE)
            return None
        return found.keys

    def keep(self, keys: Iterable[StoredKey]) -> None:
        """Keep the keys that the database holds now, where this folder works with it. Raises OSError.

        What cannot be brought up to date is deleted: it may open what was revoked meanwhile.
        """
        if not self._database.has_answered():
            return
        content = _Digests(database=self._database.digest, keys=list(keys))
        try:
            write_private(self._digests, content.model_dump_json().encode())
        except OSError:
            with contextlib.suppress(OSError):
                self._digests.unlink()
            raise

    def local_key(self) -> str | None:
        """Return the key made at the first start; None where there is none, or no longer."""
        return read_local_key(self._database.data_dir)

    def delete_local_key(self) -> bool:
        """Let the key made at the first start open nothing any more; return whether there was one.

        Raises DataFolderNotWritable.
        """
        try:
            (self._database.data_dir / LOCAL_KEY_FILE).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise DataFolderNotWritable(self._database.data_dir, error.strerror or "unknown") from error
        return True


def key_of_this_machine(settings: Settings) -> str | None:
    """Return a webhook key that the service on this machine takes; None where neither place has one.

    Raises DataFolderNotWritable.
    """
    for key in settings.webhook_keys:
        return key.secret.get_secret_value()
    return read_local_key(settings.data_dir)


def read_local_key(data_dir: Path) -> str | None:
    """Return the key made at the first start; None where there is none. Raises DataFolderNotWritable."""
    try:
        return (data_dir / LOCAL_KEY_FILE).read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataFolderNotWritable(data_dir, error.strerror or "unknown") from error
    except UnicodeDecodeError:
        raise DataFolderNotWritable(data_dir, f"its {LOCAL_KEY_FILE} is no key; delete it") from None
