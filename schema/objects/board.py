"""Answers about a whole board: what rises, what moved, how long it took, whether the copy is whole."""

from __future__ import annotations

from typing import Any

import strawberry

from schema.declare.enums import ProjectionState, QuarantineState
from schema.declare.fields import column, computed, moment, nested
from schema.declare.request import Env
from schema.objects import roots
from schema.objects.history import LazyItem
from schema.objects.specs import item_of, revision_changes
from schema.objects.values import FieldChange, Status, duration, make, status_of
from schema.scalars import DateTime, Duration, Position


@strawberry.type(description="An item that gained or lost in a window.")
class Mover:
    gained: int = column("What it gained in the window.", "mover.gained")
    gained_previous: int = column(
        "What it gained in the window of the same length before.", "mover.gained_previous"
    )
    acceleration: float = column(
        "By how much more it gained than before.", "(mover.gained - mover.gained_previous)::float8"
    )
    rank_now: int = column("Its place in its product at the end of the window.", "mover.rank_now")
    rank_before: int | None = column(
        "Its place at the beginning; null where it was not there yet.", "mover.rank_before"
    )
    item: LazyItem = nested("The item.", item_of("mover"))


@strawberry.type(description="A place at the end of a step of time.")
class RankPoint:
    t: DateTime = computed("When the step begins.")
    rank: int | None = computed("Its place, from 1.")
    value: int = computed("What it is ranked by.")


def _points(_: Env, rows: list[Any]) -> list[RankPoint]:
    return [make(RankPoint, t=t, rank=rank, value=value) for t, rank, value in rows]


@strawberry.type(description="An item's places over time.")
class RankSeries:
    points: list[RankPoint] = column("Its places, oldest first.", "series.points", convert=_points)
    item: LazyItem = nested("The item.", item_of("series"))


@strawberry.type(description="How long something took, for one group.")
class DurationStat:
    group: str = column("The group: `2026-06`, `2026-W23`, a key, or `ALL`.", "stat.key")
    n: int = column("How many finished.", "stat.n")
    p50: Duration | None = column("The median; null where none finished.", "stat.p50", convert=duration)
    p90: Duration | None = column(
        "Nine in ten took no longer; null where none finished.", "stat.p90", convert=duration
    )
    still_open: int = column("How many have not finished.", "stat.still_open")


@strawberry.type(description="Satisfaction in a step of time.")
class ScorePoint:
    t: DateTime = moment("When the step begins.", "point.starts_at")
    n: int = column("Answers that no newer one replaced.", "point.n")
    avg: float | None = column("Their mean; null without any.", "point.avg")
    replaced_answers: int = column("Answers that a newer one of the same user replaced.", "point.replaced")


@strawberry.type(description="Items in one status.")
class StatusCount:
    status: Status = computed("The status.")
    items: int = computed("How many items stood in it.")
    votes: int = computed("Their net votes.")


def _counts(env: Env, rows: list[Any] | None) -> list[StatusCount]:
    return [
        make(StatusCount, status=status_of(env, key), items=items, votes=votes)
        for key, items, votes in rows or ()
    ]


@strawberry.type(description="The board by status at the end of a step of time.")
class BacklogPoint:
    t: DateTime = moment("When the step begins.", "point.starts_at")
    by_status: list[StatusCount] = column(
        "The statuses, the fullest first.", "point.by_status", convert=_counts
    )


@strawberry.type(description="How much happened in a step of time.")
class EventCount:
    t: DateTime = moment("When the step begins.", "point.starts_at")
    events: int = column("Events that happened in it, on Sleekplan's clock.", "point.events")
    last_position: Position = column("The greatest position among them.", "point.last_position")


@strawberry.type(description="An item that stands on the board at both moments and differs.")
class ItemDelta:
    changes: list[FieldChange] = column(
        "What differs.", "diff.names", "diff.before", "diff.after", convert=revision_changes
    )
    before: LazyItem = nested("How it was.", roots.DIFF_BEFORE)
    after: LazyItem = nested("How it is at the later moment.", roots.DIFF_AFTER)


def _differing(kind: str) -> str:
    return f"(select count(*)::int from diffs where diffs.kind = '{kind}')"


@strawberry.type(
    description="What differs between two moments; each list shows 500 at most, its count says how many."
)
class BoardDiff:
    added: list[LazyItem] = nested("Items that came on the board.", roots.DIFF_ADDED)
    removed: list[LazyItem] = nested(
        "Items that left it, as they were at the earlier moment.", roots.DIFF_REMOVED
    )
    changed: list[ItemDelta] = nested(
        "Items that differ in title, description, status, type, effort, votes or comments.",
        roots.DIFF_CHANGED,
    )
    added_count: int = column("How many came.", _differing("ADDED"))
    removed_count: int = column("How many left.", _differing("REMOVED"))
    changed_count: int = column("How many differ.", _differing("CHANGED"))


@strawberry.type(description="How whole our copy is: what has arrived, from wherever.")
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


@strawberry.type(description="A board of Sleekplan's, one of several that a log may hold.")
class Product:
    sleekplan_id: strawberry.ID = column(
        "Sleekplan's id, which arguments take as productId; too large for 32 bits, hence an ID.",
        "product.product_id",
    )
    last_event_at: DateTime = moment("When its newest event arrived.", "product.last_at")


@strawberry.type(description="How far a projection of the log has got.")
class Projection:
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


@strawberry.type(description="A delivery that could not be read as an event, kept with its bytes.")
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
