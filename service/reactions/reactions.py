"""Runs the rules of the file of reactions: one instance at a time, each rule from where it was left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Final

import structlog

from projections.lease import Lease
from schema.answer.execute import Operations
from schema.answer.limits import Limits
from schema.build import build_schema
from schema.context import Services
from schema.live.subscribe import Live
from service.config import Settings
from service.ending_tasks import ended, rest
from service.errors import LostLease, RecountError
from service.log.database import POSTGRES_FAILURES
from service.looks import looks_of
from service.reactions.courier import Courier
from service.reactions.cursors import Cursors, ReactionState
from service.reactions.digest import Digest
from service.reactions.rules_file import Reaction, RulesFile, read_rules
from service.reactions.schedule import Times
from service.reactions.sender import Sender
from service.reactions.targets import Targets

LEASE_SECONDS: Final = 6.0
LOOK_SECONDS: Final = 1.0
"""How often it is looked whether somebody changed the file, or set a rule's place or state."""
NOTES_A_LOOK: Final = 4
"""How often the places are noted meanwhile: what was told since then comes again after a crash."""

_log = structlog.get_logger(__name__)


async def refuse_wrong_rules(settings: Settings) -> None:
    """Look at the file of reactions before anything is started. Raises ReactionsRefused, InvalidSetting."""
    if settings.reactions is None:
        return
    operations = Operations(build_schema(), Limits(cost_max=settings.graphql_cost_max))
    try:
        await read_rules(settings.reactions, operations)
    finally:
        operations.close()


@contextlib.asynccontextmanager
async def reacting(
    services: Services, operations: Operations, live: Live, *, is_demo: bool
) -> AsyncIterator[None]:
    """Have the rules of the settings' file tell what happens, until the block ends."""
    path = services.settings.reactions
    if path is None:
        yield
        return
    reactions = Reactions(path, services, operations, live, is_demo=is_demo)
    task = asyncio.create_task(reactions.run(), name="reactions")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Reactions:
    """All rules of a file, as subscribers of this process's `live`."""

    def __init__(
        self, path: Path, services: Services, operations: Operations, live: Live, *, is_demo: bool
    ) -> None:
        self._path, self._services, self._operations, self._live = path, services, operations, live
        self._is_demo = is_demo
        self._cursors = Cursors(services.pool)
        self._lease = Lease("reactions", LEASE_SECONDS)
        self._file: RulesFile | None = None
        self._read: object = None
        self._erasures: tuple[int, int] | None = None
        self._running: dict[str, tuple[Sender | Digest, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Tell what there is to tell, whenever it is our turn."""
        while True:
            try:
                if await self._lease.take(self._services.pool):
                    await self._turn()
            except LostLease as lost:
                _log.info("reactions_lost_lease", reason=str(lost))
            except POSTGRES_FAILURES as error:
                _log.warning("reactions_wait_for_postgres", error=type(error).__name__)
            except Exception as error:
                _log.exception("reactions_broke_off", error=type(error).__name__)
            await rest(LOOK_SECONDS)

    async def _turn(self) -> None:
        """Send for as long as it is our turn."""
        self._read = None
        async with Targets() as targets:
            try:
                while True:
                    async with self._services.pool.acquire() as connection:
                        await self._lease.renew(connection)
                    await self._look(targets)
                    for _ in range(NOTES_A_LOOK):
                        await asyncio.sleep(LOOK_SECONDS / NOTES_A_LOOK)
                        await self._note()
            finally:
                await self._end(list(self._running))
                with contextlib.suppress(*POSTGRES_FAILURES):
                    await self._lease.give_back(self._services.pool)

    async def _look(self, targets: Targets) -> None:
        """Have those run that should, from where they should.

        What waits to be told, or told again, is made anew once somebody was forgotten: it may tell of them.
        """
        erasures = await self._cursors.erasures()
        if await self._reload() or erasures != self._erasures:
            await self._end(list(self._running))
        self._erasures = erasures
        states = await self._cursors.all()
        over = [
            name
            for name, (sender, task) in self._running.items()
            if task.done()
            or name not in states
            or (states[name].state, states[name].revision) != ("RUNNING", sender.revision)
        ]
        if over:
            await self._end(over)
            states = await self._cursors.all()
        for reaction in self._wanted():
            state = states.get(reaction.rule.name)
            if state is not None and state.state == "RUNNING" and state.name not in self._running:
                self._start(reaction, state, targets)

    async def _reload(self) -> bool:
        """Read the file where it changed; return whether there are other rules than before."""
        found = looks_of(self._path)
        if found == self._read:
            return False
        self._read = found
        try:
            self._file = await read_rules(self._path, self._operations)
        except RecountError as error:
            _log.error("reactions_refused", reason=str(error), kept=self._file is not None)
            return False
        await self._cursors.begin([reaction.rule.name for reaction in self._file.reactions])
        return True

    def _wanted(self) -> Iterable[Reaction]:
        reactions = self._file.reactions if self._file is not None else ()
        return (reaction for reaction in reactions if reaction.rule.demo or not self._is_demo)

    def _start(self, reaction: Reaction, state: ReactionState, targets: Targets) -> None:
        assert self._file is not None
        target = targets.of(reaction.rule, self._file.private_hosts)
        courier = Courier(reaction.rule, state, target, self._cursors, self._lease)
        sender: Sender | Digest
        if reaction.rule.every is None:
            sender = Sender(reaction.followed, state, courier, self._live, self._services)
        else:
            times = Times.read(reaction.rule.every)
            sender = Digest(reaction.followed, times, state, courier, self._operations, self._services)
        self._running[state.name] = sender, asyncio.create_task(sender.run(), name=f"reaction {state.name}")

    async def _end(self, names: Sequence[str]) -> None:
        """End these rules, and note where they are."""
        ends = [ended(self._running[name][1]) for name in names]
        for name, end in zip(names, await asyncio.gather(*ends, return_exceptions=True), strict=True):
            if isinstance(end, POSTGRES_FAILURES):
                _log.warning("reaction_waits_for_postgres", reaction=name, error=type(end).__name__)
            elif isinstance(end, Exception):
                _log.error("reaction_broke_off", reaction=name, exc_info=(type(end), end, None))
        with contextlib.suppress(*POSTGRES_FAILURES):
            await self._note()
        for name in names:
            del self._running[name]

    async def _note(self) -> None:
        come = [found for sender, _ in self._running.values() if (found := sender.come()) is not None]
        await self._cursors.note(come, self._lease)
