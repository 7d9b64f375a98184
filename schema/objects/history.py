"""What things went through: status periods, revisions, series, jumps, what was concluded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from schema.declare.enums import InferenceKind, Origin
from schema.declare.fields import column, moment, nested
from schema.declare.source import Inline
from schema.objects import specs
from schema.objects.values import ActivityTotals, FieldChange, Status, VoteTotals, duration, status_of
from schema.scalars import JSON, DateTime, Duration, Position

if TYPE_CHECKING:
    from schema.objects.types import Event, Item, User

LazyItem = Annotated["Item", strawberry.lazy("schema.objects.types")]
LazyUser = Annotated["User", strawberry.lazy("schema.objects.types")]
LazyEvent = Annotated["Event", strawberry.lazy("schema.objects.types")]


@strawberry.type(description="A stretch of time that an item stood in a status.")
class StatusPeriod:
    from_: Status | None = column(
        "The status before; null at the beginning.", "period.before_key", convert=status_of, name="from"
    )
    to: Status | None = column("The status that it entered.", "period.key", convert=status_of)
    entered_at: DateTime = moment("When it entered it.", "period.entered_at")
    left_at: DateTime | None = moment("When it left it; null while it stands in it.", "period.left_at")
    lasted: Duration = column(
        "How long it stood in it, up to the moment that is read.", "period.lasted", convert=duration
    )
    at: Position = column("The event that told of it.", "period.position")
    item: LazyItem | None = nested("The item.", specs.item_of("period"))
    caused_by: LazyEvent | None = nested("The event that told of it.", specs.event_of("period"))


@strawberry.type(description="A change of an item's text or other fields.")
class Revision:
    at: DateTime = moment("When it was changed.", "revision.occurred_at")
    position: Position = column("The event that changed it.", "revision.position")
    changes: list[FieldChange] = column(
        "What was changed.",
        "revision.names",
        "revision.before",
        "revision.after",
        convert=specs.revision_changes,
    )
    votes_before: VoteTotals = nested(
        "Sleekplan's totals at that time: the votes that predate the change.",
        Inline(
            {
                "up": "revision.up_then",
                "down": "revision.down_then",
                "net": "(revision.up_then - coalesce(revision.down_then, 0))",
            }
        ),
    )
    votes_after: VoteTotals = nested(
        "The votes gained since, up to the moment that is read.",
        Inline(
            {
                "up": "(revision.up_now - revision.up_then)",
                "down": "(revision.down_now - revision.down_then)",
                "net": (
                    "(revision.up_now - revision.up_then"
                    " - coalesce(revision.down_now - revision.down_then, 0))"
                ),
            }
        ),
    )
    event: LazyEvent | None = nested("The event that changed it.", specs.event_of("revision"))
    by: LazyUser | None = nested(
        "Who changed it; null where it was not told, as is usual.", specs.REVISION_BY
    )


@strawberry.type(description="Votes in a step of time.")
class VotePoint:
    t: DateTime = moment("When the step begins.", "point.starts_at")
    up: int = column("Votes for that events told of.", "point.up")
    down: int = column("Votes against that events told of.", "point.down")
    withdrawn: int = column("Votes taken back, told or concluded from a falling total.", "point.withdrawn")
    cumulative: int | None = column(
        "Sleekplan's net total at the end of the step; null before the first.", "point.cumulative"
    )


@strawberry.type(description="Subscribers in a step of time.")
class CountPoint:
    t: DateTime = moment("When the step begins.", "point.starts_at")
    added: int = column("How many began to follow.", "point.added")
    removed: int = column("How many stopped.", "point.removed")
    cumulative: int = column(
        "How many known followers there were at the end of the step.", "point.cumulative"
    )


@strawberry.type(description="A total that moved by much between two posts.")
class VoteJump:
    at: DateTime = moment("When the post that shows it happened.", "jump.occurred_at")
    position: Position = column("That post's event.", "jump.position")
    delta: int = column("By how many net votes it moved.", "jump.delta")
    likely_cause: str = column("What explains it: `votes`, or what was concluded.", "jump.likely_cause")
    nearby_events: list[LazyEvent] = nested(
        "What else happened on the board in the hour around it, nearest first, at most 20.",
        specs.NEARBY_EVENTS,
    )


@strawberry.type(description="What was concluded from totals that no event explains. Never a voter.")
class Inference:
    kind: InferenceKind = column("What was concluded.", "inference.kind")
    origin: Origin = column("Always INFERRED.", "'INFERRED'")
    field: str = column(
        "The total that moved: `votesUp` or `votesDown`.",
        "case inference.field when 'votes_up' then 'votesUp' else 'votesDown' end",
    )
    delta: int = column("By how much it moved otherwise than by the votes seen.", "inference.delta")
    ours: int = column("The total as the votes seen would have it.", "inference.ours")
    theirs: int = column("The total as Sleekplan has it.", "inference.theirs")
    seen_at: DateTime = moment("When the post that shows it happened.", "inference.occurred_at")
    position: Position = column("The event that revealed it.", "inference.position")
    likely_cause: str | None = column("What is likely behind it.", "inference.likely_cause")
    item: LazyItem | None = nested("The item.", specs.item_of("inference"))


@strawberry.type(description="The event that set a value.")
class Provenance:
    field: str = column("The field.", "provenance.field")
    value: JSON | None = column("Its value.", "provenance.value")
    position: Position = column("The event's position.", "provenance.position")
    event: LazyEvent | None = nested("The event.", specs.event_of("provenance"))


@strawberry.type(
    description="What was done before and after a publication, in two stretches of the same length."
)
class Impact:
    before: ActivityTotals = nested("Before.", specs.IMPACT_BEFORE)
    after: ActivityTotals = nested("After.", specs.IMPACT_AFTER)
