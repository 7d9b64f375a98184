"""Samples for each scrape what only the database knows: lag, quarantine, silence, use of keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, get_args

import asyncpg
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from projections.read_model import PRODUCTS
from projections.status import Standing, State, status
from service.backfill.sweeps import SWEEP_STATES, Fetches, SweepStanding, standing
from service.ending_tasks import ended
from service.log.database import NOT_MADE, POSTGRES_FAILURES, Pool
from service.operate.silence import Silence
from service.sql_files import load
from service.web.metrics import OTHER, Metrics

SAMPLE_SECONDS_MAX: Final = 3.0
SAMPLE_AGE_SECONDS_MAX: Final = 2.0
PRODUCTS_AGE_SECONDS_MAX: Final = 60.0
SILENT_AFTER_DAYS: Final = 3.0
REACTION_STATES: Final = ("RUNNING", "PAUSED", "STOPPED")

_sql = load(__file__, "gauges.sql")
_SILENCES: Final = _sql["products"].replace(":every_product", PRODUCTS)

_Rows = list[Mapping[str, Any]]
_Tell = Callable[..., None]


# What every gauge here says: name, what it means, labels.
_GAUGES: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("recount_postgres_up", "1 while Postgres answers.", ()),
    ("recount_postgres_info", "The Postgres that holds the log.", ("version",)),
    ("recount_pool_wait_seconds", "How long this scrape waited for a connection.", ()),
    ("recount_log_position", "The newest position of the log: how many events it holds.", ()),
    ("recount_log_last_recorded_timestamp_seconds", "When the newest event was recorded.", ()),
    ("recount_projection_position", "The position that a projection has got to.", ("projection",)),
    ("recount_projection_lag_events", "Events that a projection has not applied yet.", ("projection",)),
    (
        "recount_projection_lag_seconds",
        "How long a projection's next event has waited; 0 when there is none.",
        ("projection",),
    ),
    (
        "recount_projection_state",
        "1 for the state that a projection is in, 0 for the others.",
        ("projection", "state"),
    ),
    ("recount_parked_events", "Events that a projection set aside.", ("projection",)),
    ("recount_quarantine_deliveries", "Deliveries in the quarantine that nobody has dealt with.", ()),
    ("recount_quarantine_oldest_timestamp_seconds", "When the oldest of them arrived.", ()),
    (
        "recount_last_event_timestamp_seconds",
        "When a product's newest event was recorded.",
        ("product",),
    ),
    ("recount_last_event_age_seconds", "How long ago that was.", ("product",)),
    (
        "recount_usual_events_per_day",
        "A product's events a day in the month before its newest.",
        ("product",),
    ),
    ("recount_silence_alarm", "1 when a product is silent for longer than chance explains.", ("product",)),
    (
        "recount_key_last_used_timestamp_seconds",
        "When a key or token was last used; 0 for never. By the name that its owner gave it.",
        ("kind", "key"),
    ),
    (
        "recount_reaction_state",
        "1 for the state that a rule of RECOUNT_REACTIONS is in, 0 for the others.",
        ("reaction", "state"),
    ),
    ("recount_reaction_behind_events", "Positions of the log after that of a rule.", ("reaction",)),
    ("recount_reaction_sent_messages", "Messages of a rule that were taken.", ("reaction",)),
    ("recount_reaction_skipped_messages", "Messages of a rule that were given up.", ("reaction",)),
    (
        "recount_reaction_failing_seconds",
        "For how long what a rule tells next was not taken; 0 when nothing fails.",
        ("reaction",),
    ),
    ("recount_key_expires_timestamp_seconds", "When a key or token ends.", ("kind", "key")),
    (
        "recount_sweep_state",
        "1 for the state of a product's newest sweep of a kind, 0 for the others.",
        ("product", "kind", "state"),
    ),
    ("recount_sweep_requests", "Requests that all sweeps of a kind took.", ("product", "kind")),
    ("recount_sweep_events", "Events that all sweeps of a kind recorded.", ("product", "kind")),
    (
        "recount_sweep_complete_timestamp_seconds",
        "When a product's last complete sweep of a kind ended.",
        ("product", "kind"),
    ),
)


class Gauges(Collector):
    """The sampled gauges. `await sample()` before each scrape; while Postgres is away only that is told."""

    def __init__(self, pool: Pool, metrics: Metrics, *, silent_after_days: float = SILENT_AFTER_DAYS) -> None:
        self._pool = pool
        self._metrics = metrics
        self._silent_after_days = silent_after_days
        self._values: dict[str, list[tuple[tuple[str, ...], float]]] = {}
        self._sampled_at = float("-inf")
        self.projections: list[Standing] = []
        """As the last sample found them."""
        self._products: list[Silence] = []
        self._products_at = float("-inf")
        self._sampling: asyncio.Task[None] | None = None
        metrics.watch(self)

    async def sample(self, wait_seconds: float | None = None) -> bool:
        """Ask Postgres, unless somebody did just now; return whether it answers.

        After `wait_seconds` that is what was found before, if anything was: the answer is for whoever comes
        next. Who asks whether we are ready often waits for a second alone.
        """
        if self._sampling is None or self._sampling.done():
            if time.monotonic() - self._sampled_at <= SAMPLE_AGE_SECONDS_MAX:
                return self._is_up
            self._sampling = asyncio.create_task(self._sample(), name="gauges")
        sampling = self._sampling
        await asyncio.wait({sampling}, timeout=wait_seconds if self._values else None)
        if sampling.done():
            sampling.result()
        return self._is_up

    async def close(self) -> None:
        """Give up what is being asked."""
        if self._sampling is not None and not self._sampling.done():
            await ended(self._sampling)

    @property
    def _is_up(self) -> bool:
        return self._values.get("recount_postgres_up") == [((), 1.0)]

    async def _sample(self) -> None:
        try:
            async with asyncio.timeout(SAMPLE_SECONDS_MAX):
                self._values = await self._ask()
        except asyncpg.InsufficientPrivilegeError:
            self._values = {"recount_postgres_up": [((), 1.0)]}
        except POSTGRES_FAILURES:
            self._values = {"recount_postgres_up": [((), 0.0)]}
        self._sampled_at = time.monotonic()

    def describe(self) -> Iterable[Metric]:
        """Name the gauges, so that no other metric takes one of these names."""
        return [GaugeMetricFamily(name, text, labels=labels) for name, text, labels in _GAUGES]

    def collect(self) -> Iterable[Metric]:
        """Give the last sample."""
        for name, text, labels in _GAUGES:
            family = GaugeMetricFamily(name, text, labels=labels)
            for values, number in self._values.get(name, ()):
                family.add_metric(values, number)
            yield family

    async def _ask(self) -> dict[str, list[tuple[tuple[str, ...], float]]]:
        values: dict[str, list[tuple[tuple[str, ...], float]]] = {name: [] for name, _, _ in _GAUGES}
        began = time.perf_counter()
        async with self._pool.acquire() as connection:
            values["recount_pool_wait_seconds"] = [((), time.perf_counter() - began)]
            server = await _rows(connection, _sql["server"])
            log = await _rows(connection, _sql["log"])
            projections = self.projections = await status(connection)
            quarantine = await _rows(connection, _sql["quarantine"])
            keys = await _rows(connection, _sql["keys"])
            sweeps = await standing(connection)
            reactions = await _rows(connection, _sql["reactions"])
            if time.monotonic() - self._products_at > PRODUCTS_AGE_SECONDS_MAX:
                self._products = await silences(connection)
                self._products_at = time.monotonic()

        def tell(name: str, number: float | None, *labels: str) -> None:
            if number is not None:
                values[name].append((labels, float(number)))

        tell("recount_postgres_up", 1)
        for row in server:
            tell("recount_postgres_info", 1, row["version"])
        tell("recount_log_position", log[0]["position"] if log else 0)
        for row in log:
            tell("recount_log_last_recorded_timestamp_seconds", row["recorded_at"])
        for found in projections:
            tell("recount_projection_position", found.position, found.name)
            tell("recount_projection_lag_events", found.lag_events, found.name)
            tell("recount_projection_lag_seconds", found.lag_seconds, found.name)
            tell("recount_parked_events", found.parked, found.name)
            for state in get_args(State):
                tell("recount_projection_state", found.state == state, found.name, state)
        for row in quarantine:
            tell("recount_quarantine_deliveries", row["deliveries"])
            tell("recount_quarantine_oldest_timestamp_seconds", row["oldest_at"])
        for row in keys:
            tell(
                "recount_key_last_used_timestamp_seconds", row["last_used_at"] or 0, row["kind"], row["label"]
            )
            tell("recount_key_expires_timestamp_seconds", row["expires_at"], row["kind"], row["label"])
        for swept in sweeps:
            if (label := self._metrics.product_label(swept.product_id)) != OTHER:
                _tell_sweep(tell, label, swept)
        for row in reactions:
            _tell_reaction(tell, row)
        for product in self._products:
            label = self._metrics.product_label(product.product_id)
            if label == OTHER:
                continue
            tell("recount_last_event_timestamp_seconds", product.last_at, label)
            tell("recount_last_event_age_seconds", max(time.time() - product.last_at, 0), label)
            tell("recount_usual_events_per_day", product.usual_a_day, label)
            tell("recount_silence_alarm", product.is_alarming(self._silent_after_days), label)
        return values


def _tell_sweep(tell: _Tell, label: str, swept: SweepStanding) -> None:
    for state in SWEEP_STATES:
        tell("recount_sweep_state", swept.state == state, label, swept.kind, state)
    tell("recount_sweep_requests", swept.requests, label, swept.kind)
    tell("recount_sweep_events", swept.recorded, label, swept.kind)
    tell("recount_sweep_complete_timestamp_seconds", swept.completed_at, label, swept.kind)


def _tell_reaction(tell: _Tell, row: Mapping[str, Any]) -> None:
    for state in REACTION_STATES:
        tell("recount_reaction_state", row["state"] == state, row["name"], state)
    for measure, unit in (("behind", "events"), ("sent", "messages"), ("skipped", "messages")):
        tell(f"recount_reaction_{measure}_{unit}", row[measure], row["name"])
    tell("recount_reaction_failing_seconds", row["failing_seconds"], row["name"])


async def silences(connection: Fetches) -> list[Silence]:
    """Return each product's last event and usual rate; empty before anything was projected."""
    for _ in range(2):  # a rebuild may drop the table between the two statements
        found = await _rows(connection, _sql["facts_table"])
        if not found:
            return []
        facts = found[0]["name"]
        rows = await _rows(connection, _SILENCES.replace("{event_facts}", facts))
        if rows:
            return [
                Silence(row["product_id"], row["last_at"], row["age_seconds"], row["usual_a_day"])
                for row in rows
            ]
    return []


async def _rows(connection: Fetches, statement: str) -> _Rows:
    """Return a statement's rows; none where its tables were not made yet."""
    try:
        return [dict(row) for row in await connection.fetch(statement)]
    except NOT_MADE:
        return []
