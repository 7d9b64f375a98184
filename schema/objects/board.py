"""Answers about a whole board: what rises, what moved, how long it took, what was concluded."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

import strawberry
from strawberry import enum_value

from schema.declare.blocks import put, taking
from schema.declare.fields import column, computed, moment, nested, rows_of
from schema.declare.request import Args, Env, Values
from schema.declare.source import Entity, One, Parameter, Rows
from schema.objects.calendar import series, starts_of, steps_from
from schema.objects.history import net_of, status_steps
from schema.objects.names import LazyItem
from schema.objects.values import Status, duration, make, status_keys, status_of
from schema.scalars import DateTime, Duration, Position
from service.errors import BadArgument
from service.sql_files import load

_SQL: Final = load(__file__, "board.sql")


@strawberry.enum(description="What is counted.")
class Metric(Enum):
    NET_VOTES = enum_value("NET_VOTES", description="Votes for less votes against.")
    UPVOTES = enum_value("UPVOTES", description="Votes for.")
    COMMENTS = enum_value("COMMENTS", description="Comments, by Sleekplan's total.")
    SUBSCRIBERS = enum_value("SUBSCRIBERS", description="Subscribers, by Sleekplan's total.")
    ACTIVITY = enum_value("ACTIVITY", description="Events of any kind about the item.")


@strawberry.enum(description="What groups of a statistic are made by.")
class GroupBy(Enum):
    NONE = enum_value("NONE", description="One group of all.")
    MONTH = enum_value(
        "MONTH", description="The month in which it began: entered the first stage, or was submitted."
    )
    WEEK = enum_value(
        "WEEK", description="The week in which it began: entered the first stage, or was submitted."
    )
    TYPE = enum_value("TYPE", description="The item's type.")
    STATUS = enum_value("STATUS", description="The item's status now.")


@rows_of(Entity("mover"), "An item that gained or lost in a window.")
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
    item: LazyItem = nested("The item.", One("Item", "item_id"))


@strawberry.type(description="A place at the end of a step of time.")
class RankPoint:
    t: DateTime = computed("When the step begins.")
    rank: int | None = computed("Its place, from 1.")
    value: int = computed("What it is ranked by.")


def _points(_: Env, rows: list[Any]) -> list[RankPoint]:
    return [make(RankPoint, t=t, rank=rank, value=value) for t, rank, value in rows]


@rows_of(Entity("series"), "An item's places over time.")
class RankSeries:
    points: list[RankPoint] = column("Its places, oldest first.", "series.points", convert=_points)
    item: LazyItem = nested("The item.", One("Item", "item_id"))


@rows_of(Entity("stat"), "How long something took, for one group.")
class DurationStat:
    group: str = column("The group: `2026-06`, `2026-W23`, a key, or `ALL`.", "stat.key")
    n: int = column("How many finished.", "stat.n")
    p50: Duration | None = column("The median; null where none finished.", "stat.p50", convert=duration)
    p90: Duration | None = column(
        "Nine in ten took no longer; null where none finished.", "stat.p90", convert=duration
    )
    still_open: int = column("How many have not finished.", "stat.still_open")


@rows_of(Entity("point"), "Satisfaction in a step of time.")
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


@rows_of(Entity("point"), "The board by status at the end of a step of time.")
class BacklogPoint:
    t: DateTime = moment("When the step begins.", "point.starts_at")
    by_status: list[StatusCount] = column(
        "The statuses, the fullest first.", "point.by_status", convert=_counts
    )


@rows_of(Entity("point"), "How much happened in a step of time.")
class EventCount:
    t: DateTime = moment("When the step begins.", "point.starts_at")
    events: int = column("Events that happened in it, on Sleekplan's clock.", "point.events")
    last_position: Position = column("The greatest position among them.", "point.last_position")


# Blocks that several questions share

_BUCKETS: Final = steps_from(
    "coalesce((select min(first.occurred_at) from {event_facts} as first"
    " where :visible(first) and :known(first)), :at)"
)
_STATUS_STEPS: Final = status_steps(":visible(c)")


def _metric_of(row: str) -> str:
    return put(_SQL["metric_of"], row=row, net=net_of(row))


def _calendar(block: str) -> str:
    """Put the steps into a block, and what it asks of them."""
    step_of = taking("row", _SQL["step_of"])
    return put(
        block,
        calendar=put(_SQL["calendar"], buckets=_BUCKETS, step_of=step_of),
        values_told=put(_SQL["values_told"], step_of=step_of, metric_of=_metric_of),
        step_of=step_of,
        net=net_of,
    )


def _durations(spans: str, **parameters: Parameter) -> Rows:
    """Return how long something took, by groups."""
    return Rows(
        "DurationStat",
        put(_SQL["durations"], spans=f"with steps as ({_STATUS_STEPS}) {spans}"),
        "stat.key",
        parameters={"group_by": Parameter("text", lambda args: args["groupBy"].value), **parameters},
        windowed=True,
        zoned=True,
    )


def at_most(name: str) -> Parameter:
    """Return how many rows a list without pages shows; asking for more than 500 is a BadArgument."""

    def value(args: Args) -> int:
        number: int = args[name]
        if not 0 <= number <= 500:
            raise BadArgument(name, number, "is out of bounds; ask for 0 to 500")
        return number

    return Parameter("bigint", value)


def _keys(*names: str) -> Parameter:
    """The keys of the statuses that have a role: the argument's, or one of these."""

    def keys(args: Args, request: Values) -> list[str]:
        return status_keys(request, {args[name].value if name in args else name for name in names})

    return Parameter("text[]", with_request=keys)


