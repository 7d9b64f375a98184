"""Remembers, by digest, which database a data folder works with.

A start while that one is away means spooling; an address that never answered is a mistake to be told.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from pydantic import SecretStr

from service.errors import DatabaseUrlMissing, DataFolderNotWritable
from service.private_file import write_private


class KnownDatabase:
    """The database of the settings, as seen from the data folder. Without an address it is our own, in it."""

    def __init__(self, data_dir: Path, address: SecretStr | None) -> None:
        self.data_dir = data_dir
        self.digest = "embedded"
        if address is not None:
            self.digest = sha256(address.get_secret_value().encode()).hexdigest()
        self._path = data_dir / "database.json"
        self._is_ours = address is None

    def refuse_another(self) -> None:
        """Refuse our own database where this folder goes with one elsewhere, whose address was forgotten.

        Its log would be an empty or an old one, and what is recorded, erased or revoked there would be so in
        the wrong place, with every sign of success. Raises DatabaseUrlMissing.
        """
        if self._is_ours and self._path.exists():
            raise DatabaseUrlMissing(self.data_dir, self._path)

    def has_answered(self) -> bool:
        """Return whether this database has answered before, from this folder."""
        if self._is_ours:
            return self.data_dir.is_dir()
        try:
            return bool(json.loads(self._path.read_bytes())["digest"] == self.digest)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def note(self) -> None:
        """Remember that it answered. Raises DataFolderNotWritable."""
        if self.has_answered():
            return
        try:
            write_private(self._path, json.dumps({"digest": self.digest}).encode())
        except OSError as error:
            raise DataFolderNotWritable(self.data_dir, error.strerror or "unknown") from error
