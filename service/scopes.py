"""What the holder of a token may do."""

from __future__ import annotations

from typing import Final, Literal

Scope = Literal["read", "personal", "raw", "admin"]
SCOPES: Final[frozenset[Scope]] = frozenset({"read", "personal", "raw", "admin"})
