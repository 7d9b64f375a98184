"""Counts what the service does, for Prometheus: every metric is named, explained and bounded here.

Base units (seconds, bytes), a registry of our own, and no label that can grow without end or tell anything
about a person: products are capped, operations and outcomes are fixed sets, and keys go by the name that
their owner gave them. What only the database knows is sampled in service/operate/gauges.py.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from enum import StrEnum
from importlib import metadata
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

PRODUCTS_MAX: Final = 50
OTHER: Final = "other"
UNKNOWN: Final = "unknown"

_ACK_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_GRAPHQL_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BATCH_EVENTS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)


class Fate(StrEnum):
    """What became of one request to /webhooks."""

    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    SPOOLED = "spooled"
    QUARANTINED = "quarantined"
    UNAUTHORIZED = "unauthorized"
    TOO_LARGE = "too_large"
    TIMED_OUT = "timed_out"
    CUT_OFF = "cut_off"
    NOT_POSTED = "not_posted"
    UNAVAILABLE = "unavailable"


class WatchedPool(Protocol):
    """What is sampled of a pool of connections."""

    def get_size(self) -> int: ...
    def get_idle_size(self) -> int: ...
    def get_max_size(self) -> int: ...


class Metrics:
    """The metrics of one process.

    The parts call `delivery`, `batch`, `graphql` and the like as things happen; what is a level and no
    happening (queue, spool, subscribers, pools) is given once as a function, asked at each scrape.
    `operations` are the names that `graphql` may put on a label: whatever else is called "other".
    """

    def __init__(self, *, operations: Iterable[str] = ()) -> None:
        self.registry = registry = CollectorRegistry(auto_describe=True)
        self._operations = frozenset(operations)
        self._products: set[int] = set()
        self._count_deliveries(registry)
        self._count_answers(registry)
        self._redacted = Counter(
            "recount_erased_events", "Events redacted because a person asked for it.", registry=registry
        )
        Info("recount_build", "What runs here.", registry=registry).info(
            {"version": _version(), "python": platform.python_version()}
        )
        GCCollector(registry=registry)
        ProcessCollector(registry=registry)

    def _count_deliveries(self, registry: CollectorRegistry) -> None:
        self._deliveries = Counter(
            "recount_deliveries",
            "Requests to /webhooks, or with a key to a path where nothing is, by what became of them.",
            ["outcome", "product"],
            registry=registry,
        )
        self._ack_seconds = Histogram(
            "recount_ack_seconds",
            "From the head to the answer of a request to /webhooks, by what became of it.",
            ["outcome"],
            buckets=_ACK_SECONDS,
            registry=registry,
        )
        self._batch_events = Histogram(
            "recount_append_batch_events",
            "Deliveries in one append to the log.",
            buckets=_BATCH_EVENTS,
            registry=registry,
        )
        self._append_seconds = Histogram(
            "recount_append_seconds",
            "One append to the log, the wait for its lock and the commit included.",
            buckets=_ACK_SECONDS,
            registry=registry,
        )
        self._append_failures = Counter(
            "recount_append_failures", "Appends that Postgres did not take.", registry=registry
        )
        self._queue_events = Gauge(
            "recount_append_queue_events", "Deliveries that wait for the next append.", registry=registry
        )
        self._spool_events = Gauge(
            "recount_spool_events",
            "Deliveries that are safe on disk and wait for Postgres.",
            registry=registry,
        )
        self._spool_bytes = Gauge("recount_spool_bytes", "The spool's size on disk.", registry=registry)
        self._spool_bytes_max = Gauge(
            "recount_spool_max_bytes", "What the spool may grow to.", registry=registry
        )
        self._deliveries_of: dict[tuple[Fate, int | None], Counter] = {}
        self._ack_of = {outcome: self._ack_seconds.labels(outcome) for outcome in Fate}

    def _count_answers(self, registry: CollectorRegistry) -> None:
        self._subscribers = Gauge(
            "recount_subscribers", "GraphQL subscriptions that are open.", registry=registry
        )
        self._sent = _Total("recount_subscription_deliveries", "Results sent to subscribers.")
        registry.register(self._sent)
        self._graphql_seconds = Histogram(
            "recount_graphql_seconds",
            "One GraphQL query or mutation, by its root field.",
            ["operation"],
            buckets=_GRAPHQL_SECONDS,
            registry=registry,
        )
        self._graphql_operations = Counter(
            "recount_graphql_operations",
            "GraphQL operations, by whether the fast path answered and how it ended.",
            ["path", "result"],
            registry=registry,
        )
        self._http_requests = Counter(
            "recount_http_requests", "Requests answered.", ["route", "method", "status"], registry=registry
        )
        self._pool_connections = Gauge(
            "recount_pool_connections", "Connections to Postgres.", ["pool", "state"], registry=registry
        )
        self._pool_connections_max = Gauge(
            "recount_pool_max_connections", "What a pool may open.", ["pool"], registry=registry
        )
        self._http_of: dict[tuple[str, str, int], Counter] = {}
        self._graphql_of: dict[tuple[str, bool, bool], tuple[Histogram, Counter]] = {}

    # What happens

    def delivery(self, outcome: Fate, seconds: float, product_id: int | None = None) -> None:
        """Count one request to /webhooks; `seconds` from its head to its answer."""
        counter = self._deliveries_of.get((outcome, product_id))
        if counter is None:
            label = self.product_label(product_id)
            counter = self._deliveries.labels(outcome, label)
            if label != OTHER:  # as bounded as the labels are
                self._deliveries_of[outcome, product_id] = counter
        counter.inc()
        self._ack_of[outcome].observe(seconds)

    def batch(self, events: int, seconds: float) -> None:
        """Count one append that Postgres took."""
        self._batch_events.observe(events)
        self._append_seconds.observe(seconds)

    def append_failed(self) -> None:
        """Count one append that Postgres did not take."""
        self._append_failures.inc()

    def graphql(self, operation: str, seconds: float, *, fast: bool = False, failed: bool = False) -> None:
        """Count one query or mutation; `operation` is its first root field."""
        label = operation if operation in self._operations else OTHER
        counted = self._graphql_of.get((label, fast, failed))
        if counted is None:
            path, result = "fast" if fast else "general", "error" if failed else "ok"
            counted = self._graphql_of[label, fast, failed] = (
                self._graphql_seconds.labels(label),
                self._graphql_operations.labels(path, result),
            )
        histogram, counter = counted
        histogram.observe(seconds)
        counter.inc()

    def http(self, route: str, method: str, status: int) -> None:
        """Count one request; `route` is the pattern that matched it, never what was asked for."""
        counter = self._http_of.get((route, method, status))
        if counter is None:
            counter = self._http_of[route, method, status] = self._http_requests.labels(
                route, method, str(status)
            )
        counter.inc()

    def erased(self, events: int) -> None:
        """Count events that an erasure redacted."""
        self._redacted.inc(events)

    # What is asked at each scrape

    def watch_appender(self, queue_events: Callable[[], float]) -> None:
        """Ask how many deliveries wait for the next append."""
        self._queue_events.set_function(queue_events)

    def watch_spool(self, events: Callable[[], float], size: Callable[[], float], max_bytes: int) -> None:
        """Ask what the spool holds."""
        self._spool_events.set_function(events)
        self._spool_bytes.set_function(size)
        self._spool_bytes_max.set(max_bytes)

    def watch_subscribers(self, subscribers: Callable[[], float], sent: Callable[[], float]) -> None:
        """Ask how many subscriptions are open, and how many results were sent since the start."""
        self._subscribers.set_function(subscribers)
        self._sent.told = sent

    def watch_pool(self, name: str, pool: WatchedPool) -> None:
        """Ask how many connections a pool holds; `name` says what it is for."""
        self._pool_connections_max.labels(name).set(pool.get_max_size())
        self._pool_connections.labels(name, "idle").set_function(pool.get_idle_size)
        self._pool_connections.labels(name, "busy").set_function(
            lambda: pool.get_size() - pool.get_idle_size()
        )

    def watch(self, collector: Collector) -> None:
        """Ask a collector of its own at each scrape, as service/operate/gauges.py is."""
        self.registry.register(collector)

    def product_label(self, product_id: int | None) -> str:
        """Return the label of a product: itself for the first fifty seen, so that nobody can add more."""
        if product_id is None:
            return UNKNOWN
        if product_id not in self._products:
            if len(self._products) >= PRODUCTS_MAX:
                return OTHER
            self._products.add(product_id)
        return str(product_id)


class _Total(Collector):
    """A counter that somebody else counts."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self.told: Callable[[], float] = lambda: 0

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(self._name, self._text, value=self.told())


def _version() -> str:
    try:
        return metadata.version("recount-feedback")
    except metadata.PackageNotFoundError:
        return UNKNOWN
