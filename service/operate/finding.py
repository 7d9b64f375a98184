"""What a check of the doctor's comes to: a fact, a note or a problem, with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a check ended. A note is worth knowing; a problem costs events, or will."""

    FINE = "fine"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and what to do about it."""

    check: str
    state: State
    text: str
    mend: str = ""


def fine(check: str, text: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(check, State.FINE, text)


def note(check: str, text: str, mend: str = "") -> Finding:
    """Return what is worth knowing."""
    return Finding(check, State.NOTE, text, mend)


def problem(check: str, text: str, mend: str) -> Finding:
    """Return what costs events, or will, with what mends it."""
    return Finding(check, State.PROBLEM, text, mend)
