"""What an item went through: status periods, revisions, series, jumps, what was concluded."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

import strawberry
from strawberry import enum_value

from schema.declare.blocks import each, put, taking
from schema.declare.fields import column, moment, nested, rows_of
from schema.declare.request import Args
from schema.declare.source import Entity, Inline, One, Parameter, Rows, Single
from schema.objects.calendar import series, steps_from
from schema.objects.event import Origin
from schema.objects.names import LazyEvent, LazyItem, LazyUser
from schema.objects.values import FieldChange, Status, VoteTotals, changes_of_row, duration, status_of
from schema.objects.vote import direction_of
from schema.scalars import JSON, DateTime, Duration, Position
from service.errors import BadArgument
from service.sql_files import load

_SQL: Final = load(__file__, "history.sql")

net_of: Final = taking("row", put(_SQL["net"], **each(_SQL["total_before"], "votes_up", "votes_down")))
"""What gives the net votes of an item with the post of a row."""

# What else happened around a jump. Sorted by columns that every event has: whoever reads below an event is
# asked for them as well.
_NEARBY: Final = Rows(
    "Event",
    _SQL["nearby_events"],
    "abs(extract(epoch from event.occurred_at - jump.occurred_at)), event.position",
    limit="20",
)


@strawberry.enum(description="What was concluded from totals that no event explains.")
class InferenceKind(Enum):
    COUNT_DRIFT = enum_value("COUNT_DRIFT", description="A total moved otherwise than by the votes seen.")
    VOTE_WITHDRAWN = enum_value("VOTE_WITHDRAWN", description="A total fell: a vote was probably taken back.")
    VOTE_CHANGED = enum_value(
        "VOTE_CHANGED", description="One total fell as the other rose: a vote was probably turned round."
    )
    LIKELY_MERGE = enum_value(
        "LIKELY_MERGE", description="Totals jumped as another item was closed as merged."
    )


@rows_of(Entity("period"), "A stretch of time that an item stood in a status.")
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
    item: LazyItem | None = nested("The item.", One("Item", "item_id"))
    caused_by: LazyEvent | None = nested("The event that told of it.", One("Event", "position"))


@rows_of(Entity("revision"), "A change of an item's text or other fields.")
class Revision:
    at: DateTime = moment("When it was changed.", "revision.occurred_at")
    position: Position = column("The event that changed it.", "revision.position")
    changes: list[FieldChange] = column(
        "What was changed.",
        "revision.names",
        "revision.before",
        "revision.after",
        convert=changes_of_row,
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
    event: LazyEvent | None = nested("The event that changed it.", One("Event", "position"))
    by: LazyUser | None = nested(
        "Who changed it; null where it was not told, as is usual.", One("User", where=_SQL["by"])
    )


@rows_of(Entity("point"), "Votes in a step of time.")
class VotePoint:
    t: DateTime = moment("When the step begins.", "point.starts_at")
    up: int = column("Votes for that events told of.", "point.up")
    down: int = column("Votes against that events told of.", "point.down")
    withdrawn: int = column("Votes taken back, told or concluded from a falling total.", "point.withdrawn")
    cumulative: int | None = column(
        "Sleekplan's net total at the end of the step; null before the first.", "point.cumulative"
    )


@rows_of(Entity("point"), "Subscribers in a step of time.")
class CountPoint:
    t: DateTime = moment("When the step begins.", "point.starts_at")
    added: int = column("How many began to follow.", "point.added")
    removed: int = column("How many stopped.", "point.removed")
    cumulative: int = column(
        "How many known followers there were at the end of the step.", "point.cumulative"
    )


@rows_of(Entity("jump"), "A total that moved by much between two posts.")
class VoteJump:
    at: DateTime = moment("When the post that shows it happened.", "jump.occurred_at")
    position: Position = column("That post's event.", "jump.position")
    delta: int = column("By how many net votes it moved.", "jump.delta")
    likely_cause: str = column("What explains it: `votes`, or what was concluded.", "jump.likely_cause")
    nearby_events: list[LazyEvent] = nested(
        "What else happened within half an hour of it, nearest first, at most 20: items that were submitted, "
        "edited, moved, merged or deleted, and notes that were published.",
        _NEARBY,
    )


@rows_of(Entity("inference"), "What was concluded from totals that no event explains. Never a voter.")
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
    explained_by: Position | None = column(
        "The event that told it later, fetched from Sleekplan's API: a vote, or the merge. Null: nobody did.",
        "inference.explained_by",
    )
    item: LazyItem | None = nested("The item.", One("Item", "item_id"))


@rows_of(Entity("provenance"), "The event that set a value.")
class Provenance:
    field: str = column("The field.", "provenance.field")
    value: JSON | None = column("Its value.", "provenance.value")
    position: Position = column("The event's position.", "provenance.position")
    event: LazyEvent | None = nested("The event.", One("Event", "position"))


def status_steps(which: str) -> str:
    """Return the block of the statuses that were entered, by these rows of what was said of items."""
    return put(_SQL["status_steps"], which=which)


def every_status_period() -> str:
    """Return the block of the statuses that all items stood in."""
    return put(_SQL["status_history"], status_steps=status_steps("true"))


_REVISED: Final = (
    *("title", "description", "status", "type", "effort", "tags"),
    *("owner", "estimated", "mergedInto"),
)
_TOLD: Final = (
    *_REVISED,
    *("createdAt", "author", "votes", "commentCount", "subscriberCount", "trend", "scoring"),
)


def _fields(args: Args) -> list[str] | None:
    wanted = args.get("fields")
    for name in wanted or ():
        if name not in _REVISED:
            raise BadArgument(
                "fields", name, f"is no field with revisions; choose from {', '.join(_REVISED)}"
            )
    return list(wanted) if wanted is not None else None


def _field(args: Args) -> str:
    name: str = args["field"]
    if name not in _TOLD:
        raise BadArgument("field", name, f"has no provenance; choose from {', '.join(_TOLD)}")
    return name


def _since(args: Args) -> Any:
    given = [name for name in ("time", "statusEntered") if args.get(name) is not None]
    if len(given) != 1:
        told = "time and statusEntered were both given" if given else "nothing was named"
        raise BadArgument("votesSince", told, "to count since; give either time or statusEntered")
    return args.get("time")


_OF_ITEM: Final = status_steps("c.product_id = item.product_id and c.item_id = item.item_id")
# When it was submitted comes without a zone, and may be later than what was told of it. The events are those
# that the caller sees: a series begins at no private note.
_STEPS: Final = steps_from(
    "coalesce(least(item.created_at, (select min(first.occurred_at) from {event_facts} as first"
    " where first.product_id = item.product_id and first.item_id = item.item_id and :known(first))), :at)"
)
_LATEST: Final = taking("row", _SQL["votes_latest"])

STATUS_HISTORY: Final = Rows(
    "StatusPeriod", put(_SQL["status_history"], status_steps=_OF_ITEM), "period.place"
)
REVISIONS: Final = Rows(
    "Revision",
    put(_SQL["revisions"], votes_as_of=taking("row", _SQL["votes_as_of"]), votes_latest=_LATEST),
    "revision.place",
    parameters={"fields": Parameter("text[]", _fields)},
)
PROVENANCE: Final = Single(
    "Provenance",
    put(_SQL["provenance"], net=net_of),
    parameters={"field": Parameter("text", _field)},
)
VOTE_SERIES: Final = series(
    "VotePoint", put(_SQL["vote_series"], buckets=_STEPS, direction=direction_of("o"), net=net_of)
)
SUBSCRIBER_SERIES: Final = series("CountPoint", put(_SQL["subscriber_series"], buckets=_STEPS))
VOTES_SINCE: Final = Single(
    "VoteTotals",
    put(_SQL["votes_since"], status_steps=_OF_ITEM, votes_latest=_LATEST),
    parameters={
        "time": Parameter("timestamptz", _since),
        "status_entered": Parameter("text", lambda args: args.get("statusEntered")),
    },
)
VOTE_JUMPS: Final = Rows(
    "VoteJump",
    put(_SQL["vote_jumps"], net=net_of),
    "jump.place",
    parameters={"min_delta": Parameter("int", lambda args: args["minDelta"])},
)
ITEM_INFERENCES: Final = Rows("Inference", _SQL["item_inferences"], "inference.position, inference.ordinal")
