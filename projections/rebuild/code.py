"""Tells versions of rebuilding apart: what stopped one may be mended in another, with the same statements."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent


@cache
def code_digest() -> str:
    """Return what a rebuild goes by beside the statements of its projections."""
    digest = hashlib.sha256()
    for path in sorted([*_HERE.glob("*.py"), *_HERE.glob("*.sql"), *_HERE.parent.glob("steps.*")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
