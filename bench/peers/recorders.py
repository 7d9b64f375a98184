"""The library `eventsourcing` on a database: its recorder, an application, and the event that both know."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import DomainEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

POOL_SIZE = 10


class Delivery(DomainEvent):
    """A stored delivery, as the library's mapper makes it from a row."""

    position: int
    product_id: int
    action: str
    occurred_at: str
    data: dict[str, Any]


class Log(Application[UUID]):
    """The application whose notifications a projection follows."""


def connection_settings(dsn: str) -> dict[str, str]:
    """Return a DSN's parts as the library wants them."""
    parts = urlsplit(dsn)
    host = parse_qs(parts.query).get("host", [parts.hostname or "127.0.0.1"])[0]
    return {
        "dbname": parts.path.lstrip("/"),
        "host": host,
        "port": str(parts.port or 5432),
        "user": parts.username or "",
        "password": parts.password or "",
    }


def application_recorder(dsn: str) -> PostgresApplicationRecorder:
    """Return the library's recorder with its table made."""
    datastore = PostgresDatastore(**connection_settings(dsn), pool_size=POOL_SIZE, enable_db_functions=True)
    datastore.pool.open(wait=True)
    recorder = PostgresApplicationRecorder(datastore)
    recorder.create_table()
    return recorder
