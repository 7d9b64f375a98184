"""Says what a target is: somewhere to which what a rule tells is sent, one message after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from schema.resume import ResumePoint


class NotTaken(Exception):
    """A target did not take a message; the text quotes nothing of address, secret, message or answer.

    `wait_seconds` is how long it asked to be left alone; `final` that it will not take this one later either,
    `ends` that it will take none, ever.
    """

    def __init__(
        self, reason: str, *, wait_seconds: float | None = None, final: bool = False, ends: bool = False
    ) -> None:
        self.reason, self.wait_seconds, self.final, self.ends = reason, wait_seconds, final or ends, ends
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Telling:
    """What is told: by which rule, as of where in the log; told again it has the same id."""

    rule: str
    id: str
    place: ResumePoint
    data: dict[str, Any]

    def body(self) -> bytes:
        """Return it as JSON, the same bytes each time."""
        place: dict[str, Any] = {"position": self.place.position}
        if self.place.ordinal:
            place["ordinal"] = self.place.ordinal
        return orjson.dumps({"type": self.rule, "id": self.id, **place, "data": self.data})


class Target(Protocol):
    """Where messages go."""

    async def tell(self, telling: Telling, timeout_seconds: float) -> None:
        """Return once it was taken. Raises NotTaken."""

    def shown(self, telling: Telling) -> str:
        """Return what would be sent, without where and with which secret. Raises NotTaken."""
