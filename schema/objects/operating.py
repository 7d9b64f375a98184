"""How the service does: what has arrived, how far the projections are, what could not be read."""

from __future__ import annotations

from enum import Enum
from typing import Final

import strawberry
from strawberry import enum_value

from projections.read_model import KNOWN_SINCE
from projections.status import known
from schema.declare.blocks import put
from schema.declare.fields import column, computed, moment, nested, rows_of
from schema.declare.request import Args
from schema.declare.source import Entity, Parameter, Rows, Single
from schema.objects.board import at_most
from schema.objects.event import Origin
from schema.objects.values import name_of_product
from schema.scalars import DateTime, Position
from service.backfill.sweeps import STATE_NOW
from service.sleekplan.walk import PER_PAGE
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
    ABSENT = enum_value("ABSENT", description="It is installed here no more; its tables stay as they were.")


@strawberry.enum(description="What has become of a delivery in quarantine.")
class QuarantineState(Enum):
    OPEN = enum_value("OPEN", description="It waits for a decision.")
    RETRIED = enum_value("RETRIED", description="A retry made an event of it.")
    DISCARDED = enum_value("DISCARDED", description="It was discarded; its bytes are kept.")


@rows_of(Entity("ingest"), "How whole our copy is: what has arrived, from wherever.")
class Ingest:
    last_event_at: DateTime | None = moment("When the last one arrived.", "ingest.last_at")
    known_since: DateTime | None = moment(
        "From when on events were told as they happened, but for a few that lie far before the rest; of "
        "before, a back-fill brings what still stands.",
        "ingest.known_since",
    )
    backfilled_at: DateTime | None = moment(
        "When the last back-fill ended that brought all items, comments and votes; null: none did.",
        "ingest.backfilled_at",
    )
    reconciled_at: DateTime | None = moment(
        "When the board was last compared as a whole with Sleekplan's; null: it was not.",
        "ingest.reconciled_at",
    )
    events_last_hour: int = column("How many arrived in the last hour.", "ingest.last_hour")
    duplicates_dropped: int = column("How many deliveries were copies of recorded ones.", "ingest.copies")
    quarantined: int = column("How many deliveries in quarantine wait for a decision.", "ingest.quarantined")
    quiet_alarm: bool = column(
        "Whether it has been quiet for so long that chance does not explain it: three days, and at least "
        "ten events that the month before would have brought in that time.",
        "ingest.quiet",
    )


@strawberry.type(description="What the settings say of how a board is told and fetched.")
class Setup:
    can_backfill: bool = computed(
        "Whether a key of Sleekplan's API is set, so that `backfill` can fetch a board that the caller sees."
    )
    backfill_products: list[strawberry.ID] = computed(
        "The products that such keys are for, of those that the caller sees; none where a key is for any."
    )


