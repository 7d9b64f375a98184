"""What things went through: status periods, revisions, series, jumps, what was concluded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from schema.context import Info
from schema.declare.enums import InferenceKind, Origin
from schema.declare.fields import child, column, moment, nested
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

    @nested(specs.item_of("period"), "The item.")
    def item(self, info: Info) -> LazyItem | None:
        return child(self, info)

    @nested(specs.event_of("period"), "The event that told of it.")
    def caused_by(self, info: Info) -> LazyEvent | None:
        return child(self, info)


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

    @nested(
        Inline(
            {
                "up": "revision.up_then",
                "down": "revision.down_then",
                "net": "(revision.up_then - coalesce(revision.down_then, 0))",
            }
        ),
        "Sleekplan's totals at that time: the votes that predate the change.",
    )
    def votes_before(self, info: Info) -> VoteTotals:
        return child(self, info)

    @nested(
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
        "The votes gained since, up to the moment that is read.",
    )
    def votes_after(self, info: Info) -> VoteTotals:
        return child(self, info)

    @nested(specs.event_of("revision"), "The event that changed it.")
    def event(self, info: Info) -> LazyEvent | None:
        return child(self, info)

    @nested(specs.REVISION_BY, "Who changed it; null where it was not told, as is usual.")
    def by(self, info: Info) -> LazyUser | None:
        return child(self, info)


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

    @nested(
        specs.NEARBY_EVENTS,
        "What else happened on the board in the hour around it, nearest first, at most 20.",
    )
    def nearby_events(self, info: Info) -> list[LazyEvent]:
        return child(self, info)


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

    @nested(specs.item_of("inference"), "The item.")
    def item(self, info: Info) -> LazyItem | None:
        return child(self, info)


@strawberry.type(description="The event that set a value.")
class Provenance:
    field: str = column("The field.", "provenance.field")
    value: JSON | None = column("Its value.", "provenance.value")
    position: Position = column("The event's position.", "provenance.position")

    @nested(specs.event_of("provenance"), "The event.")
    def event(self, info: Info) -> LazyEvent | None:
        return child(self, info)


@strawberry.type(
    description="What was done before and after a publication, in two stretches of the same length."
)
class Impact:
    @nested(specs.IMPACT_BEFORE, "Before.")
    def before(self, info: Info) -> ActivityTotals:
        return child(self, info)

    @nested(specs.IMPACT_AFTER, "After.")
    def after(self, info: Info) -> ActivityTotals:
        return child(self, info)
