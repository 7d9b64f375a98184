"""Declares what a rule of the file of reactions may say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from service.events import Origin
from service.reactions.hidden import STRICT, Hidden, TargetTable
from service.reactions.schedule import Times
from service.scopes import Scope

TARGETS: Final = ("webhook", "message", "jetstream")


class WebhookTable(TargetTable):
    """A webhook, signed as standardwebhooks.com says."""

    url: Hidden
    secret: Hidden


class MessageTable(TargetTable):
    """A message to people, by an address of Apprise's; title and text are templates over the data."""

    url: Hidden
    text: Annotated[str, Field(min_length=1)]
    title: str = ""
    format: Literal["text", "markdown", "html"] = "text"


class JetStreamTable(TargetTable):
    """A subject that a stream of NATS JetStream's takes."""

    url: Hidden
    subject: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")]
    credentials_file: Path | None = None


class Rule(BaseModel):
    """What is told, of which events or at which times, and to whom."""

    model_config = STRICT

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    document: str
    variables: dict[str, Any] = {}
    when: str | None = None
    every: str | None = None
    scopes: frozenset[Scope] = frozenset({"read"})
    origins: frozenset[Origin] = frozenset({"WEBHOOK"})
    demo: bool = False
    webhook: WebhookTable | None = None
    message: MessageTable | None = None
    jetstream: JetStreamTable | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    retry_hours: Annotated[float, Field(ge=0, le=8_760)] = 24.0
    then: Literal["stop", "skip"] = "stop"

    @field_validator("every")
    @classmethod
    def _names_times(cls, value: str | None) -> str | None:
        if value is not None:
            Times.read(value)
        return value

    @model_validator(mode="after")
    def _has_one_target(self) -> Rule:
        given = [name for name in TARGETS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"wants one target ({', '.join(TARGETS)}) and has {len(given) or 'none'}")
        return self
