"""The composition root: what the service opens, opens here, and closes in the opposite order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cached_property, partial
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from projections.declare import declare
from projections.follow.projector import Projector
from projections.read_model import Reader
from projections.rebuild.after_erasure import count_again
from projections.rebuild.rebuild import Rebuilder
from projections.replicas import replicas_of
from schema.answer.limits import Limits
from schema.build import build_schema, root_fields
from schema.context import Services
from schema.serve.callers import Callers
from schema.serve.held import SocketLimits
from schema.serve.http import GraphQLEndpoint
from schema.serve.who import Who
from service.backfill.schedule import Schedule
from service.config import Settings, check_exposure
from service.errors import (
    DatabaseReadsOnly,
    DatabaseUnreachable,
    RecountError,
    SpoolUnavailable,
    reason_of,
)
from service.events import decode
from service.hosts import is_loopback, near_url
from service.intake.appender import Appender
from service.intake.spool import FOLDER_NAME, Spool
from service.intake.webhook import Webhook
from service.labels import Labels
from service.lines import Seldom
from service.log.database import (
    POSTGRES_FAILURES,
    as_refused,
    close_pool,
    connect,
    migrate,
    open_pool,
    refuse_shared_sessions,
)
from service.log.departures import Departures
from service.log.event_store import EventStore
from service.log.hub import Hub
from service.log.known import KnownDatabase
from service.log.quarantine import Quarantine
from service.log.tracing import traces_to
from service.operate import demo, demo_api
from service.operate.acting import Acting
from service.operate.erasure import Erasure
from service.operate.gauges import Gauges
from service.operate.probes import Probes
from service.operate.sweeping import Sweeping
from service.operate.views import Views
from service.operate.work import for_ever
from service.postgres.embedded import EmbeddedPostgres
from service.reactions.reactions import reacting, refuse_wrong_rules
from service.web.key_files import LOCAL_KEY_FILE, KeyFiles, read_local_key
from service.web.keys import Keys, Tokens, WebhookKeys, local_key
from service.web.metrics import Metrics
from service.web.pages import GRAPHIQL, Documentation, PageFiles
from service.web.request_log import METRICS, AccessLog
from service.web.runner import Runner

AWAY_RETRY_SECONDS: Final = 1.0
IN_FLIGHT_SECONDS: Final = 5.0
"""How long requests under way may take once the service was told to stop."""
WAITING_MAX: Final = 4096
"""How many connections may wait to be accepted, where the kernel lets so many (`net.core.somaxconn`)."""

_log = structlog.get_logger(__name__)


class ToRun(Enum):
    """What is to run."""

    SERVE = "serve"
    DEMO = "demo"
    CHOOSE = "choose"
    """The demo where the database is the embedded one and its log empty or the demo's; else the service."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What whoever started the service wants to know: where to go, and where the data is."""

    address: str
    webhook_key: str | None
    """The key that the service made itself; None where keys were given."""
    database: str
    data_dir: Path
    is_demo: bool
    spooling: bool
    is_open: bool
    """Whether whoever reaches it from this machine may do everything, since there is no token."""