_METRIC: Final = Parameter("text", lambda args: args["metric"].value)


def _gained_by(args: Args) -> Any:
    window = args["window"]
    if window.get("from") is None and window.get("last") is None:
        raise BadArgument("window", "it", "has no beginning to gain from; give from, or last like P7D")
    return args["metric"].value


# The questions

MOVERS: Final = Rows(
    "Mover",
    put(
        _SQL["movers"],
        newest_value=put(_SQL["newest_value"], metric_of=_metric_of),
        first_value=put(_SQL["first_value"], metric_of=_metric_of),
        value_at=taking("when", put(_SQL["value_at"], metric_of=_metric_of)),
        gone_at=taking("when", _SQL["gone_at"]),
    ),
    "mover.gained desc, mover.product_id, mover.item_id",
    limit=":first",
    parameters={"metric": Parameter("text", _gained_by), "first": at_most("first")},
    windowed=True,
)
RANK_HISTORY: Final = series(
    "RankSeries",
    _calendar(_SQL["rank_history"]),
    "series.rank_now, series.product_id, series.item_id",
    metric=_METRIC,
    top=at_most("top"),
)
CYCLE_TIME: Final = _durations(
    _SQL["cycle_spans"],
    from_open=Parameter("boolean", lambda args: args["from"].value == "OPEN"),
    from_keys=_keys("from"),
    to_keys=_keys("to"),
)
FIRST_RESPONSE: Final = _durations(_SQL["response_spans"], later_keys=_keys("ROADMAP", "DONE", "DECLINED"))
STATUS_REGRESSIONS: Final = Rows(
    "StatusPeriod",
    put(_SQL["status_regressions"], status_steps=_STATUS_STEPS),
    "period.entered_at desc, period.product_id, period.item_id, period.place desc",
    limit=":first",
    parameters={
        "first": at_most("first"),
        "open_keys": _keys("OPEN"),
        "roadmap_keys": _keys("ROADMAP"),
        "closed_keys": _keys("DONE", "DECLINED"),
    },
    windowed=True,
)
SATISFACTION_SERIES: Final = series(
    "ScorePoint",
    put(_SQL["satisfaction_series"], buckets=_BUCKETS),
    group=Parameter("text", lambda args: args["group"]),
)
STATUS_BACKLOG: Final = series("BacklogPoint", _calendar(_SQL["status_backlog"]))
EVENT_SERIES: Final = series(
    "EventCount", put(_SQL["event_series"], starts_of=starts_of(_SQL["local_starts_told"]))
)
DRIFT: Final = Rows(
    "Inference",
    _SQL["drift"],
    "inference.position desc, inference.ordinal",
    limit=":first",
    parameters={"first": at_most("first")},
)
