"""How the service does: what has arrived, how far the projections are, what could not be read."""

from __future__ import annotations

from enum import Enum
from typing import Final

import strawberry
from strawberry import enum_value

from projections.status import known
from schema.declare.fields import column, moment, rows_of
from schema.declare.request import Args
from schema.declare.source import Entity, Parameter, Rows, Single
from schema.objects.board import at_most
from schema.scalars import DateTime, Position
from service.sql_files import load

_SQL: Final = load(__file__, "operating.sql")


@strawberry.enum(description="What a projection is doing.")
class ProjectionState(Enum):
    LIVE = enum_value("LIVE", description="It holds all that the log holds.")
    CATCHING_UP = enum_value("CATCHING_UP", description="It is behind the log, and moving.")
    REBUILDING = enum_value("REBUILDING", description="It is counted again beside the tables that are read.")
    OUTDATED = enum_value(
        "OUTDATED", description="Its tables were counted by other rules than today's; a rebuild is due."
    )
    STUCK = enum_value(
        "STUCK", description="It is behind the log, and has not moved for 15 seconds: nothing projects."
    )
    FAILED = enum_value("FAILED", description="Its last step or rebuild failed; `lastError` says why.")


@strawberry.enum(description="What has become of a delivery in quarantine.")
class QuarantineState(Enum):
    OPEN = enum_value("OPEN", description="It waits for a decision.")
    RETRIED = enum_value("RETRIED", description="A retry made an event of it.")
    DISCARDED = enum_value("DISCARDED", description="It was discarded; its bytes are kept.")


@rows_of(Entity("ingest"), "How whole our copy is: what has arrived, from wherever.")
class Ingest:
    last_event_at: DateTime | None = moment("When the last one arrived.", "ingest.last_at")
    events_last_hour: int = column("How many arrived in the last hour.", "ingest.last_hour")
    duplicates_dropped: int = column("How many deliveries were copies of recorded ones.", "ingest.copies")
    quarantined: int = column("How many deliveries in quarantine wait for a decision.", "ingest.quarantined")
    quiet_alarm: bool = column(
        "Whether it has been quiet for so long that chance does not explain it: three days, and at least "
        "ten events that the month before would have brought in that time.",
        "ingest.quiet",
    )


@rows_of(Entity("product"), "A board of Sleekplan's, one of several that a log may hold.")
class Product:
    sleekplan_id: strawberry.ID = column(
        "Sleekplan's id, which arguments take as productId; too large for 32 bits, hence an ID.",
        "product.product_id",
    )
    last_event_at: DateTime = moment("When its newest event arrived.", "product.last_at")


@rows_of(Entity("projection"), "How far a projection of the log has got.", name="Projection")
class ProjectionProgress:
    name: str = column("Its name.", "projection.name")
    state: ProjectionState = column("What it is doing.", "projection.state")
    position: Position = column("The last event that it holds.", "projection.position")
    head: Position = column("The last event of the log.", "projection.head")
    lag_events: int = column("How many events it has still to take.", "projection.lag_events")
    lag_seconds: float = column("How long the oldest of them has waited.", "projection.lag_seconds")
    rate_per_second: float = column("How many events a second it took last.", "projection.rate_per_second")
    eta_seconds: float | None = column(
        "How long the rest will take at that rate; null where there is no rate.",
        "projection.eta_seconds",
    )
    parked: int = column("How many events it could not apply, or that wait for such.", "projection.parked")
    rebuild_progress: float | None = column(
        "How much of a rebuild is done, 0 to 1; null without one.", "projection.progress"
    )
    last_error: str | None = column("Why its last step or rebuild failed.", "projection.last_error")


@rows_of(Entity("delivery"), "A delivery that could not be read as an event, kept with its bytes.")
class QuarantinedDelivery:
    id: strawberry.ID = column("Its id, for quarantineRetry and quarantineDiscard.", "delivery.id::text")
    product_id: strawberry.ID | None = column(
        "The product of the key that it came with.", "delivery.product_id"
    )
    received_at: DateTime = moment("When it first came.", "delivery.received_at")
    last_received_at: DateTime = moment("When it last came.", "delivery.last_received_at")
    copies: int = column("How often it came.", "delivery.copies")
    reason: str = column("Why it is no event.", "delivery.reason")
    state: QuarantineState = column("Whether it waits, was retried or discarded.", "upper(delivery.state)")
    position: Position | None = column("The event that a retry made of it.", "delivery.position")
    closed_at: DateTime | None = moment("When it was retried or discarded.", "delivery.closed_at")
    size_bytes: int = column("How large its body is.", "octet_length(delivery.body)")
    body: str | None = column(
        "Its body in Base64. Needs the scope `raw`.",
        "translate(encode(delivery.body, 'base64'), E'\\n', '')",
        scope="raw",
    )


def _states(args: Args) -> list[str] | None:
    return [each.value.lower() for each in args["states"]] if args.get("states") else None


INGEST: Final = Single("Ingest", _SQL["ingest"])
PRODUCTS: Final = Rows("Product", _SQL["products"], "product.product_id")
PROJECTIONS: Final = Rows(
    "Projection",
    _SQL["projections"],
    "projection.name",
    parameters={
        "names": Parameter("text[]", lambda _: known()[0]),
        "fingerprints": Parameter("text[]", lambda _: known()[1]),
    },
)
QUARANTINE: Final = Rows(
    "QuarantinedDelivery",
    _SQL["quarantine"],
    "delivery.received_at desc, delivery.id",
    limit=":first",
    parameters={"first": at_most("first"), "states": Parameter("text[]", _states)},
    scope="admin",
)