class Service:
    """Everything that one process of Recount holds."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stopping = False
        self.away = False
        self.port = settings.port
        self.metrics = Metrics(operations=root_fields())
        self.webhook_keys = WebhookKeys.of(settings.webhook_keys)
        self.tokens = Tokens.of(settings.api_tokens)
        self._who = Who(
            settings.trusted_proxy,
            user=settings.trusted_proxy_user,
            groups=settings.trusted_proxy_groups,
            scopes=settings.trusted_proxy_scopes,
        )
        self.known = KnownDatabase(settings.data_dir, settings.database_url)
        self._local_key: str | None = None
        self._hindrance: str | None = None
        self._is_demo = False
        self._whole = asyncio.Event()
        self._whole.set()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Service]:
        """Open the database and the log; deliveries could be taken, but nothing listens or counts yet."""
        settings = self.settings
        await refuse_wrong_rules(settings)
        async with AsyncExitStack() as stack:
            dsn = await self._open_database(stack)
            self.spool = await stack.enter_async_context(
                Spool(settings.data_dir / FOLDER_NAME, settings.spool_bytes_max)
            )
            self.pool = await open_pool(dsn, min_size=0, max_size=settings.connections_max)
            stack.push_async_callback(close_pool, self.pool)
            self.store = EventStore(self.pool, untimed_window=settings.untimed_window)
            self.quarantine = Quarantine(self.pool, self.store)
            self.hub = await stack.enter_async_context(Hub(dsn, pools=[self.pool]))
            self.keys = await stack.enter_async_context(
                Keys(self.pool, self.webhook_keys, self.tokens, KeyFiles(self.known))
            )
            self.departures = await stack.enter_async_context(Departures(self.pool))
            self._check_who_may_come()
            self.reader = Reader(self.pool)
            self.replicas = await stack.enter_async_context(replicas_of(settings, self.pool))
            self.traces = await stack.enter_async_context(traces_to(settings.traces_url, self.pool))
            self.projector = Projector(self.pool, self.hub, traces=self.traces)
            self.rebuilder = Rebuilder(self.pool)
            self.views = Views(self.pool)
            self.erasure = Erasure(
                self.pool,
                partial(count_again, self.pool),
                data_dir=settings.data_dir,
                counted=self.metrics.erased,
            )
            self.gauges = Gauges(self.pool, self.metrics, silent_after_days=settings.silent_after_days)
            self.appender = await stack.enter_async_context(
                Appender(
                    self.store,
                    self.quarantine,
                    self.spool,
                    queue_max=settings.append_queue_max,
                    batch_max=settings.append_batch_max,
                    metrics=self.metrics,
                    recorded=lambda position: self.hub.advance("head", position),
                )
            )
            self.sweeping = Sweeping(self.pool, self.hub, settings)
            stack.push_async_callback(self.sweeping.close)
            self._watch()
            self._dsn = dsn
            yield self

    async def _open_database(self, stack: AsyncExitStack) -> str:
        """Return the DSN of a database that is migrated, or that this folder knows and that is away."""
        settings = self.settings
        self.known.refuse_another()
        if settings.database_url is None:
            embedded = await stack.enter_async_context(EmbeddedPostgres(settings.data_dir))
            self._database = "embedded Postgres"
            await _prepared(embedded.dsn)
            return embedded.dsn
        dsn = settings.database_url.get_secret_value()
        self._database = "the Postgres of RECOUNT_DATABASE_URL"
        try:
            await _prepared(dsn)
        except (DatabaseUnreachable, DatabaseReadsOnly) as error:
            stands_by = settings.stand_by and isinstance(error, DatabaseReadsOnly)
            if not (stands_by or self.known.has_answered()):
                raise
            self.away = True
            until = "takes writes" if isinstance(error, DatabaseReadsOnly) else "answers"
            _log.warning("database_away", note=f"deliveries are kept in the spool until it {until}")
        else:
            self.known.note()
        return dsn

    def _check_who_may_come(self) -> None:
        """Make the local key where nobody gave one. Raises ExposedWithoutSecrets.

        Where it is not known whether there are keys and tokens, nobody comes in until Postgres answers.
        """
        keys, tokens = self.webhook_keys, self.tokens
        folder = self.settings.data_dir
        self._local_key = read_local_key(folder)
        if self.keys.known:
            check_exposure(self.settings, stored_keys=len(keys) > 0, stored_tokens=len(tokens) > 0)
            if not len(keys) and self._local_key is None:
                self._local_key = local_key(folder)
                keys.replace_local(self._local_key)
        if self._local_key is not None and len(keys):
            _log.info("local_key_opens_too", file=LOCAL_KEY_FILE, end=f"recount keys revoke {LOCAL_KEY_FILE}")

    def _projecting(self) -> str | None:
        """What keeps this process from following the log."""
        if self._hindrance is not None:
            return self._hindrance
        failure = self.projector.failure
        return failure and f"cannot begin: {failure}; recount doctor says more"

    def _watch(self) -> None:
        self.metrics.watch_appender(lambda: self.appender.waiting)
        self.metrics.watch_spool(
            lambda: self.spool.pending, lambda: self.spool.bytes_used, self.settings.spool_bytes_max
        )
        self.metrics.watch_pool("main", self.pool)
        for replica in self.replicas.all:
            self.metrics.watch_pool(f"read {replica.number}", replica.pool)

    async def work(self) -> None:
        """Keep the read model up with the log, rebuild and erase; a database that is away is waited for."""
        seldom = Seldom()
        while self.away:
            await asyncio.sleep(AWAY_RETRY_SECONDS)
            try:
                await _prepared(self._dsn)
                await self.keys.refresh()
                self.known.note()
                self.away = False
            except DatabaseUnreachable:
                pass
            except (RecountError, *POSTGRES_FAILURES) as error:
                if times := seldom.times():
                    _log.warning("database_not_ready", error=type(error).__name__, times=times)
                self._hindrance = reason_of(error)
        self._hindrance = None
        async with asyncio.TaskGroup() as group:
            for work in (
                self.projector.run,
                self.rebuilder.run,
                self._erase,
                self.labels.follow,
                self.views.run,
                *self._scheduled(),
            ):
                group.create_task(for_ever(work), name=work.__qualname__)

    def _scheduled(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """What is done every so often, where it is wanted."""
        if self.settings.reconcile_every_hours is not None and self.settings.sleekplan_api_key:
            yield Schedule(self.pool, self.hub, self.settings).run

    async def _erase(self) -> None:
        """Finish erasures that were cut off, then honour Sleekplan's deletions as they come due."""
        await self._whole.wait()
        await self.counted(lambda _done, _total: None)
        days = self.settings.erase_after_user_delete_days
        await self.erasure.keep_honouring(None if days is None else timedelta(days=days))

    # The demo

    async def demo_of(self, plan: ToRun) -> demo.Demo | None:
        """Return the demo to run, or None where the service alone is wanted. Raises DemoNeedsEmptyLog."""
        self._is_demo = not self.away and await demo.find(self.pool) is not None
        if plan is ToRun.SERVE:
            return None
        if plan is ToRun.CHOOSE and (
            self.settings.database_url is not None or not await self._can_hold_demo()
        ):
            return None
        self._is_demo = True
        board = await demo.begin(self.pool, self.store, datetime.now(UTC))
        if not board.finished:
            self._whole.clear()
        return board

    async def write_history(self, board: demo.Demo, advance: demo.Advance) -> None:
        """Record what is missing of the demo's history; counted meanwhile; nobody is erased yet."""
        await demo.write_history(board, self.pool, self.store, advance)
        self._whole.set()

    async def _can_hold_demo(self) -> bool:
        return await self.store.head() == 0 or await demo.find(self.pool) is not None

    async def counted(self, advance: demo.Advance) -> None:
        """Return once everything recorded is projected, calling `advance(done, total)` meanwhile."""
        head = await self.store.head()
        done = self.hub.value("projected")
        while done < head:
            advance(done, head)
            done = await self.hub.wait_beyond("projected", done, timeout=1)
        advance(done, head)

    async def tick(self, board: demo.Demo) -> None:
        """Let the demo's board live on."""
        await demo.tick(board, self.pool, self._take)

    async def show_api(self, board: demo.Demo) -> None:
        """Let an older board be fetched from an API of its own."""
        knobs = demo_api.older_board(board.knobs.ending)
        await demo_api.show(knobs, self.pool, self.hub, self.settings, self._take)

    async def _take(self, body: bytes) -> None:
        """Keep a made-up delivery where Sleekplan's own go once they are read, without a request's line."""
        with contextlib.suppress(SpoolUnavailable):
            await self.appender.append(decode(body, datetime.now(UTC)))

    # Listening

    @property
    def address(self) -> str:
        """The URL of the service as seen from this machine."""
        return near_url(self.settings.host, self.port)

    @asynccontextmanager
    async def listening(self, listener: socket.socket) -> AsyncIterator[None]:
        """Take requests while the block lasts; leaving answers what is in flight."""
        self.port = listener.getsockname()[1]
        runner = Runner(self._application(), access_log_class=AccessLog, shutdown_timeout=IN_FLIGHT_SECONDS)
        await runner.setup()
        try:
            await web.SockSite(runner, listener, backlog=WAITING_MAX).start()
            # What was made so far stays: each look through it for garbage stops the loop for 57 ms.
            gc.collect()
            gc.freeze()
            graphql = self._graphql
            async with reacting(graphql.services, graphql.operations, graphql.live, is_demo=self._is_demo):
                yield
                self.stopping = True
                runner.let_go()
                await asyncio.sleep(self.settings.stop_delay_seconds)
        finally:
            await runner.cleanup()

    def _application(self) -> web.Application:
        settings = self.settings
        self._callers = Callers(
            self._who, self.tokens, alone=is_loopback(settings.host) and not settings.trusted_proxy
        )
        application = web.Application()
        application[METRICS] = self.metrics
        webhook = Webhook(
            self.appender,
            self.webhook_keys,
            body_bytes_max=settings.body_bytes_max,
            read_deadline_seconds=settings.read_deadline_seconds,
            bodies_in_flight_max=settings.bodies_in_flight_max,
            metrics=self.metrics,
            traces=self.traces,
        )
        webhook.add_to(application)
        application.add_routes([*PageFiles().routes(), *Documentation().routes()])
        Probes(
            self.metrics,
            self.gauges,
            self.appender,
            self.webhook_keys,
            projecting=self._projecting,
            stopping=lambda: self.stopping,
        ).add_to(application)
        graphql = self._graphql = GraphQLEndpoint(
            build_schema(),
            Services(
                self.pool,
                self.reader,
                self.store,
                self.hub,
                settings,
                labels=self.labels,
                actions=Acting(
                    self.rebuilder, self.quarantine, self.erasure, self.sweeping, settings.data_dir
                ),
                replicas=self.replicas,
                traces=self.traces,
                departures=self.departures,
            ),
            self._callers.authenticate,
            who=self._who,
            limits=Limits(cost_max=settings.graphql_cost_max),
            socket_limits=SocketLimits(
                sockets_max=settings.sockets_max,
                operations_socket_max=settings.operations_socket_max,
                operations_address_max=settings.operations_address_max,
            ),
            timeout_seconds=settings.read_deadline_seconds,
            debug=settings.graphql_debug,
            allowed_origins=frozenset(settings.allowed_origins),
            open_on_loopback=self._callers.began_open,
            graphiql=GRAPHIQL,
            observed=self.metrics.graphql,
        )
        graphql.add_to(application)
        self.departures.moved.append(graphql.live.part)
        self.metrics.watch_subscribers(lambda: graphql.live.work.subscribers, lambda: graphql.live.work.sent)
        return application

    @cached_property
    def labels(self) -> Labels:
        """What keys and products are called: first asked for once it is known whether this is a demo."""
        return demo.labels_of(self.settings, is_demo=self._is_demo)

    def ready(self, *, is_demo: bool) -> Ready:
        """Return what the banner says."""
        return Ready(
            self.address,
            self._local_key,
            self._database,
            self.settings.data_dir.absolute(),
            is_demo,
            self.away,
            self._callers.is_open,
        )


async def _prepared(dsn: str) -> None:
    """Bring the log's tables up to date, and make those of the read model that are missing."""
    connection = await connect(dsn)
    try:
        await refuse_shared_sessions(dsn, connection)
        with as_refused():
            if names := await migrate(connection):
                _log.info("migrated", migrations=len(names), to=names[-1])
            await declare(connection, arriving=True)
    finally:
        await connection.close()
