"""Tells what one rule asks at its times: a query, from its last time to this one."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Final

import structlog

from schema.answer.documents import Request
from schema.answer.execute import Operations, Outcome
from schema.context import Context, Services
from service.reactions.courier import Courier, Stopped
from service.reactions.cursors import Come, ReactionState
from service.reactions.document import Followed, span
from service.reactions.schedule import Times
from service.reactions.telling import telling_at

CLOCK_SECONDS: Final = 20.0
"""How often the clock is looked at: it may be set meanwhile."""
_PASSING: Final = (b'"POSTGRES_AWAY"', b'"TIMEOUT"', b'"READ_MODEL_CHANGING"')

_log = structlog.get_logger(__name__)


class Digest:
    """One rule that tells at set times. Of several that were missed the newest is told, of the whole span."""

    def __init__(
        self,
        followed: Followed,
        times: Times,
        state: ReactionState,
        courier: Courier,
        operations: Operations,
        services: Services,
    ) -> None:
        self.revision, self.place, self.told_to = state.revision, state.place, state.told_to
        self._followed, self._times, self._courier = followed, times, courier
        self._operations, self._services = operations, services
        self._noted = state.told_to

    async def run(self) -> None:
        """Tell at each time until the rule is stopped."""
        try:
            while True:
                await self._tell(await self._due())
        except Stopped:
            pass

    def come(self) -> Come | None:
        """Return what was told since this was asked last, None for nothing."""
        if self.told_to == self._noted:
            return None
        self._noted, sent, self._courier.sent = self.told_to, self._courier.sent, 0
        return Come(self._courier.rule.name, self.revision, self.place, self.told_to, sent)

    async def _due(self) -> dt.datetime:
        """Return the newest time that has come, once one has."""
        following = self._times.next_after(self.told_to)
        while (left := (following - self._services.clock()).total_seconds()) > 0:
            await asyncio.sleep(min(left, CLOCK_SECONDS))
        return self._times.last_until(self._services.clock())

    async def _tell(self, due: dt.datetime) -> None:
        rule = self._courier.rule
        answer = await self._ask(due)
        when = due.strftime("%Y%m%dT%H%MZ")
        await self._courier.bring(lambda: telling_at(rule, answer.body, when), self.place, self.place)
        self.told_to = due

    async def _ask(self, due: dt.datetime) -> Outcome:
        variables = {**self._followed.request.variables, **span(self._followed.document, self.told_to, due)}
        request = Request(self._followed.request.query, variables)
        while True:
            context = Context(self._services, self._followed.caller)
            answer = await self._operations.execute(request, context, only_queries=True)
            if not (answer.failed or not answer.executed) or not any(
                code in answer.body for code in _PASSING
            ):
                self.place = context.read_at or self.place
                return answer
            _log.warning("reaction_waits_for_postgres", reaction=self._courier.rule.name)
            await asyncio.sleep(CLOCK_SECONDS)