@rows_of(Entity("product"), "A board of Sleekplan's, one of several that a log may hold.")
class Product:
    sleekplan_id: strawberry.ID = column(
        "Sleekplan's id, which arguments take as productId; too large for 32 bits, hence an ID.",
        "product.product_id",
    )
    name: str | None = column(
        "What the file of labels calls it; null where it says nothing.",
        "product.product_id",
        convert=name_of_product,
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


@strawberry.enum(description="What a sweep is doing.")
class SweepState(Enum):
    RUNNING = enum_value("RUNNING", description="It asks Sleekplan's API.")
    STOPPED = enum_value(
        "STOPPED", description="Its process ended before it did; the same call goes on with it."
    )
    COMPLETE = enum_value("COMPLETE", description="It walked all that it was asked for.")
    PARTIAL = enum_value(
        "PARTIAL", description="It ended, and something is missing; the same call tries that again."
    )
    ABANDONED = enum_value("ABANDONED", description="Somebody ended it for good.")


@strawberry.enum(description="How the walk through a list of Sleekplan's went.")
class SweptState(Enum):
    OPEN = enum_value("OPEN", description="It is still to be walked.")
    DONE = enum_value("DONE", description="It was walked to its end.")
    FAILED = enum_value("FAILED", description="It could not be read.")
    FORBIDDEN = enum_value("FORBIDDEN", description="The key may not read it.")
    GONE = enum_value("GONE", description="Its item was gone.")


@rows_of(Entity("swept"), "The lists of one name that a sweep walked and that ended alike.")
class SweptLists:
    name: str = column("Their name: posts, users, votes and the like.", "swept.scope")
    state: SweptState = column("How they ended.", "swept.state")
    lists: int = column(
        "How many they are; the board has one of posts, each item one of votes.", "swept.lists"
    )
    rows: int = column("How many rows they brought.", "swept.rows")
    problem: str | None = column("Why one of them is missing.", "swept.problem")


@rows_of(
    Entity("sweep"),
    "A run that asked Sleekplan's API how a board is, and recorded what no webhook told.",
    name="Sweep",
)
class SweepProgress:
    id: strawberry.ID = column("Its id, as `recount sweeps list` shows it.", "sweep.id::text")
    product_id: strawberry.ID = column("The product whose board it is.", "sweep.product_id")
    kind: Origin = column("BACKFILL or RECONCILE: also the origin of its events.", "sweep.kind")
    full: bool = column(
        "Whether it reads the lists of all items, or only of those whose totals are others.", "sweep.whole"
    )
    state: SweepState = column("What it is doing.", "sweep.state")
    started_at: DateTime = moment("When it began.", "sweep.started_at")
    moved_at: DateTime = moment("When it last got on.", "sweep.moved_at")
    finished_at: DateTime | None = moment("When it ended; null while it runs.", "sweep.finished_at")
    requests: int = column("How many requests it has taken.", "sweep.requests")
    events: int = column("How many events it has recorded.", "sweep.recorded")
    progress: float | None = column(
        "How much of it is done, 0 to 1; null until the posts were listed, which say how much there is.",
        "sweep.progress",
    )
    problem: str | None = column("What stopped it.", "sweep.problem")
    lists: list[SweptLists] = nested(
        "What it walks. Lists of items are kept until a later sweep is complete.",
        Rows("SweptLists", _SQL["sweep_lists"], "swept.phase, swept.scope, swept.state"),
    )


@strawberry.enum(description="Whether a reaction tells what happens.")
class ReactionStanding(Enum):
    RUNNING = enum_value("RUNNING", description="It tells what happens.")
    PAUSED = enum_value("PAUSED", description="Somebody paused it.")
    STOPPED = enum_value("STOPPED", description="It gave up; `problem` says why.")
    ABSENT = enum_value("ABSENT", description="It is in the file no more; its place is kept.")


@rows_of(
    Entity("reaction"), "A rule of RECOUNT_REACTIONS, and how far it has told what it tells.", name="Reaction"
)
class ReactionProgress:
    name: str = column("Its name.", "reaction.name")
    state: ReactionStanding = column("Whether it tells what happens.", "reaction.state")
    position: Position = column("The position up to which all is told.", "reaction.position")
    behind: int = column("How many positions of the log lie after that.", "reaction.behind")
    sent: int = column("How many messages were taken.", "reaction.sent")
    sent_at: DateTime | None = moment("When the last of them was.", "reaction.sent_at")
    skipped: int = column("How many were given up.", "reaction.skipped")
    attempts: int = column("How often what is to be told next was not taken.", "reaction.attempts")
    failing_since: DateTime | None = moment("When that was tried first.", "reaction.failing_since")
    problem: str | None = column("Why it was not taken, or why the rule stopped.", "reaction.problem")


def _states(args: Args) -> list[str] | None:
    return None if args.get("states") is None else [each.value.lower() for each in args["states"]]


_KNOWN_SINCE: Final = put(KNOWN_SINCE, earliest=_SQL["earliest"], told="arrived.told", now=":at")
INGEST: Final = Single("Ingest", put(_SQL["ingest"], known_since=_KNOWN_SINCE))
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
REACTIONS: Final = Rows("Reaction", _SQL["reactions"], "reaction.name", scope="admin")
QUARANTINE: Final = Rows(
    "QuarantinedDelivery",
    _SQL["quarantine"],
    "delivery.received_at desc, delivery.id",
    limit=":first",
    parameters={"first": at_most("first"), "states": Parameter("text[]", _states)},
    scope="admin",
)
SWEEPS: Final = Rows(
    "Sweep",
    put(_SQL["sweeps"], state_now=STATE_NOW),
    "sweep.started_at desc, sweep.id",
    limit=":first",
    parameters={
        "first": at_most("first"),
        "states": Parameter(
            "text[]",
            lambda args: None if args.get("states") is None else [each.value for each in args["states"]],
        ),
        "per_page": Parameter("float8", lambda _: PER_PAGE),
    },
)
