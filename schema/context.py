"""What one operation may see and with what it reads: the context of every resolver."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

import strawberry

from schema.resume import ResumePoint
from service.errors import ForeignProduct, ProductElsewhere
from service.labels import Labels, load_labels
from service.scopes import SCOPES

if TYPE_CHECKING:
    import asyncpg

    from projections.read_model import Reader
    from projections.replicas import Replicas
    from service.config import Settings
    from service.log.departures import Departures
    from service.log.event_store import EventStore
    from service.log.hub import Hub
    from service.log.traces import Traces


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the scopes of their token and the products that it is bound to (None: every product).

    Two callers that compare equal see the same, so what one subscription sends may be shared by both;
    when the token ends is therefore no part of the comparison.
    """

    scopes: frozenset[str]
    products: frozenset[int] | None = None
    expires_at: dt.datetime | None = field(default=None, compare=False)

    def may(self, scope: str) -> bool:
        """Return whether the caller holds a scope."""
        return scope in self.scopes

    def with_at_most(self, scopes: str | None) -> Caller:
        """Return the same caller with those of their scopes that are named, as `read+raw`; None names all."""
        return (
            self
            if scopes is None
            else replace(self, scopes=self.scopes & {*scopes.replace(" ", "+").split("+")})
        )

    def sees(self, product_id: int) -> bool:
        """Return whether the caller may see a product."""
        return self.products is None or product_id in self.products

    @property
    def product_ids(self) -> list[int] | None:
        """The products as SQL takes them: `$1::bigint[] is null or product_id = any($1)`."""
        return None if self.products is None else sorted(self.products)


EVERYTHING: Final = Caller(SCOPES)
"""Loopback without tokens, and the command line."""


class Actions(Protocol):
    """What mutations ask of the parts that the schema may not import; the composition root provides it."""

    async def rebuild(self, name: str | None) -> None:
        """Start rebuilding a projection, or all; returns once it has begun."""

    async def quarantine_retry(self, id: str, products: frozenset[int] | None) -> tuple[int, bool]:
        """Record a delivery in quarantine; return its position and whether it was there already."""

    async def quarantine_discard(self, id: str, products: frozenset[int] | None) -> None:
        """Close a delivery in quarantine. `products` are those that the caller may act on, None for all."""

    async def erase_user(self, product_id: int, user_id: str, *, texts: bool, reason: str) -> int:
        """Erase a person's data; returns how many events were redacted."""

    async def reconcile(self, product_id: int | None, *, full: bool) -> None:
        """Begin to compare a board with Sleekplan's; returns once it has begun."""

    async def backfill(self, product_id: int | None) -> None:
        """Begin to fetch what was on a board before; returns once it has begun."""

    def webhook_key(self) -> str | None:
        """Return the key that the service made itself, None where it made none."""


@dataclass(frozen=True, slots=True)
class Services:
    """What all operations of the process share."""

    pool: asyncpg.Pool
    reader: Reader
    store: EventStore
    hub: Hub
    settings: Settings
    labels: Labels = field(default_factory=lambda: load_labels(None))
    actions: Actions | None = None
    replicas: Replicas | None = None
    traces: Traces | None = None
    departures: Departures | None = None
    clock: Callable[[], dt.datetime] = field(default=lambda: dt.datetime.now(dt.UTC))


@dataclass(slots=True)
class Context:
    """One operation's: who asks, with what it reads, and where in the log it did.

    Whoever reads sets `read_at`; the response's `extensions` say its position, and its cursor.
    """

    services: Services
    caller: Caller = EVERYTHING
    read_at: ResumePoint | None = None
    _now: dt.datetime | None = None

    @property
    def elsewhere(self) -> Mapping[int, str]:
        """The products that other cells answer for, with the cell of each."""
        # A document that is only looked at, as those of rules, has no services.
        departures: Departures | None = getattr(self.services, "departures", None)
        return departures.cells if departures else {}

    @property
    def product_ids(self) -> list[int] | None:
        """The products that the caller may see and that are here, as `Caller.product_ids` has them."""
        seen, away = self.caller.product_ids, self.elsewhere
        return [each for each in seen if each not in away] if seen and away else seen

    def check_product(self, product_id: int) -> None:
        """Raise ForeignProduct for what the caller may not see, ProductElsewhere for another cell's."""
        if not self.caller.sees(product_id):
            raise ForeignProduct(product_id)
        if product_id in self.elsewhere:
            raise ProductElsewhere({product_id: self.elsewhere[product_id]})

    @property
    def position(self) -> int | None:
        """The position that was read at."""
        return None if self.read_at is None else self.read_at.position

    def now(self) -> dt.datetime:
        """Return the moment of the operation, the same for all its fields."""
        if self._now is None:
            self._now = self.services.clock()
        return self._now


Info = strawberry.Info[Context, None]
