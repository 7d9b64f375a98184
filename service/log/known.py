"""Remembers, by digest, which database a data folder works with.

A start while that one is away means spooling; an address that never answered is a mistake to be told.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from pydantic import SecretStr

from service.errors import DataFolderNotWritable
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
