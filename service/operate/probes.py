"""Says whether the process lives, whether it can take deliveries, and how it is doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import orjson
from aiohttp import web
from prometheus_client.exposition import choose_encoder

from projections.status import failings
from service.operate.gauges import Gauges
from service.web.metrics import Metrics

READY_SECONDS_MAX: Final = 0.5
"""How long /readyz waits for Postgres: balancers commonly give up after a second."""


class Intake(Protocol):
    """What a probe asks of the appender."""

    log_answers: bool
    """Whether the log took what it was last given."""
    spool_answers: bool
    """Whether the spool took what it was last given, or would take as much by now."""

    @property
    def ready(self) -> bool:
        """Whether a delivery would be kept: by the log, or by the spool."""


class KnownKeys(Protocol):
    """What a probe asks of the webhook's keys."""

    known: bool
    """Whether those of the database are known."""

    @property
    def opens_nothing(self) -> bool:
        """Whether nothing is known that a delivery's key could open."""


class Probes:
    """The handlers of /livez, /readyz and /metrics.

    `stopping` says that the process was told to end; then it is not ready, so that a load balancer sends
    the next delivery elsewhere while those under way are answered. `projecting` says what keeps this
    process's projector from its work, if anything does.
    """

    def __init__(
        self,
        metrics: Metrics,
        gauges: Gauges,
        intake: Intake,
        keys: KnownKeys | None = None,
        *,
        projecting: Callable[[], str | None] = lambda: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._metrics, self._gauges, self._intake, self._keys = metrics, gauges, intake, keys
        self._projecting, self._stopping = projecting, stopping

    def add_to(self, app: web.Application) -> None:
        """Route the three paths here."""
        app.router.add_get("/livez", self.livez)
        app.router.add_get("/readyz", self.readyz)
        app.router.add_get("/metrics", self.scrape)
        app.on_cleanup.append(lambda _: self._gauges.close())

    async def livez(self, _: web.Request) -> web.Response:
        """Answer 200 as long as the process answers at all: restart it only when this fails."""
        return _json({"alive": True})

    async def readyz(self, _: web.Request) -> web.Response:
        """Answer 200 while a delivery would be kept, in Postgres or in the spool; else 503.

        Projections that stand still are told and make nothing unready: what is not projected yet can be
        read later, but what a load balancer does not let in is lost.
        """
        postgres = None
        if not await self._gauges.sample(READY_SECONDS_MAX):
            postgres = "does not answer; what it does not take goes to the spool"
        elif not self._intake.log_answers:
            postgres = "answers, and takes no deliveries; they go to the spool"
        elif not self._intake.ready:
            postgres = "answers, and takes what is in the spool first"
        projections = self._projecting() or failings(self._gauges.projections)
        spool = None if self._intake.spool_answers else "could not take what it was last given"
        stopping = self._stopping()
        unknown = self._keys is not None and not self._keys.known
        shut = self._keys is not None and unknown and self._keys.opens_nothing
        ready = not stopping and not shut and (postgres is None or spool is None)
        answer: dict[str, object] = {
            "ready": ready,
            "postgres": postgres or "ok",
            "spool": spool or "ok",
            "projections": projections or "ok",
        }
        if unknown:
            answer["keys"] = "those of the database are unknown until it answers; until then they get 503"
        elif self._keys is not None and self._keys.opens_nothing:
            answer["keys"] = "there is none, so every delivery is refused"
        if stopping:
            answer["stopping"] = True
        return _json(answer, 200 if ready else 503)

    async def scrape(self, request: web.Request) -> web.Response:
        """Answer with all metrics, in the form that the scraper asks for."""
        await self._gauges.sample()
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._metrics.registry), headers={"Content-Type": content_type})


_JSON: Final = {"Content-Type": "application/json", "Cache-Control": "no-store"}


def _json(answer: dict[str, object], status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(answer), headers=_JSON)
